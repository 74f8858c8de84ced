"""Every statement of the product fits its record, its parameters and both engines, and is said once."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import gatewright
from gatewright.store import EVERY, SCHEMA, Query, Store

ALARM = 10  # statements with a text of their own for PostgreSQL: beyond it, the common dialect is the wrong idea


@pytest.fixture
def schema() -> Path:
    return SCHEMA


@pytest.fixture(scope="module")
def queries() -> list[Query[Any]]:
    """Everything that any module of the product says to a store."""
    for module in pkgutil.walk_packages(gatewright.__path__, "gatewright."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [query for query in EVERY if query.where.startswith("gatewright.")]


async def test_every_statement_fits_its_record_and_the_engine(store: Store, queries: list[Query[Any]]) -> None:
    assert len(queries) > 5
    faults = [fault for query in queries for fault in await store.faults(query)]
    assert faults == [], "\n".join(faults)


def test_nothing_is_said_twice(queries: list[Query[Any]]) -> None:
    said: dict[str, str] = {}
    for query in queries:
        text = " ".join(query.text.split())
        assert text not in said, f"{query.where} says what {said[text]} says"
        said[text] = query.where


def test_few_statements_need_a_text_for_each_engine(queries: list[Query[Any]]) -> None:
    assert sum(query.two_texts for query in queries) <= ALARM
