"""The pages: one file for each screen, each from a `PageAsk` to a `PageReply`; and the table that says where they are."""

from __future__ import annotations

import re
from typing import Final

from gatewright.oauth.errors import InvalidRequest
from gatewright.web import csrf
from gatewright.web.console.table import NAMED as CONSOLE_NAMED
from gatewright.web.console.table import PAGES as CONSOLE
from gatewright.web.console.table import WHOLE as CONSOLE_WHOLE
from gatewright.web.pages import (
    access,
    account,
    api,
    apps,
    authorize,
    client_secret,
    consent,
    continue_as,
    decision,
    device,
    going_on,
    home,
    install,
    own,
    sign_in,
    sign_out,
    uninstall,
    update,
)
from gatewright.web.pages.page import Handler, House, PageAsk, PageReply, failed
from gatewright.web.pages.running import ACCESS, CONTINUE, open_running

__all__ = ["CONSOLE", "NAMED", "PROTOCOL_PAGES", "ROUTES", "Handler", "House", "PageAsk", "PageReply"]

Methods = tuple[str, ...]
Route = tuple[Methods, str, Handler]


def shown(path: str, handler: Handler) -> Route:
    """A page that is only looked at."""
    return ("GET", "HEAD"), path, handler


def posted(path: str, handler: Handler) -> Route:
    """A form's target."""
    return ("POST",), path, _from_here(handler)


def both(path: str, show: Handler, act: Handler) -> Route:
    """A page whose form comes back to it."""
    guarded = _from_here(act)

    async def either(page: PageAsk, house: House) -> PageReply:
        return await (guarded if page.posted else show)(page, house)

    return ("GET", "HEAD", "POST"), path, either


def step(handler: Handler) -> Handler:
    """A step of a running request: in a popup, it stays beside the window that opened it (`security-rules` 44)."""

    async def in_its_window(page: PageAsk, house: House) -> PageReply:
        reply = await handler(page, house)
        running = open_running(page, house)
        return reply.beside_its_opener() if running is not None and running.popup else reply

    return in_its_window


def _by_method(handler: Handler, *, acts: bool) -> tuple[Methods, Handler]:
    """The methods and the handler of a page with a name in its path, which looks at the method itself."""
    methods, _, either = both("", handler, handler) if acts else shown("", handler)
    return methods, either


def _from_here(handler: Handler) -> Handler:
    """Refuse a form that the browser says was posted from another site, before anything looks at it."""

    async def guarded(page: PageAsk, house: House) -> PageReply:
        if not csrf.from_here(page.issuer, page.headers.get("origin"), page.headers.get("sec-fetch-site")):
            return await failed(page, house, InvalidRequest("this form was posted from another site"), status=403)
        return await handler(page, house)

    return guarded


ROUTES: Final[tuple[Route, ...]] = (
    shown("/", home.show),
    shown(authorize.POSTED, authorize.posted),
    shown(CONTINUE, step(going_on.show)),
    both(sign_in.PATH, sign_in.visit, step(sign_in.act)),
    posted(account.PATH, step(account.act)),
    posted(continue_as.PATH, step(continue_as.act)),
    posted(consent.PATH, step(consent.act)),
    both(device.PATH, device.show, device.act),
    posted(install.PATH, install.act),
    both(apps.UPDATE, update.show, update.act),
    shown(apps.ACCOUNT_APPS, apps.show),
    posted(apps.REMOVE, apps.remove),
    posted(apps.HAND_OVER, apps.hand_over),
    posted(apps.UNINSTALL, apps.uninstall),
    shown(apps.CONFIRM, uninstall.show),
    shown(ACCESS, access.show),
    posted(access.REMOVE, access.remove),
    posted(access.SHRINK, access.shrink),
    posted(access.END_SESSION, access.end_session),
    posted(access.END_OTHERS, access.end_others),
    both(own.SIGN_OUT, sign_out.show, sign_out.act),
    shown(sign_out.SIGNED_OUT, sign_out.signed_out),
    shown(api.PATH, api.show),
    *(shown(row.room, handler) for row, handler in CONSOLE_WHOLE),
)

# Pages with a name in their path: asked in this order when no whole path is the one.
NAMED: Final[tuple[tuple[re.Pattern[str], Methods, Handler], ...]] = (
    (client_secret.PATHS, client_secret.METHODS, both("", client_secret.show, client_secret.act)[2]),
    (decision.PATHS, ("GET", "HEAD"), decision.show),
    (install.PATHS, ("GET", "HEAD"), install.show),
    (install.POPUP_PATHS, ("GET", "HEAD"), install.authorize),
    *((row.pattern, *_by_method(handler, acts=row.act is not None)) for row, handler in CONSOLE_NAMED),
)

# Protocol endpoints that browsers meet: pages of clients lead here, by GET or POST, at the paths of the tenant's presets.
PROTOCOL_PAGES: Final[dict[str, Handler]] = {"authorize": authorize.show, "end_session": sign_out.end_session}
