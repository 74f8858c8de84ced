"""A store of its own for each test of keys."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatewright.store import Store
from tests.support.world import open_playground


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    ground = await open_playground(tmp_path)
    yield ground.store
    await ground.store.close()
