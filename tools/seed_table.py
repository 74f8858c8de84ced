"""Writes docs/seeds.md: every sentence of the five texts with where it works and the tests that prove it; `--check` only tells whether it
is current, `--tests` prints the tests for pytest.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "seeds.md"
SENTENCES: Final = Path(__file__).with_name("seeds.toml")

TITLES: Final = {
    "000": "A marketplace whose apps act for the user who installs them",
    "001": "A white-label platform whose widgets sign users in",
    "002": "An API in which every token is a user in an account",
    "003": "A marketplace manager's page for API clients",
    "004": "Scopes of an API's own",
}

_HEAD: Final = """# What five platforms say of themselves, and where it works here

Gatewright grew out of five texts in which platforms explain their API access to developers. Each could move to it: every sentence that says
what such a platform does is listed here, in its own words, with where it works and the tests that would fail if it did not. `./dev seeds`
runs exactly these tests. A sentence with nothing to do is advice, and says why.

This page is made from `tools/seeds.toml` (`tools/seed_table.py`).
"""


class Sentence(NamedTuple):
    """One sentence: either it works somewhere and tests prove it, or it is advice for a reason."""

    seed: str
    says: str
    where: str
    tests: tuple[str, ...]
    advice: str


def sentences() -> list[Sentence]:
    """Return the sentences in the order of the texts."""
    rows = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))["sentence"]
    return [Sentence(row["seed"], row["says"], row.get("where", ""), tuple(row.get("tests", ())), row.get("advice", "")) for row in rows]


def tests() -> list[str]:
    """Return the tests that are named, each once, as pytest takes them."""
    return list(dict.fromkeys(test for sentence in sentences() for test in sentence.tests))


def missing() -> list[str]:
    """Return the tests that are named and are not there."""
    return [test for test in tests() if not _is_there(test)]


def _is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    if not path.is_file():
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, functions) and node.name == name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for seed, rows in groupby(sentences(), key=lambda sentence: sentence.seed):
        parts.append(f"\n## {seed}: {TITLES[seed]}\n\n| the text says | works here | proved by |\n| --- | --- | --- |\n")
        parts += [_line(row) for row in rows]
    return "".join(parts)


def _line(row: Sentence) -> str:
    proofs = "<br>".join(map(_link, row.tests)) or "–"
    return f"| {row.says} | {row.where or 'advice: ' + row.advice} | {proofs} |\n"


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"


def main() -> int:
    """Write the page, or only say whether it is current."""
    if "--tests" in sys.argv:
        print("\n".join(tests()))
        return 0
    text = page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
