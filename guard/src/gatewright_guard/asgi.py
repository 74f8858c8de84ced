"""The guard in front of any ASGI application: a table of rules says what each path needs, and what no rule names is closed."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import structs

from gatewright_guard.decide import NO_RULE, Allowed, Refusal, Requirement
from gatewright_guard.guard import Guard, Request

# The types of the ASGI specification; its messages are dicts of anything.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "gatewright"
"""Where the application finds the `Allowed` in its scope."""
_ANY_TOKEN: Final = Requirement()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a path needs; the first rule that fits a request counts."""

    path: str
    """Segments as they are, `{name}` for any one segment, and at the end `/*` for whatever follows, if anything does."""
    needs: Requirement | None
    """None opens the path to everybody, without a look at credentials."""
    methods: frozenset[str] | None = None
    """None for all. GET stands for HEAD too."""
    account_in: str | None = None
    """The `{name}` that holds the id or slug of the account that the resource belongs to."""


class _Route:
    """A rule taken apart once."""

    __slots__ = ("methods", "open_ended", "rule", "segments")

    def __init__(self, rule: Rule) -> None:
        if not rule.path.startswith("/"):
            raise ValueError(f"the path of a rule begins with a slash, unlike {rule.path!r}")
        path = rule.path.removesuffix("/*")
        self.rule = rule
        self.open_ended = path != rule.path
        self.segments = _split(path)
        self.methods = rule.methods if rule.methods is None or "GET" not in rule.methods else rule.methods | {"HEAD"}
        if "*" in path:
            raise ValueError(f"a star stands at the end of a rule's path only, unlike in {rule.path!r}")
        if rule.account_in is not None and f"{{{rule.account_in}}}" not in self.segments:
            raise ValueError(f"the rule for {rule.path!r} has no segment {{{rule.account_in}}}")

    def fits(self, method: str, segments: Sequence[str]) -> bool:
        """Whether the rule is about such a request."""
        if self.methods is not None and method not in self.methods:
            return False
        if len(segments) < len(self.segments) or (len(segments) > len(self.segments) and not self.open_ended):
            return False
        return all(ours == theirs or _is_name(ours) for ours, theirs in zip(self.segments, segments, strict=False))

    def account(self, segments: Sequence[str]) -> str | None:
        """The account that the path names, if the rule says that it names one."""
        if self.rule.account_in is None:
            return None
        return segments[self.segments.index(f"{{{self.rule.account_in}}}")]


def _is_name(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


class GuardMiddleware:
    """Lets through what the rules allow, with the `Allowed` in `scope["gatewright"]`, and answers everything else itself."""

    def __init__(self, app: App, guard: Guard, rules: Iterable[Rule]) -> None:
        self._app = app
        self._guard = guard
        self._routes = tuple(_Route(rule) for rule in rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # Whatever stands there was not put there by us.
        scope.pop(KEY, None)
        segments = _segments(scope)
        route = None if segments is None else self._route(scope.get("method", "GET"), segments)
        if route is not None and route.rule.needs is None:
            await self._app(scope, receive, send)
            return
        answer = await self._ask(scope, route, segments or [])
        if isinstance(answer, Refusal):
            await refuse(answer, scope, receive, send)
            return
        scope[KEY] = answer
        await self._app(scope, receive, send)

    def _route(self, method: str, segments: Sequence[str]) -> _Route | None:
        return next((route for route in self._routes if route.fits(method, segments)), None)

    async def _ask(self, scope: Scope, route: _Route | None, segments: Sequence[str]) -> Allowed | Refusal:
        request = request_of(scope)
        if route is not None and route.rule.needs is not None:
            return await self._guard.check(request, route.rule.needs, account=route.account(segments))
        # Only who holds a good token learns that the path has no rule.
        answer = await self._guard.check(request, _ANY_TOKEN)
        return structs.replace(NO_RULE, realm=self._guard.audience) if isinstance(answer, Allowed) else answer


def _split(path: str) -> list[str]:
    # With a slash at the end it is the same path: whether the application thinks so is not for us to bet on.
    return path.removesuffix("/").split("/")[1:]


def _segments(scope: Scope) -> list[str] | None:
    """The path's segments below the application's root; None for a path that somebody may read in another way."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :] or "/"
    segments = _split(path)
    # Servers, routers and proxies differ about these, and where two differ about a path one of them is a way around the other.
    strange = any(segment in ("", ".", "..") or "\\" in segment for segment in segments)
    return None if strange or not path.startswith("/") else segments


def request_of(scope: Scope) -> Request:
    """What the guard looks at, from an ASGI scope; header names there are in lower case."""
    client = scope.get("client")
    return Request(
        authorization=tuple(value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"),
        query=scope.get("query_string", b"").decode("latin-1"),
        address=client[0] if client else None,
    )


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
