"""The guard in front of any ASGI application: a table of rules says what each path needs, and what no rule names is closed."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import quote

from gatewright_guard.decide import Allowed, Refusal, Requirement
from gatewright_guard.guard import Guard
from gatewright_guard.request import Headers, Proxies, Request
from gatewright_guard.resource import HEADERS
from gatewright_guard.rules import Match, Rule, Rules

__all__ = ["BY", "KEY", "App", "GuardMiddleware", "Message", "Receive", "Rule", "Scope", "Send", "refuse", "request_of"]

# The types of the ASGI specification; its messages are dicts of anything.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "gatewright"
"""Where the application finds the `Allowed` in its scope."""
BY: Final = "gatewright.by"
"""Which guard admitted the caller."""
_ANY_TOKEN: Final = Requirement()


class GuardMiddleware:
    """Lets through what the rules allow, with the `Allowed` in `scope["gatewright"]`, and answers everything else itself."""

    def __init__(self, app: App, guard: Guard, rules: Iterable[Rule]) -> None:
        if getattr(app, "root_path", ""):
            # It cuts its own prefix off after we looked at the path, so that one path would have two names.
            raise ValueError("the application has a root_path of its own: tell it to the server instead, or add the middleware inside")
        self._app = app
        self._guard = guard
        self._rules = Rules(rules)
        self._about = guard.resource
        self._scopes = self._rules.scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise RuntimeError(f"nobody knows what the rules mean for {scope['type']!r}, so nobody gets through")
        # Whatever stands there was not put there by us.
        scope.pop(KEY, None)
        scope.pop(BY, None)
        path, method = _path(scope), scope.get("method", "GET")
        if self._about is not None and self._about.path in (path, scope["path"]) and scope.get("method") in ("GET", "HEAD"):
            await describe(self._about.document(self._scopes), scope, send)
            return
        match = self._rules.match(method, path, host=_host(scope, self._guard.proxies) if self._rules.by_host else None)
        if match is not None and match.rule.needs is None:
            await self._app(scope, receive, send)
            return
        answer = await self._ask(scope, match)
        if isinstance(answer, Refusal):
            await refuse(answer, scope, receive, send)
            return
        scope[KEY], scope[BY] = answer, self._guard
        await self._app(scope, receive, send)

    async def _ask(self, scope: Scope, match: Match | None) -> Allowed | Refusal:
        request = request_of(scope, self._guard.proxies)
        if match is not None and match.rule.needs is not None:
            return await self._guard.check(request, match.rule.needs, account=match.account)
        # Only who holds a good token learns that the path has no rule.
        answer = await self._guard.check(request, _ANY_TOKEN)
        return self._guard.no_rule if isinstance(answer, Allowed) else answer


def _path(scope: Scope) -> str:
    """The path below the application's root."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return (path[len(root) :] or "/") if root and (path == root or path.startswith(root + "/")) else path


def request_of(scope: Scope, proxies: Proxies | None = None, native: object = None) -> Request:
    """What the guard looks at, from an ASGI scope; header names there are in lower case."""
    client, authorization, dpop = scope.get("client"), [], []
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization.append(value.decode("latin-1"))
        elif name == b"dpop":
            dpop.append(value.decode("latin-1"))
    address, origin, certificate = client[0] if client else None, "", None
    if proxies is not None or dpop:
        headers = _headers(scope)
        host = headers("host")
        origin = f"{scope.get('scheme', 'http')}://{host[0] if len(host) == 1 else ''}"
        if proxies is not None:
            seen = proxies.seen(address, origin, headers)
            address, origin, certificate = seen.address, seen.origin, seen.certificate
    return Request(
        authorization=tuple(authorization),
        query=scope.get("query_string", b"").decode("latin-1"),
        address=address,
        method=scope.get("method", "GET"),
        url=origin + _called(scope) if dpop else "",
        dpop=tuple(dpop),
        certificate=certificate,
        native=scope if native is None else native,
    )


def _host(scope: Scope, proxies: Proxies | None) -> str:
    """The host that was called, as a trusted proxy or the one Host header has it."""
    headers, client = _headers(scope), scope.get("client")
    named = headers("host")
    host = named[0] if len(named) == 1 else ""
    if proxies is None:
        return host
    return proxies.seen(client[0] if client else None, f"http://{host}", headers).origin.partition("://")[2]


def _headers(scope: Scope) -> Headers:
    def values(name: str) -> list[str]:
        sought = name.encode("latin-1")
        return [value.decode("latin-1") for field, value in scope["headers"] if field == sought]

    return values


def _called(scope: Scope) -> str:
    """The path as it was sent, still encoded; the root that a server was told of is in it (ASGI 2.5)."""
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else quote(scope["path"])


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a refusal: as an HTTP response, or to a WebSocket's opening handshake where the server can."""
    kind = "http"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            # The server turns this into a 403, which is all that it can say.
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http"
    body = refusal.body()
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers()]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    head = scope.get("method") == "HEAD"
    await send({"type": f"{kind}.response.body", "body": b"" if head else body})


async def describe(document: bytes, scope: Scope, send: Send) -> None:
    """Send what the API says of itself (RFC 9728 §3.2)."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in HEADERS]
    headers.append((b"content-length", str(len(document)).encode("ascii")))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else document})
