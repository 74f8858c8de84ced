"""Pages over ASGI: from a request to a `PageAsk`, from a `PageReply` to a response; and what belongs to pages but is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.log import Event, incident
from gatewright.oauth.errors import OAuthError, PageError, ServerError, TemporarilyUnavailable
from gatewright.oauth.paths import PATHS
from gatewright.store import StoreBusy, StoreError
from gatewright.tenants.logos import POLICY
from gatewright.web.ask import HttpFault, Receive, Scope, Send, address, body, cookies, is_form, pairs
from gatewright.web.brand import DEFAULT_COLOR, brand_css
from gatewright.web.pages import NAMED, PROTOCOL_PAGES, ROUTES
from gatewright.web.pages.page import LOGO_PATH, Handler, PageAsk, PageReply, failed
from gatewright.web.render import BRAND_PATH, STATIC_PATH, static_file
from gatewright.web.reply import send_raw

if TYPE_CHECKING:
    from gatewright.app import House
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer

_FOR_EVER: Final = (b"cache-control", b"public, max-age=31536000, immutable")
_FOR_A_WHILE: Final = (b"cache-control", b"public, max-age=3600")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")

Methods = tuple[str, ...]


class PageDoor:
    """Answers whatever is no protocol endpoint."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._routes = _table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, head: dict[bytes, bytes], issuer: Issuer, at: Moment) -> None:
        """Answer one request.

        Raises:
            HttpFault: there is no such page, or not with this method.
        """
        path, method = scope["path"], scope["method"]
        found = self._routes.get(path) or _named(path)
        if found is None or (found[2] and not found[2].intersection(issuer.paths)):
            await self._other(path, method, send, issuer)
            return
        handler, methods, _ = found
        if method not in methods:
            raise HttpFault(405, f"use {' or '.join(methods)} here", ((b"allow", ", ".join(methods).encode()),))
        asked = PageAsk(method, path, issuer, at)
        try:
            asked = await self._asked(scope, receive, head, asked)
            reply = await handler(asked, self._house)
        except PageError as error:
            reply = await failed(asked, self._house, error.error)
        except OAuthError as error:
            reply = await failed(asked, self._house, error)
        except StoreError as error:
            reply = await self._unavailable(asked, error)
        except HttpFault:
            raise
        except Exception as crash:  # noqa: BLE001 - a page that fails is still a page
            self._house.log.crashed(Event.REQUEST_FAILED, crash, incident=incident(at), path=path)
            reply = await failed(asked, self._house, ServerError("an unexpected fault"))
        await send_raw(send, reply.status, reply.body, list(reply.headers))

    async def _asked(self, scope: Scope, receive: Receive, head: dict[bytes, bytes], bare: PageAsk) -> PageAsk:
        fields = scope["query_string"]
        if bare.method == "POST":
            raw = await body(receive, head.get(b"content-length", b""))
            if raw and not is_form(head.get(b"content-type", b"")):
                raise HttpFault(415, "send the form as application/x-www-form-urlencoded")
            fields = raw  # never the query beside it: a password does not stand in an address
        return PageAsk(
            bare.method,
            bare.path,
            bare.issuer,
            bare.at,
            pairs=tuple(pairs(fields)),
            cookies=cookies(head.get(b"cookie", b"")),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.items()},
            address=address(scope, head.get(b"x-forwarded-for", b""), self._house.trusted_proxies),
        )

    async def _unavailable(self, asked: PageAsk, error: StoreError) -> PageReply:
        retry = error.retry_after if isinstance(error, StoreBusy) else 1
        refusal = TemporarilyUnavailable("the server cannot answer right now", retry_after=retry, why=str(error))
        try:
            return await failed(asked, self._house, refusal)
        except StoreError:
            # Not even the tenant's look can be read.
            return PageReply(503, (_TEXT, _NOSNIFF, (b"retry-after", b"%d" % retry)), b"We cannot answer right now. Try again shortly.\n")

    async def _other(self, path: str, method: str, send: Send, issuer: Issuer) -> None:
        reply = await self._asset(path, issuer) if method in ("GET", "HEAD") else None
        if reply is None:
            raise HttpFault(404, "there is nothing at this address")
        await send_raw(send, reply.status, reply.body, list(reply.headers))

    async def _asset(self, path: str, issuer: Issuer) -> PageReply | None:
        if path.startswith(STATIC_PATH):
            found = static_file(path[len(STATIC_PATH) :])
            return None if found is None else PageReply(200, (_FOR_EVER, _NOSNIFF, (b"content-type", found[1].encode())), found[0])
        look = await self._house.sites.look(issuer.tenant, issuer.host)
        if path == BRAND_PATH:
            style = brand_css(look.color or DEFAULT_COLOR).encode()
            return PageReply(200, (_FOR_A_WHILE, _NOSNIFF, (b"content-type", b"text/css; charset=utf-8")), style)
        if look.logo is not None and path == LOGO_PATH + look.logo:
            logo = self._house.logos.find(look.logo)
            heads = (_FOR_A_WHILE, _NOSNIFF, (b"content-security-policy", POLICY))
            return None if logo is None else PageReply(200, (*heads, (b"content-type", logo[1])), logo[0])
        return None


def _named(path: str) -> tuple[Handler, Methods, frozenset[str]] | None:
    """Return the page that has a name in its path."""
    return next(((handler, methods, frozenset()) for pattern, methods, handler in NAMED if pattern.fullmatch(path)), None)


def _table() -> dict[str, tuple[Handler, Methods, frozenset[str]]]:
    """Return path → handler, its methods, and the presets under which it answers there (none: everywhere)."""
    table: dict[str, tuple[Handler, Methods, frozenset[str]]] = {}
    for methods, path, handler in ROUTES:
        table[path] = (handler, methods, frozenset())
    for preset, paths in PATHS.items():
        for name, handler in PROTOCOL_PAGES.items():
            for place in paths[name]:
                presets = table[place][2] if place in table else frozenset()
                table[place] = (handler, ("GET", "POST"), presets | {preset})
    return table
