"""Runs a script of a client library and plays the browser and the user for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.clients.platform import REDIRECT, SECRETS
from tests.support.visitor import Visitor

FOLDER: Final = Path(__file__).resolve().parent
ALL: Final = "openid profile email offline_access read:balance"

Steps = dict[str, dict[str, Any]]


def node_program() -> str:
    """Return Node: the one beside our Python where there is one."""
    beside = Path(sys.executable).parent / "node"
    found = str(beside) if beside.exists() else shutil.which("node")
    assert found is not None, "Node is missing: ./dev test installs it"
    return found


def plan(client_id: str, method: str, **more: object) -> dict[str, object]:
    """Return what a script is told; what is named is added."""
    auth: dict[str, object] = {"method": method}
    if method != "none":
        auth["secret"] = SECRETS["CLIENT_SECRET"]
    ordinary: dict[str, object] = {
        "client_id": client_id,
        "auth": auth,
        "redirect_uri": REDIRECT,
        "scope": ALL,
        "state": "as it was",
        "document": "oidc",
        "id_token_alg": "RS256",
        "asked": {"account": "acme-dev"},
    }
    return ordinary | more


def converse(script: str, visitor: Visitor, told: dict[str, object]) -> Steps:
    """Run a script to its end and return what it said of each step, which all of its library's checks let it reach."""
    told = {"issuer": visitor.issuer, **told}
    command = [node_program(), str(FOLDER / script), json.dumps(told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        steps: Steps = {}
        try:
            for line in process.stdout:
                said = json.loads(line)
                step = said.pop("step")
                steps[step] = said
                if step == "done":
                    break
                if step == "device":
                    steps["answered"] = {"heading": visitor.let_in(said["url"]), "pages": list(visitor.seen)}
                    process.stdin.write("{}\n")
                    process.stdin.flush()
                if step == "browse":
                    arrived = visitor.authorize(said["url"].removeprefix(visitor.issuer))
                    process.stdin.write(json.dumps({"url": arrived.url, "params": dict(arrived.params), "posted": arrived.posted}) + "\n")
                    process.stdin.flush()
                    steps.setdefault("seen", {"pages": list(visitor.seen)})
        finally:
            if "done" not in steps:
                process.kill()
        assert "done" in steps, process.stderr.read() if process.stderr is not None else ""
    return steps
