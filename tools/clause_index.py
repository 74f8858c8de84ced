"""Writes docs/standards/clauses.md: each clause of a standard with the tests that prove it; `--check` only tells whether it is current.

Tests say what they prove (`@pytest.mark.proves("RFC 7636", "4.6")`), tools/clauses.toml says in our own words what each clause asks.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "standards" / "clauses.md"
CLAUSES: Final = Path(__file__).with_name("clauses.toml")
TESTS: Final = ROOT / "tests"

_HEAD: Final = """# What the standards ask, and which tests prove it

Each clause that concerns what is built, in our own words, with the tests that would fail without it. A clause with no words is one that
a test names beside. The other rules of the house, such as isolation of tenants, have tests without a clause.

This page is made from the tests and from `tools/clauses.toml` (`tools/clause_index.py`).
"""


class Proof(NamedTuple):
    """One test that proves one clause."""

    document: str
    clause: str
    file: str
    test: str


def proofs() -> list[Proof]:
    """Return what the tests say that they prove."""
    found = [proof for path in sorted(TESTS.rglob("test_*.py")) for proof in _of_file(path)]
    return sorted(set(found), key=lambda proof: (proof.document, _order(proof.clause), proof.file, proof.test))


def _of_file(path: Path) -> Iterator[Proof]:
    file = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                for document, clauses in _marks(decorator):
                    yield from (Proof(document, clause.strip(), file, node.name) for clause in clauses.split(","))


def _marks(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Every `proves("document", "clause")` within a decorator, those on the rows of a table among them."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "proves":
            document, clause = [ast.literal_eval(argument) for argument in call.args]
            yield document, clause


def asked() -> dict[str, dict[str, str]]:
    """Return what the standards ask: document → clause → words, with the document's title as `title`."""
    return tomllib.loads(CLAUSES.read_text(encoding="utf-8"))


def unproved() -> list[str]:
    """Return the clauses that no test names."""
    named = {(proof.document, proof.clause) for proof in proofs()}
    return [
        f"{document} §{clause}"
        for document, clauses in asked().items()
        for clause in clauses
        if clause != "title" and (document, clause) not in named
    ]


def page() -> str:
    """Return the whole page."""
    words, parts = asked(), [_HEAD]
    by_clause: dict[str, dict[str, list[Proof]]] = {}
    for proof in proofs():
        by_clause.setdefault(proof.document, {}).setdefault(proof.clause, []).append(proof)
    for document in [*words, *sorted(set(by_clause) - set(words))]:
        clauses = {clause: text for clause, text in words.get(document, {}).items() if clause != "title"}
        title = words.get(document, {}).get("title", document)
        parts.append(f"\n## {document}{f': {title}' if title != document else ''}\n\n| clause | asks | proved by |\n| --- | --- | --- |\n")
        for clause in sorted({*clauses, *by_clause.get(document, {})}, key=_order):
            tests = "<br>".join(_shown(proof) for proof in by_clause.get(document, {}).get(clause, [])) or "**nothing**"
            parts.append(f"| {clause} | {clauses.get(clause, '')} | {tests} |\n")
    return "".join(parts)


def _shown(proof: Proof) -> str:
    return f"[{proof.test.removeprefix('test_').replace('_', ' ')}](../../{proof.file})"


def _order(clause: str) -> list[tuple[bool, int, str]]:
    """Number by number; appendices, which are letters, come last."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"\.", clause)]


def main() -> int:
    """Write the page, or with `--check` compare it."""
    made = page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
