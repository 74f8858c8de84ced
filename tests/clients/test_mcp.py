"""The official MCP SDK on both sides: a client that signs in at a real server, and an MCP server that the guard stands before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import httpx2
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client

from examples.mcp.client import CLIENT_ID, Loopback, Memory, run, said, signing_in
from examples.mcp.server import acme_notes
from gatewright_guard.guard import Guard
from tests.support.running import Deployment, Node, free_port
from tests.support.visitor import Visitor

SECRETS: Final = {"NOTES_API_SECRET": "secret-of-the-notes-api-0123456789abcdef", "PASSWORD": "organizer-demo"}
FORMATS: Final = ("jwt", "opaque")

PLATFORM: Final = """
[tenant]
slug    = "acme"
name    = "Acme"
domains = ["{issuer}"]

[[apis]]
audience = "%s"
name     = "Acme Notes"
roles    = "off"
token    = { format = "%s", lifetime = "15m" }
secret   = { env = "NOTES_API_SECRET" }
[apis.scopes]
"read:notes"  = "Read the notes of your account"
"write:notes" = { text = "Write notes into your account", implies = ["read:notes"] }

[[apis]]
audience = "https://bank.acme.test"
name     = "Acme Bank"
roles    = "off"
token    = { format = "%s", lifetime = "15m" }
[apis.scopes]
"read:balance" = "See the balance of your bank accounts"

[[accounts]]
slug = "acme-dev"
name = "Acme (Dev)"

[[accounts]]
slug = "acme-prod"
name = "Acme (Prod)"

[[users]]
email       = "organizer@acme.test"
name        = "An organizer"
password    = { env = "PASSWORD" }
memberships = [{ account = "acme-dev" }, { account = "acme-prod" }]

[[clients]]
client_id     = "notes-assistant"
client_name   = "Notes assistant"
type          = "native"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback"]
scopes        = ["offline_access", "read:notes", "write:notes", "read:balance"]
token_endpoint_auth_method = "none"
"""


@dataclass(slots=True)
class Place:
    """A running authorization server, and where the MCP server that it issues tokens for is to be."""

    node: Node
    port: int

    @property
    def issuer(self) -> str:
        return self.node.deployment.issuer

    @property
    def url(self) -> str:
        """The address of the MCP server, which is its audience too."""
        return f"http://127.0.0.1:{self.port}/mcp"


@pytest.fixture(scope="module", params=FORMATS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port = free_port()
    deployment = Deployment(tmp_path_factory.mktemp("mcp"), secrets=SECRETS)
    text = PLATFORM % (f"http://127.0.0.1:{port}/mcp", request.param, request.param)
    with deployment.prepare(text).serve() as node:
        yield Place(node, port)


@dataclass(slots=True)
class Watch:
    """The guard's clock: the real one, and seconds that a test adds."""

    ahead: float = 0

    def __call__(self) -> float:
        return httpx_now() + self.ahead


def httpx_now() -> float:
    import time

    return time.time()


@asynccontextmanager
async def notes(place: Place, watch: Watch | None = None) -> AsyncIterator[None]:
    """Serve the example's MCP server on its real address."""
    guard = Guard(place.issuer, place.url, credentials=(place.url, SECRETS["NOTES_API_SECRET"]), max_stale=0, clock=watch or Watch())
    app: Any = acme_notes(guard).app()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[socket.create_server(("127.0.0.1", place.port))]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@dataclass(slots=True)
class Person:
    """Somebody at the browser: signs in, answers what is asked, and lets the browser go back to the client."""

    place: Place
    allow: bool = True
    account: str = "acme-dev"
    asked: list[dict[str, str]] = field(default_factory=list)
    seen: list[list[str]] = field(default_factory=list)
    kept: httpx.Cookies = field(default_factory=httpx.Cookies)

    async def __call__(self, url: str) -> None:
        """Open an address."""
        self.asked.append(dict(parse_qsl(urlsplit(url).query)))
        await asyncio.to_thread(self._browse, url)

    def _browse(self, url: str) -> None:
        with self.place.node.client() as http:
            http.cookies = self.kept
            visitor = Visitor(http, self.place.issuer, account=self.account, allow=self.allow)
            arrived = visitor.authorize(url.removeprefix(self.place.issuer))
            self.kept = http.cookies
            self.seen.append(list(visitor.seen))
        assert httpx.get(arrived.full, trust_env=False).status_code == 200


@dataclass(slots=True)
class Wire:
    """What the client sent, and how it was answered."""

    exchanges: list[tuple[str, str, int]] = field(default_factory=list)
    challenges: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)

    async def answered(self, response: httpx2.Response) -> None:
        """Remember an answer."""
        request = response.request
        self.exchanges.append((request.method, request.url.path, response.status_code))
        if "www-authenticate" in response.headers:
            self.challenges.append(response.headers["www-authenticate"])
        if request.url.path == "/token":
            self.forms.append(dict(parse_qsl(request.content.decode())))


@dataclass(slots=True)
class Connection:
    """A client that is connected, with everything that a test looks at."""

    client: Client
    auth: OAuthClientProvider
    memory: Memory
    person: Person
    wire: Wire

    async def call(self, name: str, **arguments: str) -> str:
        return said(await self.client.call_tool(name, arguments))

    @property
    def token(self) -> str:
        assert self.memory.tokens is not None
        return self.memory.tokens.access_token

    @property
    def scopes(self) -> set[str]:
        assert self.memory.tokens is not None
        return set((self.memory.tokens.scope or "").split())


@asynccontextmanager
async def connected(place: Place, person: Person | None = None) -> AsyncIterator[Connection]:
    person, wire, memory = person or Person(place), Wire(), Memory(CLIENT_ID)
    async with Loopback().listening() as loopback:
        auth = signing_in(place.url, memory, loopback, person)
        hooks: Any = {"response": [wire.answered]}
        async with (
            httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False, event_hooks=hooks) as http,
            Client(streamable_http_client(place.url, http_client=http)) as client,
        ):
            yield Connection(client, auth, memory, person, wire)


async def test_spike(place: Place) -> None:
    async with notes(place), connected(place) as there:
        print([t.name for t in (await there.client.list_tools()).tools])
        print(await there.call("read_notes"))
        print(await there.call("write_note", account="acme-dev", text="x"))
        print(there.wire, there.person.asked, there.person.seen, there.scopes)
