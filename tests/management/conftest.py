"""A platform that is managed, over a store of each test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.management.desk import Manager, managed, service
from tests.support.engines import postgres_server
from tests.support.house import Node, open_nodes, postgres_copy, sqlite_copy
from tests.support.postgres import Server

__all__ = ["postgres_server"]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store with both tenants, on each engine in turn."""
    if request.param == "sqlite":
        yield sqlite_copy(tmp_path)
        return
    on: Server = request.getfixturevalue("postgres_server")
    url = postgres_copy(on)
    yield url
    on.drop(url)


@pytest.fixture
async def both(place: str) -> AsyncIterator[Node]:
    """A managed node, on each engine in turn."""
    async with open_nodes(place) as (opened,):
        yield await managed(opened)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A managed node."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        yield await managed(opened)


@pytest.fixture
async def ops(node: Node) -> Manager:
    """A service that may do everything in the tenant."""
    return await service(node)
