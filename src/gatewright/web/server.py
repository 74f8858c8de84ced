"""Runs the door in one process: uvicorn on an open socket, with limits on what a request's head may be, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gatewright.app import House
from gatewright.web.asgi import Gate
from gatewright.web.ask import BODY_LIMIT, NAMED, authority
from gatewright.web.cycle import Cycle
from gatewright.web.feed import CUT
from gatewright.web.tls_ask import TlsAsk

KEEP_ALIVE_SECONDS: Final = 75


class HeadTooLarge(Exception):
    """Stops the parser; uvicorn answers 400 and closes."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself keeps any amount of headers and waits for ever for the first of them."""

    head_limit = 32 * 1024  # bytes of request line and headers; an id_token_hint in a query fits several times
    # Bytes of a whole request on the wire: what the door takes of a body, and room for it to come in very small chunks.
    whole_limit = head_limit + 8 * BODY_LIMIT
    seconds = 20  # how long a request may take to arrive, head and body

    _size = 0
    _came = 0  # bytes of the request under way, as they came
    _head = True
    _whole = False
    _clock: asyncio.TimerHandle | None = None
    _resting = 0.0  # since when no request is under way, on the loop's clock; 0 while one is

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent has it
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(self.seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_clock()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take data; a request that does not come in one piece is under the clock until it is whole."""
        self._came += len(data)
        super().data_received(data)
        if self._whole:
            self._stop_clock()
        elif self._clock is None:
            self._clock = self.loop.call_later(self.seconds, self.timeout_keep_alive_handler)
        # The parser keeps a header to itself until its end has come, so what it is fed is counted as well.
        if self._head and self._came > self.head_limit and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        elif self._came > self.whole_limit:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._size = 0
        self._whole = False
        self._resting = 0.0
        super().on_message_begin()
        self.scope[CUT] = self.transport.abort  # type: ignore[typeddict-unknown-key] # ours, for who reads too slowly

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._head = False
        self._resting = 0.0  # where the answer before ended after this request had begun
        if not self.url.startswith((b"/", b"*")):
            self.scope[NAMED] = authority(self.url)  # type: ignore[typeddict-unknown-key] # ours; the parent keeps the path alone
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = self._head = True
        self._came = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; the connection rests until the next request, but not for ever."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        # One timer for many requests: to set one for each rest and stop it again costs more than to look how long this one was.
        self._resting = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._rested)

    def _rested(self) -> None:
        self.timeout_keep_alive_task = None
        if not self._resting:
            return  # the end of the request that is under way sets the timer again
        left = self._resting + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self._rested)
        else:
            self.timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        # Data alone ends no rest: an empty line, or a body after its answer, has no end that would begin another one.
        if self.transport.is_closing():
            super()._unset_keepalive_if_required()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._size += len(url)
        if self._size > self.head_limit:
            raise HeadTooLarge
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        size = self._size = self._size + len(name) + len(value) + 4  # with colon, space and line end
        if size > self.head_limit:
            raise HeadTooLarge
        name = name.lower()
        if name == b"expect":
            super().on_header(name, value)
        else:
            self.headers.append((name, value))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - as its parent has it
        # The parent names the class of its cycles itself. Ours differs in one method and in nothing that it holds.
        cycle.__class__ = Cycle
        super()._start_asgi_task(cycle, app)


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by us instead of by signals, so that the house is closed in order behind it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def stop(self, *_: object) -> None:
        """Take no more requests, finish those under way."""
        self.should_exit = True


async def serve(
    house: House, sock: socket.socket, *, ask: socket.socket | None = None, lifeline: int | None = None, drain_seconds: int = 30
) -> None:
    """Answer requests on a listening socket until SIGTERM, SIGINT, or the end of the lifeline's other side.

    `ask` is the socket at which a TLS front asks for certificates.
    """
    server = Server(_config(Gate(house), drain_seconds))
    asked = None if ask is None else Server(_config(TlsAsk(house.sites, house.clock), drain_seconds))

    def stop(*_: object) -> None:
        for one in (server, asked):
            if one is not None:
                one.stop()
        house.endings.stop()  # feeds have no end of their own to be waited for

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if lifeline is not None:
        loop.add_reader(lifeline, _cut, loop, lifeline, stop)
    running = [server.serve(sockets=[sock])]
    if asked is not None and ask is not None:
        running.append(asked.serve(sockets=[ask]))
    await asyncio.gather(*running)


def _config(app: Gate | TlsAsk, drain_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )


def _cut(loop: asyncio.AbstractEventLoop, lifeline: int, stop: Callable[[], None]) -> None:
    with suppress(OSError):
        if os.read(lifeline, 1):
            return
    loop.remove_reader(lifeline)
    stop()


def application(house: House) -> Any:  # noqa: ANN401 - an ASGI application, for tests in process
    """Return the ASGI application of a house."""
    return Gate(house)
