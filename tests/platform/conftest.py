from pathlib import Path

import pytest

from gatewright.store import Store
from tests.platform.played import Played
from tests.support.engines import engine, nodes, postgres_server, schema, store, templates, url

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]


@pytest.fixture
def played(store: Store, tmp_path: Path) -> Played:
    return Played(store, tmp_path)
