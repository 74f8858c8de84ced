"""The doors in other versions of their frameworks than those of the other tests, each set in an environment that `./dev test` makes:
a major version back (`requirements/previous.in`), and the newest ones, which need a newer Python (`requirements/newest.in`).
"""

import re
import runpy
import subprocess
import sys
import tomllib

import pytest

from tests.house.checkout import ROOT
from tests.house.test_dependencies import locked

DOORS = ("asgi", "conformance", "django", "drf", "flask", "frameworks", "grpc", "mcp", "sync", "wsgi")
# What requirements/previous.in says of it.
NO_OLD_GRPC = sys.version_info >= (3, 14)
FRAMEWORKS = ("django", "djangorestframework", "fastapi", "flask", "grpcio", "mcp", "starlette", "werkzeug")


def version(requirements: str, package: str) -> tuple[int, int]:
    """The first two numbers of what is locked."""
    major, minor, *_ = locked(requirements)[package][0].split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("framework", ["django", "flask", "mcp", "starlette"])
def test_the_previous_version_is_a_major_one_back(framework: str) -> None:
    assert version("previous", framework)[0] == version("test", framework)[0] - 1


@pytest.mark.parametrize("framework", ["djangorestframework", "fastapi", "grpcio"])
def test_what_has_no_major_versions_is_at_least_a_minor_one_back(framework: str) -> None:
    assert version("previous", framework) < version("test", framework)


def test_the_oldest_grpc_that_the_guard_says_it_serves_is_the_previous_one() -> None:
    extras = tomllib.loads((ROOT / "guard" / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["grpc"] == ["grpcio>={}.{}".format(*version("previous", "grpcio"))]


# Where the reader of a page finds the versions that its frameworks are tested with.
PAGES = {
    "docs/guides/protect-a-django-api.md": ("django", "djangorestframework"),
    "docs/guides/protect-a-fastapi-api.md": ("starlette",),
    "docs/guides/protect-a-flask-api.md": ("flask",),
    "docs/guides/protect-an-mcp-server.md": ("mcp",),
    "guard/README.md": ("django", "djangorestframework", "flask", "grpcio", "mcp", "starlette"),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_the_versions_that_its_frameworks_are_tested_with(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tested = {"{}.{}".format(*version(requirements, name)) for requirements in ("test", "previous", "newest") for name in PAGES[page]}
    lines = [line for line in text.splitlines() if " tested with " in line or line.startswith("| ")]
    assert tested - set(re.findall(r"(?<= )\d+\.\d+(?![\d.]*\d)", "\n".join(lines))) == set()


def test_the_newest_version_of_django_is_a_major_one_ahead_of_what_the_oldest_python_runs() -> None:
    assert version("newest", "django")[0] == version("test", "django")[0] + 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_newest_version_is_older_than_that_of_the_other_tests(framework: str) -> None:
    assert version("newest", framework) >= version("test", framework)


@pytest.mark.timeout(400)  # a whole run of tests, on a machine that may be busy
@pytest.mark.parametrize("versions", ["previous", "newest"])
def test_the_doors_answer_the_same_in_other_versions(versions: str) -> None:
    python = ROOT / f".venv-{versions}" / "bin" / "python"
    if versions == "newest" and not python.exists() and not runpy.run_path(str(ROOT / "dev"))["newer_pythons"]():
        pytest.skip("Django 6 needs Python 3.12 or newer, and this machine has none: install one and run ./dev test again")
    assert python.exists(), f"run ./dev test once: it makes .venv-{versions}"
    files = [f"tests/guard/test_{door}.py" for door in DOORS if not (door == "grpc" and versions == "previous" and NO_OLD_GRPC)]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
