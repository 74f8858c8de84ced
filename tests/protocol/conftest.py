"""A playground for each test of a pipeline."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.world import Playground, open_playground


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Playground]:
    """One tenant over a store of its own."""
    opened = await open_playground(tmp_path)
    yield opened
    await opened.store.close()
