"""The guard in Starlette: `protect(app, guard)` once, then `@requires("read:balance")` on what needs it."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler
from starlette.websockets import WebSocket

from gatewright_guard.asgi import BY, KEY, request_of
from gatewright_guard.decide import Refusal, Requirement, needs
from gatewright_guard.door import Caller, NotAllowed, admitted, again, caller_in
from gatewright_guard.door import account_in as named
from gatewright_guard.guard import Guard
from gatewright_guard.resource import HEADERS, Resource

Endpoint = Callable[[Request], Awaitable[Response]]

__all__ = ["Caller", "Guard", "NotAllowed", "admit", "caller_of", "protect", "requires", "response_to"]

_GUARD: Final = "gatewright_guard"


def protect(app: Starlette, guard: Guard, *, scopes: Sequence[str] = ()) -> None:
    """Give the application its guard: refusals become responses, and the guard is closed when the application stops.

    The application describes itself at the guard's well-known path (RFC 9728); `scopes` are those that it tells of there.
    """
    setattr(app.state, _GUARD, guard)
    app.add_exception_handler(NotAllowed, cast(ExceptionHandler, _answer))
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Starlette) -> AsyncIterator[Any]:
        async with guard, inner(running) as state:
            yield state

    app.router.lifespan_context = lifespan
    if guard.resource is not None and guard.resource.path is not None:
        # The first of all, so that no route of the application's swallows it.
        app.router.routes.insert(0, Route(guard.resource.path, _description(guard.resource, scopes), include_in_schema=False))


def _description(resource: Resource, scopes: Sequence[str]) -> Endpoint:
    document = resource.document(scopes)

    async def describe(_: Request) -> Response:
        return Response(document, headers=dict(HEADERS))

    return describe


async def _answer(connection: HTTPConnection, fault: Exception) -> Response | None:
    if not isinstance(fault, NotAllowed):
        raise fault
    if not isinstance(connection, WebSocket):
        return response_to(fault.refusal)
    if "websocket.http.response" in connection.scope.get("extensions", {}):
        await connection.send_denial_response(response_to(fault.refusal))
    else:
        # Before the handshake is answered the server turns this into a 403, which is all that it can say.
        await connection.close(code=1008)
    return None


def response_to(refusal: Refusal) -> Response:
    """A refusal as a response."""
    return Response(refusal.body(), refusal.status, headers=dict(refusal.headers()))


async def admit(connection: HTTPConnection, requirement: Requirement, account_in: str | None = None) -> Caller:
    """Who sent the request, if they may; `NotAllowed` otherwise. The application's own exceptions to a rule call this too."""
    guard = getattr(connection.app.state, _GUARD, None)
    if not isinstance(guard, Guard):
        raise RuntimeError("the application has no guard: call protect(app, guard) where it is made")  # noqa: TRY004 - nobody passed it
    account, scope = named(connection.path_params, account_in), connection.scope
    answer = again(guard, requirement, account, held=scope.pop(KEY, None), by=scope.pop(BY, None))
    if answer is None:
        answer = await guard.check(request_of(scope, guard.proxies, connection), requirement, account=account)
    allowed = admitted(answer)
    scope[KEY], scope[BY] = allowed, guard
    return allowed.claims


def caller_of(connection: HTTPConnection) -> Caller:
    """Who sent a request that was admitted."""
    return caller_in(connection.scope.get(KEY))


def requires(
    *scopes: str,
    any_of: Sequence[str] = (),
    roles: Sequence[str] = (),
    acr: Sequence[str] = (),
    max_age: int | None = None,
    account_in: str | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Only callers with these scopes reach the endpoint, and only those of the account that the path names, if it names one.

    The arguments are those of `gatewright_guard.decide.needs`; `account_in` is the path parameter with the account's id or slug.
    """
    requirement = needs(*scopes, any_of=any_of, roles=roles, acr=acr, max_age=max_age)

    def around(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            await admit(request, requirement, account_in)
            return await endpoint(request)

        return guarded

    return around
