"""The state machine on both engines (`docs/house`, invariants)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.machine import Deployment
from tests.support.house import sqlite_copy

EXAMPLES = 40 * max(int(os.environ.get("PROPERTY_EXAMPLES", "0")), 1)
STEPS = 30


def on_sqlite(folder: Path) -> tuple[str, Callable[[], None]]:
    """A copy of the template."""
    return sqlite_copy(folder), lambda: None


@pytest.mark.timeout(0 if EXAMPLES > 40 else 120)
def test_two_nodes_on_one_file_keep_every_promise_to_clients_users_and_attackers() -> None:
    chosen = settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
    run_state_machine_as_test(lambda: Deployment(on_sqlite), settings=chosen)  # type: ignore[arg-type]  # a factory will do
