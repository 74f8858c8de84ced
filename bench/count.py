"""How many statements and commits an operation takes: the application in this process, asked by many at once, and the store's counters."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from msgspec import Struct

from bench.load import Request
from bench.operations import Operation, Stage
from bench.server import Place
from gatewright.app import make_log, open_house
from gatewright.base.moment import SystemClock
from gatewright.settings import load
from gatewright.store import Counts
from gatewright.web.server import application

TIMES: Final = 320
AT_ONCE: Final = 32


class Counted(Struct, frozen=True):
    """What one operation asked of the store, on average."""

    statements: float
    commits: float


def count(place: Place, stage: Stage, operations: list[Operation]) -> dict[str, Counted]:
    """Return what each operation asks of the store of a place; its server must run, since tokens may have to be got from it."""
    # Before there is a loop, since what is prepared may need one of its own.
    prepared = {operation.name: (operation.prepare(stage, AT_ONCE), operation.prepare(stage, TIMES)) for operation in operations}
    return asyncio.run(_count(place, prepared))


async def _count(place: Place, prepared: dict[str, tuple[list[Request], list[Request]]]) -> dict[str, Counted]:
    environ = {name: value for name, value in place.environment.items() if name.startswith("GATEWRIGHT_")}
    loaded, clock = load(environ, options={"log.level": "warning"}), SystemClock()
    found = {}
    async with open_house(loaded, clock, make_log(loaded, clock), environ) as house:
        app = application(house)
        for name, (first, then) in prepared.items():
            await asked(app, first)
            before = _sums(house.store.counts)
            await asked(app, then)
            after = _sums(house.store.counts)
            found[name] = Counted(*[(later - earlier) / TIMES for earlier, later in zip(before, after, strict=True)])
    return found


def _sums(counts: Counts) -> tuple[int, int]:
    return counts.reads + counts.listings + counts.verbs + counts.statements, counts.commits


async def asked(app: Any, requests: list[Request]) -> None:  # noqa: ANN401 - an ASGI application
    supply = iter(requests)

    async def lane() -> None:
        for request in supply:
            first, follow = (request, None) if isinstance(request, bytes) else request
            answer = await _ask(app, first)
            if follow is not None:
                await _ask(app, follow(answer))

    await asyncio.gather(*[lane() for _ in range(AT_ONCE)])


async def _ask(app: Any, raw: bytes) -> bytes:  # noqa: ANN401 - an ASGI application
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    path, _, query = target.partition(b"?")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http",
        "method": method.decode(),
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "http_version": "1.1",
    }
    out: list[bytes] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            out.append(b"HTTP/1.1 %d\r\n" % message["status"] + b"".join(b"%b: %b\r\n" % pair for pair in message["headers"]) + b"\r\n")
        else:
            out.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(out)
