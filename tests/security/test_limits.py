"""What a connection may send before it is closed, driven by hand: what came when, and what the clock said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gatewright.web.server import BoundedProtocol

HEAD = b"POST /token HTTP/1.1\r\nhost: id.acme.test\r\n"


class Narrow(BoundedProtocol):
    """The same with limits that a test reaches."""

    head_limit = 1000
    whole_limit = 4000
    seconds = 5


class Wire(asyncio.Transport):
    """A connection of which only the server's side is there."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - as the library has it
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Reading goes on until a test stops feeding."""

    def resume_reading(self) -> None:
        """Reading never stopped."""


class Timer:
    """A callback that waits, or was cancelled."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.live = True

    def cancel(self) -> None:
        self.live = False


class Clockwork:
    """What the protocol asks of an event loop; its timers ring when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + seconds, callback))
        return self.timers[-1]

    def create_task(self, work: Any, **named: Any) -> asyncio.Task[None]:  # noqa: ANN401 - as the library has it
        return asyncio.get_running_loop().create_task(work, **named)

    def ring(self, seconds: float) -> int:
        """Let so much time pass; tell how many timers rang."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.live and timer.at <= self.now]
        for timer in due:
            timer.live = False
            timer.callback()
        return len(due)


async def answer(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ANN401
    """Read everything, say how much it was."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Any, receive: object, send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ANN401
    """Answer without having read anything."""
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Line:
    """A connection to a server, with its clock."""

    def __init__(self, app: Callable[..., Awaitable[None]] = answer) -> None:
        config = uvicorn.Config(app, http=Narrow, ws="none", lifespan="off", access_log=False, log_config=None, timeout_keep_alive=75)
        self.clock = Clockwork()
        self.wire = Wire()
        self.protocol = Narrow(config, ServerState(), {}, _loop=self.clock)  # type: ignore[arg-type] # all of a loop that it asks for
        self.protocol.connection_made(self.wire)

    async def send(self, *parts: bytes) -> bytes:
        """Send in pieces, and return everything that came back so far."""
        for part in parts:
            if not self.wire.closed:
                self.protocol.data_received(part)
            for _ in range(5):
                await asyncio.sleep(0)
        return bytes(self.wire.sent)


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_an_ordinary_request_is_answered_and_its_clock_stopped(line: Line) -> None:
    assert b"200 OK" in await line.send(HEAD + b"content-length: 3\r\n\r\na=b")
    assert line.clock.ring(Narrow.seconds) == 0
    assert not line.wire.closed


async def test_many_requests_on_one_connection_are_counted_one_by_one(line: Line) -> None:
    sent = b""
    for _ in range(10):
        sent = await line.send(HEAD + b"x: " + b"y" * 700 + b"\r\n", b"content-length: 3\r\n\r\na=", b"b")
    assert sent.count(b"200 OK") == 10
    assert not line.wire.closed


@pytest.mark.parametrize("header", [b"x: " + b"y" * 1100 + b"\r\n", b"x: y\r\n" * 170])
async def test_a_head_that_is_too_large_is_refused(line: Line, header: bytes) -> None:
    assert b"400 Bad Request" in await line.send(HEAD + header + b"\r\n")
    assert line.wire.closed


async def test_an_address_that_is_too_long_is_refused(line: Line) -> None:
    assert b"400 Bad Request" in await line.send(b"GET /" + b"a" * 1100)
    assert line.wire.closed


async def test_a_header_that_never_ends_is_refused_as_soon_as_it_is_too_large(line: Line) -> None:
    sent = await line.send(HEAD + b"x: ", *[b"y" * 100] * 11)
    assert sent.count(b"HTTP/1.1 400") == 1
    assert line.wire.closed


async def test_a_header_name_that_never_ends_is_refused_too(line: Line) -> None:
    assert b"400" in await line.send(HEAD, *[b"y" * 100] * 11)
    assert line.wire.closed


async def test_a_body_may_be_larger_than_a_head(line: Line) -> None:
    assert b"200 OK" in await line.send(HEAD + b"content-length: 3000\r\n\r\n", *[b"y" * 500] * 6)
    assert not line.wire.closed


async def test_a_body_or_a_trailer_that_never_ends_ends_the_connection(line: Line) -> None:
    await line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: ", *[b"y" * 500] * 9)
    assert line.wire.closed
    other = Line()
    await other.send(HEAD + b"content-length: 90000\r\n\r\n", *[b"y" * 500] * 9)
    assert other.wire.closed


@pytest.mark.parametrize("parts", [(), (b"POST /tok",), (HEAD,), (HEAD + b"content-length: 9\r\n\r\nhalf",)])
async def test_a_request_that_does_not_come_in_time_is_given_up(line: Line, parts: tuple[bytes, ...]) -> None:
    await line.send(*parts)
    assert line.clock.ring(Narrow.seconds) == 1
    assert line.wire.closed


async def test_a_second_request_has_a_clock_of_its_own(line: Line) -> None:
    await line.send(HEAD + b"content-length: 3\r\n\r\na=b")
    await line.send(HEAD)
    assert line.clock.ring(Narrow.seconds) == 1
    assert line.wire.closed


async def test_a_drop_now_and_then_does_not_wind_the_clock_up(line: Line) -> None:
    for drop in (b"POST", b" /token", b" HTTP/1.1\r\n", b"x: y\r\n"):
        await line.send(drop)
    assert len(line.clock.timers) == 1


# ---------------------------------------------------------------- a connection that rests

GET = b"GET / HTTP/1.1\r\nhost: id.acme.test\r\n\r\n"


def open_after(line: Line, seconds: float) -> bool:
    """Let so much time pass; tell whether the connection is still open."""
    line.clock.ring(seconds)
    return not line.wire.closed


async def test_a_connection_that_rests_too_long_is_closed(line: Line) -> None:
    await line.send(GET)
    assert open_after(line, 74)
    assert not open_after(line, 1)


async def test_each_request_lets_a_connection_rest_anew(line: Line) -> None:
    for number in range(1, 6):
        assert (await line.send(GET)).count(b"200 OK") == number
        assert open_after(line, 50)
    assert open_after(line, 24)
    assert not open_after(line, 1)
    assert len(line.clock.timers) < 10


async def test_a_request_that_is_under_way_is_no_rest(line: Line) -> None:
    await line.send(GET)
    assert open_after(line, 72)
    await line.send(HEAD + b"content-length: 3\r\n\r\na")
    assert open_after(line, 4), "its rest ended three seconds before it would have been too long"
    assert (await line.send(b"=b")).count(b"200 OK") == 2
    assert open_after(line, 74)
    assert not open_after(line, 1)


async def test_a_request_that_began_before_the_last_answer_ended_is_no_rest_either() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ANN401
        if scope["path"] == "/slow":
            await go_on.wait()
        await answer(scope, receive, send)

    line = Line(slow)
    await line.send(GET + b"GET /slow HTTP/1.1\r\n")
    assert (await line.send(b"host: id.acme.test\r\n\r\n")).count(b"200 OK") == 1
    assert open_after(line, 200)
    go_on.set()
    assert (await line.send(b"")).count(b"200 OK") == 2
    assert open_after(line, 74)
    assert not open_after(line, 1)


@pytest.mark.parametrize("crumb", [b"\r\n", b"\r", b"\n\r\n"])
async def test_what_begins_no_request_lengthens_no_rest(line: Line, crumb: bytes) -> None:
    await line.send(GET)
    for _ in range(7):
        await line.send(crumb)
        assert open_after(line, 10), "a server should take an empty line before a request (RFC 9112 §2.2)"
    assert not open_after(line, 5)


async def test_a_body_that_comes_after_its_answer_is_no_request_without_an_end() -> None:
    line = Line(refuse)
    await line.send(HEAD + b"content-length: 3\r\n\r\n")
    assert (await line.send(b"a=b")).count(b"413") == 1
    assert open_after(line, 74)
    assert not open_after(line, 1)


async def test_of_a_connection_that_is_gone_no_timer_is_left(line: Line) -> None:
    await line.send(GET)
    line.protocol.connection_lost(None)
    assert line.clock.ring(1000) == 0
    other = Line()
    await other.send(GET)
    other.protocol.connection_lost(ConnectionResetError())
    assert other.clock.ring(1000) == 0
