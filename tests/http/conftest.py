"""A browser in front of a playground, for each test of a page; one node or two of a whole house, for each test of a door."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, Rooms, open_rooms
from tests.support.engines import postgres_server
from tests.support.house import Node, open_nodes, postgres_copy, sqlite_copy
from tests.support.postgres import Server
from tests.support.world import Playground, open_playground

__all__ = ["postgres_server"]


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Playground]:
    """One tenant over a store of its own, with the usual client."""
    opened = await open_playground(tmp_path)
    await opened.add()
    yield opened
    await opened.store.close()


@pytest.fixture
async def rooms(ground: Playground) -> AsyncIterator[Rooms]:
    """The rooms behind the pages."""
    made = await open_rooms(ground)
    yield made
    made.passwords.close()


@pytest.fixture
def browser(rooms: Rooms) -> Browser:
    """A browser that was never here."""
    return Browser(rooms)


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
async def pair(place: str) -> AsyncIterator[list[Node]]:
    """Two nodes over one store, on each engine in turn."""
    async with open_nodes(place, 2) as opened:
        yield opened


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[Node]]:
    """Two nodes over one store with both tenants."""
    async with open_nodes(sqlite_copy(tmp_path), 2) as opened:
        yield opened


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """One node over a store with both tenants."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        yield opened
