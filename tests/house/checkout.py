"""What the tests of the house read: the files of this checkout, and the code in them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "src" / "gatewright"
GUARD = ROOT / "guard" / "src" / "gatewright_guard"
CLIENT = ROOT / "client" / "src" / "gatewright_client"


@cache
def files() -> tuple[Path, ...]:
    """Every file that is in the repository, or would be with the next commit."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    paths = sorted({ROOT / name for name in listed.split("\0") if name})
    return tuple(path for path in paths if path.is_file())


def name(path: Path) -> str:
    """A path as the repository knows it."""
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[Path, str]]:
    """Every file that is text."""
    for path in files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@cache
def python(*folders: Path) -> tuple[Path, ...]:
    """The Python files under these folders."""
    return tuple(path for path in files() if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in folders))


@cache
def tree(path: Path) -> ast.Module:
    """A file's code, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file imports, in full, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_under(imported: str, banned: str) -> bool:
    """Does this import reach the banned module, or something in it?"""
    return imported == banned or imported.startswith(f"{banned}.")
