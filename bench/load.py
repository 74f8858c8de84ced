"""A small HTTP/1.1 load generator: keep-alive connections, prepared requests, each connection sends again when it was answered.

It is a bare epoll loop, because what it costs itself bounds what it can measure; each run tells its own share of a core.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

Request = bytes | tuple[bytes, Callable[[bytes], bytes]]
"""The bytes to send; in a pair, a function makes the second request of the first one's answer, and both count as one."""

PATIENCE: Final = 15.0  # seconds without any answer after which a run is given up
_RECEIVE: Final = 65536


class BadAnswer(Exception):
    """An answer is no HTTP that this generator understands."""


@dataclass(slots=True)
class Outcome:
    """What a run saw: seconds in all, latencies in seconds, answers by status, CPU seconds of the generator itself."""

    seconds: float = 0.0
    cpu: float = 0.0
    lost: int = 0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[bytes] = field(default_factory=list)
    strange: bytes = b""

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def share(self) -> float:
        """Which part of its core the generator used; near 1, it and not the server was measured."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class _Lane:
    """One connection and the request that is under way on it."""

    __slots__ = ("buffer", "follow", "sent", "sock")

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buffer = b""
        self.sent = 0.0
        self.follow: Callable[[bytes], bytes] | None = None

    def start(self, request: Request) -> None:
        """Send a request; a prepared one always fits the socket's buffer."""
        first, self.follow = (request, None) if isinstance(request, bytes) else request
        self.sent = time.perf_counter()
        self.sock.send(first)


def fire(
    host: str, port: int, requests: Iterable[Request], connections: int, *, keep: bool = False, good: frozenset[int] = frozenset({200})
) -> Outcome:
    """Send all requests over that many connections and return what was seen.

    `keep` keeps the answers; the first one whose status is not `good` is kept anyhow.
    """
    outcome = Outcome()
    supply = iter(requests)
    lanes = [_Lane(host, port) for _ in range(connections)]
    poll = select.epoll()
    busy = {lane.sock.fileno(): lane for lane in lanes}
    cpu, start = time.process_time(), time.perf_counter()
    for number, lane in list(busy.items()):
        poll.register(number, select.EPOLLIN)
        if not _next(lane, supply):
            del busy[number]
    try:
        _Run(supply, outcome, good, keep=keep).turn(poll, busy)
    finally:
        outcome.seconds, outcome.cpu = time.perf_counter() - start, time.process_time() - cpu
        poll.close()
        for lane in lanes:
            lane.sock.close()
    return outcome


def paced(
    host: str, port: int, requests: list[bytes], connections: int, *, rate: float, good: frozenset[int] = frozenset({200})
) -> Outcome:
    """Send requests at a fixed rate, whether or not the earlier ones are answered; a latency counts from when a request was due.

    In a closed loop the slow answers hold back the requests that would have been slow too, and p99 looks better than it is.
    """
    outcome = Outcome()
    idle = [_Lane(host, port) for _ in range(connections)]
    lanes = list(idle)
    poll = select.epoll()
    busy: dict[int, _Lane] = {}
    for lane in lanes:
        poll.register(lane.sock.fileno(), select.EPOLLIN)
    run = _Run(iter(()), outcome, good, keep=False)
    cpu, start, sent = time.process_time(), time.perf_counter(), 0
    last = start
    try:
        while (sent < len(requests) or busy) and time.perf_counter() - last < PATIENCE:
            now = time.perf_counter()
            while idle and sent < len(requests) and start + sent / rate <= now:
                lane = idle.pop()
                busy[lane.sock.fileno()] = lane
                lane.start(requests[sent])
                lane.sent = start + sent / rate
                sent += 1
            wait = start + sent / rate - time.perf_counter() if idle and sent < len(requests) else PATIENCE
            for number, _ in poll.poll(max(wait, 0.0)):
                last = time.perf_counter()
                lane = busy[number]
                if not run.heard(lane) and not lane.buffer:
                    idle.append(busy.pop(number))
    finally:
        outcome.seconds, outcome.cpu = time.perf_counter() - start, time.process_time() - cpu
        outcome.lost += len(busy)
        poll.close()
        for lane in lanes:
            lane.sock.close()
    return outcome


def _next(lane: _Lane, supply: Iterator[Request]) -> bool:
    request = next(supply, None)
    if request is None:
        return False
    lane.start(request)
    return True


class _Run:
    """The requests under way of one run. Its methods are its innermost loop, hence few."""

    def __init__(self, supply: Iterator[Request], outcome: Outcome, good: frozenset[int], *, keep: bool) -> None:
        self.supply = supply
        self.outcome = outcome
        self.good = good
        self.keep = keep

    def turn(self, poll: select.epoll, busy: dict[int, _Lane]) -> None:
        """Go on until every request is answered, or nothing is for too long."""
        while busy:
            events = poll.poll(PATIENCE)
            if not events:
                self.outcome.lost += len(busy)
                return
            for number, _ in events:
                lane = busy.get(number)
                if lane is not None and not self.heard(lane):
                    poll.unregister(number)
                    del busy[number]

    def heard(self, lane: _Lane) -> bool:
        """Take what came in on a connection; tell whether more is to come."""
        data = lane.sock.recv(_RECEIVE)
        if not data:
            self.outcome.lost += 1
            return False
        if lane.buffer:
            data = lane.buffer + data
        if not whole(data):
            lane.buffer = data
            return True
        lane.buffer = b""
        status = int(data[9:12])
        if lane.follow is not None and status in self.good:
            follow, lane.follow = lane.follow, None
            lane.sock.send(follow(data))
            return True
        self.outcome.latencies.append(time.perf_counter() - lane.sent)
        self.outcome.statuses[status] += 1
        if self.keep:
            self.outcome.answers.append(data)
        elif status not in self.good and not self.outcome.strange:
            self.outcome.strange = data
        return _next(lane, self.supply)


def whole(data: bytes) -> bool:
    """Tell whether an answer is here to its end: by its Content-Length or its last chunk (RFC 9112 §6).

    Raises:
        BadAnswer: it says neither, and is none of those that have no body.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.find(b"content-length: ", 0, end)
    if at >= 0:
        return len(data) >= end + 4 + int(data[at + 16 : data.find(b"\r", at)])
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        return len(data) >= end + 4 + int(head[at + 15 :].split(b"\r", 1)[0])
    if b"transfer-encoding: chunked" in head:
        return data.endswith(b"\r\n0\r\n\r\n")
    if data[9:12] in (b"204", b"304"):
        return True
    raise BadAnswer(data[:200].decode("latin-1"))


def body_of(answer: bytes) -> bytes:
    """Return what follows an answer's head."""
    return answer.partition(b"\r\n\r\n")[2]


def header_of(answer: bytes, name: str) -> str:
    """Return an answer's header, empty where there is none."""
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.encode():
            return value.strip().decode()
    return ""


def post(host: str, path: str, form: str, headers: str = "") -> bytes:
    """Return the bytes of a form POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}"
        f"Content-Length: {len(form)}\r\n\r\n{form}"
    ).encode()


def get(host: str, path: str, headers: str = "") -> bytes:
    """Return the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()
