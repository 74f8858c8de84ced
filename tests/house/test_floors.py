"""The floors: a module imports from its own package and from lower ones, and the core from nothing that acts."""

import ast
import os
import subprocess
import sys

from tests.house.checkout import CLIENT, GUARD, ROOT, SERVER, name, python, tree

LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_imports_go_downhill() -> None:
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("src", "guard/src", "client/src"))
    linted = subprocess.run(
        [sys.executable, "-c", LINTER, "--no-logo", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_importing_a_package_does_nothing_but_define() -> None:
    # A module that connects, reads or starts something when it is imported cannot be wired, tested or loaded early.
    acts = [
        f"{name(path)}:{node.lineno}"
        for path in python(SERVER, GUARD, CLIENT)
        for node in tree(path).body
        if isinstance(node, ast.For | ast.While | ast.With | ast.Try | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and path.name != "__main__.py")
    ]
    assert acts == []
