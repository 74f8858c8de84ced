"""Dependencies: declared once, explained, locked by digest, and imported only where they are declared."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.house.checkout import ROOT, SERVER, imports, name, python

REQUIREMENTS = ROOT / "requirements"
SETS = ("run", "demo", "test", "lock")
# The frameworks of the guard a major version back, and the newest: every package of these is explained with those of the tests.
BESIDE = ("previous", "newest")
FROM_NPM = (ROOT / "tests" / "clients", ROOT / "examples" / "express")
OURS = {"gatewright", "gatewright_client", "gatewright_guard", "tests", "bench", "tools", "examples"}
FIRST_WORD = re.compile(r"[A-Za-z0-9._-]+")


def plain(package: str) -> str:
    """A package's one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def first_word(requirement: str) -> str:
    """The package that a requirement is about."""
    found = FIRST_WORD.match(requirement)
    assert found, requirement
    return plain(found.group())


def declared(requirements: str, *, inherited: bool = False) -> Iterator[str]:
    """The packages that an .in file names, with those of the files that it includes if asked."""
    for line in (REQUIREMENTS / f"{requirements}.in").read_text().splitlines():
        if line.startswith("-r ") and inherited:
            yield from declared(line.removeprefix("-r ").removesuffix(".in"), inherited=True)
        elif line and not line.startswith(("#", "-")):
            yield first_word(line)


@cache
def locked(requirements: str) -> dict[str, tuple[str, int]]:
    """Each package of a lock with its version and how many digests it has."""
    packages: dict[str, tuple[str, int]] = {}
    current = ""
    for line in (REQUIREMENTS / f"{requirements}.txt").read_text().splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            current = plain(found.group(1))
            packages[current] = (found.group(2), 0)
        elif re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line):
            packages[current] = (packages[current][0], packages[current][1] + 1)
        else:
            assert re.match(r"\s*(#.*)?$", line), f"requirements/{requirements}.txt holds {line!r}"
    return packages


def npm(folder: Path) -> dict[str, str]:
    """The npm packages that a folder declares, with their versions."""
    package = json.loads((folder / "package.json").read_text())
    return {**package.get("dependencies", {}), **package.get("devDependencies", {})}


@pytest.mark.parametrize("requirements", [*SETS, *BESIDE])
def test_every_locked_package_has_its_digests_and_no_address(requirements: str) -> None:
    assert [package for package, (_, digests) in locked(requirements).items() if digests == 0] == []
    assert "://" not in (REQUIREMENTS / f"{requirements}.txt").read_text()


@pytest.mark.parametrize("requirements", [*SETS, *BESIDE])
def test_every_declared_package_is_locked(requirements: str) -> None:
    assert set(declared(requirements, inherited=True)) - set(locked(requirements)) == set()


def test_a_package_has_one_version_in_all_locks() -> None:
    apart = {
        package: (locked(smaller)[package][0], locked(larger)[package][0])
        for smaller, larger in (("run", "demo"), ("demo", "test"))
        for package in locked(smaller)
        if locked(larger).get(package, ("missing", 0))[0] != locked(smaller)[package][0]
    }
    assert apart == {}


def test_the_distribution_declares_what_is_locked_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {first_word(line) for line in project["dependencies"]} - {"gatewright-guard"}
    assert wanted == set(declared("run"))


@pytest.mark.parametrize("folder", ["guard", "client"])
def test_the_guard_and_the_client_need_nothing_that_the_server_does_not_lock(folder: str) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    assert {first_word(line) for line in project["dependencies"]} <= set(declared("run"))
    assert {first_word(line) for line in extras} <= set(declared("test", inherited=True))


def test_every_dependency_has_its_line_and_every_line_its_dependency() -> None:
    page = (ROOT / "docs" / "house" / "dependencies.md").read_text().split("## From the operating system")[0]
    explained = [found.group(1) for found in re.finditer(r"^\| ([a-z0-9][a-z0-9-]*) \|", page, re.MULTILINE) if found.group(1) != "package"]
    wanted = [package for requirements in SETS for package in declared(requirements)] + [
        package for folder in FROM_NPM for package in npm(folder)
    ]
    assert sorted(explained) == sorted(wanted)


@cache
def distributions() -> Mapping[str, list[str]]:
    """What can be imported here, and which distribution brings it; looking costs a second."""
    return packages_distributions()


def foreign(path: Path) -> set[str]:
    """The distributions that a file imports from."""
    tops = {imported.split(".")[0] for _, imported in imports(path)} - OURS - set(sys.stdlib_module_names)
    providers = distributions()
    return {plain(provider) for top in tops for provider in providers.get(top, [f"unknown: {top}"])}


# The examples that the demo does not start are nobody's to install with it.
OF_THEIR_OWN = ("django_api", "flask_api")
EXAMPLES = tuple(folder for folder in sorted((ROOT / "examples").iterdir()) if folder.is_dir() and folder.name not in OF_THEIR_OWN)


# What the guard and the client import is measured against their own distributions, in test_distributions.py.
@pytest.mark.parametrize(("requirements", "folders"), [("run", (SERVER,)), ("demo", EXAMPLES), ("test", (ROOT,))])
def test_code_imports_only_what_is_declared_for_it(requirements: str, folders: tuple[Path, ...]) -> None:
    known = set(declared(requirements, inherited=True))
    assert {name(path): undeclared for path in python(*folders) if (undeclared := foreign(path) - known)} == {}


@pytest.mark.parametrize("versions", BESIDE)
def test_other_versions_are_of_packages_that_the_tests_need(versions: str) -> None:
    assert set(declared(versions)) <= set(declared("test", inherited=True))


@pytest.mark.parametrize("folder", FROM_NPM, ids=name)
def test_an_npm_lock_holds_digests_and_no_download_address(folder: Path) -> None:
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    installed = {path: entry for path, entry in packages.items() if path}
    assert [path for path, entry in installed.items() if "resolved" in entry or not entry["integrity"].startswith("sha512-")] == []
    assert packages[""]["dependencies"] == npm(folder)


@pytest.mark.parametrize("folder", FROM_NPM, ids=name)
def test_npm_packages_are_named_by_exact_version(folder: Path) -> None:
    assert [package for package, version in npm(folder).items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
