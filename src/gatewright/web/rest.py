"""The management API over HTTP: finds the operation of a request, sees who asks, has it done, and tells what came of it.

Everything is derived from the rows of `management.table`. Cookies are never read: only a bearer token speaks here (`security-rules` 40).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.base.log import Event, incident
from gatewright.base.operation import Operation
from gatewright.management.errand import Caller
from gatewright.management.perform import Asked, Office, Outcome, perform, stream
from gatewright.management.table import BY_NAME, OPERATIONS
from gatewright.oauth.access import Access, present
from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import MANAGEMENT_API
from gatewright.oauth.decision import open_to
from gatewright.oauth.errors import InsufficientScope, InvalidToken
from gatewright.oauth.userinfo import refusal
from gatewright.web.ask import REPEATED, HttpFault, Receive, Scope, Send, address
from gatewright.web.cookies import Cookie
from gatewright.web.openapi import DESCRIPTION, PREFIX, document
from gatewright.web.problems import Problem, problem_of
from gatewright.web.reply import NO_STORE, NOSNIFF, send_raw
from gatewright.web.rest_ask import Came, accepts, asked_of, came_of

if TYPE_CHECKING:
    from gatewright.app import House
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer

_FOR_A_WHILE: Final = (b"cache-control", b"public, max-age=300")
JSON: Final = b"application/json"
LINES: Final = b"application/jsonl"
PROBLEM: Final = b"application/problem+json"
_SCHEME: Final = b"bearer "
_CHUNK: Final = 64 * 1024  # bytes of an export that are sent at once

Header = tuple[bytes, bytes]
_ALWAYS: Final[tuple[Header, ...]] = (NO_STORE, NOSNIFF)
_ENCODE: Final = msgspec.json.Encoder().encode


class Route(Struct, frozen=True):
    """One address: its parts, None where they vary, and its operations by method."""

    parts: tuple[str | None, ...]
    operations: Mapping[str, Operation]

    def fits(self, parts: tuple[str, ...]) -> bool:
        """Tell whether a path is this address."""
        return all(mine is None or mine == theirs for mine, theirs in zip(self.parts, parts, strict=True))


def routes(operations: tuple[Operation, ...] = OPERATIONS) -> dict[int, tuple[Route, ...]]:
    """Return the addresses by how many parts they have; the more is said, the earlier it is asked."""
    table: dict[tuple[str | None, ...], dict[str, Operation]] = {}
    for operation in operations:
        parts = tuple([None if part.startswith("{") else part for part in operation.path.strip("/").split("/")])
        table.setdefault(parts, {})[operation.method] = operation
    found: dict[int, list[Route]] = {}
    for parts, methods in sorted(table.items(), key=lambda pair: [part is None for part in pair[0]]):
        found.setdefault(len(parts), []).append(Route(parts, methods))
    return {length: tuple(several) for length, several in found.items()}


class CutShort(Exception):
    """Something failed when a part of the answer was sent already."""


class RestDoor:
    """Answers everything below `/-/api/v1` that is an operation."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._routes = routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, head: dict[bytes, bytes], issuer: Issuer, at: Moment) -> None:
        """Answer one request."""
        if scope["path"] == DESCRIPTION and scope["method"] in ("GET", "HEAD"):
            # The same for everybody, so whoever may reach the server may read it.
            await send_raw(send, 200, _ENCODE(document(issuer)), [_FOR_A_WHILE, NOSNIFF, (b"content-type", JSON)])
            return
        shown = scope["path"]
        try:
            operation, came = self._found(scope, head)
            shown = PREFIX + operation.path  # what the log tells: in its own path may be somebody's e-mail address
            if _has_our_cookie(head) and b"authorization" not in head:
                raise HttpFault(401, "cookies are not read here: send an access token in the Authorization header", _CHALLENGE)
            office = await self._office(operation, scope, head, issuer, at)
            accepts(head.get(b"accept", b""), LINES if operation.lines else JSON)
            asked = await asked_of(operation, came, receive, head)
            if operation.lines:
                await _send_lines(send, stream(operation, asked, office))
                return
            await self._answer(send, operation, asked, await perform(operation, asked, office), issuer, head)
        except asyncio.CancelledError as cut:
            await self._refuse(send, cut, at, shown)
        except Exception as error:  # noqa: BLE001 - whatever happens is told as a problem; `problem_of` knows what is a bug
            await self._refuse(send, error, at, shown)

    def _found(self, scope: Scope, head: dict[bytes, bytes]) -> tuple[Operation, Came]:
        came = came_of(scope, len(PREFIX))
        route = next((one for one in self._routes.get(len(came.parts), ()) if one.fits(came.parts)), None)
        if route is None:
            raise HttpFault(404, f"there is no such address; {PREFIX}/ lists those there are")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = route.operations.get(method)
        if operation is None:
            allowed = ", ".join(_with_head(route.operations))
            raise HttpFault(405, f"use {allowed} here", ((b"allow", allowed.encode()),))
        names = [part[1:-1] for part in operation.path.strip("/").split("/") if part.startswith("{")]
        values = [theirs for mine, theirs in zip(route.parts, came.parts, strict=True) if mine is None]
        return operation, msgspec.structs.replace(came, places=dict(zip(names, values, strict=True)))

    async def _office(self, operation: Operation, scope: Scope, head: dict[bytes, bytes], issuer: Issuer, at: Moment) -> Office:
        house = self._house
        where = address(scope, head.get(b"x-forwarded-for", b""), house.trusted_proxies)
        access = await present(_bearer(head), issuer, house.world, now=at.now, address=where)
        if not isinstance(access, Access):
            raise refusal(access)
        caller = caller_of(access, operation, where)
        return Office(house.store, at, issuer.tenant, caller, house, house.vault)

    async def _answer(
        self, send: Send, operation: Operation, asked: Asked, outcome: Outcome, issuer: Issuer, head: dict[bytes, bytes]
    ) -> None:
        headers: list[Header] = [*_ALWAYS]
        base = issuer.url + PREFIX
        if outcome.etag:
            headers.append((b"etag", outcome.etag.encode()))
            if not operation.changes and outcome.etag.encode() in [tag.strip() for tag in head.get(b"if-none-match", b"").split(b",")]:
                await send_raw(send, 304, b"", headers)
                return
        if outcome.replayed:
            headers.append((b"idempotency-replayed", b"true"))
        if asked.preview:
            await send_raw(send, 200, _ENCODE(outcome.value), [*headers, (b"content-type", JSON)])
            return
        if operation.gives is None:
            await send_raw(send, 204, b"", headers)
            return
        value = msgspec.to_builtins(outcome.value)
        if operation.many:
            following = _next(base, operation, asked, outcome.next)
            value = {"items": value, "next": following}
            headers += [(b"link", f'<{following}>; rel="next"'.encode())] if following else []
        elif operation.status == 201:
            headers += _location(base, operation, asked, value)
        await send_raw(send, operation.status, _ENCODE(value), [*headers, (b"content-type", JSON)])

    async def _refuse(self, send: Send, error: BaseException, at: Moment, path: str) -> None:
        name = incident(at)
        problem, headers, why = problem_of(error, name)
        if problem.status == 500 and isinstance(error, Exception):
            self._house.log.crashed(Event.REQUEST_FAILED, error, incident=name, path=path)
        else:
            self._house.log.tell(Event.REQUEST_REFUSED, request=name, path=path, error=problem.type.rpartition(":")[2], why=why)
        if isinstance(error, CutShort):
            return  # the answer has begun: that it never ends is all that can be told
        await send_problem(send, problem, [*headers, (b"request-id", name.encode())])


def caller_of(access: Access, operation: Operation, where: str) -> Caller:
    """Return who asks, as far as the token lets it do this operation.

    Raises:
        InvalidToken: the token is for another API.
        InsufficientScope: it has no scope for this.
    """
    standing = access.standing
    if access.api is None or access.api.id != MANAGEMENT_API:
        raise InvalidToken("the access token is for another API")
    held = frozenset([scope.name for scope in access.scopes if scope.api == MANAGEMENT_API])
    # A service that is tied to an account stays there, whatever it is allowed.
    tied = bool(standing.account) and not standing.person
    account = 0
    if operation.scope not in held or tied:
        if not operation.delegated or operation.delegated not in held or not standing.account:
            wanted = operation.delegated if operation.delegated and standing.account else operation.scope
            raise InsufficientScope(f"the access token lacks the scope {wanted}", scope=wanted)
        account = standing.account
    return Caller(
        actor=ids.show(ids.USER, standing.person) if standing.person else access.client.client_id,
        client=access.client.client_id,
        address=where,
        held=held,
        account=account,
        gives=_gives(access, standing) if account else frozenset(),
    )


def _gives(access: Access, standing: Standing) -> frozenset[int]:
    return open_to(access.catalogue, access.client, standing.party) if standing.person else access.client.scopes


async def send_problem(send: Send, problem: Problem, headers: list[Header]) -> None:
    """Send a refusal (RFC 9457)."""
    await send_raw(send, problem.status, _ENCODE(problem), [(b"content-type", PROBLEM), *_ALWAYS, *headers])


async def _send_lines(send: Send, records: AsyncIterator[Struct]) -> None:
    """Send records as they are read; what is wrong is told before the first byte, behind it the connection breaks."""
    lines = bytearray()
    begun = False
    try:
        async for record in records:
            lines += _ENCODE(record) + b"\n"
            if len(lines) >= _CHUNK:
                await _begin(send, begun=begun)
                begun = True
                await send({"type": "http.response.body", "body": bytes(lines), "more_body": True})
                lines.clear()
    except Exception as error:
        if begun:
            raise CutShort from error
        raise
    await _begin(send, begun=begun)
    await send({"type": "http.response.body", "body": bytes(lines)})


async def _begin(send: Send, *, begun: bool) -> None:
    if not begun:
        await send({"type": "http.response.start", "status": 200, "headers": [*_ALWAYS, (b"content-type", LINES)]})


_CHALLENGE: Final[tuple[Header, ...]] = ((b"www-authenticate", b'Bearer realm="gatewright"'),)
_OURS: Final = frozenset(name.encode() for cookie in Cookie for name in (cookie.value, f"__Host-{cookie.value}"))


def _has_our_cookie(head: dict[bytes, bytes]) -> bool:
    return any(part.partition(b"=")[0].strip() in _OURS for part in head.get(b"cookie", b"").split(b";"))


def _bearer(head: dict[bytes, bytes]) -> str:
    raw = head.get(b"authorization", b"")
    if raw == REPEATED:
        raise HttpFault(400, "the Authorization header was sent more than once")
    if raw[:7].lower() != _SCHEME:
        raise InvalidToken("")
    return raw[7:].strip().decode("latin-1")


def _with_head(operations: Mapping[str, Operation]) -> list[str]:
    return [method for name in operations for method in ((name, "HEAD") if name == "GET" else (name,))]


def _next(base: str, operation: Operation, asked: Asked, after: str) -> str | None:
    if not after:
        return None
    filters = {name: value for name, value in asked.where.items() if name not in operation.places and name != "after"}
    return f"{base}{_filled(operation.path, asked.where)}?{urlencode({**filters, 'after': after})}"


def _location(base: str, operation: Operation, asked: Asked, value: Mapping[str, Any]) -> list[Header]:
    shown = BY_NAME.get(operation.name.rpartition(".")[0] + ".show")
    if shown is None:
        return []
    named = {place: asked.where.get(place) or value.get(place) or value.get("id") for place in shown.places}
    return [(b"location", f"{base}{_filled(shown.path, named)}".encode())]


def _filled(path: str, values: Mapping[str, Any]) -> str:
    return path.format_map({name: quote(str(value), safe="") for name, value in values.items()})
