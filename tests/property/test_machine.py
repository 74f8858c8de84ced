"""The state machine on both engines (`docs/house`, invariants)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.machine import Deployment
from tests.support.house import postgres_copy, sqlite_copy
from tests.support.postgres import Server

TIMES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))
EXAMPLES = 60 * max(TIMES, 1)
STEPS = 30
LIMIT = 0 if TIMES else 240  # seconds; a failure is made small before it is told, which takes its time

Place = Callable[[Path], tuple[str, Callable[[], None]]]


def on_sqlite(folder: Path) -> tuple[str, Callable[[], None]]:
    """A copy of the template."""
    return sqlite_copy(folder), lambda: None


def explored(place: Place, share: int = 1) -> None:
    """Search a share of the examples."""
    chosen = settings(max_examples=max(EXAMPLES // share, 1), stateful_step_count=STEPS)
    run_state_machine_as_test(lambda: Deployment(place), settings=chosen)  # type: ignore[arg-type]  # a factory will do


@pytest.mark.timeout(LIMIT)
def test_two_nodes_on_one_file_keep_every_promise_to_clients_users_and_attackers() -> None:
    explored(on_sqlite)


@pytest.mark.timeout(LIMIT)
def test_two_nodes_on_one_postgresql_keep_them_as_well(postgres_server: Server) -> None:
    def place(_folder: Path) -> tuple[str, Callable[[], None]]:
        url = postgres_copy(postgres_server)
        return url, lambda: postgres_server.drop(url)

    explored(place, share=5)
