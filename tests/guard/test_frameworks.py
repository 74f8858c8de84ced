"""The guard in Starlette and FastAPI applications, called in process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from gatewright_guard import starlette
from gatewright_guard.decide import needs
from gatewright_guard.fastapi import Caller, admit, protect, requires
from gatewright_guard.guard import Guard
from tests.guard.makers import ISSUER, a_token
from tests.guard.server import AServer


def calling(app: Any) -> httpx.AsyncClient:  # noqa: ANN401 - any ASGI application
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank.test")


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# ---------------------------------------------------------------- FastAPI


def a_fastapi_app(guard: Guard) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    protect(app, guard, scopes={"read:balance": "See the balance", "close:account": "Close it"})

    @app.get("/health")
    async def health() -> str:
        return "well"

    @app.get("/balance")
    async def balance(caller: Annotated[Caller, requires("read:balance")]) -> dict[str, str]:
        return {"of": caller.sub, "for": caller.client_id}

    @app.get("/accounts/{account_slug}/balance")
    def of_account(account_slug: str, caller: Annotated[Caller, requires("read:balance", account_in="account_slug")]) -> str:
        return f"{caller.sub} in {account_slug}"

    @app.post("/transfers", dependencies=[requires("read:balance", "transfer:funds")])
    async def transfer() -> str:
        return "done"

    @app.get("/either")
    async def either(caller: Annotated[Caller, requires(any_of=["read:balance", "transfer:funds"])]) -> list[str]:
        return sorted(caller.scopes)

    @app.get("/big")
    async def big(request: fastapi.Request, caller: Annotated[Caller, requires("read:balance")], amount: int = 0) -> str:
        if amount > 1000:
            caller = await admit(request, needs("transfer:funds"))
        return caller.sub

    @app.get("/slip")
    async def slip(caller: Annotated[Caller, requires("read:balance", account_in="account")]) -> str:
        return caller.sub

    @app.websocket("/feed")
    async def feed(socket: WebSocket, caller: Annotated[Caller, requires("read:balance")]) -> None:
        await socket.accept()
        await socket.send_text(caller.sub)
        await socket.close()

    return app


@pytest.mark.parametrize(
    ("method", "path", "token", "status", "cause"),
    [
        ("GET", "/health", None, 200, None),
        ("GET", "/balance", None, 401, "token_missing"),
        ("GET", "/balance", a_token(), 200, None),
        ("GET", "/balance", "gwa_good", 200, None),
        ("GET", "/balance", "gwa_bad", 401, "invalid_token"),
        ("GET", "/balance", a_token(exp=1), 401, "token_expired"),
        ("GET", "/balance", a_token(aud="https://events.acme.test"), 401, "wrong_audience"),
        ("GET", "/balance", a_token(scope="openid"), 403, "insufficient_scope"),
        ("GET", "/balance", "a b", 400, "invalid_request"),
        ("GET", "/accounts/acme-dev/balance", a_token(), 200, None),
        ("GET", "/accounts/acme-prod/balance", a_token(), 403, "wrong_account"),
        ("POST", "/transfers", a_token(), 403, "insufficient_scope"),
        ("POST", "/transfers", a_token(scope="read:balance transfer:funds"), 200, None),
        ("GET", "/either", a_token(), 200, None),
        ("GET", "/either", a_token(scope="openid"), 403, "insufficient_scope"),
        ("GET", "/big", a_token(), 200, None),
        ("GET", "/big?amount=5000", a_token(), 403, "insufficient_scope"),
    ],
)
async def test_a_fastapi_app_admits_whom_it_says(method: str, path: str, token: str | None, status: int, cause: str | None) -> None:
    async with calling(a_fastapi_app(AServer().guard())) as client:
        reply = await client.request(method, path, headers={} if token is None else bearing(token))
    assert reply.status_code == status
    if cause is not None:
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.json()["cause"], reply.json()["status"]) == (cause, status)
        assert reply.headers["www-authenticate"].startswith('Bearer realm="https://bank.acme.test"')


async def test_an_endpoint_gets_its_caller() -> None:
    async with calling(a_fastapi_app(AServer().guard())) as client:
        reply = await client.get("/balance", headers=bearing(a_token(sub="us_7")))
        assert reply.json() == {"of": "us_7", "for": "budget-buddy"}
        reply = await client.get("/accounts/ac_1/balance", headers=bearing(a_token()))
        assert reply.json() == "us_1 in ac_1"


async def test_the_servers_reason_reaches_the_caller() -> None:
    token = a_token()
    server = AServer(whys={token: {"cause": "role_lacks_scope", "detail": "No role of this user has transfer:funds."}})
    async with calling(a_fastapi_app(server.guard())) as client:
        reply = await client.post("/transfers", headers=bearing(token))
    assert reply.status_code == 403
    assert ', scope="read:balance transfer:funds", ' in reply.headers["www-authenticate"]
    assert reply.json()["cause"] == "role_lacks_scope"
    assert reply.json()["detail"] == "No role of this user has transfer:funds."
    assert reply.json()["missing_scope"] == "transfer:funds"


async def test_where_the_server_is_away_the_answer_is_503() -> None:
    async with calling(a_fastapi_app(AServer(status=500).guard())) as client:
        reply = await client.get("/balance", headers=bearing("gwa_good"))
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert "www-authenticate" not in reply.headers


async def test_an_account_that_no_path_names_is_a_fault_of_the_api_and_admits_nobody() -> None:
    async with calling(a_fastapi_app(AServer().guard())) as client:
        with pytest.raises(RuntimeError, match="no parameter 'account'"):
            await client.get("/slip", headers=bearing(a_token()))


async def test_an_app_that_was_never_protected_admits_nobody() -> None:
    app = fastapi.FastAPI()

    @app.get("/balance", dependencies=[requires("read:balance")])
    async def balance() -> str:
        return "much"

    async with calling(app) as client:
        with pytest.raises(RuntimeError, match="protect"):
            await client.get("/balance", headers=bearing(a_token()))


def test_the_description_names_scheme_scopes_and_refusals() -> None:
    schema = a_fastapi_app(AServer().guard()).openapi()
    assert schema["components"]["securitySchemes"] == {
        "gatewright": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{ISSUER}/authorize",
                    "tokenUrl": f"{ISSUER}/token",
                    "scopes": {"close:account": "Close it", "read:balance": "See the balance", "transfer:funds": ""},
                }
            },
        }
    }
    paths = schema["paths"]
    assert paths["/balance"]["get"]["security"] == [{"gatewright": ["read:balance"]}]
    assert paths["/transfers"]["post"]["security"] == [{"gatewright": ["read:balance", "transfer:funds"]}]
    assert {"401", "403"} <= set(paths["/balance"]["get"]["responses"])
    assert "security" not in paths["/health"]["get"]
    assert set(paths["/health"]["get"]["responses"]) == {"200"}


def test_the_addresses_of_the_description_may_be_given() -> None:
    app = fastapi.FastAPI()
    protect(app, AServer().guard(), authorization_url=f"{ISSUER}/o/authorize/", token_url=f"{ISSUER}/o/token/")
    assert "components" not in app.openapi()
    app = fastapi.FastAPI()
    protect(app, AServer().guard(), authorization_url=f"{ISSUER}/o/authorize/", token_url=f"{ISSUER}/o/token/")
    app.add_api_route("/x", lambda: None, dependencies=[requires("x")])
    flow = app.openapi()["components"]["securitySchemes"]["gatewright"]["flows"]["authorizationCode"]
    assert flow == {"authorizationUrl": f"{ISSUER}/o/authorize/", "tokenUrl": f"{ISSUER}/o/token/", "scopes": {"x": ""}}


async def opened(app: Starlette, *, token: str | None = None, extensions: dict[str, Any] | None = None) -> list[Any]:
    """What the server is told when somebody opens the WebSocket."""
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - as ASGI has it
        return {"type": "websocket.connect"}

    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "websocket", "path": "/feed", "raw_path": b"/feed", "query_string": b"", "headers": headers, "subprotocols": []}
    await app(scope | {"extensions": extensions or {}}, receive, send)
    return sent


async def test_a_websocket_is_admitted_or_refused_before_it_opens() -> None:
    app = a_fastapi_app(AServer().guard())
    accepted, said, _ = await opened(app, token=a_token())
    assert (accepted["type"], said["text"]) == ("websocket.accept", "us_1")
    (closed,) = await opened(app)
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    start, body = await opened(app, extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert b'"cause":"token_missing"' in body["body"]


# ---------------------------------------------------------------- Starlette


@starlette.requires("read:balance")
async def of_caller(request: Request) -> Response:
    return JSONResponse(starlette.caller_of(request).sub)


@starlette.requires("read:balance", account_in="slug")
async def of_account(request: Request) -> Response:
    return JSONResponse(request.path_params["slug"])


async def unguarded(request: Request) -> Response:
    return JSONResponse(starlette.caller_of(request).sub)


def a_starlette_app(guard: Guard, **settings: Any) -> Starlette:  # noqa: ANN401 - Starlette's own
    routes = [Route("/balance", of_caller), Route("/accounts/{slug}/balance", of_account), Route("/slip", unguarded)]
    app = Starlette(routes=routes, **settings)
    starlette.protect(app, guard)
    return app


@pytest.mark.parametrize(
    ("path", "token", "status", "told"),
    [
        ("/balance", None, 401, "token_missing"),
        ("/balance", a_token(), 200, "us_1"),
        ("/balance", a_token(scope=None), 403, "insufficient_scope"),
        ("/accounts/acme-dev/balance", a_token(), 200, "acme-dev"),
        ("/accounts/acme-prod/balance", a_token(), 403, "wrong_account"),
    ],
)
async def test_a_starlette_app_admits_whom_it_says(path: str, token: str | None, status: int, told: str) -> None:
    async with calling(a_starlette_app(AServer().guard())) as client:
        reply = await client.get(path, headers={} if token is None else bearing(token))
    assert reply.status_code == status
    assert (reply.json() if status == 200 else reply.json()["cause"]) == told


async def test_an_endpoint_that_nobody_guards_has_no_caller() -> None:
    async with calling(a_starlette_app(AServer().guard())) as client:
        with pytest.raises(RuntimeError, match="lacks requires"):
            await client.get("/slip", headers=bearing(a_token()))


async def test_the_guard_stops_with_the_app_and_the_apps_own_lifespan_goes_on() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        seen.append("up")
        yield {"bank": "acme"}
        seen.append("down")

    guard = Guard(ISSUER, "https://bank.acme.test")
    app = a_starlette_app(guard, lifespan=lifespan)
    async with app.router.lifespan_context(app) as state:
        assert (state, seen) == ({"bank": "acme"}, ["up"])
        assert not guard._http.is_closed
    assert seen == ["up", "down"]
    assert guard._http.is_closed
