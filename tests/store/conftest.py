"""The conformance suite runs on its own small schema."""

from pathlib import Path

import pytest

from tests.support.engines import engine, nodes, postgres_server, store, templates, url

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]


@pytest.fixture
def schema() -> Path:
    return Path(__file__).with_name("schema")
