"""The guard in front of an MCP server, called in process: who may send which message, and what the server gets to see of it."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response

from gatewright_guard.asgi import App
from gatewright_guard.decide import Allowed, needs
from gatewright_guard.guard import Guard, Request
from gatewright_guard.mcp import MAX_BODY, GuardedServer, _application, caller_of
from gatewright_guard.resource import Description
from tests.guard.makers import ISSUER, a_key, a_token
from tests.guard.proofs import a_proof, thumbprint_of
from tests.guard.sdk import ASKS, PROTOCOL, SETTINGS, Context, MCPServer
from tests.guard.server import CREDENTIALS, AClock, AServer

RESOURCE: Final = "https://mcp.acme.test/bank"
METADATA: Final = "https://mcp.acme.test/.well-known/oauth-protected-resource/bank"
ANY_HOST: Final = TransportSecuritySettings(enable_dns_rebinding_protection=False)


def token(**changes: object) -> str:
    return a_token(**{"aud": RESOURCE, **changes})  # type: ignore[arg-type]


def a_guard(server: AServer | None = None, **settings: Any) -> Guard:  # noqa: ANN401 - Guard's own
    server = server or AServer()
    said: dict[str, Any] = {"credentials": CREDENTIALS, "http": server.client(), "clock": AClock()} | settings
    return Guard(ISSUER, RESOURCE, **said)


def a_server(guard: Guard | None = None, **settings: Any) -> GuardedServer:  # noqa: ANN401 - GuardedServer's own
    guard = guard or a_guard()
    bank = GuardedServer(MCPServer("Acme Bank"), guard, **{"scopes": ["read:balance"]} | settings)

    @bank.tool("read:balance")
    async def balance(ctx: Context) -> str:
        return f"{caller_of(ctx).sub} by {caller_of(ctx).client_id}"

    @bank.tool("read:balance", "transfer:funds", account_in="account", name="send")
    async def transfer(account: str, amount: int = 1) -> str:
        return f"{amount} from {account}"

    @bank.tool(any_of=["read:balance", "transfer:funds"])
    async def either() -> str:
        return "done"

    @bank.tool("read:balance", acr=["2"])
    async def close() -> str:
        return "closed"

    @bank.tool()
    async def headers(ctx: Context) -> list[str]:
        request: Any = ctx.request_context.request
        return [f"{name}: {value}" for name, value in request.headers.items()]

    @bank.server.resource("bank://rates")
    async def rates() -> str:
        return "3.5 %"

    return bank


@asynccontextmanager
async def calling(bank: GuardedServer | None = None, app: App | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that is running, started and stopped as a server does."""
    app = app or (bank or a_server()).app(**SETTINGS)
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    running: asyncio.Task[None] = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, said.get, told.put))  # type: ignore[arg-type]
    await said.put({"type": "lifespan.startup"})
    started = await told.get()
    if started["type"] != "lifespan.startup.complete":
        running.cancel()
        raise RuntimeError(started.get("message", ""))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://mcp.acme.test") as client:
            yield client
    finally:
        await said.put({"type": "lifespan.shutdown"})
        await running


def call(name: str, **arguments: object) -> dict[str, Any]:
    """A message that calls a tool, as the present protocol has it."""
    return message("tools/call", name=name, arguments=arguments)


def message(method: str, **params: object) -> dict[str, Any]:
    meta: dict[str, object] = {"io.modelcontextprotocol/protocolVersion": PROTOCOL, "io.modelcontextprotocol/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}


async def send(client: httpx.AsyncClient, body: object, bearer: str | None, path: str = "/bank", **headers: str) -> httpx.Response:
    fields = {"accept": "application/json, text/event-stream", "content-type": "application/json", **headers}
    if isinstance(body, dict) and "method" in body:
        fields |= {"mcp-protocol-version": PROTOCOL, "mcp-method": body["method"]}
        if "name" in body.get("params", {}):
            fields["mcp-name"] = body["params"]["name"]
        if "uri" in body.get("params", {}):
            fields["mcp-name"] = body["params"]["uri"]
    if bearer is not None:
        fields["authorization"] = f"Bearer {bearer}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(path, content=content, headers=fields)


def text_of(reply: httpx.Response) -> str:
    """What a tool said."""
    said: str = reply.json()["result"]["content"][0]["text"]
    return said


def headers_of(reply: httpx.Response) -> dict[str, str]:
    """What the tool `headers` saw, each once."""
    lines = reply.json()["result"]["structuredContent"]["result"]
    seen = dict(line.split(": ", 1) for line in lines)
    assert len(seen) == len(lines)
    return seen


READS: Final = token()
SENDS: Final = token(scope="read:balance transfer:funds")
NOTHING: Final = token(scope="openid")


@pytest.mark.parametrize(
    ("body", "bearer", "status", "cause"),
    [
        (message("tools/list"), None, 401, "token_missing"),
        (message("tools/list"), NOTHING, 200, None),
        (message(ASKS), None, 401, "token_missing"),
        (message(ASKS), NOTHING, 200, None),
        (message("resources/list"), NOTHING, 200, None),
        (call("balance"), None, 401, "token_missing"),
        (call("balance"), READS, 200, None),
        (call("balance"), "gwa_bad", 401, "invalid_token"),
        (call("balance"), token(exp=1), 401, "token_expired"),
        (call("balance"), token(aud="https://bank.acme.test"), 401, "wrong_audience"),
        (call("balance"), token(aud="https://mcp.acme.test"), 401, "wrong_audience"),
        (call("balance"), token(iss="https://id.other.test"), 401, "invalid_token"),
        (call("balance"), NOTHING, 403, "insufficient_scope"),
        (call("send", account="acme-dev"), READS, 403, "insufficient_scope"),
        (call("send", account="acme-dev"), SENDS, 200, None),
        (call("send", account="ac_1"), SENDS, 200, None),
        (call("send", account="acme-prod"), SENDS, 403, "wrong_account"),
        (call("send", account=["acme-dev"]), SENDS, 403, "wrong_account"),
        (call("send"), SENDS, 403, "wrong_account"),
        (call("either"), READS, 200, None),
        (call("either"), NOTHING, 403, "insufficient_scope"),
        (call("headers"), NOTHING, 200, None),
    ],
)
async def test_a_message_needs_what_its_tool_needs(body: dict[str, Any], bearer: str | None, status: int, cause: str | None) -> None:
    async with calling() as client:
        reply = await send(client, body, bearer)
    assert reply.status_code == status, reply.text
    if cause is None:
        assert "result" in reply.json()
    else:
        assert reply.json()["cause"] == cause
        assert reply.headers["www-authenticate"].endswith(f', resource_metadata="{METADATA}"')


@pytest.mark.proves("RFC 6750", "3")
@pytest.mark.proves("RFC 9728", "5.1")
async def test_a_challenge_names_the_scopes_to_begin_with_or_all_that_the_tool_needs() -> None:
    async with calling() as client:
        stranger = await send(client, call("send", account="acme-dev"), None)
        lacking = await send(client, call("send", account="acme-dev"), NOTHING)
    assert stranger.headers["www-authenticate"] == f'Bearer realm="{RESOURCE}", scope="read:balance", resource_metadata="{METADATA}"'
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert 'scope="read:balance transfer:funds"' in lacking.headers["www-authenticate"]


async def test_a_client_whose_token_is_over_learns_at_once_what_its_tool_needs_besides() -> None:
    async with calling() as client:
        over = await send(client, call("send", account="acme-dev"), token(exp=1))
        weak = await send(client, call("close"), READS)
    assert 'scope="read:balance transfer:funds"' in over.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in weak.headers["www-authenticate"]
    assert 'acr_values="2"' in weak.headers["www-authenticate"]
    assert weak.status_code == 401


async def test_a_token_in_the_address_is_refused() -> None:
    async with calling() as client:
        assert (await client.post(f"/bank?access_token={READS}", json=call("balance"))).status_code == 400
        assert (await client.get(f"/bank?access_token={READS}", headers={"authorization": f"Bearer {READS}"})).status_code == 400


async def test_a_bound_token_with_its_proof_is_good_at_a_tool() -> None:
    bound = token(cnf={"jkt": thumbprint_of(a_key(kid="holder"))})
    async with calling() as client:
        for name, status, jti in (("balance", 200, "p1"), ("balance", 401, "p1"), ("send", 403, "p2")):
            proof = a_proof(bound, htm="POST", htu=RESOURCE, jti=jti)
            reply = await send(client, call(name, account="acme-dev"), None, authorization=f"DPoP {bound}", dpop=proof)
            assert reply.status_code == status, reply.text
        assert (await send(client, call("balance"), bound)).json()["cause"] == "token_bound"


async def test_a_rule_of_the_servers_own_sees_the_message() -> None:
    def small(_: Allowed, request: Request) -> bool | str:
        message: Any = request.native
        return message["params"]["arguments"]["amount"] <= 10 or "No more than 10 at once."

    async with calling(a_server(a_guard(allow=small))) as client:
        assert text_of(await send(client, call("send", account="acme-dev", amount=10), SENDS)) == "10 from acme-dev"
        refused = await send(client, call("send", account="acme-dev", amount=11), SENDS)
    assert (refused.status_code, refused.json()["detail"]) == (403, "No more than 10 at once.")


async def test_the_reason_of_the_server_reaches_the_client() -> None:
    server = AServer(whys={READS: {"cause": "role_lacks_scope", "detail": "No role of this user has transfer:funds."}})
    async with calling(a_server(a_guard(server))) as client:
        reply = await send(client, call("send", account="acme-dev"), READS)
    assert (reply.status_code, reply.json()["cause"]) == (403, "role_lacks_scope")


@pytest.mark.proves("RFC 9728", "2")
@pytest.mark.proves("RFC 9728", "3.1")
async def test_the_metadata_is_for_everybody() -> None:
    described = Description(name="Acme Bank", documentation="https://acme.test/docs")
    async with calling(a_server(a_guard(description=described))) as client:
        reply = await client.get("/.well-known/oauth-protected-resource/bank")
        head = await client.head("/.well-known/oauth-protected-resource/bank")
        refused = await client.post("/.well-known/oauth-protected-resource/bank")
    said = reply.json()
    assert (said["resource"], said["authorization_servers"], said["scopes_supported"]) == (RESOURCE, [ISSUER], ["read:balance"])
    assert (said["resource_name"], said["resource_documentation"]) == ("Acme Bank", "https://acme.test/docs")
    assert (reply.headers["content-type"], reply.headers["access-control-allow-origin"]) == ("application/json", "*")
    assert (head.status_code, head.content, refused.status_code) == (200, b"", 401)


async def test_a_server_without_a_path_has_its_metadata_at_the_root() -> None:
    bank = GuardedServer(MCPServer("Acme Bank"), Guard(ISSUER, "https://mcp.acme.test"), scopes=["read:balance"])
    assert (bank.path, bank.resource.url) == ("/", "https://mcp.acme.test/.well-known/oauth-protected-resource")
    async with calling(bank) as client:
        assert (await client.get("/.well-known/oauth-protected-resource")).json()["resource"] == "https://mcp.acme.test"
        assert (await client.post("/")).status_code == 401


# ---------------------------------------------------------------- what the server gets to see


async def test_a_tool_knows_who_calls_and_never_sees_the_token() -> None:
    async with calling() as client:
        assert text_of(await send(client, call("balance"), READS)) == "us_1 by budget-buddy"
        bound = token(cnf={"jkt": thumbprint_of(a_key(kid="holder"))})
        proof = a_proof(bound, htm="POST", htu=RESOURCE)
        plain = headers_of(await send(client, call("headers"), READS))
        proved = headers_of(await send(client, call("headers"), None, authorization=f"DPoP {bound}", dpop=proof))
    for seen in (plain, proved):
        assert "mcp-method" in seen
        assert {"authorization", "dpop"}.isdisjoint(seen)
        # The message was written anew, without the spaces that this client put into it.
        assert int(seen["content-length"]) < len(json.dumps(call("headers")))


async def test_what_was_decided_about_is_what_the_server_gets() -> None:
    # The same member twice: some parsers take the first, some the last.
    twice = json.dumps(call("balance")).replace('"name": "balance"', '"name": "send", "name": "balance"').encode()
    fields = {"mcp-protocol-version": PROTOCOL, "mcp-method": "tools/call", "mcp-name": "balance"}
    async with calling() as client:
        assert text_of(await send(client, twice, READS, **fields)) == "us_1 by budget-buddy"
        last = twice.replace(b'"name": "send", "name": "balance"', b'"name": "balance", "name": "send"')
        assert (await send(client, last, READS, **fields)).status_code == 403


async def test_one_who_opened_a_session_is_the_only_one_to_go_on_with_it() -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    opening = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
    listing = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).encode()
    other = "https://id.other.test"
    async with calling(app=a_server(a_guard(other_issuers=[other])).app(json_response=True)) as client:
        opened = await send(client, opening, READS)
        session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        assert (await send(client, b'{"jsonrpc":"2.0","method":"notifications/initialized"}', READS, **session)).status_code == 202
        assert (await send(client, listing, token(jti="j2"), **session)).status_code == 200
        assert (await send(client, listing, token(sub="us_2"), **session)).status_code == 404
        assert (await send(client, listing, token(client_id="weekly-report"), **session)).status_code == 404
        assert (await send(client, listing, token(iss=other), **session)).status_code == 404
        for bearer, status in ((None, 401), (token(sub="us_2"), 404), (READS, 200)):
            headers = session if bearer is None else {**session, "authorization": f"Bearer {bearer}"}
            assert (await client.delete("/bank", headers=headers)).status_code == status


# ---------------------------------------------------------------- what reaches no tool


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, -32700),
        (b"{", 400, -32700),
        (b"\xff\xfe", 400, -32700),
        (json.dumps(call("balance")).encode("utf-16"), 400, -32700),
        (b'{"id":1,"method":"tools/list","params":{"a":' + b"[" * 50_000, 400, -32700),
        (b"null", 400, -32600),
        (b"[]", 400, -32600),
        (json.dumps([call("send", account="acme-dev")]).encode(), 400, -32600),
        (b'{"id":7,"method":["tools/call"]}', 400, -32600),
        (b'{"id":7,"method":null,"params":{"name":"send"}}', 400, -32600),
        (b'{"id":7,"method":"tools/call"}', 200, -32602),
        (b'{"id":7,"method":"tools/call","params":[]}', 200, -32602),
        (b'{"id":7,"method":"tools/call","params":{"name":null}}', 200, -32602),
        (json.dumps(call("Balance")).encode(), 200, -32602),
        (json.dumps(message("resources/read", uri="bank://rates")).encode(), 200, -32601),
        (json.dumps(message("prompts/get", name="x")).encode(), 200, -32601),
        (json.dumps(message("tools/call ")).encode(), 200, -32601),
        (b'"' + b"x" * MAX_BODY, 413, -32600),
    ],
)
async def test_what_no_rule_names_or_nobody_can_read_reaches_no_tool(body: bytes, status: int, code: int) -> None:
    async with calling() as client:
        stranger = await send(client, body, None)
        reply = await send(client, body, SENDS)
    assert stranger.status_code == 401
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["id"] == (7 if status == 200 else None)


async def test_a_message_that_its_sender_broke_off_is_not_carried_out() -> None:
    door = a_server().app(json_response=True)
    arriving: list[dict[str, Any]] = [
        {"type": "http.request", "body": json.dumps(call("balance")).encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return arriving.pop(0)

    async def told(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    headers = [(b"authorization", f"Bearer {READS}".encode()), (b"host", b"mcp.acme.test")]
    await door({"type": "http", "method": "POST", "path": "/bank", "query_string": b"", "headers": headers}, receive, told)
    assert sent[0]["status"] == 400


async def test_a_number_that_json_can_hold_and_we_cannot_is_no_message() -> None:
    async with calling() as client:
        reply = await send(client, b'{"id":7,"method":"tools/list","params":{"n":' + b"9" * 400 + b"}}", READS)
    assert reply.status_code == 400


async def test_a_method_that_hands_out_content_is_opened_by_name() -> None:
    body = message("resources/read", uri="bank://rates")
    async with calling(a_server(methods={"resources/read": needs("read:rates")})) as client:
        assert (await send(client, body, READS)).status_code == 403
        reply = await send(client, body, token(scope="read:rates"))
    assert reply.json()["result"]["contents"][0]["text"] == "3.5 %"


async def well(_: HttpRequest) -> Response:
    return PlainTextResponse("well")


@pytest.mark.parametrize(
    ("method", "path", "without", "with_read"),
    [
        ("GET", "/health", 200, 200),
        ("GET", "/secret", 401, 403),
        ("GET", "/bank/more", 401, 403),
        ("GET", "//bank", 401, 403),
        ("GET", "/bank/%2e%2e/bank", 401, 403),
        ("PUT", "/bank", 401, 405),
        ("POST", "/bank/", 401, 400),
    ],
)
async def test_every_other_path_is_shut_unless_it_is_named(method: str, path: str, without: int, with_read: int) -> None:
    bank = a_server(open_paths=["/health"])
    for route in ("/health", "/secret", "/bank/more"):
        bank.server.custom_route(route, ["GET"])(well)
    async with calling(bank) as client:
        assert (await client.request(method, path)).status_code == without
        reply = await client.request(method, path, headers={"authorization": f"Bearer {READS}"})
    assert reply.status_code == with_read


async def test_a_server_answers_under_its_own_name_and_to_its_own_pages() -> None:
    async with calling() as client:
        assert (await send(client, call("balance"), READS, host="rebound.test")).status_code == 421
        assert (await send(client, call("balance"), READS, origin="https://evil.test")).status_code == 403
        assert (await send(client, call("balance"), READS, origin="https://mcp.acme.test")).status_code == 200
    async with calling(app=a_server().app(transport_security=ANY_HOST, **SETTINGS)) as client:
        assert (await send(client, call("balance"), READS, host="rebound.test")).status_code == 200


# ---------------------------------------------------------------- slips of who writes the server


async def test_a_tool_whose_scopes_nobody_said_keeps_the_server_from_starting() -> None:
    bank = a_server()

    @bank.server.tool()
    async def forgotten() -> str:
        return "open to everybody"

    with pytest.raises(RuntimeError, match="no scopes are said for the tools forgotten"):
        async with calling(bank):
            pass


def test_a_slip_is_told_where_it_is_made() -> None:
    bank = a_server()
    with pytest.raises(ValueError, match="two tools named 'balance'"):
        bank.tool("transfer:funds", name="balance")(lambda: "another")
    with pytest.raises(ValueError, match="no argument 'account'"):
        bank.tool("read:balance", account_in="account", name="slip")(lambda slug: slug)
    with pytest.raises(ValueError, match="no scope"):
        bank.tool("two words")
    with pytest.raises(TypeError, match="not one text"):
        a_server(scopes="read:balance")
    with pytest.raises(ValueError, match="said with the tool"):
        a_server(methods={"tools/call": needs("x")})
    with pytest.raises(ValueError, match="https address"):
        GuardedServer(MCPServer("x"), Guard(ISSUER, "urn:bank"), scopes=["x"])
    with pytest.raises(ValueError, match="description"):
        GuardedServer(MCPServer("x"), Guard(ISSUER, RESOURCE, description=None), scopes=["x"])


async def test_a_tool_that_is_served_without_the_guard_does_not_know_who_calls() -> None:
    bank = a_server()
    async with calling(app=_application(bank.server, "/bank", {"transport_security": ANY_HOST, **SETTINGS})) as client:
        reply = await send(client, call("balance"), READS)
    assert reply.json()["result"]["isError"] is True


async def test_the_guard_stops_with_the_server() -> None:
    guard = Guard(ISSUER, RESOURCE)
    async with calling(GuardedServer(MCPServer("Acme Bank"), guard, scopes=["read:balance"])):
        assert not guard._http.is_closed
    assert guard._http.is_closed
