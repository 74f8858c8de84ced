"""The official MCP SDK on both sides: a client that signs in at a real server, and an MCP server that the guard stands before."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import httpx2
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthRegistrationError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider, PrivateKeyJWTOAuthProvider, SignedJWTParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from examples.mcp.client import CLIENT_ID, Loopback, Memory, run, said, signing_in
from examples.mcp.server import acme_notes
from gatewright.oauth.pkce import challenge_of
from gatewright_guard.guard import Guard
from tests.clients.platform import PRIVATE_KEYS
from tests.support.platforms import acme, jwks
from tests.support.running import Deployment, Node, free_port
from tests.support.visitor import Visitor

SECRETS: Final = {
    "NOTES_API_SECRET": "secret-of-the-notes-api-0123456789abcdef",
    "ROBOT_SECRET": "secret of the robot, which is long: +%&",
    "PASSWORD": "organizer-demo",
}
KEY: Final = PRIVATE_KEYS["ES256"]
VERIFIER: Final = "a-verifier-that-is-long-enough-for-rfc-7636-4.1"
FORMATS: Final = ("jwt", "opaque")

PLATFORM: Final = acme(
    {"acme-dev": [], "acme-prod": []},
    """
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

[[clients]]
client_id     = "notes-assistant"
client_name   = "Notes assistant"
type          = "native"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback"]
scopes        = ["offline_access", "read:notes", "write:notes", "read:balance"]
token_endpoint_auth_method = "none"

[[clients]]
client_id   = "robot"
client_name = "A robot"
type        = "service"
scopes      = ["read:notes", "write:notes"]
account     = "acme-dev"
secret      = { env = "ROBOT_SECRET" }

[[clients]]
client_id   = "robot-with-a-key"
client_name = "A robot with a key"
type        = "service"
scopes      = ["read:notes", "write:notes"]
account     = "acme-dev"
jwks        = %s
token_endpoint_auth_method = "private_key_jwt"
""",
)


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


@contextmanager
def placed(folder: Path, token_format: str) -> Iterator[Place]:
    """A server, and a place for an MCP server whose tokens have this format."""
    port = free_port()
    text = PLATFORM % (f"http://127.0.0.1:{port}/mcp", token_format, token_format, jwks(KEY))
    with Deployment(folder, secrets=SECRETS).prepare(text).serve() as node:
        yield Place(node, port)


@pytest.fixture(scope="module", params=FORMATS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("mcp"), request.param) as place:
        yield place


@dataclass(slots=True)
class Watch:
    """The guard's clock: the real one, and seconds that a test adds."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def notes(place: Place, **settings: Any) -> AsyncIterator[None]:  # noqa: ANN401 - the guard's own
    """Serve the example's MCP server on its real address, with a guard that asks the server anew each time it asks it."""
    guard = Guard(place.issuer, place.url, credentials=(place.url, SECRETS["NOTES_API_SECRET"]), max_stale=0, **settings)
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
async def connected(
    place: Place, person: Person | None = None, mode: str = "auto", registered_at: str | None = None
) -> AsyncIterator[Connection]:
    """A client that signs in as soon as it must."""
    person, wire, memory = person or Person(place), Wire(), Memory(registered_at or place.issuer, CLIENT_ID)
    async with Loopback().listening() as loopback:
        auth = signing_in(place.url, memory, loopback, person)
        hooks: Any = {"response": [wire.answered]}
        async with (
            httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False, event_hooks=hooks) as http,
            Client(streamable_http_client(place.url, http_client=http), mode=mode) as client,
        ):
            yield Connection(client, auth, memory, person, wire)


@asynccontextmanager
async def carrying(place: Place, token: str) -> AsyncIterator[Client]:
    """A client that has a token from somewhere and asks nobody for another."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(place.url, http_client=http)) as client,
    ):
        yield client


def bought(place: Place, scope: str, resource: str) -> str:
    """An access token, from the sign-in page to the token endpoint."""
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": "http://127.0.0.1:1/callback",
        "response_type": "code",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "scope": scope,
        "resource": resource,
    }
    with place.node.client() as http:
        arrived = Visitor(http, place.issuer).authorize("/authorize", **asked)
        form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "redirect_uri": asked["redirect_uri"]}
        form |= {"code": arrived.params["code"], "code_verifier": VERIFIER, "resource": resource}
        token: str = http.post("/token", data=form).json()["access_token"]
    return token


async def posted(place: Place, token: str | None, method: str = "tools/list") -> httpx.Response:
    """How the MCP server answers a message, on the wire."""
    headers = {"accept": "application/json, text/event-stream"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(place.url, json={"jsonrpc": "2.0", "id": 1, "method": method}, headers=headers)


# ---------------------------------------------------------------- the way in


@pytest.mark.proves("RFC 9728", "5.1")
async def test_a_client_that_knows_the_address_alone_finds_the_way_and_signs_in(place: Place) -> None:
    async with notes(place), connected(place) as there:
        assert [tool.name for tool in (await there.client.list_tools()).tools] == ["read_notes", "write_note"]
        assert await there.call("read_notes") == "Buy coffee"
    assert there.wire.exchanges[:5] == [
        ("POST", "/mcp", 401),
        ("GET", "/.well-known/oauth-protected-resource/mcp", 200),
        ("GET", "/.well-known/oauth-authorization-server", 200),
        ("POST", "/token", 200),
        ("POST", "/mcp", 200),
    ]
    metadata = f"http://127.0.0.1:{place.port}/.well-known/oauth-protected-resource/mcp"
    assert there.wire.challenges == [f'Bearer realm="{place.url}", scope="read:notes", resource_metadata="{metadata}"']
    (asked,), (form,) = there.person.asked, there.wire.forms
    assert (asked["resource"], form["resource"]) == (place.url, place.url)
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "read:notes offline_access")
    assert there.scopes == {"read:notes", "offline_access"}


async def test_a_client_of_the_older_protocol_with_sessions_signs_in_too(place: Place) -> None:
    async with notes(place), connected(place, mode="legacy") as there:
        assert await there.call("read_notes") == "Buy coffee"
        assert await there.call("write_note", account="acme-dev", text="From long ago") != ""
        assert await there.call("read_notes") == "Buy coffee · From long ago"
        assert there.client.protocol_version < "2026-07-28"


def test_both_documents_tell_an_mcp_client_what_it_must_know(place: Place) -> None:
    with place.node.client() as http:
        for path in ("oauth-authorization-server", "openid-configuration"):
            document = http.get(f"/.well-known/{path}").json()
            assert document["issuer"] == place.issuer
            assert document["code_challenge_methods_supported"] == ["S256"]
            assert document["authorization_response_iss_parameter_supported"] is True
            assert {"read:notes", "offline_access"} <= set(document["scopes_supported"])


async def test_a_user_who_says_no_stays_outside(place: Place) -> None:
    person = Person(place, allow=False)
    with pytest.RaisesGroup(pytest.RaisesExc(OAuthFlowError, match="No authorization code"), flatten_subgroups=True, allow_unwrapped=True):
        async with notes(place), connected(place, person):
            pass
    assert len(person.asked) == 1


async def test_what_one_platform_registered_is_shown_to_no_other(place: Place) -> None:
    person = Person(place)
    # It would have to register itself here, which is not offered yet.
    expected = pytest.RaisesExc(OAuthRegistrationError)
    with pytest.RaisesGroup(expected, flatten_subgroups=True, allow_unwrapped=True):
        async with notes(place), connected(place, person, registered_at="https://id.other.test"):
            pass
    assert person.asked == []


# ---------------------------------------------------------------- more scopes


@pytest.mark.proves("RFC 6750", "3.1")
async def test_a_tool_that_needs_more_sends_the_user_back_once_and_nothing_is_lost(place: Place) -> None:
    async with notes(place), connected(place) as there:
        assert await there.call("read_notes") == "Buy coffee"
        assert (await there.call("write_note", account="acme-dev", text="Buy tea")).startswith("Written into acme-dev")
        assert await there.call("read_notes") == "Buy coffee · Buy tea"
    challenge = there.wire.challenges[1]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="write:notes"' in challenge
    assert "resource_metadata=" in challenge
    assert [asked["scope"] for asked in there.person.asked] == ["read:notes offline_access", "read:notes offline_access write:notes"]
    assert there.scopes == {"read:notes", "write:notes", "offline_access"}


async def test_a_broader_scope_opens_what_a_narrower_one_opens(place: Place) -> None:
    token = bought(place, "write:notes", place.url)
    async with notes(place), carrying(place, token) as client:
        assert said(await client.call_tool("read_notes", {})) == "Buy coffee"


async def test_another_account_is_chosen_at_the_next_sign_in(place: Place) -> None:
    person = Person(place)
    async with notes(place), connected(place, person) as there:
        assert (await there.call("write_note", account="acme-dev", text="x")).startswith("Written")
        person.account = "acme-prod"
        assert (await there.call("write_note", account="acme-prod", text="x")).startswith("Written into acme-prod")
        assert await there.call("read_notes") == "Renew the certificate · x"
        asked = len(person.asked)
        with pytest.raises(MCPError):
            await there.call("write_note", account="acme-dev", text="The user chooses acme-prod again")
        assert len(person.asked) == asked + 1


# ---------------------------------------------------------------- without a user


def a_robot(place: Place, way: str) -> OAuthClientProvider:
    """What gets tokens for a client that stands for no user, in the SDK's own way (the extension for client credentials)."""
    memory = Memory(place.issuer, "robot")
    if way == "private_key_jwt":
        pem = KEY.as_pem(private=True).decode()
        signed = SignedJWTParameters(
            issuer="robot-with-a-key", subject="robot-with-a-key", signing_key=pem, signing_algorithm="ES256"
        ).create_assertion_provider()
        return PrivateKeyJWTOAuthProvider(place.url, memory, "robot-with-a-key", assertion_provider=signed, issuer=place.issuer)
    method: Any = way
    return ClientCredentialsOAuthProvider(place.url, memory, "robot", SECRETS["ROBOT_SECRET"], method, issuer=place.issuer)


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
async def test_a_client_without_a_user_gets_what_each_tool_needs(place: Place, way: str) -> None:
    auth = a_robot(place, way)
    async with (
        notes(place),
        httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(place.url, http_client=http)) as client,
    ):
        assert said(await client.call_tool("read_notes", {})) == "Buy coffee"
        assert said(await client.call_tool("write_note", {"account": "acme-dev", "text": "x"})).startswith(
            "Written into acme-dev for robot"
        )
    assert auth.context.current_tokens is not None
    assert set((auth.context.current_tokens.scope or "").split()) == {"read:notes", "write:notes"}


# ---------------------------------------------------------------- tokens that are no good


async def test_a_token_for_another_api_is_refused(place: Place) -> None:
    token = bought(place, "read:balance", "https://bank.acme.test")
    async with notes(place):
        refused = await posted(place, token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    # A sealed token says nothing to an API that it is not for.
    assert refused.json()["cause"] == ("wrong_audience" if token.startswith("eyJ") else "invalid_token")


async def test_an_expired_token_is_refused_and_the_challenge_says_how_to_go_on(place: Place) -> None:
    watch, token = Watch(), bought(place, "read:notes", place.url)
    async with notes(place, clock=watch):
        async with carrying(place, token) as client:
            assert said(await client.call_tool("read_notes", {})) == "Buy coffee"
        watch.ahead = 3600
        refused = await posted(place, token)
    assert (refused.status_code, refused.json()["cause"]) == (401, "token_expired")
    assert 'scope="read:notes", resource_metadata=' in refused.headers["www-authenticate"]


async def test_a_token_that_is_over_is_renewed_without_the_user_and_is_for_the_same_server(place: Place) -> None:
    async with notes(place), connected(place) as there:
        before = there.token
        there.auth.context.token_expiry_time = 1
        assert await there.call("read_notes") == "Buy coffee"
        assert there.token != before
    assert [form["grant_type"] for form in there.wire.forms] == ["authorization_code", "refresh_token"]
    assert there.wire.forms[1]["resource"] == place.url
    assert len(there.person.asked) == 1


@pytest.mark.parametrize("seen", ["at the server", "at the refresh"])
async def test_after_a_revocation_the_user_is_asked_again(place: Place, seen: str) -> None:
    async with notes(place, mode="opaque"), connected(place) as there:
        assert there.memory.tokens is not None
        form = {"token": there.memory.tokens.refresh_token, "client_id": CLIENT_ID}
        with place.node.client() as http:
            assert http.post("/revoke", data=form).status_code == 200
        if seen == "at the refresh":
            there.auth.context.token_expiry_time = 1
        assert await there.call("read_notes") == "Buy coffee"
    assert len(there.person.asked) == 2
    assert there.wire.exchanges.count(("POST", "/mcp", 401)) == 2


# ---------------------------------------------------------------- the example


async def test_the_example_tells_its_story(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with notes(place):
        await run(place.issuer, place.url, "acme-dev", Person(place))
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["Tools: read_notes, write_note", "Notes: Buy coffee"]
    assert told[-1] == "Notes: Buy coffee · Written by an assistant"
