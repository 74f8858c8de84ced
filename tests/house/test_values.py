"""Values: what comes from outside enters a Struct only through decode or convert, which check it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.checkout import CLIENT, GUARD, SERVER, name, python, tree

STRUCT = "Struct"


def last(node: ast.expr) -> str:
    """The last word of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def structs(paths: tuple[Path, ...]) -> set[str]:
    """Every class that is a Struct, by itself or by descent."""
    classes = [node for path in paths for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    known = {STRUCT}
    while True:
        more = {node.name for node in classes if any(last(base) in known for base in node.bases)} - known
        if not more:
            return known
        known |= more


def unchecked(paths: tuple[Path, ...], known: set[str]) -> Iterator[str]:
    """Where a Struct is filled from a mapping that nobody checked."""
    for path in paths:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and last(node.func) in known and any(word.arg is None for word in node.keywords):
                yield f"{name(path)}:{node.lineno}"


def test_no_struct_is_filled_from_a_mapping_that_nobody_checked() -> None:
    paths = python(SERVER, GUARD, CLIENT)
    assert list(unchecked(paths, structs(paths))) == []


def test_every_struct_is_frozen() -> None:
    paths = python(SERVER, GUARD, CLIENT)
    known = structs(paths)
    thawed = [
        f"{name(path)}::{node.name}"
        for path in paths
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and any(last(base) == STRUCT for base in node.bases)
        if not any(word.arg == "frozen" and isinstance(word.value, ast.Constant) and word.value.value is True for word in node.keywords)
    ]
    assert thawed == []
    assert known >= {STRUCT}
