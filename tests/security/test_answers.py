"""How an answer leaves: in one piece where its length is known, and never with anything in a field that ends its line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gatewright.web import cycle
from gatewright.web.server import BoundedProtocol
from tests.security.test_limits import Clockwork, Wire

Sender = Callable[[Any], Awaitable[None]]
Field = tuple[bytes, bytes]
KIND: Field = (b"content-type", b"text/plain")


class Pieces(Wire):
    """A connection that counts what is handed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = 0

    def write(self, data: Any) -> None:  # noqa: ANN401 - as the library has it
        self.pieces += 1
        super().write(data)


class Line:
    """A connection to an application that sends these messages."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.wire = Pieces()
        self.answered = asyncio.Event()

        async def app(_scope: Any, _receive: Any, send: Sender) -> None:  # noqa: ANN401 - as the library has it
            try:
                for message in messages:
                    await send(message)
            finally:
                self.answered.set()

        config = uvicorn.Config(app, http=BoundedProtocol, ws="none", lifespan="off", access_log=False, log_config=None)
        self.protocol = BoundedProtocol(config, ServerState(), {}, _loop=Clockwork())  # type: ignore[arg-type] # all that it asks for
        self.protocol.connection_made(self.wire)

    async def ask(self, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
        """Ask, and return everything that came back."""
        self.answered.clear()
        self.protocol.data_received(method + b" / HTTP/" + version + b"\r\nhost: id.acme.test\r\n\r\n")
        async with asyncio.timeout(5):
            await self.answered.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        return bytes(self.wire.sent)


def start(*fields: Field, status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(fields)}


def body(raw: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": raw, "more_body": more}


def length(number: int) -> Field:
    return b"content-length", b"%d" % number


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head_and_the_connection_goes_on(status: int) -> None:
    line = Line(start(status=status), body(b""))
    for times in (1, 2):
        sent = await line.ask()
        assert (sent.count(b"%d" % status), sent.count(b"\r\n\r\n")) == (times, times)
        assert b"transfer-encoding" not in sent
    assert not line.wire.closed


async def test_head_and_body_leave_in_one_piece() -> None:
    line = Line(start(KIND, length(5)), body(b"hello"))
    assert await line.ask() == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    assert line.wire.pieces == 1
    assert (await line.ask()).count(b"200 OK") == 2, "and the connection goes on"
    assert line.wire.pieces == 2


async def test_an_answer_without_a_body_is_one_piece_too() -> None:
    line = Line(start(length(0), status=403), body(b""))
    assert (await line.ask()).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert line.wire.pieces == 1


async def test_what_is_said_before_its_end_is_known_leaves_at_once() -> None:
    line = Line(start(KIND), body(b"first", more=True))
    assert b"transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n" in await line.ask()


async def test_a_body_that_comes_in_parts_is_whole() -> None:
    line = Line(start(length(10)), body(b"first", more=True), body(b"after"))
    assert (await line.ask()).endswith(b"content-length: 10\r\n\r\nfirstafter")
    assert not line.wire.closed


async def test_an_answer_to_head_has_no_body() -> None:
    line = Line(start(length(5)), body(b"hello"))
    assert (await line.ask(b"HEAD")).endswith(b"content-length: 5\r\n\r\n")
    assert not line.wire.closed


@pytest.mark.parametrize("raw", [b"hell", b"hello!"])
async def test_a_body_of_another_length_ends_the_connection(raw: bytes) -> None:
    line = Line(start(length(5)), body(raw))
    assert b"hello!" not in await line.ask()
    assert line.wire.closed


async def test_whoever_does_not_stay_is_told_so() -> None:
    line = Line(start(length(2)), body(b"ok"))
    assert b"connection: close\r\n\r\nok" in await line.ask(version=b"1.0")
    assert line.wire.closed


@pytest.mark.parametrize(
    "field",
    [
        (b"gatewright-user", b"us_1\r\ngatewright-user: us_2"),
        (b"cache-control", b"no-store\n"),
        (b"x-made-up", b"a\0b"),
        (b"x made up", b"a"),
        (b"gatewright-user:", b"a"),
        (b"", b"a"),
    ],
)
async def test_a_field_that_would_be_more_than_a_line_is_never_sent(field: Field) -> None:
    for _ in range(2):
        line = Line(start(KIND, field, length(5)), body(b"hello"))
        sent = await line.ask()
        assert sent.startswith(b"HTTP/1.1 500 ")
        assert b"hello" not in sent


async def test_of_what_is_kept_nothing_is_a_secret() -> None:
    secrets = [(b"set-cookie", b"gw_session=once"), (b"location", b"https://app.example/?code=once"), (b"www-authenticate", b"once")]
    await Line(start(KIND, *secrets, length(5)), body(b"hello")).ask()
    assert KIND in cycle._lines
    assert not [field for field in cycle._lines if b"once" in field[1]]


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "_KEPT", 20)
    for number in range(100):
        user = (b"gatewright-user", b"us_%d" % number)
        assert b"gatewright-user: us_%d\r\n" % number in await Line(start(user, length(0)), body(b"")).ask()
    assert len(cycle._lines) <= 20


async def test_who_went_away_is_sent_nothing() -> None:
    line = Line(start(length(5)), body(b"hello"))
    line.protocol.data_received(b"GET / HTTP/1.1\r\nhost: id.acme.test\r\n\r\n")
    line.protocol.connection_lost(ConnectionResetError())
    async with asyncio.timeout(5):
        await line.answered.wait()
    assert line.wire.pieces == 0
