"""The program of the guide about MCP servers runs as it stands there, and answers as the guide shows."""

import re
import sys
import types
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gatewright_guard.reasons import Reason
from tests.guard.makers import a_token
from tests.guard.server import AServer, Listening
from tests.guard.test_guide import AT_ANY_TIME, shown
from tests.guard.test_mcp import call, calling, message, send

FOLDER: Final = Path(__file__).parents[1]
GUIDE: Final = (FOLDER.parent / "docs/guides/protect-an-mcp-server.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
RESOURCE: Final = "https://notes.acme.test/mcp"


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    """The guide's program, as a module, beside a server that knows why a scope is missing."""
    answering = AServer()
    with Listening(answering) as server:
        answering.metadata = {"issuer": server.url, "jwks_uri": f"{server.url}/jwks", "introspection_endpoint": f"{server.url}/introspect"}
        for name, value in {"ISSUER": server.url, "NOTES_API_ID": "ap_1", "NOTES_API_SECRET": "s"}.items():
            monkeypatch.setenv(name, value)
        (program,) = [text for kind, text in BLOCKS if kind == "python"]
        module = types.ModuleType("notes")
        monkeypatch.setitem(sys.modules, "notes", module)
        exec(compile(program, "notes.py", "exec"), module.__dict__)  # noqa: S102 - the guide is ours
        module.__dict__["answering"] = answering
        yield module


def a_bearer(notes: types.ModuleType, scope: str) -> str:
    return a_token(iss=notes.guard.issuer, aud=RESOURCE, scope=scope, **AT_ANY_TIME)


async def asked(client: httpx.AsyncClient, body: dict[str, Any], bearer: str | None) -> httpx.Response:
    return await send(client, body, bearer, path="/mcp", host="notes.acme.test")


async def test_the_server_of_the_guide_works(notes: types.ModuleType) -> None:
    async with calling(app=notes.app) as client:
        assert "Buy coffee" in (await asked(client, call("read_notes"), a_bearer(notes, "read:notes"))).text
        writes = a_bearer(notes, "read:notes write:notes")
        assert "Written into acme-dev." in (await asked(client, call("write_note", account="acme-dev", text="x"), writes)).text
        assert (await asked(client, call("write_note", account="acme-prod", text="x"), writes)).json()["cause"] == "wrong_account"
    assert notes.HELD == {"acme-dev": ["Buy coffee", "x"]}


async def test_the_answers_are_those_that_the_guide_shows(notes: types.ModuleType) -> None:
    reads = a_bearer(notes, "read:notes")
    notes.answering.whys = {reads: {"cause": "scope_not_requested", "detail": Reason.SCOPE_NOT_REQUESTED.sentence}}
    async with calling(app=notes.app) as client:
        without = await asked(client, message("tools/list"), None)
        lacking = await asked(client, call("write_note", account="acme-dev", text="x"), reads)
    assert [text.strip() for kind, text in BLOCKS if kind == "http"] == [shown(without), shown(lacking)]


def test_every_test_that_the_guide_names_is_there() -> None:
    of_clients, of_guard = ((FOLDER / folder / "test_mcp.py").read_text(encoding="utf-8") for folder in ("clients", "guard"))
    rows = [line for line in GUIDE.splitlines() if line.startswith("|") and "`test_" in line]
    assert len(rows) > 15
    for row in rows:
        (named,) = re.findall(r"`(test_\w+)`", row)
        elsewhere = re.search(r"\]\(\.\./\.\./(tests/\S+\.py)\)", row)
        text = of_guard if "*guard*" in row else of_clients
        assert f"def {named}(" in ((FOLDER.parent / elsewhere[1]).read_text(encoding="utf-8") if elsewhere else text), named
