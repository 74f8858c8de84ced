"""The guard in front of an MCP server: which scopes each tool needs is said where the tool is, and asked before the server is.

`bank = GuardedServer(MCPServer("Acme Bank"), guard, scopes=["read:balance"])`, then `@bank.tool("read:balance")` in place of
`@server.tool()`, and `app = bank.app()`. Refusals are HTTP responses, since a client asks for more scopes only on those (MCP
2026-07-28, authorization, "Scope Challenge Handling"); that is why the message is read here, before the server begins its answer.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecuritySettings
from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest

from gatewright_guard.asgi import KEY, App, GuardMiddleware, Receive, Rule, Scope, Send, describe, refuse, request_of
from gatewright_guard.bearer import presented
from gatewright_guard.decide import Allowed, Refusal, Requirement, needs
from gatewright_guard.guard import Guard
from gatewright_guard.refused import Refused
from gatewright_guard.resource import Resource
from gatewright_guard.rules import segments_of
from gatewright_guard.verify import Claims

_IS_VERSION_1: Final = find_spec("mcp.server.mcpserver") is None
if not _IS_VERSION_1:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
else:
    from mcp.server.fastmcp import Context  # type: ignore[attr-defined, no-redef]  # types are checked beside version 2
    from mcp.server.fastmcp import FastMCP as MCPServer  # type: ignore[attr-defined, no-redef]  # the same

Caller = Claims
"""Who calls."""

__all__ = ["Caller", "Guard", "GuardedServer", "caller_of"]

MAX_BODY: Final = 4 * 2**20
"""Bytes of one message; what the SDK takes by default."""

_ANY_TOKEN: Final = Requirement()
# What a server says of itself, and the upkeep of a connection: any good token will do. Whatever hands out content or does something
# is not here, and needs a rule.
_ABOUT_ITSELF: Final = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "tools/list",
    }
)
# JSON-RPC 2.0 §5.1.
_PARSE_ERROR: Final = (-32700, "The body is no JSON that can be read.")
_NO_MESSAGE: Final = (-32600, "The body is not one JSON-RPC message.")
_TOO_LONG: Final = (-32600, "The message is too long.")
_NO_METHOD: Final = (-32601, "The server has no such method.")
_NO_TOOL: Final = (-32602, "The server has no such tool.")

_Function = TypeVar("_Function", bound=Callable[..., Any])
_log: Final = logging.getLogger("gatewright_guard")


class _Need(msgspec.Struct, frozen=True):
    """What a message needs: scopes, and the argument that holds the id or slug of the account, if one does."""

    scopes: Requirement
    account_in: str | None = None


class _Fault(Exception):
    """A message that reaches no tool: an HTTP status, and what JSON-RPC has for it."""

    def __init__(self, status: int, said: tuple[int, str]) -> None:
        super().__init__(said[1])
        self.status = status
        self.said = said


class GuardedServer:
    """An MCP server that answers to callers with the right scopes alone.

    The guard's audience is the address of the server's endpoint, as clients know it: it is the `resource` that they ask tokens for
    (RFC 8707). `scopes` are the few that a client should ask for at first: they stand in the challenge of a 401 and in the metadata
    (RFC 9728); more are asked for when a tool needs them. `methods` says what the methods beside `tools/call` need, say
    `{"resources/read": needs("read:files")}`; those that hand out content and are not named are closed. `open_paths` are served
    without a look at credentials. The guard's own rule (`allow`) finds the message in its request's `native`.
    """

    def __init__(
        self,
        server: MCPServer[Any],
        guard: Guard,
        *,
        scopes: Sequence[str],
        methods: Mapping[str, Requirement] | None = None,
        open_paths: Iterable[str] = (),
    ) -> None:
        if isinstance(scopes, str):
            raise TypeError("scopes is a list of scopes, not one text")
        if "tools/call" in (methods or {}):
            raise ValueError("what a tool needs is said with the tool: @guarded.tool(…)")
        if guard.resource is None:
            raise ValueError("the guard's audience has to be the https address of the MCP server, and its description must not be None")
        self.server = server
        self.guard = guard
        self.path = urlsplit(guard.audience).path or "/"
        self.resource: Resource = guard.resource
        self.scopes = needs(*scopes).all_of
        self._methods = {method: _Need(need) for method, need in (methods or {}).items()}
        self._tools: dict[str, _Need] = {}
        self._open_paths = tuple(open_paths)

    def tool(
        self,
        *scopes: str,
        any_of: Sequence[str] = (),
        roles: Sequence[str] = (),
        acr: Sequence[str] = (),
        max_age: int | None = None,
        account_in: str | None = None,
        name: str | None = None,
        **settings: Any,  # noqa: ANN401 - the SDK's own
    ) -> Callable[[_Function], _Function]:
        """A tool for callers with these scopes only, and only those of the account that an argument names, if one does.

        The first arguments are those of `gatewright_guard.decide.needs`; `account_in` is the name of the argument that holds the id or
        slug of the account. Everything else is what the SDK's `tool` takes.
        """
        need = _Need(needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age), account_in)

        def add(function: _Function) -> _Function:
            called = name or function.__name__
            if called in self._tools:
                raise ValueError(f"there are two tools named {called!r}, and the server keeps the first")
            if account_in is not None and account_in not in inspect.signature(function).parameters:
                raise ValueError(f"the tool {called!r} has no argument {account_in!r}, which is to name the account")
            self.server.add_tool(function, name=called, **settings)
            self._tools[called] = need
            return function

        return add

    def app(self, **settings: Any) -> App:  # noqa: ANN401 - the SDK's own
        """The ASGI application; `settings` are those of the SDK's `streamable_http_app`, without the path, or version 1's of `FastMCP`.

        Unless they say otherwise, it answers under the audience's host alone, and to pages of that origin alone (the SDK would take
        this machine's names). The guard is closed when the application stops.
        """
        address = urlsplit(self.guard.audience)
        here = TransportSecuritySettings(allowed_hosts=[address.netloc], allowed_origins=[f"{address.scheme}://{address.netloc}"])
        inner = _application(self.server, self.path, {"transport_security": here} | settings)
        self._live_with(inner)
        return _Door(self, inner, tuple(Rule(path=path, needs=None) for path in self._open_paths))

    def _live_with(self, app: Starlette) -> None:
        running = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(started: Starlette) -> AsyncIterator[Any]:
            stray = [tool.name for tool in await self.server.list_tools() if tool.name not in self._tools]
            if stray:
                raise RuntimeError(f"no scopes are said for the tools {', '.join(stray)}: add them with @guarded.tool(…)")
            async with self.guard, running(started) as state:
                yield state

        app.router.lifespan_context = lifespan

    def need_of(self, message: Mapping[str, Any]) -> tuple[Requirement, str | None]:
        """What a message needs, and in which account."""
        method = message.get("method")
        # An answer to a question of the server's has no method; a notification asks for nothing.
        if method is None or method in _ABOUT_ITSELF or method.startswith("notifications/"):
            return _ANY_TOKEN, None
        params = message.get("params")
        asked = params if isinstance(params, dict) else {}
        if method == "tools/call":
            need = self._tools.get(str(asked.get("name")))
            if need is None:
                raise _Fault(200, _NO_TOOL)
        else:
            need = self._methods.get(method)
            if need is None:
                _log.info("the method %.40r is closed: say in methods= what it needs", method)
                raise _Fault(200, _NO_METHOD)
        return need.scopes, None if need.account_in is None else _account(asked, need.account_in)

    def told(self, refusal: Refusal, requirement: Requirement) -> Refusal:
        """A refusal as MCP wants it: a client without a good token learns which scopes to begin with, and what it was about to need."""
        if refusal.status != 401:
            return refusal
        return structs.replace(refusal, scope=tuple(dict.fromkeys((*self.scopes, *requirement.least(frozenset())))))


def _application(server: MCPServer[Any], path: str, settings: Mapping[str, Any]) -> Starlette:
    if not _IS_VERSION_1:
        return server.streamable_http_app(streamable_http_path=path, **settings)
    # There they belong to the server.
    for name, value in {"streamable_http_path": path, **settings}.items():
        setattr(server.settings, name, value)
    return server.streamable_http_app()


# In quotes, since the Context of version 1 takes three types.
def caller_of(context: "Context[Any, Any]") -> Caller:
    """Who called the tool."""
    request = context.request_context.request
    answer = request.scope.get(KEY) if isinstance(request, HttpRequest) else None
    if not isinstance(answer, Allowed):
        raise RuntimeError("nobody was admitted to this tool: serve the application that GuardedServer.app() makes")  # noqa: TRY004 - nobody passed it
    return answer.claims


def _account(asked: Mapping[str, Any], argument: str) -> str:
    arguments = asked.get("arguments")
    found = arguments.get(argument) if isinstance(arguments, dict) else None
    # Nobody's account: the guard refuses it.
    return found if isinstance(found, str) else ""


class _Door:
    """The ASGI application in front of the SDK's."""

    def __init__(self, guarded: GuardedServer, inner: App, rules: Iterable[Rule]) -> None:
        self._guarded = guarded
        self._inner = inner
        self._elsewhere = GuardMiddleware(inner, guarded.guard, rules)
        self._endpoint = segments_of(guarded.path)
        self._document = guarded.resource.document(guarded.scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # A WebSocket is refused there, as every path without a rule is.
            await self._elsewhere(scope, receive, send)
        elif scope["path"] == self._guarded.resource.path and scope["method"] in ("GET", "HEAD"):
            await describe(self._document, scope, send)
        elif segments_of(scope["path"]) == self._endpoint:
            await self._admit(scope, receive, send)
        else:
            await self._elsewhere(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        number: object = None
        message: dict[str, Any] | None = None
        requirement, account, fault = _ANY_TOKEN, None, None
        # Of who shows no token nothing is read.
        if scope["method"] == "POST" and _shows_token(scope):
            try:
                message = _message(await _body(receive))
                number = message.get("id")
                requirement, account = self._guarded.need_of(message)
            except _Fault as found:
                fault = found
        # Once only, since a proof of a key is good once (RFC 9449 §11.1); and before anybody hears which tools there are.
        request = request_of(scope, self._guarded.guard.proxies, message)
        answer = await self._guarded.guard.check(request, requirement, account=account)
        if isinstance(answer, Refusal):
            await refuse(self._guarded.told(answer, requirement), scope, receive, send)
        elif fault is not None:
            await _fault(send, fault, number)
        else:
            # What was not looked at is not handed on: no other method has a message.
            body = b"" if message is None else msgspec.json.encode(message)
            await self._inner(_admitted(scope, answer, body), _again(body, receive), send)


def _shows_token(scope: Scope) -> bool:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    try:
        return presented(values) is not None
    except Refused:
        return False


async def _body(receive: Receive) -> bytes:
    """The whole body of a request."""
    held = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _Fault(400, _PARSE_ERROR)
        held += event.get("body", b"")
        if len(held) > MAX_BODY:
            raise _Fault(413, _TOO_LONG)
        if not event.get("more_body", False):
            return bytes(held)


def _message(body: bytes) -> dict[str, Any]:
    """The one message of a body; a batch is none (MCP 2025-06-18 did away with them)."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _Fault(400, _PARSE_ERROR) from None
    if not isinstance(found, dict) or not isinstance(found.get("method", ""), str):
        raise _Fault(400, _NO_MESSAGE)
    return found


_OURS: Final = (b"authorization", b"dpop")


def _admitted(scope: Scope, answer: Allowed, body: bytes | None) -> Scope:
    """The request as the server gets it: with who calls, and without the token, which is for us and must go nowhere else."""
    dropped = _OURS if body is None else (*_OURS, b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    if body is not None:
        headers.append((b"content-length", str(len(body)).encode("ascii")))
    claims = answer.claims
    token = AccessToken(
        token="",
        client_id=claims.client_id,
        scopes=sorted(claims.scopes),
        expires_at=claims.exp,
        resource=claims.aud[0],
        subject=claims.sub,
        claims={"iss": claims.iss},
    )
    # The SDK lets nobody but who opened a session go on with it, and knows them by this.
    return {**scope, "headers": headers, KEY: answer, "user": AuthenticatedUser(token)}


def _again(body: bytes, receive: Receive) -> Receive:
    """Hands out what was decided about, as we read it: where the server would read it otherwise, it cannot."""
    pending = [body]

    async def received() -> MutableMapping[str, Any]:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return received


async def _fault(send: Send, fault: _Fault, number: object) -> None:
    code, text = fault.said
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
