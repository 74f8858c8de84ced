"""The file of a command-line program: its owner's alone, whole, and renewed by one process at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gatewright_client.errors import StoreFault
from gatewright_client.files import FileStore
from gatewright_client.proof import Public
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from gatewright_client.tokens import Tokens
from tests.client.places import Issuer
from tests.support.running import ROOT
from tests.support.waiting import until

TOKENS = Tokens(access_token="a", renew_at=1.5, expires_at=2.0, refresh_token="r", scope="read:balance", whose="https://id.acme.test cli")

PROGRAM = """
import sys
from gatewright_client.files import FileStore
from gatewright_client.proof import Public
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
print("ready", flush=True)
sys.stdin.readline()
print(TokenSource.refreshing(Server(sys.argv[1], Public("cli")), FileStore(sys.argv[2])).token())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "cli" / "tokens.json"


def test_what_was_saved_is_loaded(path: Path) -> None:
    store = FileStore(path)
    assert store.load() is None
    store.save(TOKENS)
    assert FileStore(str(path)).load() == TOKENS
    store.forget()
    assert store.load() is None


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_file_and_its_lock_are_the_owners_alone(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = FileStore(path)
        with store.alone():
            store.save(TOKENS)
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {"tokens.json": 0o600, "tokens.json.lock": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_not_believed(path: Path, mode: int) -> None:
    store = FileStore(path)
    store.save(TOKENS)
    path.chmod(mode)
    with pytest.raises(StoreFault, match="chmod 600"):
        store.load()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_token": 1}', "\xff"])
def test_a_file_that_holds_no_tokens_is_told_without_its_content(path: Path, text: str) -> None:
    store = FileStore(path)
    store.save(TOKENS)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreFault, match="holds no tokens"):
        store.load()


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(path)
    store.save(TOKENS)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFault, match="No space left on device"):
        store.save(Tokens(access_token="b"))
    assert store.load() == TOKENS
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]


def test_who_waits_too_long_for_another_is_told(path: Path) -> None:
    with FileStore(path).alone(), pytest.raises(StoreFault, match="another program has held"), FileStore(path, patience=0).alone():
        pytest.fail("two hold the lock")


def test_a_lock_that_is_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.with_name("tokens.json.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFault, match="cannot be made"), FileStore(path).alone():
        pytest.fail("the link was followed")


def test_two_programs_renew_once(issuer: Issuer, path: Path) -> None:
    with Server(issuer.url, Public("cli")) as server:
        FileStore(path).save(Tokens(access_token="over", renew_at=0, expires_at=0, refresh_token="refresh-0", whose=server.whose(None)))
    go = threading.Event()
    issuer.before = lambda: go.wait(30)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    command = [sys.executable, "-c", PROGRAM, issuer.url, str(path)]
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for each in running:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    until(lambda: issuer.forms, "the request")
    go.set()
    said = [each.communicate(timeout=60) for each in running]
    assert said == [("access-1\n", "")] * 3
    assert len(issuer.forms) == 1


def test_a_program_that_is_killed_while_it_renews_leaves_what_the_next_one_needs(issuer: Issuer, path: Path) -> None:
    with Server(issuer.url, Public("cli")) as server:
        FileStore(path).save(Tokens(access_token="over", renew_at=0, expires_at=0, refresh_token="refresh-0", whose=server.whose(None)))
        go = threading.Event()
        issuer.before = lambda: go.wait(30)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, issuer.url, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as killed:
            assert killed.stdin is not None
            killed.stdin.write(b"\n")
            killed.stdin.flush()
            until(lambda: issuer.forms, "the request")
            killed.kill()
        go.set()
        until(lambda: issuer.count, "the answer that nobody hears")
        # The lock went with the program, and what it was about to spend is still there. A server that knows of lost answers takes it.
        issuer.refresh = "refresh-0"
        assert TokenSource.refreshing(server, FileStore(path)).token() == "access-2"
