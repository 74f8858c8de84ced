"""The API of `cases` in every framework that the guard has a door for, each called in process as its server would call it."""

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import fastapi
import flask
import flask.views
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

import gatewright_guard.fastapi
import gatewright_guard.flask
import gatewright_guard.starlette
from gatewright_guard import asgi, wsgi
from gatewright_guard.sync import SyncGuard
from tests.guard import site
from tests.guard.cases import HOST, ROUTES, RULES, SCOPES, Answer, Ask, Call, Route
from tests.guard.makers import AUDIENCE, ISSUER
from tests.guard.server import CREDENTIALS, ORIGINS, AClock, AServer

Driver = Callable[..., AbstractContextManager[Ask]]


# ---------------------------------------------------------------- calling


def settings_of(server: AServer, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - the guard's own
    return {"credentials": CREDENTIALS, "http": server.client, "clock": AClock(), "origins": ORIGINS} | settings


@contextmanager
def a_sync_guard(server: AServer, **settings: Any) -> Iterator[SyncGuard]:  # noqa: ANN401 - the guard's own
    with SyncGuard(ISSUER, AUDIENCE, **settings_of(server, **settings)) as guard:
        yield guard


@contextmanager
def awaited(app: Any) -> Iterator[Ask]:  # noqa: ANN401 - any ASGI application
    """How an ASGI application is asked, on one event loop."""
    with asyncio.Runner() as loop:

        async def ask(call: Call) -> Answer:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
                target = call.path + (f"?{call.query}" if call.query else "")
                url = httpx.URL(f"http://{HOST}").copy_with(raw_path=target.encode())
                reply = await client.request(call.method, url, headers=list(call.headers))
            return Answer(reply.status_code, dict(reply.headers), reply.content)

        yield lambda call: loop.run(ask(call))


def called(app: Any, call: Call) -> Answer:  # noqa: ANN401 - any WSGI application
    """A WSGI application's answer, held to PEP 3333 in both directions; a server joins header fields of one name by a comma."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(call.path).decode("latin-1"),
        "QUERY_STRING": call.query,
        "HTTP_HOST": HOST,
        "REMOTE_ADDR": "192.0.2.7",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": "0",
        "wsgi.input": io.BytesIO(),
    }
    for name, value in call.headers:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return started.append

    chunks = validator(app)(environ, start)
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()  # type: ignore[attr-defined]  # the validator's own
    status, headers = started
    # A server takes the body off an answer to HEAD, whether the framework did or not.
    body = b"" if call.method == "HEAD" else body
    return Answer(int(status[:3]), {name.lower(): value for name, value in headers}, body)


# ---------------------------------------------------------------- ASGI, Starlette, FastAPI


@contextmanager
def asgi_middleware(server: AServer, **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    async def app(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        answer = scope.get(asgi.KEY)
        body = b"us_1" if answer is None else answer.claims.sub.encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    with awaited(asgi.GuardMiddleware(app, server.guard(**settings), RULES)) as ask:
        yield ask


def _starlette_route(route: Route) -> StarletteRoute:
    @gatewright_guard.starlette.requires(*route.scopes, **route.said)
    async def view(request: Request) -> Response:
        return PlainTextResponse(gatewright_guard.starlette.caller_of(request).sub)

    return StarletteRoute(route.path, view, methods=[route.method])


async def _open(request: Request) -> Response:
    return PlainTextResponse("us_1")


@contextmanager
def in_starlette(server: AServer, **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    app = Starlette(routes=[StarletteRoute("/open", _open), *map(_starlette_route, ROUTES)])
    gatewright_guard.starlette.protect(app, server.guard(**settings), scopes=SCOPES)
    with awaited(app) as ask:
        yield ask


@contextmanager
def in_fastapi(server: AServer, **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    app = fastapi.FastAPI()
    gatewright_guard.fastapi.protect(app, server.guard(**settings), scopes=dict.fromkeys(SCOPES, ""))
    for route in ROUTES:
        _fastapi_route(app, route)
    app.add_api_route("/open", lambda: PlainTextResponse("us_1"))
    with awaited(app) as ask:
        yield ask


def _fastapi_route(app: fastapi.FastAPI, route: Route) -> None:
    admission = gatewright_guard.fastapi.requires(*route.scopes, **route.said)

    async def view(caller: Annotated[gatewright_guard.fastapi.Caller, admission]) -> Response:
        return PlainTextResponse(caller.sub)

    app.add_api_route(route.path, view, methods=[route.method, "HEAD"])


# ---------------------------------------------------------------- WSGI, Flask


@contextmanager
def wsgi_middleware(server: AServer, **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    def app(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        answer = environ.get(wsgi.KEY)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"us_1" if answer is None else answer.claims.sub.encode()]

    with a_sync_guard(server, **settings) as guard:
        yield partial(called, wsgi.GuardMiddleware(app, guard, RULES))


@contextmanager
def in_flask(server: AServer, view: Callable[[Route], Any], **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    app = flask.Flask("bank")
    with a_sync_guard(server, **settings) as guard:
        gatewright_guard.flask.protect(app, guard, scopes=SCOPES)
        app.add_url_rule("/open", "open", lambda: "us_1")
        for route in ROUTES:
            app.add_url_rule(route.path.replace("{account}", "<account>"), route.name, view(route), methods=[route.method])
        yield partial(called, app)


def _flask_view(route: Route) -> Callable[..., Any]:
    @gatewright_guard.flask.requires(*route.scopes, **route.said)
    def view(**_: object) -> str:
        return gatewright_guard.flask.caller().sub

    return view


def _flask_later(route: Route) -> Callable[..., Any]:
    @gatewright_guard.flask.requires(*route.scopes, **route.said)
    async def view(**_: object) -> str:
        return gatewright_guard.flask.caller().sub

    return view


def _flask_class(route: Route) -> Callable[..., Any]:
    class Answers(flask.views.MethodView):
        @gatewright_guard.flask.requires(*route.scopes, **route.said)
        def get(self, **_: object) -> str:
            return gatewright_guard.flask.caller().sub

        @gatewright_guard.flask.requires(*route.scopes, **route.said)
        async def post(self, **_: object) -> str:
            return gatewright_guard.flask.caller().sub

    return Answers.as_view(route.name)


# ---------------------------------------------------------------- Django


@contextmanager
def in_django(server: AServer, style: str, *, on_asgi: bool = False, **settings: Any) -> Iterator[Ask]:  # noqa: ANN401 - the guard's own
    site.configure()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    from gatewright_guard.django import guard_in_use

    said = {"issuer": ISSUER, "audience": AUDIENCE, "scopes": SCOPES} | settings_of(server, **settings)
    overridden = override_settings(GATEWRIGHT={name.upper(): value for name, value in said.items()}, ROOT_URLCONF=site.urls(style))
    with overridden:
        try:
            if on_asgi:
                with awaited(get_asgi_application()) as ask:
                    yield ask
            else:
                yield partial(called, get_wsgi_application())
        finally:
            guard_in_use().close()


DRIVERS: Final[dict[str, Driver]] = {
    "asgi": asgi_middleware,
    "starlette": in_starlette,
    "fastapi": in_fastapi,
    "wsgi": wsgi_middleware,
    "flask": partial(in_flask, view=_flask_view),
    "flask-awaiting": partial(in_flask, view=_flask_later),
    "flask-classes": partial(in_flask, view=_flask_class),
    **{f"django-{style}": partial(in_django, style=style) for style in site.STYLES},
    **{f"django-{style}-asgi": partial(in_django, style=style, on_asgi=True) for style in site.STYLES},
}
CLOSED: Final = ("asgi", "wsgi")
"""The doors with a table of rules, behind which a path is closed that no rule names."""
