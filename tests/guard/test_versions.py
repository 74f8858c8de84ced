"""The doors in other versions of their frameworks than those of the other tests, each set in an environment that `./dev test` makes:
a major version back (`requirements/previous.in`), and the newest ones, which need a newer Python (`requirements/newest.in`).
"""

import runpy
import subprocess

import pytest

from tests.house.checkout import ROOT
from tests.house.test_dependencies import locked

SUITE = ("test_conformance", "test_frameworks", "test_asgi", "test_wsgi", "test_flask", "test_django", "test_drf", "test_sync")
SUITES = {"previous": SUITE, "newest": (*SUITE, "test_grpc", "test_mcp")}
FRAMEWORKS = ("django", "djangorestframework", "fastapi", "flask", "grpcio", "mcp", "starlette", "werkzeug")


def version(requirements: str, package: str) -> tuple[int, int]:
    """The first two numbers of what is locked."""
    major, minor, *_ = locked(requirements)[package][0].split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("framework", ["django", "flask", "starlette"])
def test_the_previous_version_is_a_major_one_back(framework: str) -> None:
    assert version("previous", framework)[0] == version("test", framework)[0] - 1


@pytest.mark.parametrize("framework", ["djangorestframework", "fastapi"])
def test_what_has_no_major_versions_is_at_least_a_minor_one_back(framework: str) -> None:
    assert version("previous", framework) < version("test", framework)


def test_the_newest_version_of_django_is_a_major_one_ahead_of_what_the_oldest_python_runs() -> None:
    assert version("newest", "django")[0] == version("test", "django")[0] + 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_newest_version_is_older_than_that_of_the_other_tests(framework: str) -> None:
    assert version("newest", framework) >= version("test", framework)


@pytest.mark.timeout(400)  # a whole run of tests, on a machine that may be busy
@pytest.mark.parametrize("versions", SUITES)
def test_the_doors_answer_the_same_in_other_versions(versions: str) -> None:
    python = ROOT / f".venv-{versions}" / "bin" / "python"
    if versions == "newest" and not python.exists() and not runpy.run_path(str(ROOT / "dev"))["newer_pythons"]():
        pytest.skip("Django 6 needs Python 3.12 or newer, and this machine has none: install one and run ./dev test again")
    assert python.exists(), f"run ./dev test once: it makes .venv-{versions}"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/guard/{name}.py" for name in SUITES[versions])]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
