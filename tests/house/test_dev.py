"""The one command: it sets up what it needs, twice at once if it must, and says in a sentence what it cannot do."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.checkout import ROOT

DEV = ROOT / "dev"
# Nothing listens there, so that what looks for the network finds none.
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_NO_INPUT": "1"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing in it but the command, locks that ask for nothing, and a gatewright that repeats what it hears."""
    (tmp_path / "dev").write_bytes(DEV.read_bytes())
    (tmp_path / "requirements").mkdir()
    for requirements in ("run", "demo", "test", "previous", "newest"):
        (tmp_path / "requirements" / f"{requirements}.txt").write_text("# nothing\n")
    said = tmp_path / "src" / "gatewright"
    said.mkdir(parents=True)
    (tmp_path / "guard" / "src").mkdir(parents=True)
    (said / "__init__.py").touch()
    # A Python that cannot give an environment its own pip, as Debian's without python3-venv; it is also four times as quick.
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "ensurepip.py").write_text("raise ImportError('left out')\n")
    (said / "__main__.py").write_text("import os, sys\nprint('heard', *sys.argv[1:], 'in', os.getcwd())\n")
    return tmp_path


def start(checkout: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the command of a checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))}
    return subprocess.Popen(
        [sys.executable, str(checkout / "dev"), *arguments],
        cwd=checkout,
        env=kept | NOWHERE | {"PYTHONPATH": str(checkout / "bare")} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(checkout: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs the command to its end: exit code, what it printed, what it said beside that."""
    with start(checkout, *arguments, **environment) as running:
        printed, said = running.communicate()
    assert "Traceback" not in printed + said
    return running.returncode, printed, said


def test_without_a_word_it_explains_itself(checkout: Path) -> None:
    code, printed, _ = run(checkout)
    assert code == 0
    assert all(f"./dev {command}" in printed for command in ("demo", "test", "check", "gatewright", "bench", "lock"))


def test_an_unknown_command_gets_a_sentence(checkout: Path) -> None:
    code, _, said = run(checkout, "tset")
    assert code == 1
    assert "There is no command “tset”" in said


def test_it_sets_up_once_and_hands_over(checkout: Path) -> None:
    code, printed, said = run(checkout, "gatewright", "plan", "--json")
    assert (code, printed) == (0, f"heard plan --json in {checkout}\n")
    assert "making .venv" in said
    assert run(checkout, "gatewright") == (0, f"heard in {checkout}\n", "")


def test_a_half_made_environment_is_made_again(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").write_text("no interpreter")
    code, printed, _ = run(checkout, "gatewright")
    assert (code, printed) == (0, f"heard in {checkout}\n")


def test_a_changed_lock_is_installed_again(checkout: Path) -> None:
    assert run(checkout, "gatewright")[0] == 0
    (checkout / "requirements" / "demo.txt").write_text("# still nothing\n")
    assert "installing" in run(checkout, "gatewright")[2]
    assert run(checkout, "gatewright")[2] == ""


def test_the_tests_get_the_previous_frameworks_in_an_environment_of_their_own(checkout: Path) -> None:
    # There is no runner in the environment, but before it is looked for all is set up.
    assert "making .venv-previous" in run(checkout, "test", "any")[2]
    assert (checkout / ".venv-previous" / "installed").exists()
    assert "making" not in run(checkout, "test", "any")[2]
    assert run(checkout, "gatewright")[2] == ""


def with_newer(checkout: Path, newer: tuple[int, ...], does: str, **environment: str) -> tuple[str, str]:
    """A piece of the command, where the newest frameworks need this version of Python: what it printed, what it said beside that."""
    code = f"import runpy; d = runpy.run_path('dev'); d['ready_newest'].__globals__['NEWER'] = {newer}; {does}"
    apart = {"PATH": os.defpath, "PYENV_ROOT": str(checkout / "pyenv")} | NOWHERE | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, env=apart, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def an_interpreter(path: Path, script: str) -> str:
    """Stands in for an interpreter that is asked for its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_newer_python_is_looked_for_on_the_path_and_at_pyenv(checkout: Path) -> None:
    on_path, of_pyenv = checkout / "tools", checkout / "pyenv" / "versions"
    # What pyenv puts on the PATH for a version that is not switched on, and one that is not released.
    an_interpreter(on_path / "python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    an_interpreter(of_pyenv / "3.15.0b1" / "bin" / "python3", "echo")
    an_interpreter(of_pyenv / "3.9.18" / "bin" / "python3", "echo 3 9")
    good = [an_interpreter(of_pyenv / "3.13.0" / "bin" / "python3", "echo 3 13"), an_interpreter(on_path / "python3.12", "echo 3 12")]
    found, _ = with_newer(checkout, (3, 12), "print(*d['newer_pythons'](), sep='\\n')", PATH=str(on_path))
    assert [python for python in found.split("\n") if python.startswith(str(checkout))] == good


def test_an_interpreter_is_asked_for_its_version(checkout: Path) -> None:
    asked = "import pathlib, sys; print(*d['version_of'](pathlib.Path(sys.executable)))"
    assert with_newer(checkout, (3, 12), asked) == ("{} {}\n".format(*sys.version_info[:2]), "")
    # One that cannot give an environment a pip of its own is of no use.
    assert with_newer(checkout, (3, 12), asked, PYTHONPATH=str(checkout / "bare")) == ("\n", "")


def test_the_newest_frameworks_get_an_environment_where_there_is_a_python_for_them(checkout: Path) -> None:
    # No other Python can make an environment, so it is the one that runs us.
    alone = {"PYTHONPATH": str(checkout / "bare")}
    assert "making .venv-newest" in with_newer(checkout, sys.version_info[:2], "d['ready_newest']()", **alone)[1]
    assert (checkout / ".venv-newest" / "installed").exists()
    assert with_newer(checkout, sys.version_info[:2], "d['ready_newest']()", **alone) == ("", "")
    (checkout / ".venv-newest" / "bin" / "python").unlink()
    assert "making .venv-newest" in with_newer(checkout, sys.version_info[:2], "d['ready_newest']()", **alone)[1]


def test_where_no_python_is_new_enough_the_newest_frameworks_are_left_out(checkout: Path) -> None:
    told = "The newest frameworks need Python 3.12 or newer. None was found, so they are not tested.\n"
    assert with_newer(checkout, (99, 0), "d['ready_newest']()") == ("", told)
    assert not (checkout / ".venv-newest").exists()


def test_a_lock_that_needs_a_newer_python_is_left_as_it_is_where_there_is_none(checkout: Path) -> None:
    made = "d['lock'].__globals__['compile_locks'] = lambda place, maker, names: print(place, *names); d['lock']([])"
    printed, said = with_newer(checkout, (99, 0), made)
    assert printed == ".venv-lock lock test demo run previous\n"
    assert said == "requirements/newest.txt is left as it is: it needs Python 3.12 or newer, and none was found\n"
    assert with_newer(checkout, sys.version_info[:2], made) == (printed + ".venv-lock-newest newest\n", "")


def test_two_at_once_wait_for_each_other(checkout: Path) -> None:
    both = [start(checkout, "gatewright", word) for word in ("one", "two")]
    ends = [running.communicate() for running in both]
    assert [running.returncode for running in both] == [0, 0]
    assert sorted(printed.split()[1] for printed, _ in ends) == ["one", "two"]
    assert sum("making .venv" in said for _, said in ends) == 1
    assert set(json.loads((checkout / ".venv" / "installed.json").read_text())) == {"demo", "run"}


def test_without_a_network_it_says_so(checkout: Path) -> None:
    (checkout / "requirements" / "demo.txt").write_text(f"absent==1.0 --hash=sha256:{'0' * 64}\n")
    code, _, said = run(checkout, "gatewright")
    assert code == 1
    assert "there is no network" in said
    assert not (checkout / ".venv" / "installed.json").exists()


def test_a_folder_that_cannot_be_written_gets_a_sentence(checkout: Path) -> None:
    (checkout / ".venv.lock").mkdir()
    code, _, said = run(checkout, "gatewright")
    assert code == 1
    assert ".venv.lock" in said


def test_a_missing_lock_gets_a_sentence(checkout: Path) -> None:
    (checkout / "requirements" / "demo.txt").unlink()
    code, _, said = run(checkout, "gatewright")
    assert code == 1
    assert "demo.txt" in said


def test_an_environment_gets_a_pip_of_its_own_where_it_can(checkout: Path) -> None:
    assert run(checkout, "gatewright", PYTHONPATH="")[0] == 0
    assert list((checkout / ".venv").glob("lib/python3*/site-packages/pip"))


def test_where_it_cannot_ours_reaches_into_it(checkout: Path) -> None:
    assert run(checkout, "gatewright")[0] == 0
    assert not list((checkout / ".venv").glob("lib/python3*/site-packages/pip"))


def test_an_old_python_gets_a_sentence(checkout: Path) -> None:
    pretending = "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['dev', 'demo']; runpy.run_path('dev', run_name='__main__')"
    asked = [sys.executable, "-c", pretending]
    done = subprocess.run(asked, cwd=checkout, env={"PATH": str(checkout)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Gatewright needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_python_can_read_it_that_far() -> None:
    ast.parse(DEV.read_text(), feature_version=(3, 7))


def test_it_installs_what_debian_has_and_refreshes_the_lists_when_it_must(checkout: Path) -> None:
    tools = checkout / "tools"
    tools.mkdir()
    apt = '#!/bin/sh\necho "$1" >> "$0.log"\n[ "$1" = update ] && touch "$0.fresh"\n[ -e "$0.fresh" ]\n'
    (tools / "apt-get").write_text(apt)
    (tools / "apt-get").chmod(0o755)
    asks = "import runpy; d = runpy.run_path('dev'); d['debian'].__globals__['is_root'] = lambda: True; d['debian'](['one'], what='One')"
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", asks], cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tools / "apt-get.log").read_text().split() == ["install", "update", "install"]


def test_where_it_may_not_install_it_names_the_packages(checkout: Path) -> None:
    code, _, said = run(checkout, "test", PATH=str(checkout))
    assert code == 1
    assert "PostgreSQL" in said or "Chromium" in said
    assert "chromium" in said
