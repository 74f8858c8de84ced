"""The guide's receiver runs as it stands there and takes what we send; the reference says what the code says."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
import time
from collections.abc import AsyncIterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gatewright.oauth.client import Client
from gatewright.store import Store
from gatewright.webhooks import book
from gatewright.webhooks.records import EventType
from gatewright.webhooks.rules import body_of, headers_of, new_secret
from tests.platform.played import SMALL, Played
from tests.support.clock import SeededDice
from tests.support.world import Playground
from tests.unit.test_webhook_rules import an_event
from tests.webhooks.conftest import listening
from tests.webhooks.recorded import rows
from tests.webhooks.test_courier import Post, secrets_of, tell
from tools import events_reference

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guides/receive-events.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PROGRAM = next(text for kind, text in BLOCKS if kind == "python")
SECRET = new_secret(SeededDice("the guide's"))


@pytest.fixture
def engine() -> str:
    return "sqlite"


class Running:
    """The guide's receiver, in a thread of its own."""

    def __init__(self, server: ThreadingHTTPServer, module: dict[str, Any]) -> None:
        self.module = module
        self.url = f"http://127.0.0.1:{server.server_address[1]}/events"

    async def send(self, headers: dict[str, str], body: bytes) -> int:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.post(self.url, content=body, headers=headers)).status_code


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv("EVENT_SECRET", SECRET.reveal())
    module: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(PROGRAM, "receiver.py", "exec"), module)  # noqa: S102 - the guide is ours
    monkeypatch.setattr(module["Receiver"], "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), module["Receiver"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Running(server, module)
    await asyncio.to_thread(server.shutdown)
    server.server_close()
    thread.join()


async def test_the_receiver_of_the_guide_takes_what_is_delivered(
    ground: Playground, receiver: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.clock.now = int(time.time())
    client: Client = await listening(ground, receiver.url)
    post = Post(ground.store, ground.clock)
    where = await book.endpoint_of(ground.store, 1001, client.id, client.client_id)
    await ground.store.run(book.first_secret, ground.clock.moment(), post.wraps, where, actor="os:test")
    (secret,) = await secrets_of(ground, client, post)
    receiver.module["SECRET"] = base64.b64decode(secret.removeprefix("whsec_"))
    await tell(ground, client)
    await post.deliver()
    (row,) = await rows(ground.store)
    assert (row.state, row.last_status) == ("delivered", 204)
    assert capsys.readouterr().out == "us_x is gone: forget the tokens\n"


async def test_the_receiver_of_the_guide_handles_a_repeat_once(receiver: Running, capsys: pytest.CaptureFixture[str]) -> None:
    body = body_of(an_event(), "app")
    for _ in range(2):
        assert await receiver.send(headers_of(an_event(), body, [SECRET], int(time.time())), body) == 204
    assert capsys.readouterr().out.count("test:") == 1


async def test_the_receiver_of_the_guide_takes_either_of_two_signatures(receiver: Running) -> None:
    body = body_of(an_event(), "app")
    other = new_secret(SeededDice("newer"))
    assert await receiver.send(headers_of(an_event(), body, [other, SECRET], int(time.time())), body) == 204


async def test_the_receiver_of_the_guide_refuses_what_is_not_genuine(receiver: Running) -> None:
    body, now = body_of(an_event(), "app"), int(time.time())
    good = headers_of(an_event(), body, [SECRET], now)
    assert await receiver.send(good, body + b" ") == 401
    assert await receiver.send(good | {"webhook-id": "ev_another"}, body) == 401
    assert await receiver.send(headers_of(an_event(), body, [new_secret(SeededDice("x"))], now), body) == 401
    assert await receiver.send(headers_of(an_event(), body, [SECRET], now - 301), body) == 401
    assert await receiver.send({"content-type": "application/json"}, body) == 401
    assert await receiver.send(good | {"webhook-signature": "v1, v2,x ,"}, body) == 401


async def test_the_client_of_the_guide_applies(store: Store, tmp_path: Path) -> None:
    block = next(text for kind, text in BLOCKS if kind == "toml")
    played = Played(store, tmp_path)
    applied = await played.apply(SMALL + block)
    assert [made.client_id for made in applied.secrets] == ["web", "budget-buddy"]


def test_the_reference_says_what_the_code_says() -> None:
    assert events_reference.PAGE.read_text(encoding="utf-8") == events_reference.page(), "run tools/events_reference.py"
    for type in EventType:
        assert f"\n### {type.label}\n" in events_reference.page()


def test_the_example_of_the_reference_is_an_event_as_we_send_it() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", events_reference.page(), re.DOTALL | re.MULTILINE)
    document = msgspec.json.decode(example, type=dict[str, Any])
    kind = next(type for type in EventType if type.label == document["type"])
    assert set(document["data"]) == {"client_id", *kind.members}
    sent = msgspec.json.decode(body_of(an_event(type=kind.label), "budget-buddy"), type=dict[str, Any])
    assert set(sent) == set(document)


def test_every_type_that_the_receiver_of_the_guide_names_is_one() -> None:
    named = set(re.findall(r'"([a-z]+\.[a-z_]+)"', PROGRAM.split("def handle")[1].split("class Receiver")[0]))
    assert named
    assert named <= {type.label for type in EventType}
