"""The whole server in this process: real rooms over a real store, the ASGI gate called directly, a clock that a test moves.

Two tenants (`acme.toml`, `globex.toml`) are applied once; each test gets a copy of that store. `nodes` opens as many houses as it likes
over one store, so that one process plays several nodes.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec

from gatewright.app import House, open_house, prepare
from gatewright.audit.deed import Deed
from gatewright.base.digest import b64
from gatewright.base.log import Level, Log
from gatewright.base.moment import IdMaker, Moment
from gatewright.platform.apply import apply
from gatewright.platform.reading import read_text
from gatewright.settings import Loaded, load
from gatewright.store import Query, Tx
from gatewright.web.ask import Message
from gatewright.web.server import application
from tests.support.clock import NOON, SeededDice
from tests.support.postgres import Server, name_of

HERE = Path(__file__).parent
ACME, GLOBEX = "id.acme.test", "id.globex.test"
CLIENT_SECRET = "gws_the-secret-of-every-client-of-one-tenant"
SECRETS = {
    f"{name}_SECRET{tenant}": f"gwp_the-secret-of-{name.lower()}-of-tenant{tenant or '_1'}"
    for name in ("BANK", "EVENTS", "REPORTS", "IMAGING", "APPS")
    for tenant in ("", "_2")
}
ENVIRON = {
    "GATEWRIGHT_KEY": b64(bytes(range(32))),
    "CLIENT_SECRET": CLIENT_SECRET,
    "CLIENT_SECRET_2": CLIENT_SECRET + "-elsewhere",
    "ANN_PASSWORD": "correct horse battery staple",
    "ANN_PASSWORD_2": "another horse, another battery",
    "BEN_PASSWORD": "a staple of no correct horse",
    "BEN_PASSWORD_2": "nobody's horse but globex's",
    **SECRETS,
}
PEER = "203.0.113.7"
AGES = 10**15  # milliseconds: the clocks of these nodes stand where a test puts them, and the database's does not

P = ParamSpec("P")
T = TypeVar("T")
Headers = Iterable[tuple[str, str]]
Form = Mapping[str, str | tuple[str, ...] | None]


class Time:
    """Where all clocks of a deployment stand."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def pass_(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds


class NodeClock:
    """One node's clock: everybody's time, dice of its own."""

    def __init__(self, time: Time, seed: str) -> None:
        self._time = time
        self._dice = SeededDice(seed)
        self._ids = IdMaker(self._dice)

    def moment(self) -> Moment:
        """Return the present moment."""
        return Moment(self._time.now * 1000, self._dice, self._ids)


@dataclass(frozen=True)
class Answer:
    """A response, down to its bytes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header that may come once, or None."""
        found = self.every(name)
        assert len(found) < 2, f"{name} came {len(found)} times"
        return found[0] if found else None

    def every(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for other, value in self.headers if other == name]

    @property
    def json(self) -> dict[str, Any]:
        """The members of a JSON body."""
        assert self.header("content-type") == "application/json", self
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def error(self) -> tuple[int, str]:
        """Status and error code."""
        return self.status, str(self.json["error"])

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def basic(name: str, secret: str = CLIENT_SECRET) -> tuple[str, str]:
    """The header of HTTP Basic authentication, form-encoded first (RFC 6749 §2.3.1)."""
    return "authorization", "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()


def bearer(token: str) -> tuple[str, str]:
    """The header with an access token."""
    return "authorization", f"Bearer {token}"


@dataclass
class Node:
    """One process of a deployment: its house, its gate and what it logged."""

    house: House
    time: Time
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = application(self.house)

    async def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Headers = (),
        body: bytes = b"",
        host: str | None = ACME,
        peer: str = PEER,
        parts: Iterable[bytes] | None = None,
    ) -> Answer:
        """Send one request to the gate and return its response."""
        path, _, query = target.partition("?")
        named = [] if host is None else [(b"host", host.encode("latin-1"))]
        sent = [*named, *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)]
        pieces = [body] if parts is None else list(parts)
        incoming: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        incoming[-1]["more_body"] = False
        outgoing: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            outgoing.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": sent,
            "client": (peer, 50_000),
            "server": ("127.0.0.1", 8600),
        }
        await self.gate(scope, receive, send)
        return _answered(outgoing)

    async def get(self, target: str, *headers: tuple[str, str], host: str = ACME) -> Answer:
        """GET."""
        return await self.ask("GET", target, headers=headers, host=host)

    async def post(self, target: str, form: Form, *headers: tuple[str, str], host: str = ACME, peer: str = PEER) -> Answer:
        """POST a form; a tuple repeats a field, None leaves it out."""
        pairs = [
            (name, one) for name, value in form.items() if value is not None for one in ((value,) if isinstance(value, str) else value)
        ]
        kind = ("content-type", "application/x-www-form-urlencoded")
        return await self.ask("POST", target, headers=(kind, *headers), body=urlencode(pairs).encode(), host=host, peer=peer)

    async def manage(self, tenant: int, act: Callable[Concatenate[Deed, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what an admin does, and let this node hear of it; others hear within a second (`hear`)."""

        async def unit(tx: Tx) -> T:
            return await act(Deed(tx, self.house.clock.moment(), tenant, "us_admin"), *args, **kwargs)

        done = await self.house.store.run(unit)
        await self.hear()
        return done

    async def hear(self) -> None:
        """Let the second pass after which a node has heard of what others changed."""
        await self.house.feed.look()

    async def number(self, text: str, **args: int | str | None) -> int | None:
        """Read one number from the store."""
        return await self.house.store.one(Query(int, text), **args)

    async def apply(self, text: str) -> None:
        """Make a platform file's text true."""
        store = self.house.store
        await apply(store, read_text(text, HERE / "platform.toml"), self.house.clock.moment(), ENVIRON, "operator", self.house.wrapper)
        await self.hear()

    async def tenant(self, host: str = ACME) -> int:
        """Return the tenant that answers at a host."""
        issuer = await self.house.sites.find(host.encode())
        assert issuer is not None
        return issuer.tenant

    @property
    def counts(self) -> dict[str, int]:
        """What was asked of the store so far."""
        counts = self.house.store.counts
        return {name: getattr(counts, name) for name in ("reads", "listings", "verbs", "units", "commits")}

    @asynccontextmanager
    async def unmoved(self) -> AsyncIterator[None]:
        """A block in which the node does not look whether something changed: what is counted in it is what was asked for."""
        async with self.house.feed._turn:
            yield


def _answered(outgoing: list[Message]) -> Answer:
    assert [message["type"] for message in outgoing] == ["http.response.start", "http.response.body"], outgoing
    start, end = outgoing
    assert not end.get("more_body")
    heads = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    answer = Answer(start["status"], heads, end.get("body", b""))
    for name, value in heads:
        assert name == name.lower()
        assert "\r" not in value + name, "a header may not begin another one"
        assert "\n" not in value + name, "a header may not begin another one"
    return answer


# ---------------------------------------------------------------- stores


def loaded(url: str, options: Mapping[str, object] | None = None) -> Loaded:
    """The settings of a deployment over a store; `options` go by their dotted names."""
    chosen = {"store.url": url, "store.synchronous": "normal", **(options or {})}
    return load({"GATEWRIGHT_KEY": ENVIRON["GATEWRIGHT_KEY"]}, options=chosen)


@asynccontextmanager
async def open_nodes(
    url: str, count: int = 1, *, name: str = "node", options: Mapping[str, object] | None = None
) -> AsyncIterator[list[Node]]:
    """Open houses over one prepared store."""
    time = Time()
    async with AsyncExitStack() as stack:
        found = []
        for number in range(count):
            clock = NodeClock(time, f"{name} {number}")
            lines: list[str] = []
            log = Log(clock, style="json", level=Level.DEBUG, write=lines.append)
            house = await stack.enter_async_context(open_house(loaded(url, options), clock, log, ENVIRON))
            house.passwords.patience = 60  # whether a machine hashes in time is not what these tests ask
            found.append(Node(replace(house, jobs_skew_ms=AGES), time, lines))
        yield found


async def furnish(url: str, *texts: str) -> None:
    """Migrate a new store and make platforms true in it; their signing keys are there too, since an RSA key takes long to make."""
    clock = NodeClock(Time(), "furnishing")
    await prepare(loaded(url), clock, Log(clock, write=lambda _line: None), ENVIRON)
    async with open_nodes(url, name="furnishing") as (node,):
        for text in texts:
            await node.apply(text)
        for host in (ACME, GLOBEX):
            answer = await node.get("/jwks", host=host)
            assert answer.status in (200, 421)


def platform(name: str) -> str:
    """Return the text of a platform that lies beside this file."""
    return (HERE / f"{name}.toml").read_text(encoding="utf-8")


@cache
def template() -> Path:
    """Return the SQLite file with both tenants that each test copies."""
    folder = Path(tempfile.mkdtemp(prefix="gw-house-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "store.sqlite3"
    with ThreadPoolExecutor(1) as elsewhere:  # a loop may be running here
        elsewhere.submit(asyncio.run, furnish(f"sqlite://{file}", platform("acme"), platform("globex"))).result()
    return file


def sqlite_copy(folder: Path) -> str:
    """Copy the template into a folder and return the copy's URL."""
    file = folder / "store.sqlite3"
    shutil.copyfile(template(), file)
    return f"sqlite://{file}"


_FURNISHED: dict[str, str] = {}


def postgres_copy(on: Server) -> str:
    """Copy the database with both tenants on a server and return the copy's URL; called where no loop runs."""
    if on.url not in _FURNISHED:
        url = on.database()
        asyncio.run(furnish(url, platform("acme"), platform("globex")))
        _FURNISHED[on.url] = name_of(url)
    return on.database(_FURNISHED[on.url])
