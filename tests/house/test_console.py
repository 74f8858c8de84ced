"""The console has no act that the management API lacks, and reaches nothing but through operations."""

from __future__ import annotations

import ast
from pathlib import Path

from gatewright.management.table import BY_NAME
from gatewright.web.console.clients import TRIED_OUT, WEAKNESSES, meaning
from gatewright.web.pages import CONSOLE
from gatewright.web.rest import routes
from tests.house.checkout import SERVER, tree

ROOMS = SERVER / "web" / "console"
# Of what is below the doors: how operations are done, what they refuse with, and words that change nothing.
MAY_IMPORT = (
    "gatewright.audit.book.Act",
    "gatewright.audit.deed.Refused",
    "gatewright.base",
    "gatewright.management",
    "gatewright.oauth.catalogue",
    "gatewright.oauth.errors",
    "gatewright.oauth.visit",
    "gatewright.platform.document",
    "gatewright.web",
    "gatewright_guard",
)
# What only a room below may do.
FORBIDDEN = {"store": ("run", "verb", "do", "one", "all"), "house": ("grants", "market", "sessions", "wrapper")}


def imported(path: Path) -> set[str]:
    """The dotted names of what a file imports of ours."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gatewright"):
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def reached(path: Path) -> set[str]:
    """The attributes that a file takes of the house and its store, such as `store.run`."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            inner = node.value
            of = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
            found.add(f"{of}.{node.attr}")
    return found


def test_every_file_of_the_console_is_looked_at() -> None:
    assert {path.name for path in ROOMS.glob("*.py")} >= {"desk.py", "apis.py", "clients.py", "access.py", "log.py"}


def test_every_page_asks_operations_of_the_management_api_alone() -> None:
    over_http = {operation.name for several in routes().values() for route in several for operation in route.operations.values()}
    for row in CONSOLE:
        assert set(row.asks) <= set(BY_NAME) & over_http, row.pattern.pattern
        assert row.asks, "a page that asks nothing would show what nobody checked"


def test_a_page_that_changes_something_says_so_in_its_row_and_the_others_only_read() -> None:
    for row in CONSOLE:
        changes = [name for name in row.asks if BY_NAME[name].changes]
        assert bool(changes) is (row.act is not None), row.pattern.pattern
        if changes:
            assert changes[0] == row.asks[0], "the right to do it opens the page that asks whether"


def test_no_file_of_the_console_imports_a_room() -> None:
    wrong = {
        (path.name, name)
        for path in ROOMS.glob("*.py")
        for name in imported(path)
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in MAY_IMPORT)
    }
    assert wrong == set()


def test_no_file_of_the_console_reaches_into_the_store_or_a_room() -> None:
    wrong = {
        (path.name, f"{of}.{name}")
        for path in ROOMS.glob("*.py")
        for of, names in FORBIDDEN.items()
        for name in names
        if f"{of}.{name}" in reached(path)
    }
    assert wrong == set()


def test_every_weakness_of_a_client_has_a_sentence() -> None:
    rules = tree(SERVER / "clients" / "rules.py")
    function = next(node for node in ast.walk(rules) if isinstance(node, ast.FunctionDef) and node.name == "weaknesses")
    table = next(node for node in ast.walk(function) if isinstance(node, ast.Dict))
    assert {key.value for key in table.keys if isinstance(key, ast.Constant)} == set(WEAKNESSES)
    assert "pkce" in meaning(f"pkce{TRIED_OUT}")
