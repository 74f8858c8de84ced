"""A small HTTP/1.1 load generator: keep-alive connections, prepared requests, each connection sends when it was answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What a run saw: seconds in all, latencies in seconds, answers by status, CPU seconds of the generator itself."""

    seconds: float = 0.0
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return len(self.latencies)

    def quantile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Connection(asyncio.Protocol):
    """One connection: takes the next request as soon as the last was answered."""

    def __init__(self, requests: Iterator[bytes], outcome: Outcome, done: asyncio.Future[None], *, keep: bool) -> None:
        self._requests = requests
        self._outcome = outcome
        self._done = done
        self._keep = keep
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        assert self._transport is not None
        if request is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer once its head and as many bytes as its Content-Length says are here."""
        self._buffer = self._buffer + data if self._buffer else data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head_end + 4 + length:
            return
        self._outcome.latencies.append(time.perf_counter() - self._sent)
        self._outcome.statuses[int(head[9:12])] += 1
        if self._keep:
            self._outcome.bodies.append(self._buffer[head_end + 4 :])
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closed ends this lane."""
        if not self._done.done():
            self._done.set_result(None)


async def fire(host: str, port: int, requests: list[bytes], connections: int, *, keep: bool = False) -> Outcome:
    """Send all requests over that many connections and return what was seen."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    supply = iter(requests)
    lanes = [loop.create_future() for _ in range(connections)]
    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(loop.create_connection(lambda lane=lane: Connection(supply, outcome, lane, keep=keep), host, port) for lane in lanes)  # type: ignore[misc]
    )
    await asyncio.gather(*lanes)
    outcome.seconds, outcome.cpu = time.perf_counter() - start, time.process_time() - cpu
    return outcome


def post(host: str, path: str, form: str, headers: str = "") -> bytes:
    """Return the bytes of a form POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}"
        f"Content-Length: {len(form)}\r\n\r\n{form}"
    ).encode()


def get(host: str, path: str, headers: str = "") -> bytes:
    """Return the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()
