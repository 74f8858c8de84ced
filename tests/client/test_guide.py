"""The guides' code runs as it stands there, against a running Gatewright and a bank behind the guard."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from gatewright_client import Tokens
from gatewright_client.problem import ADVICE
from tests.client.deployment import BANK, KEY, SECRETS, bank, listening, signed_in
from tests.client.devices import USER_CODE, Devices
from tests.client.places import Answer, Place
from tests.support.running import ROOT, Node

GUIDE: Final = (ROOT / "docs/guides/call-an-api-from-python.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def bank_url(node: Node) -> Iterator[str]:
    with listening(bank(node.deployment.issuer, BANK)) as url:
        yield url


@pytest.fixture
def programs(node: Node, bank_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    with loaded(node.deployment.issuer, bank_url, monkeypatch, tmp_path) as modules:
        yield modules


@contextmanager
def loaded(issuer: str, bank_url: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[dict[str, Any]]:
    """The guide's programs, as the modules whose names they say."""
    key = KEY.as_pem(private=True).decode()
    told = {"ISSUER": issuer, "BANK_URL": bank_url, "REPORTS_SECRET": SECRETS["CLIENT_SECRET"], "REPORTS_KEY": key, "HOME": str(home)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    modules: dict[str, Any] = {}
    for name, text in BLOCKS:
        modules[name] = module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the guide is ours
    try:
        yield modules
    finally:
        for module in modules.values():
            for name in ("server", "api", "database"):
                if hasattr(module, name):
                    getattr(module, name).close()


def test_the_services_of_the_guide_work(programs: dict[str, Any]) -> None:
    answer = {"user": "reports", "account": "acme-dev"}
    assert programs["reports"].balance() == answer
    assert asyncio.run(programs["reports_async"].balance()) == answer
    assert programs["reports_requests"].balance() == answer
    assert programs["reports_by_key"].source.token().count(".") == 2
    assert programs["careful"].send() == "ask the user for transfer:funds"


def test_the_store_of_the_guide_keeps_tokens(programs: dict[str, Any], node: Node) -> None:
    store = programs["shared"].store
    tokens = signed_in(node, "read:balance", BANK)
    with store.alone():
        assert store.load() is None
        store.save(tokens)
    with store.alone():
        assert store.load() == tokens


def test_the_terminal_of_the_guide_works(programs: dict[str, Any], node: Node) -> None:
    program = programs["bank_cli"]
    program.source.adopt(signed_in(node, "read:balance", BANK))
    assert program.balance()["account"] == "acme-dev"


def test_the_terminal_of_the_guide_signs_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devices, api = Devices(), Place(lambda _: Answer(body={"account": "acme-dev"}))
    devices.interval, devices.answers = 1, ["authorized"]
    with devices.place.serving(), api.serving(), loaded(devices.place.url, api.url, monkeypatch, tmp_path) as programs:
        program = programs["bank_cli"]
        assert program.balance() == {"account": "acme-dev"}
        assert capsys.readouterr().out == f"Open {devices.place.url}/activate and enter the code {USER_CODE}\n"
        assert program.balance() == {"account": "acme-dev"}, "and the second time without a word"
        assert capsys.readouterr().out == ""
        assert isinstance(program.store.load(), Tokens)


def test_the_guide_names_every_cause_and_says_what_the_code_says() -> None:
    table = GUIDE.split("| `cause` |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    said = {cause: (bool(row[1]), bool(row[2])) for row in rows for cause in re.findall(r"`(\w+)`", row[0])}
    assert said.pop("unknown") == (False, False)
    assert said == {cause: (advice.refresh_helps, advice.ask_user) for cause, advice in ADVICE.items()}
