"""What is shipped: both wheels build without a network, and hold all that they need and nothing else."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.house.checkout import GUARD, ROOT, SERVER, files, imports, python
from tests.house.test_dependencies import OURS, first_word, foreign


@pytest.fixture(scope="module", params=["gatewright", "gatewright_guard"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, set[str], str]:
    """A built wheel: its package, the names in it, its metadata."""
    package: str = request.param
    project = ROOT / "guard" if package == "gatewright_guard" else ROOT
    into = tmp_path_factory.mktemp(package)
    asked = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    built = subprocess.run(asked, cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(into.glob("*.whl"))) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        return package, names, archive.read(metadata).decode()


def shipped(package: str) -> set[str]:
    """The files of a package, as a wheel names them."""
    folder: Path = GUARD if package == "gatewright_guard" else SERVER
    return {path.relative_to(folder.parent).as_posix() for path in files() if path.is_relative_to(folder)}


def test_a_wheel_holds_the_whole_package_and_nothing_else(wheel: tuple[str, set[str], str]) -> None:
    package, names, _ = wheel
    assert {name for name in names if ".dist-info/" not in name} == shipped(package)


def test_a_wheel_carries_the_licence_and_its_types(wheel: tuple[str, set[str], str]) -> None:
    package, names, metadata = wheel
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert f"{package}/py.typed" in names
    assert "License-Expression: Apache-2.0" in metadata


def test_both_have_one_version() -> None:
    guard = tomllib.loads((ROOT / "guard" / "pyproject.toml").read_text())["project"]
    server = re.search(r'^__version__ = "(.+)"$', (SERVER / "__init__.py").read_text(), re.MULTILINE)
    assert server
    assert guard["version"] == server.group(1)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"gatewright-guard=={guard['version']}" in wanted


def test_the_guard_imports_only_what_it_declares() -> None:
    project = tomllib.loads((ROOT / "guard" / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    declared = {first_word(line) for line in [*project["dependencies"], *extras]}
    assert {path.name: unknown for path in python(GUARD) if (unknown := foreign(path) - declared)} == {}


def test_the_guard_is_free_of_the_server() -> None:
    others = OURS - {"gatewright_guard"}
    assert [path.name for path in python(GUARD) for _, imported in imports(path) if imported.split(".")[0] in others] == []
