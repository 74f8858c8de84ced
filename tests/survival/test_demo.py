"""The demo's unhappy starts: each is a sentence, and none a traceback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples.demo.layout import Layout
from tests.support.demo import ROOT, command, demo, free_base
from tests.support.visitor import Visitor


def refused(words: list[str]) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_named_with_its_part(tmp_path: Path) -> None:
    layout = Layout(free_base())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", layout.ports["bank API"]))
        taken.listen()
        assert f"port {layout.ports['bank API']} (bank API) is in use" in refused(command(layout, tmp_path))


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert f"cannot write to {file}" in refused(command(Layout(free_base()), file))


def test_a_store_without_its_key_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gatewright.sqlite3").write_bytes(b"")
    assert "without its root.key" in refused(command(Layout(free_base()), tmp_path))
    assert not (tmp_path / "root.key").exists()


@pytest.mark.parametrize("port", [0, 80, 65_501, 99_999])
def test_a_port_that_cannot_be_is_a_sentence(tmp_path: Path, port: int) -> None:
    assert "--port takes a number" in refused(command(Layout(port), tmp_path))


def test_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    layout = Layout(free_base())
    with demo(layout, tmp_path):
        key = (tmp_path / "root.key").read_bytes()
    with demo(layout, tmp_path):
        assert (tmp_path / "root.key").read_bytes() == key


def test_a_visitor_signs_in_at_the_terminal_and_sees_the_balance(tmp_path: Path) -> None:
    layout = Layout(free_base())
    paths = os.pathsep.join(str(ROOT / source) for source in ("client/src", "."))
    told = {"GATEWRIGHT_ISSUER": layout.issuer, "BANK_URL": f"{layout.app('bank API')}/acme-dev", "CLIENT_ID": "bank-cli"}
    environment = {**os.environ, **told, "PYTHONPATH": paths, "XDG_CONFIG_HOME": str(tmp_path / "home")}
    with demo(layout, tmp_path / "demo"):
        words = [sys.executable, "-m", "examples.clients"]
        with subprocess.Popen([*words, "login"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as login:
            assert login.stdout is not None
            shown = re.fullmatch(r"Open (\S+) and enter the code (\S+)\n", login.stdout.readline())
            assert shown is not None
            with httpx.Client(base_url=layout.issuer, trust_env=False) as http:
                heading = Visitor(http, layout.issuer).let_in(f"{shown[1]}?user_code={shown[2]}")
            assert heading == "You can go back to your device"
            assert login.wait(30) == 0
        done = subprocess.run([*words, "balance"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, '"seen by":"bank-cli"' in done.stdout) == (0, True), done
