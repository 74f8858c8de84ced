"""Leaving: at the user's own wish, or because a client asked (OpenID Connect RP-Initiated Logout)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.oauth.logout import leave, read_hint
from gatewright.oauth.request import STEP_SECONDS, seal_bytes, unseal_bytes
from gatewright.web import cookies, views
from gatewright.web.cookies import Cookie
from gatewright.web.pages import page as pages
from gatewright.web.pages import sign_in
from gatewright.web.pages.own import SIGN_OUT, is_own, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import expired
from gatewright.web.views import Choice

if TYPE_CHECKING:
    from gatewright.oauth.visit import Visitor

SIGNED_OUT: Final = "/-/signed-out"
_PURPOSE: Final = "sign-out"


class Farewell(Struct, frozen=True, omit_defaults=True):
    """A checked request to sign out: where to go then, for which client, and the user whom the client's ID token names."""

    until: int
    redirect: str = ""
    client: str = ""
    person: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Farewell).decode


async def end_session(page: PageAsk, house: House) -> PageReply:
    """Take a client's request to sign out (RP-Initiated Logout §2).

    Raises:
        PageError: the client is unknown, or the address to go to is not registered for it.
    """
    leaving = await leave(page.params, page.issuer, house.world, signed_in=0)
    text = page.params.get("id_token_hint")
    hint = None if text is None else await read_hint(text, page.issuer, house.world)
    farewell = Farewell(
        until=page.at.now + STEP_SECONDS,
        redirect=leaving.redirect or "",
        client="" if leaving.client is None else leaving.client.settings.client_name,
        person=0 if hint is None else hint.person,
    )
    sealed = seal_bytes(_encode(farewell), _PURPOSE, page.issuer, house.world.sealer, page.at)
    # Always by a GET of our own: a post from another site brings no session cookie (SameSite=Lax), and the hint stays out of addresses.
    return go(f"{SIGN_OUT}?r={sealed}")


async def show(page: PageAsk, house: House) -> PageReply:
    """Sign out at once where the client showed an ID token of this very user; ask otherwise."""
    farewell = _opened(page.field("r"), page, house) if page.field("r") else Farewell(page.at.now)
    if farewell is None:
        return await expired(page, house)
    visitor = await visitor_of(page, house)
    if visitor is None:
        return _gone(farewell)
    if farewell.person == visitor.person:
        return await _signed_out(farewell, visitor, page, house)
    view = views.ConfirmSignOut(
        brand=await brand_of(page, house),
        form=views.Form(action=SIGN_OUT, csrf=own_token(page, house, visitor), step=page.field("r")),
        person=views.Person(name=visitor.name, email=visitor.email),
        client=farewell.client or None,
    )
    return pages.show(view, ends_at=(farewell.redirect,) if farewell.redirect else ())


async def act(page: PageAsk, house: House) -> PageReply:
    """Sign out, or stay."""
    farewell = _opened(page.field("step"), page, house) if page.field("step") else Farewell(page.at.now)
    if farewell is None:
        return await expired(page, house)
    visitor = await visitor_of(page, house)
    if visitor is None:
        return _gone(farewell)
    if not is_own(page, house, visitor):
        return go(f"{SIGN_OUT}?r={page.field('step')}" if page.field("step") else SIGN_OUT)
    if page.field("choice") == Choice.DENY:
        return go("/")
    return await _signed_out(farewell, visitor, page, house)


async def signed_out(page: PageAsk, house: House) -> PageReply:
    """Say that it is done."""
    return pages.show(views.SignedOut(brand=await brand_of(page, house), sign_in=sign_in.PATH))


async def _signed_out(farewell: Farewell, visitor: Visitor, page: PageAsk, house: House) -> PageReply:
    await house.sessions.end(page.at, page.issuer.tenant, visitor.person, visitor.session)
    return _gone(farewell).with_cookies(cookies.drop(Cookie.SESSION, page.issuer))


def _gone(farewell: Farewell) -> PageReply:
    return go(farewell.redirect or SIGNED_OUT)


def _opened(text: str, page: PageAsk, house: House) -> Farewell | None:
    plain = unseal_bytes(text, _PURPOSE, page.issuer, house.world.sealer, page.at.now)
    try:
        farewell = None if plain is None else _decode(plain)
    except msgspec.MsgspecError:
        return None
    return None if farewell is None or farewell.until < page.at.now else farewell
