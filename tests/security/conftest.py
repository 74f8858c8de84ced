"""A playground or a whole house for each test of a promise of the security rules."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.house import Node, open_nodes, sqlite_copy
from tests.support.world import Playground, open_playground


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Playground]:
    """One tenant over a store of its own."""
    opened = await open_playground(tmp_path)
    yield opened
    await opened.store.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """One node over a store with both tenants."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        yield opened
