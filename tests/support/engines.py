"""Stores to test with, on each engine: `store` is a fresh one, `url` its address, `nodes` opens more on the same data."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gatewright.store import SCHEMA, Store, migrate, open_store
from tests.support.postgres import Server, name_of, server

NOW = 1_800_000_000

Nodes = Callable[[], Awaitable[Store]]


class Templates:
    """Migrated once for each schema folder, copied for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sqlite: dict[Path, Path] = {}
        self._postgres: dict[Path, str] = {}

    def sqlite(self, schema: Path, target: Path) -> str:
        """Copies a migrated file to `target` and returns its URL."""
        if schema not in self._sqlite:
            path = self._folder / f"template{len(self._sqlite)}.sqlite3"
            asyncio.run(migrate(f"sqlite://{path}", now=NOW, folder=schema))
            self._sqlite[schema] = path
        shutil.copyfile(self._sqlite[schema], target)
        target.chmod(0o600)
        return f"sqlite://{target}"

    def postgres(self, schema: Path, on: Server) -> str:
        """Copies a migrated database and returns the copy's URL."""
        if schema not in self._postgres:
            url = on.database()
            asyncio.run(migrate(url, now=NOW, folder=schema))
            self._postgres[schema] = name_of(url)
        return on.database(self._postgres[schema])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def schema() -> Path:
    """The schema folder; a test package may put its own in its place."""
    return SCHEMA


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(engine: str, request: pytest.FixtureRequest, schema: Path, templates: Templates, tmp_path: Path) -> Iterator[str]:
    if engine == "sqlite":
        yield templates.sqlite(schema, tmp_path / "store.sqlite3")
        return
    on: Server = request.getfixturevalue("postgres_server")
    url = templates.postgres(schema, on)
    yield url
    on.drop(url)


@pytest.fixture
async def nodes(url: str, schema: Path) -> AsyncIterator[Nodes]:
    opened: list[Store] = []

    async def another() -> Store:
        opened.append(await open_store(url, folder=schema, name=f"gatewright test {os.getpid()}"))
        return opened[-1]

    yield another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(nodes: Nodes) -> Store:
    return await nodes()
