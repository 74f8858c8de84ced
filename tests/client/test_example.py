"""The example at the terminal, as its user starts it: against a running Gatewright, and signing in where devices can."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright_client.files import FileStore
from tests.client.deployment import BANK, SECRETS, bank, listening, signed_in
from tests.client.devices import USER_CODE, Devices
from tests.client.places import Answer, Place
from tests.support.running import ROOT, Node


class Terminal:
    """Somebody's home folder."""

    def __init__(self, folder: Path, issuer: str, bank_url: str) -> None:
        self.tokens = folder / "acme-bank" / "tokens.json"
        paths = os.pathsep.join(str(ROOT / source) for source in ("client/src", "."))
        self.environment = {**os.environ, "PYTHONPATH": paths, "XDG_CONFIG_HOME": str(folder), "CLIENT_ID": "bank-cli"}
        self.environment |= {"GATEWRIGHT_ISSUER": issuer, "BANK_URL": bank_url, "BANK_AUDIENCE": BANK}

    def run(self, command: str, **more: str) -> tuple[int, str]:
        """A command's status and all that it said."""
        asked = [sys.executable, "-m", "examples.clients", command]
        environment = {**self.environment, **more}
        done = subprocess.run(asked, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def bank_url(node: Node) -> Iterator[str]:
    with listening(bank(node.deployment.issuer, BANK)) as url:
        yield url


@pytest.fixture
def terminal(node: Node, bank_url: str, tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, node.deployment.issuer, bank_url)


def test_a_person_who_is_signed_in_uses_the_bank_and_leaves(node: Node, terminal: Terminal) -> None:
    status, said = terminal.run("balance")
    assert (status, said.startswith("Sign in first")) == (1, True)
    FileStore(terminal.tokens).save(signed_in(node, "read:balance transfer:funds", BANK))
    status, said = terminal.run("balance")
    assert (status, '"account":"acme-dev"' in said) == (0, True)
    status, said = terminal.run("send")
    assert status == 1
    assert "(403, role_lacks_scope)" in said
    assert "Missing: transfer:funds\nA refresh will not help: an account admin" in said
    copy = terminal.tokens.read_bytes()
    assert terminal.run("logout") == (0, "You are signed out.\n")
    assert not terminal.tokens.exists()
    # Who kept a copy of the file has a JWT of minutes, and nothing to renew it with.
    terminal.tokens.write_bytes(copy.replace(b'"renew_at":', b'"renew_at":0,"was":'))
    terminal.tokens.chmod(0o600)
    assert "Sign in first" in terminal.run("balance")[1]


def test_a_service_needs_no_person(terminal: Terminal) -> None:
    assert terminal.run("service") == (1, "CLIENT_SECRET is not set\n")
    status, said = terminal.run("service", CLIENT_ID="reports", CLIENT_SECRET=SECRETS["CLIENT_SECRET"])
    assert (status, '"user":"reports"' in said) == (0, True)
    status, said = terminal.run("service", CLIENT_ID="reports", CLIENT_SECRET="wrong")
    assert (status, "invalid_client" in said, "wrong" in said.replace("wrongly", "")) == (1, True, False)
    assert not terminal.tokens.exists()


def test_a_person_signs_in_on_another_device(tmp_path: Path) -> None:
    devices = Devices()
    devices.interval, devices.answers = 1, ["authorized"]
    api = Place(lambda asked: Answer(body={"token": asked.headers["authorization"][:7]}))
    with devices.place.serving(), api.serving():
        terminal = Terminal(tmp_path, devices.place.url, api.url)
        terminal.environment["CLIENT_ID"] = "cli"
        devices.memory.known |= {"transfer:funds"}
        status, said = terminal.run("login")
        assert (status, said.splitlines()[0]) == (0, f"Open {devices.place.url}/activate and enter the code {USER_CODE}")
        assert stat.S_IMODE(terminal.tokens.stat().st_mode) == 0o600
        assert terminal.run("balance") == (0, '{"token": "Bearer "}\n')


def test_a_person_who_says_no_is_not_signed_in(tmp_path: Path) -> None:
    devices = Devices()
    devices.interval, devices.answers = 1, ["access_denied"]
    devices.memory.known |= {"transfer:funds"}
    with devices.place.serving():
        terminal = Terminal(tmp_path, devices.place.url, "http://127.0.0.1:1")
        terminal.environment["CLIENT_ID"] = "cli"
        status, said = terminal.run("login")
    assert (status, said.splitlines()[-1]) == (1, "That did not work: the user said no")
    assert not terminal.tokens.exists()


def test_a_setting_that_is_missing_is_named(terminal: Terminal) -> None:
    del terminal.environment["BANK_URL"]
    assert terminal.run("balance") == (1, "BANK_URL is not set\n")
