"""What is shipped: the wheels build without a network, and hold all that they need and nothing else."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.house.checkout import CLIENT, GUARD, ROOT, SERVER, files, imports, python
from tests.house.test_dependencies import OURS, first_word, foreign

# Each package with the folder of its project; the small ones are of one kind, and must not need each other.
PROJECTS: dict[str, tuple[Path, Path]] = {
    "gatewright": (ROOT, SERVER),
    "gatewright_guard": (ROOT / "guard", GUARD),
    "gatewright_client": (ROOT / "client", CLIENT),
}
SMALL = ("gatewright_guard", "gatewright_client")


@pytest.fixture(scope="module", params=list(PROJECTS))
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, set[str], str]:
    """A built wheel: its package, the names in it, its metadata."""
    package: str = request.param
    project, _ = PROJECTS[package]
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
    _, folder = PROJECTS[package]
    return {path.relative_to(folder.parent).as_posix() for path in files() if path.is_relative_to(folder)}


def test_a_wheel_holds_the_whole_package_and_nothing_else(wheel: tuple[str, set[str], str]) -> None:
    package, names, _ = wheel
    assert {name for name in names if ".dist-info/" not in name} == shipped(package)


def test_a_wheel_carries_the_licence_and_its_types(wheel: tuple[str, set[str], str]) -> None:
    package, names, metadata = wheel
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert f"{package}/py.typed" in names
    assert "License-Expression: Apache-2.0" in metadata


def test_all_have_one_version() -> None:
    modules = [(code / "__init__.py").read_text() for _, code in PROJECTS.values()]
    versions = {version for text in modules for version in re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)}
    small = [tomllib.loads((PROJECTS[package][0] / "pyproject.toml").read_text())["project"]["version"] for package in SMALL]
    assert versions | set(small) == {small[0]}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"gatewright-guard=={small[0]}" in wanted


@pytest.mark.parametrize("package", SMALL)
def test_a_small_one_imports_only_what_it_declares(package: str) -> None:
    folder, code = PROJECTS[package]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    declared = {first_word(line) for line in [*project["dependencies"], *extras]}
    assert {path.name: unknown for path in python(code) if (unknown := foreign(path) - declared)} == {}


@pytest.mark.parametrize("package", SMALL)
def test_a_small_one_stands_alone(package: str) -> None:
    others = OURS - {package}
    assert [path.name for path in python(PROJECTS[package][1]) for _, imported in imports(path) if imported.split(".")[0] in others] == []
