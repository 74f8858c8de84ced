"""The guard in front of an ASGI application: what the rules open, and that everything else is shut."""

import json
from collections.abc import Iterable, MutableMapping
from typing import Any

import fastapi
import httpx
import pytest

from gatewright_guard.asgi import GuardMiddleware, Receive, Rule, Send
from gatewright_guard.decide import Allowed, needs
from gatewright_guard.request import Proxies
from gatewright_guard.rules import Rules
from tests.guard.makers import AUDIENCE, a_token
from tests.guard.server import AServer

READ, MOVE = needs("read:balance"), needs("transfer:funds")
RULES = (
    Rule(path="/", needs=None),
    Rule(path="/health", needs=None),
    Rule(path="/public/*", needs=None),
    Rule(path="/balance", needs=READ, methods=frozenset({"GET"})),
    Rule(path="/balance", needs=MOVE, methods=frozenset({"POST", "DELETE"})),
    Rule(path="/accounts/{slug}/balance", needs=READ, account_in="slug"),
    Rule(path="/reports/{year}/*", needs=READ),
)


async def an_app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    answer = scope.get("gatewright")
    who = answer.claims.sub if isinstance(answer, Allowed) else answer
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(who).encode()})


def a_client(rules: Iterable[Rule] = RULES, root_path: str = "") -> httpx.AsyncClient:
    middleware = GuardMiddleware(an_app, AServer().guard(), rules)
    return httpx.AsyncClient(transport=httpx.ASGITransport(middleware, root_path=root_path), base_url="http://bank.test")


def bearer(**claims: object) -> dict[str, str]:
    return {"authorization": f"Bearer {a_token(**claims)}"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "without", "with_read"),
    [
        ("GET", "/", 200, 200),
        ("GET", "/health", 200, 200),
        ("POST", "/health/", 200, 200),
        ("GET", "/public", 200, 200),
        ("GET", "/public/a/b", 200, 200),
        ("GET", "/publicity", 401, 403),
        ("GET", "/balance", 401, 200),
        ("GET", "/balance/", 401, 200),
        ("HEAD", "/balance", 401, 200),
        ("POST", "/balance", 401, 403),
        ("DELETE", "/balance", 401, 403),
        ("PUT", "/balance", 401, 403),
        ("OPTIONS", "/balance", 401, 403),
        ("GET", "/balance/more", 401, 403),
        ("GET", "/BALANCE", 401, 403),
        ("GET", "/accounts/acme-dev/balance", 401, 200),
        ("GET", "/accounts/ac_1/balance", 401, 200),
        ("GET", "/accounts/acme-prod/balance", 401, 403),
        ("GET", "/accounts//balance", 401, 403),
        ("GET", "/accounts/acme-prod%2Fbalance", 401, 403),
        ("GET", "/accounts", 401, 403),
        ("GET", "/reports/2026", 401, 200),
        ("GET", "/reports/2026/q1/pdf", 401, 200),
        ("GET", "/reports", 401, 403),
        ("GET", "/nowhere", 401, 403),
        ("GET", "/public/%2e%2e/balance", 401, 403),
        ("GET", "/public/%2E/x", 401, 403),
        ("GET", "/public//x", 401, 403),
        ("GET", "//public/x", 401, 403),
        ("GET", "/public/..%5Cbalance", 401, 403),
        ("GET", "/public/x//", 401, 403),
        ("GET", "//", 401, 403),
    ],
)
async def test_what_a_rule_names_is_open_to_whom_it_says_and_nothing_else_is(method: str, path: str, without: int, with_read: int) -> None:
    async with a_client() as client:
        url = httpx.URL("http://bank.test").copy_with(raw_path=path.encode())
        assert (await client.request(method, url)).status_code == without
        assert (await client.request(method, url, headers=bearer())).status_code == with_read


async def test_the_application_finds_who_calls_in_its_scope() -> None:
    async with a_client() as client:
        assert (await client.get("/balance", headers=bearer(sub="us_7"))).json() == "us_7"
        assert (await client.get("/health", headers=bearer())).json() is None


async def test_a_refusal_is_a_challenge_and_a_problem_document() -> None:
    async with a_client() as client:
        reply = await client.post("/balance", headers=bearer())
    assert reply.headers["www-authenticate"] == (
        'Bearer realm="https://bank.acme.test", error="insufficient_scope", '
        'error_description="The access token lacks a scope that this needs.", scope="transfer:funds", '
        'resource_metadata="https://bank.acme.test/.well-known/oauth-protected-resource"'
    )
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json() == {
        "type": "urn:gatewright:problem:insufficient_scope",
        "title": "The access token does not allow this",
        "status": 403,
        "detail": "The access token lacks the scope transfer:funds.",
        "cause": "insufficient_scope",
        "missing_scope": "transfer:funds",
    }


async def test_a_refused_head_request_has_no_body_and_its_length() -> None:
    async with a_client() as client:
        reply = await client.head("/balance")
    assert (reply.status_code, reply.content) == (401, b"")
    assert int(reply.headers["content-length"]) > 0


async def test_only_who_holds_a_good_token_learns_that_there_is_no_rule() -> None:
    async with a_client() as client:
        assert (await client.get("/nowhere")).json()["cause"] == "token_missing"
        assert (await client.get("/nowhere", headers=bearer())).json()["cause"] == "no_rule"


async def test_the_path_below_the_applications_root_counts() -> None:
    async with a_client(root_path="/bank") as client:
        assert (await client.get("/bank/health")).status_code == 200
        assert (await client.get("/bank")).status_code == 200
        assert (await client.get("/bank/balance", headers=bearer())).status_code == 200
        assert (await client.get("/bankhealth")).status_code == 401


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule(path="balance", needs=READ), "begins with a slash"),
        (Rule(path="*", needs=READ), "begins with a slash"),
        (Rule(path="/*/balance", needs=READ), "end of a rule's path"),
        (Rule(path="/bal*", needs=READ), "end of a rule's path"),
        (Rule(path="/accounts/{slug}", needs=READ, account_in="account"), "no segment {account}"),
    ],
)
def test_a_rule_with_a_slip_is_refused_at_the_start(rule: Rule, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        a_client([rule])


async def test_a_query_with_a_token_is_refused_and_two_headers_are_too() -> None:
    async with a_client() as client:
        assert (await client.get("/balance?access_token=x", headers=bearer())).status_code == 400
        twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
        reply = await client.get("/balance", headers=twice)
    assert (reply.status_code, reply.json()["cause"]) == (400, "invalid_request")
    assert 'error="invalid_request"' in reply.headers["www-authenticate"]


# ---------------------------------------------------------------- other kinds of connection


async def connect(path: str, *, extensions: dict[str, Any], token: str | None = None) -> list[MutableMapping[str, Any]]:
    """A WebSocket's opening, and what the server is told to do."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "extensions": extensions}
    await GuardMiddleware(accept, AServer().guard(), RULES)(scope, receive, send)
    return sent


async def accept(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def test_a_websocket_opens_by_the_same_rules() -> None:
    assert await connect("/balance", extensions={}, token=a_token()) == [{"type": "websocket.accept"}]
    assert await connect("/balance", extensions={}) == [{"type": "websocket.close", "code": 1008}]
    start, body = await connect("/balance", extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert body["type"] == "websocket.http.response.body"
    assert json.loads(body["body"])["cause"] == "token_missing"


async def test_the_applications_start_and_stop_pass_through() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "lifespan.startup"}

    await GuardMiddleware(an_app, AServer().guard(), RULES)({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}]


async def test_what_stood_in_the_scope_before_counts_for_nothing() -> None:
    async def outer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        scope["gatewright"] = "an impostor"
        await GuardMiddleware(an_app, AServer().guard(), RULES)(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://bank.test") as client:
        assert (await client.get("/health")).json() is None


@pytest.mark.parametrize(
    ("host", "peer", "forwarded", "status"),
    [
        ("admin.acme.test", "203.0.113.7", None, 403),
        ("admin.acme.test:8443", "203.0.113.7", None, 403),
        ("bank.acme.test", "203.0.113.7", None, 200),
        ("bank.acme.test", "203.0.113.7", "admin.acme.test", 200),
        ("bank.acme.test", "10.0.0.1", "admin.acme.test", 403),
        ("", "203.0.113.7", None, 403),
    ],
)
async def test_a_rule_may_be_for_one_host_and_a_named_proxy_tells_which_was_called(
    host: str, peer: str, forwarded: str | None, status: int
) -> None:
    rules = [Rule(path="/*", host="admin.acme.test", needs=needs("transfer:funds")), Rule(path="/*", needs=needs("read:balance"))]
    guard = AServer().guard(proxies=Proxies(["10.0.0.0/8"], host_header="X-Forwarded-Host"))
    transport = httpx.ASGITransport(GuardMiddleware(an_app, guard, rules), client=(peer, 1))
    headers = {"host": host, **bearer(), **({} if forwarded is None else {"x-forwarded-host": forwarded})}
    async with guard, httpx.AsyncClient(transport=transport, base_url=AUDIENCE) as client:
        assert (await client.get("/balance", headers=headers)).status_code == status


@pytest.mark.parametrize("method", ["post", "Post", "pOST", "", "PO ST"])
def test_a_method_in_other_letters_fits_no_rule(method: str) -> None:
    assert (
        Rules([Rule(path="/balance", needs=MOVE, methods=frozenset({"POST"})), Rule(path="/*", needs=READ)]).match(method, "/balance")
        is None
    )


def test_a_rule_names_methods_as_they_are_written() -> None:
    with pytest.raises(ValueError, match="capital"):
        GuardMiddleware(an_app, AServer().guard(), [Rule(path="/", needs=READ, methods=frozenset({"post"}))])


def test_an_application_with_a_prefix_of_its_own_is_told_to_the_server_instead() -> None:
    app = fastapi.FastAPI()
    app.root_path = "/api"
    with pytest.raises(ValueError, match="root_path"):
        GuardMiddleware(app, AServer().guard(), RULES)


async def test_what_no_rule_can_be_about_gets_nowhere() -> None:
    async def nothing(*_: object) -> Any:  # noqa: ANN401 - nobody calls it
        raise AssertionError("it was asked")

    with pytest.raises(RuntimeError, match="webtransport"):
        await GuardMiddleware(nothing, AServer().guard(), RULES)({"type": "webtransport", "path": "/", "headers": []}, nothing, nothing)
