"""Deployments to be hurt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Cluster, own_cluster
from tests.support.running import Deployment
from tests.survival.platform import PLATFORM, SECRETS


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "data", secrets=SECRETS).prepare(PLATFORM)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this test's own, which it may kill."""
    with own_cluster() as cluster:
        yield cluster


@pytest.fixture
def on_postgres(tmp_path: Path, cluster: Cluster) -> Deployment:
    return Deployment(tmp_path / "data", store_url=cluster.url, secrets=SECRETS).prepare(PLATFORM)


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The same on both engines."""
    made: Deployment = request.getfixturevalue(f"on_{request.param}")
    return made


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("GATEWRIGHT_") and not name.startswith("GATEWRIGHT_TEST_"):
            monkeypatch.delenv(name)
