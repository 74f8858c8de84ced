"""The page on running it for good: what it shows fits together and the code, and its drill brings a server back."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

import httpx

from gatewright.base.log import Event, Level
from gatewright.settings import load
from tests.support.running import ROOT, Deployment, free_port

PAGE: Final = (ROOT / "docs/start/operate.md").read_text(encoding="utf-8")
_FENCED: Final = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SETTINGS: Final = next(text for kind, text in _FENCED if kind == "toml")
UNIT: Final = next(text for kind, text in _FENCED if kind == "ini")
EVENTS: Final = {event.label: event for event in Event}


def service() -> RawConfigParser:
    """The unit; systemd's keys have capitals."""
    unit = RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the library's own pages have it
    unit.read_string(UNIT)
    return unit


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "gatewright.toml"
    file.write_text(SETTINGS)
    loaded = load({}, file=file)
    assert str(loaded.data) == "/var/lib/gatewright" == service()["Service"]["WorkingDirectory"]
    assert loaded.settings.listen.trusted_proxies


def test_the_unit_waits_longer_than_the_server_drains() -> None:
    # The supervisor waits five seconds more than its workers do (`cli.serve`).
    assert int(service()["Service"]["TimeoutStopSec"]) > load({}).drain_seconds + 5


def test_the_unit_starts_what_the_page_installs() -> None:
    command = shlex.split(service()["Service"]["ExecStart"])
    assert f"ln -sfn /opt/gatewright-0.1.0 {Path(command[0]).parents[1]}\n" in PAGE
    assert f"`{command[2]}`:" in PAGE, "and with the settings file that it writes"


def test_the_events_to_watch_are_told() -> None:
    section = PAGE.partition("## Health, log")[2].partition("\n## ")[0]
    table, _, daily = section.partition("| event | means |")[2].partition("\n\n")
    urgent = re.findall(r"`([a-z_]+\.[a-z_]+)`", table)
    assert {EVENTS[label].level for label in urgent} == {Level.ERROR}
    assert set(urgent) == {label for label, event in EVENTS.items() if event.level is Level.ERROR}
    named = re.findall(r"`((?:[a-z_]+\.[a-z_]+)|replay)`", daily)
    assert named
    assert [label for label in named if EVENTS[label].level is not Level.WARNING] == []


def test_the_drill_of_the_page_brings_a_server_back(deployment: Deployment, tmp_path: Path) -> None:
    drill = tmp_path / "drill"
    drill.mkdir()
    with deployment.serve() as node, node.client() as http:
        keys = http.get("/jwks").json()
        deployment.gatewright("backup", str(drill / "FILE.backup"))
    (drill / "root.key").write_bytes((deployment.folder / "root.key").read_bytes())
    lines = re.search(r"^    mkdir -m 0700 drill-data\n(?:    .*\n)+", PAGE, re.MULTILINE)
    assert lines
    *steps, last = [line.strip() for line in lines[0].splitlines()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWRIGHT_")}
    for step in steps:
        command = (
            step.replace("gatewright ", f"{shlex.quote(sys.executable)} -m gatewright ", 1) if step.startswith("gatewright ") else step
        )
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=drill,
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    assert last == "gatewright --settings drill.toml serve --port 8699"
    restored = Deployment(drill / "drill-data", port=deployment.port, listen=free_port())
    with restored.serve() as node:
        told = httpx.get(f"{node.url}/jwks", headers={"Host": f"127.0.0.1:{deployment.port}"}, trust_env=False)
    assert told.json() == keys
