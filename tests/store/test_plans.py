"""No statement reads a whole table to find some of its rows, but for those named here with their reasons."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

import gatewright
from gatewright.jobs.sweep import SWEEPS
from gatewright.ledger.grants import END_PART
from gatewright.store import EVERY, Query, migrate
from tests.support.clock import NOON

SCANS: Final = {
    ("gatewright.store.migrate", "migration"): "every row is wanted",
    ("gatewright.apis.book", "membership"): "a role is retired once in its life, and roles are held as lists",
    ("gatewright.platform.hits", "membership"): "a plan counts who holds a role, and roles are held as lists",
    ("gatewright.platform.hits", "m"): "the same, of as many as are looked at",
    ("gatewright.ledger.standing", "g"): "every row of a page that an index found",
    ("gatewright.tenants.claims", "domain"): "a domain is claimed once in its life, and what lies below a name has no index",
    ("gatewright.tenants.loopback", "d"): "once at a start, and for a caller at this machine whose host nobody has",
    ("gatewright.keys.book", "signing_key"): "some keys for each tenant, once a minute on one node",
    ("gatewright.endings.book", "n"): "the rows without a number that an index found, each once",
    ("gatewright.endings.book", "(subquery-3)"): "the same",
    ("gatewright.management.counts", "found"): "as many rows as are counted, which an index found",
    ("gatewright.ledger.scope_use", "json_each"): "the numbers of a list, which is handed in",
    ("gatewright.jobs.sweep", "change"): "the rows of one day in their order, and the oldest stand first",
}
ENDS: Final = [
    (END_PART["account"], "consent_grant_account"),
    (END_PART["person"], "consent_grant_of_person"),
    (END_PART["client"], "consent_grant_of_client"),
]
SWEPT: Final = {
    "ended_at < ": "consent_grant_ended",
    "install.ended_at < ": "install_ended",
    "expires_at < :now AND": "consent_grant_expires",
    "expires_at < :now LIMIT": "device_request_expires",
    "day < ": "usage_count_day",
    "sweep_at < ": "authorization_sweep",
    "last_at < ": "weakness_use_last",
    "released_at < ": "released_domain_at",
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    """A store with nothing in it."""
    file: Path = tmp_path_factory.mktemp("plans") / "store.sqlite3"
    asyncio.run(migrate(f"sqlite://{file}", now=NOON))
    return apsw.Connection(str(file))


def plan(connection: apsw.Connection, query: Query[Any]) -> list[str]:
    """How SQLite would go about a statement, step by step."""
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query.sqlite}", [None] * len(query.names))]


def test_no_statement_reads_a_whole_table_for_some_of_its_rows(connection: apsw.Connection) -> None:
    for module in pkgutil.walk_packages(gatewright.__path__, "gatewright."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = set()
    for query in EVERY:
        if query.where.startswith("gatewright."):
            for step in plan(connection, query):
                verb, _, rest = step.partition(" ")
                if verb == "SCAN" and not rest.startswith("CONSTANT ROW"):
                    found.add((query.where.partition(":")[0], rest.split()[0]))
    assert found == set(SCANS)


@pytest.mark.parametrize(("query", "index"), ENDS, ids=[index for _, index in ENDS])
def test_what_ends_many_grants_at_once_finds_them_by_an_index(connection: apsw.Connection, query: Query[Any], index: str) -> None:
    assert any(f"USING INDEX {index} " in step for step in plan(connection, query)), plan(connection, query)


@pytest.mark.parametrize("condition", SWEPT)
def test_the_sweeper_finds_what_is_due_by_an_index(connection: apsw.Connection, condition: str) -> None:
    found = [query for _, query, _ in SWEEPS if f" {condition}" in query.text]
    assert found
    for query in found:
        steps = plan(connection, query)
        assert any(f"INDEX {SWEPT[condition]} " in step for step in steps), steps
