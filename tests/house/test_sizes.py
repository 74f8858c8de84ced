"""Sizes: a function has at most 60 lines and a file at most 500, unless an exception says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.checkout import CLIENT, GUARD, SERVER, name, python, tree

FUNCTION = 60
FILE = 500

# "file" or "file::function": why it is better long.
EXCEPTIONS: dict[str, str] = {}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with its length, its decorators not counted."""
    inside: list[tuple[str, ast.AST]] = [(name(path) + "::", tree(path))]
    while inside:
        prefix, node = inside.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, (child.end_lineno or child.lineno) - child.lineno + 1
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside.append((f"{prefix}{child.name}.", child))
            else:
                inside.append((prefix, child))


def too_long() -> dict[str, int]:
    """What is over its ceiling, with its length."""
    found: dict[str, int] = {}
    for path in python(SERVER, GUARD, CLIENT):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        found |= {name(path): lines} if lines > FILE else {}
        found |= {where: length for where, length in functions(path) if length > FUNCTION}
    return found


def test_no_function_and_no_file_is_too_long() -> None:
    assert {where: length for where, length in too_long().items() if where not in EXCEPTIONS} == {}


def test_every_exception_is_still_needed() -> None:
    assert set(EXCEPTIONS) <= set(too_long())


def test_every_exception_has_a_reason() -> None:
    assert [where for where, reason in EXCEPTIONS.items() if not reason.strip()] == []


def test_the_length_of_a_nested_function_is_seen() -> None:
    found = dict(functions(Path(__file__)))
    assert found["tests/house/test_sizes.py::test_no_function_and_no_file_is_too_long"] == 2
