"""Names that say nothing, and imports that let time, chance or a mock in by another door."""

import ast
import re

import pytest

from tests.house.checkout import CLIENT, GUARD, ROOT, SERVER, files, imports, is_under, name, python, tree

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "manager", "managers", "service", "services", "handler", "handlers"}
BY_THE_DOOR_ONLY = ("time", "datetime", "secrets", "random", "uuid", "os.urandom", "os.getrandom")
DOOR = SERVER / "base" / "moment.py"

# Tests that wait for another process have to look again now and then; everything else passes in its clock.
WAITS: dict[str, str] = {"tests/support/waiting.py": "the one helper that looks, until a deadline, whether another process has got there"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {path: {path.stem, *path.relative_to(ROOT).parent.parts} for path in files() if path.suffix == ".py"}
    assert [name(path) for path, words in named.items() if words & SAYS_NOTHING] == []


@pytest.mark.parametrize("banned", BY_THE_DOOR_ONLY)
def test_time_and_chance_enter_by_one_door(banned: str) -> None:
    elsewhere = [path for path in python(SERVER) if path != DOOR]
    assert [f"{name(path)}:{line}" for path in elsewhere for line, imported in imports(path) if is_under(imported, banned)] == []


def test_the_entropy_of_the_system_is_drawn_by_one_door() -> None:
    drawn = [
        f"{name(path)}:{node.lineno}"
        for path in python(SERVER)
        if path != DOOR
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"urandom", "getrandom"}
    ]
    assert drawn == []


def test_our_own_code_is_never_mocked() -> None:
    everything = python(ROOT)
    mocked = ("unittest.mock", "mock", "pytest_mock")
    assert [f"{name(path)}:{line}" for path in everything for line, got in imports(path) for word in mocked if is_under(got, word)] == []


def sleeps(call: ast.Call) -> bool:
    """Is this a wait for time to pass? `asyncio.sleep(0)` only lets others run."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    lets_others_run = len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return called == "sleep" and not lets_others_run


def test_no_test_sleeps() -> None:
    calls = [(path, node) for path in python(ROOT / "tests") for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    sleeping = {name(path) for path, call in calls if sleeps(call)}
    assert sleeping - set(WAITS) == set()
    assert set(WAITS) - sleeping == set(), "this exception is no longer needed"


def test_every_exception_in_the_product_says_why() -> None:
    # The reason stands behind the code, after a dash.
    bare = re.compile(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[a-z0-9, -]+\])\s*$")
    lines = [(path, number, line) for path in python(SERVER, GUARD, CLIENT) for number, line in enumerate(path.read_text().splitlines(), 1)]
    assert [f"{name(path)}:{number}" for path, number, line in lines if bare.search(line)] == []


def test_every_test_is_named_like_a_sentence() -> None:
    terse = [
        f"{name(path)}::{node.name}"
        for path in python(ROOT / "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert terse == []
