"""An API's guard at the revocation feed of a node under test: what it hears, and what it then knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from gatewright.endings.records import ENCODE
from gatewright.web.ask import Message
from gatewright_guard.feed import Event, Events
from gatewright_guard.heard import EVENTS, Heard
from gatewright_guard.verify import Claims, read_claims
from tests.support.house import ACME, Node
from tests.support.world import claims_of

SECONDS = 10


class Ear:
    """One open feed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._news = asyncio.Event()
        self.leave = asyncio.Event()
        self.stuck: asyncio.Event | None = None
        self.cut = False
        self.heard: list[Event] = []
        self.raw = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.over = False
        self.memory = Heard()
        self._events = Events()

    async def receive(self) -> Message:
        """What the server reads: the request, then, when the guard leaves, its end."""
        if not self.status:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take what the server says."""
        if self.stuck is not None:
            await self.stuck.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.raw += message["body"]
            self.over = not message.get("more_body", False)
            if self.headers.get("content-type", "").startswith("text/event-stream"):
                for event in self._events.feed(message["body"]):
                    self.heard.append(event)
                    if event.name in EVENTS:
                        self.memory.take(event.name, event.data, self._node.time.now)
        self._news.set()

    def be_cut(self) -> None:
        """Have the connection ended by the server."""
        self.cut = True
        self._news.set()

    @property
    def told(self) -> list[Event]:
        """The endings that were heard."""
        return [event for event in self.heard if event.name == "ended"]

    @property
    def told_less(self) -> list[Event]:
        """The narrowings that were heard."""
        return [event for event in self.heard if event.name == "narrowed"]

    def names(self) -> list[str]:
        """What kinds of events were heard, in order."""
        return [event.name for event in self.heard]

    async def until(self, true: Callable[[], object], what: str = "what was waited for") -> None:
        """Wait until something is true, looking whenever something was heard."""
        try:
            async with asyncio.timeout(SECONDS):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what} was not heard: {self.heard}, {self.raw[:200]!r}") from None

    async def current(self) -> None:
        """Wait until the server has said once more that everything was told."""
        count = self.names().count("current")
        await self.until(lambda: self.names().count("current") > count, "current")

    async def hits(self, token: str | Claims) -> None:
        """Wait until a token is known to be over."""
        claims = read(token) if isinstance(token, str) else token
        await self.until(lambda: self.memory.over(claims), f"the end of {claims.sub}'s token")

    async def asks(self, token: str) -> None:
        """Wait until it is known that a token may say too much."""
        await self.until(lambda: self.memory.asked_since(read(token)) is not None, "that a token lost something")

    def knows(self, token: str) -> bool:
        """Tell whether a guard would not believe a token by its signature alone."""
        return self.memory.over(read(token)) or self.memory.asked_since(read(token)) is not None


class Reader:
    """What an API's guard would know that hears everything at once, read where the feed reads it; without a connection."""

    def __init__(self, node: Node, tenant: int, audience: str) -> None:
        self._node = node
        self._tenant = tenant
        self._audience = audience
        self._seq = 0
        self.memory = Heard()
        self.said: list[dict[str, Any]] = []

    async def hear(self) -> None:
        """Hear what was committed by now."""
        house, now = self._node.house, self._node.time.now
        await house.endings.look()
        catalogue = await house.world.directory.catalogue(self._tenant)
        api = catalogue.apis_by_audience[self._audience]
        while self._seq < house.endings.head:
            found, self._seq = await house.endings.after(self._tenant, self._seq)
            for one in found:
                until = one.lives_until(api)
                if until <= now or not one.concerns(api, catalogue):
                    continue
                client = await house.world.directory.client_by_row(self._tenant, one.client) if one.client else None
                told = ENCODE(one.told(until, None if client is None else client.client_id))
                self.said.append(msgspec.json.decode(told))
                self.memory.take(one.event, told, now)
        self.memory.expire(now)

    def over(self, token: str) -> bool:
        """Tell whether a guard would refuse a token without asking."""
        return self.memory.over(read(token))

    def asked(self, token: str) -> bool:
        """Tell whether a guard would ask the server about a token."""
        return self.memory.asked_since(read(token)) is not None


def read(token: str) -> Claims:
    """What a JWT of ours says, its signature being none of this test's business."""
    members: Mapping[str, Any] = claims_of(token)
    return read_claims(members, issuer=str(members["iss"]), audience=str(members["aud"]), now=members["iat"])


@asynccontextmanager
async def listening(
    node: Node, credentials: tuple[str, str], *, last: str | None = None, host: str = ACME, method: str = "GET", path: str = "/-/feed"
) -> AsyncIterator[Ear]:
    """Follow the feed until the block ends."""
    ear = Ear(node)
    heads = [("host", host), credentials, *([] if last is None else [("last-event-id", last)])]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in heads],
        "client": ("203.0.113.7", 50_000),
        "gatewright.cut": ear.be_cut,
    }
    task = asyncio.create_task(node.gate(scope, ear.receive, ear.send))
    try:
        await ear.until(lambda: ear.status or task.done(), "an answer")
        yield ear
    finally:
        ear.leave.set()
        async with asyncio.timeout(SECONDS):
            await task
