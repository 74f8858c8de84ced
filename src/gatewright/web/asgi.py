"""The door: one dict of paths, and for each request one walk from top to bottom. No framework stands on this path."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from gatewright.app import House
from gatewright.base.log import Event, incident
from gatewright.base.moment import Moment
from gatewright.oauth.api_host import METADATA_PATH, document, issuer_of
from gatewright.oauth.ask import Ask, Params, Reply
from gatewright.oauth.errors import InvalidRequest, OAuthError, TemporarilyUnavailable
from gatewright.oauth.issuer import ApiHost, Issuer
from gatewright.oauth.paths import PATHS
from gatewright.store import StoreBusy, StoreError
from gatewright.web.ask import (
    REPEATED,
    HttpFault,
    Receive,
    Scope,
    Send,
    address,
    body,
    heads,
    host_of,
    is_form,
    is_json,
    json_pairs,
    json_text,
    parameters,
)
from gatewright.web.feed import PATH as FEED
from gatewright.web.feed import FeedDoor
from gatewright.web.jsonapi import Media
from gatewright.web.oauth import ENDPOINTS, INSTALLS, UNINSTALL, Endpoint
from gatewright.web.openapi import PREFIX
from gatewright.web.pages.door import PageDoor
from gatewright.web.reply import CORS_ANY, NO_STORE, NOSNIFF, PREFLIGHT, error_reply, send_chosen, send_json, send_raw
from gatewright.web.resource import PREFIX as RESOURCE
from gatewright.web.resource import ResourceDoor
from gatewright.web.rest import RestDoor
from gatewright.web.unknown_host import UnknownHosts
from gatewright.web.verify import VerifyDoor, asked_at

EVERY_PRESET: Final[frozenset[str]] = frozenset(PATHS)
READY: Final = "/-/ready"
MANAGED: Final = PREFIX + "/"  # itself a page
STATES: Final = frozenset({"/-/health", READY})


@dataclass(slots=True)
class Manner:
    """How one request is answered: which pages may read that, and in which of several representations."""

    cors: list[tuple[bytes, bytes]] = field(default_factory=list)
    media: Media | None = None


class Gate:
    """The ASGI application of one process, over one open house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._world = house.world
        self._pages = PageDoor(house)
        self._rest = RestDoor(house)
        self._feed = FeedDoor(house)
        self._resource = ResourceDoor(house)
        self._verify = VerifyDoor(house)
        self._strangers = UnknownHosts(house)
        self._endpoints: dict[str, tuple[Endpoint, frozenset[str]]] = _table()
        self._not_ready: str | None = None  # what was told last, which is told once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but http is refused by closing."""
        if scope["type"] != "http":
            return
        at = self._house.clock.moment()
        head = heads(scope["headers"])
        path = scope["path"]
        if path in STATES:
            # A balancer asks by address, not by a tenant's host.
            await self._state(path, send)
            return
        found = self._endpoints.get(path) or _placed(path)
        manner = Manner()
        try:
            site = await self._house.sites.at(host_of(scope, head))
            if not isinstance(site, Issuer):
                await self._elsewhere(site, found, scope, receive, send, head, at, manner)
                return
            if found is None and asked_at(path):
                await self._verify(scope, send, head, site, at)
                return
            if found is None or not found[1].intersection(site.paths):
                await self._door(path)(scope, receive, send, head, site, at)
                return
            await self._protocol(found[0], scope, receive, send, head, site, at, manner)
        except HttpFault as fault:
            extra = [NO_STORE, NOSNIFF, (b"content-type", b"text/plain; charset=utf-8"), *fault.headers, *manner.cors]
            await send_raw(send, fault.status, fault.sentence.encode() + b"\n", extra)
        except OAuthError as error:
            await self._refuse(send, error, at, manner, path)
        except (StoreError, asyncio.CancelledError) as error:
            # Nobody but the end of the drain cancels a request.
            await self._refuse(send, _unavailable(error), at, manner, path)
        except Exception as crash:  # noqa: BLE001 - a bug answers too, with an incident id and nothing else
            name = incident(at)
            self._house.log.crashed(Event.REQUEST_FAILED, crash, incident=name, path=path)
            extra = [(b"request-id", name.encode()), *manner.cors]
            await send_json(send, 500, {"error": "server_error", "error_description": f"an unexpected fault, incident {name}"}, extra)

    def _door(self, path: str) -> FeedDoor | ResourceDoor | RestDoor | PageDoor:
        if path == FEED:
            return self._feed
        if path.startswith(RESOURCE):
            return self._resource
        return self._rest if path.startswith(MANAGED) and path != MANAGED else self._pages

    async def _elsewhere(
        self,
        site: ApiHost | None,
        found: tuple[Endpoint, frozenset[str]] | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        head: dict[bytes, bytes],
        at: Moment,
        manner: Manner,
    ) -> None:
        """Answer at a host that is no issuer: one that serves a tenant's API shows no page and makes no token, any other is nobody's."""
        if site is None:
            raise await self._strangers.fault(scope, head, at)
        if scope["path"] == METADATA_PATH and scope["method"] in ("GET", "HEAD"):
            await send_json(send, 200, document(site), [(b"cache-control", b"public, max-age=300"), *CORS_ANY])
            return
        managed = scope["path"].startswith(MANAGED) and scope["path"] != MANAGED
        if site.issuers and asked_at(scope["path"]):
            await self._verify(scope, send, head, site, at)
            return
        if not site.issuers or not (managed or (found is not None and found[0].api)):
            raise HttpFault(404, "this host serves an API: sign-in and tokens are at the host of an issuer")
        kind, _, token = (_authorization(head) or "").partition(" ")
        issuer = await issuer_of(token.strip() if kind.lower() == "bearer" else "", site, self._world, now=at.now)
        if managed or found is None:
            await self._rest(scope, receive, send, head, issuer, at)
            return
        await self._protocol(found[0], scope, receive, send, head, issuer, at, manner)

    async def _protocol(
        self,
        endpoint: Endpoint,
        scope: Scope,
        receive: Receive,
        send: Send,
        head: dict[bytes, bytes],
        issuer: Issuer,
        at: Moment,
        manner: Manner,
    ) -> None:
        method = scope["method"]
        # What a cache may keep is the same for everybody: it would be shown to other origins without the permission else.
        if endpoint.cors and (b"origin" in head or method in ("GET", "HEAD")):
            manner.cors = CORS_ANY
        if method not in endpoint.methods:
            await _other_method(endpoint, method, send)
            return
        if endpoint.choose is not None:
            manner.media = endpoint.choose(head.get(b"accept"), head.get(b"content-type", b""))
        params, json = await _sent(receive, head, endpoint) if method == "POST" else (Params({}), False)
        origin = head.get(b"origin")
        ask = Ask(
            params,
            issuer,
            at,
            authorization=_authorization(head),
            address=self._address(scope, head),
            origin=None if origin is None else origin.decode("latin-1"),
            json=json,
        )
        ask.path = scope["path"]
        if origin is not None and endpoint.readers is not None:
            manner.cors = await endpoint.readers(ask, self._world)
        reply = await endpoint.run(ask, self._world)
        if manner.media is not None:
            reply.body = manner.media.document(reply.body)
        await _send(send, reply, manner)

    async def _state(self, path: str, send: Send) -> None:
        """Tell whether this process lives, or whether it should get requests."""
        why = None
        if path == READY:
            try:
                why = await self._house.not_ready()
            except StoreError:
                why = "the store does not answer"
        if why is not None and why != self._not_ready:
            self._house.log.tell(Event.SERVER_NOT_READY, why=why)
        self._not_ready = why
        await send_json(send, 200 if why is None else 503, {"status": "ok" if why is None else "not ready"}, [])

    def _address(self, scope: Scope, head: dict[bytes, bytes]) -> str:
        return address(scope, head.get(b"x-forwarded-for", b""), self._house.trusted_proxies)

    async def _refuse(self, send: Send, error: OAuthError, at: Moment, manner: Manner, path: str) -> None:
        request = incident(at)
        self._house.log.tell(Event.REQUEST_REFUSED, request=request, path=path, error=error.code, why=error.why or error.description)
        reply = error_reply(error)
        if manner.media is not None:
            reply.body = manner.media.refusal(error, reply, request)
        reply.headers.append((b"request-id", request.encode()))
        await _send(send, reply, manner)


async def _send(send: Send, reply: Reply, manner: Manner) -> None:
    extra = reply.headers + manner.cors if manner.cors else reply.headers
    if manner.media is None:
        await send_json(send, reply.status, reply.body, extra)
    else:
        await send_chosen(send, reply.status, reply.body, manner.media.kind, extra)


async def _other_method(endpoint: Endpoint, method: str, send: Send) -> None:
    """Answer a preflight, or refuse a method that an endpoint does not have."""
    if method != "OPTIONS" or not endpoint.cors:
        raise HttpFault(405, f"use {' or '.join(endpoint.methods)} here", ((b"allow", ", ".join(endpoint.methods).encode()),))
    await send({"type": "http.response.start", "status": 204, "headers": PREFLIGHT})
    await send({"type": "http.response.body", "body": b""})


def _placed(path: str) -> tuple[Endpoint, frozenset[str]] | None:
    """Return the endpoint of an address that ends in the id of what is asked for."""
    return (UNINSTALL, EVERY_PRESET) if path.startswith(INSTALLS) else None


def _table() -> dict[str, tuple[Endpoint, frozenset[str]]]:
    """Return path → endpoint and the presets under which it answers there."""
    table: dict[str, tuple[Endpoint, frozenset[str]]] = {}
    for preset, paths in PATHS.items():
        for name, places in paths.items():
            endpoint = ENDPOINTS.get(name)
            for place in places if endpoint is not None else ():
                presets = table[place][1] if place in table else frozenset()
                table[place] = (ENDPOINTS[name], presets | {preset})
    return table


async def _sent(receive: Receive, head: dict[bytes, bytes], endpoint: Endpoint) -> tuple[Params, bool]:
    """Return the parameters of a body, and whether they came as JSON."""
    raw = await body(receive, head.get(b"content-length", b""))
    if not raw and endpoint.body_optional:
        return Params({}), False
    kind = head.get(b"content-type", b"")
    if is_form(kind):
        return parameters(raw), False
    if endpoint.json and is_json(kind):
        return Params.of(json_pairs(raw)), True
    if endpoint.document and is_json(kind):
        return Params({endpoint.document: json_text(raw)}), True
    raise HttpFault(415, "send the parameters as application/x-www-form-urlencoded")


def _authorization(head: dict[bytes, bytes]) -> str | None:
    raw = head.get(b"authorization")
    if raw is None:
        return None
    if raw == REPEATED:
        raise InvalidRequest("the Authorization header was sent more than once")
    return raw.decode("latin-1")


def _unavailable(error: StoreError | asyncio.CancelledError) -> TemporarilyUnavailable:
    retry = error.retry_after if isinstance(error, StoreBusy) else 1
    return TemporarilyUnavailable("the server cannot answer right now; try again shortly", retry_after=retry, why=str(error))
