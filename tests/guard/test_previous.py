"""The doors in the frameworks a major version back, which lie in an environment of their own (`requirements/previous.in`)."""

import subprocess

import pytest

from tests.house.checkout import ROOT
from tests.house.test_dependencies import locked

SUITE = ("test_conformance", "test_frameworks", "test_asgi", "test_wsgi", "test_flask", "test_django", "test_drf", "test_sync")


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


@pytest.mark.timeout(400)  # a whole run of tests, on a machine that may be busy
def test_the_doors_answer_the_same_in_the_previous_versions() -> None:
    python = ROOT / ".venv-previous" / "bin" / "python"
    assert python.exists(), "run ./dev test once: it makes .venv-previous"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/guard/{name}.py" for name in SUITE)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
