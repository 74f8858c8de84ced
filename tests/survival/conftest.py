"""Deployments to be hurt: prepared once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engines import postgres_server
from tests.support.postgres import Cluster, Server, name_of, own_cluster
from tests.support.running import Deployment
from tests.survival.platform import PLATFORM, SECRETS

__all__ = ["postgres_server"]


@pytest.fixture(scope="session")
def prepared_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("prepared") / "data", secrets=SECRETS).prepare(PLATFORM)


@pytest.fixture(scope="session")
def prepared_on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Deployment:
    folder = tmp_path_factory.mktemp("prepared") / "data"
    return Deployment(folder, store_url=postgres_server.database(), secrets=SECRETS).prepare(PLATFORM)


@pytest.fixture
def on_sqlite(tmp_path: Path, prepared_on_sqlite: Deployment) -> Deployment:
    return prepared_on_sqlite.copy(tmp_path / "data")


@pytest.fixture
def on_postgres(tmp_path: Path, prepared_on_postgres: Deployment, postgres_server: Server) -> Iterator[Deployment]:
    url = postgres_server.database(name_of(prepared_on_postgres.store_url))
    yield prepared_on_postgres.copy(tmp_path / "data", url)
    postgres_server.drop(url)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this test's own, which it may kill."""
    with own_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The same on both engines."""
    made: Deployment = request.getfixturevalue(f"on_{request.param}")
    return made
