"""An app's own addresses: where it is installed, and where another site opens it in a popup. Both lead to the one authorization request."""

from __future__ import annotations

import re
from typing import Final

from gatewright.base import ids
from gatewright.market.rules import TAKEN
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.client import Client
from gatewright.oauth.visit import Seat, Visitor
from gatewright.web import app_views, csrf, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.authorize import asked
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import ACCESS, begin
from gatewright.web.views import Choice

PATH: Final = "/-/install"
_APP: Final = rf"/(?!(?:{'|'.join(sorted(TAKEN))})/)[a-z0-9][a-z0-9-]{{0,62}}"
PATHS: Final = re.compile(f"{_APP}/install")
POPUP_PATHS: Final = re.compile(f"{_APP}/authorize")
_PASSED_ON: Final = frozenset({"state", "account", "login_hint"})
_PURPOSE: Final = "install"


def _slug(page: PageAsk) -> str:
    return page.path[1:].partition("/")[0]


async def show(page: PageAsk, house: House) -> PageReply:
    """Begin the installation that nobody but the user asked for; the app learns of it by its code."""
    client = await _app(page, house)
    if isinstance(client, PageReply):
        return client
    if "authorization_code" not in client.grant_types:
        return await _without_access(page, house, client)
    pairs = [(name, value) for name, value in page.pairs if name in _PASSED_ON]
    return await _asked(page, house, client, [*pairs, ("redirect_uri", client.settings.redirect_uris[0])], popup=False)


async def authorize(page: PageAsk, house: House) -> PageReply:
    """Begin an authorization from another site, in a popup if it says so (`security-rules` 44)."""
    client = await _app(page, house)
    if isinstance(client, PageReply):
        return client
    if "authorization_code" not in client.grant_types:
        return await _without_access(page, house, client)
    pairs = [(name, value) for name, value in page.pairs if name not in ("popup", "client_id")]
    return await _asked(page, house, client, pairs, popup=page.field("popup") == "true")


async def _asked(page: PageAsk, house: House, client: Client, pairs: list[tuple[str, str]], *, popup: bool) -> PageReply:
    named = {name for name, _ in pairs}
    said = [("client_id", client.client_id), *([] if "response_type" in named else [("response_type", "code")])]
    ask = Ask(Params.of([*pairs, *said]), page.issuer, page.at, address=page.address)
    return await asked(page, house, ask, popup=popup)


async def _app(page: PageAsk, house: House) -> Client | PageReply:
    """Return the app of an address if it may be installed, else the page that says that it may not."""
    client = await house.world.directory.client(page.issuer.tenant, _slug(page))
    if client is None or not client.is_app:
        return pages.show(app_views.NoApp(brand=await brand_of(page, house)), status=404)
    if client.disabled or client.settings.withdrawn:
        return pages.show(app_views.NoApp(brand=await brand_of(page, house), app=client.settings.client_name), status=410)
    return client


# ---------------------------------------------------------------- an app that asks for nothing


async def _without_access(page: PageAsk, house: House, client: Client) -> PageReply:
    visitor = await visitor_of(page, house)
    if visitor is None:
        return await begin(page, house, visit=f"/{client.client_id}/install") or go("/")
    return await _offered(page, house, client, visitor)


async def _offered(page: PageAsk, house: House, client: Client, visitor: Visitor) -> PageReply:
    manifest = await house.market.manifest(client)
    seats = await house.front.consents.all_seats(page.issuer.tenant, visitor.person)
    roles = (await house.world.directory.catalogue(page.issuer.tenant)).roles
    view = app_views.Install(
        brand=await brand_of(page, house),
        form=views.Form(action=PATH, csrf=_token(page, house, visitor), step=client.client_id),
        app=client.settings.client_name,
        card=views.AppCard(description="" if manifest is None else manifest.description, icon=None if manifest is None else manifest.icon),
        person=views.Person(name=visitor.name, email=visitor.email),
        accounts=tuple(
            [
                views.AccountChoice(
                    value=ids.show(ids.ACCOUNT, seat.account),
                    account=views.Account(name=seat.name, slug=seat.slug),
                    roles=tuple([roles[role].name for role in sorted(seat.roles) if role in roles]),
                )
                for seat in seats
            ]
        ),
        chosen=next((ids.show(ids.ACCOUNT, seat.account) for seat in _latest(seats)), None),
    )
    return pages.show(view)


def _latest(seats: tuple[Seat, ...]) -> list[Seat]:
    return sorted(seats, key=lambda seat: -(seat.chosen_at or 0))


def _token(page: PageAsk, house: House, visitor: Visitor) -> str:
    return csrf.token(house.world.sealer, page.issuer, _PURPOSE, visitor.proof)


async def act(page: PageAsk, house: House) -> PageReply:
    """Install an app that asks for nothing in the account that was chosen."""
    visitor = await visitor_of(page, house)
    client = await house.world.directory.client(page.issuer.tenant, page.field("step"))
    fits = visitor is not None and csrf.fits(page.field("csrf"), house.world.sealer, page.issuer, _PURPOSE, visitor.proof)
    if visitor is None or client is None or not client.is_app or not fits:
        return go("/")
    if page.field("choice") != Choice.CONTINUE:
        return go(ACCESS)
    if client.disabled or client.settings.withdrawn or client.grant_types:
        return go(f"/{client.client_id}/install")
    number = ids.read(ids.ACCOUNT, page.field("account")) or 0
    seats = await house.front.consents.all_seats(page.issuer.tenant, visitor.person)
    seat = next((seat for seat in seats if seat.account == number), None)
    if seat is None:
        return go(f"/{client.client_id}/install")
    await house.market.add(page.at, client, account=seat.account, person=visitor.person)
    manifest = await house.market.manifest(client)
    view = app_views.Installed(
        brand=await brand_of(page, house),
        app=client.settings.client_name,
        account=views.Account(name=seat.name, slug=seat.slug),
        opens=None if manifest is None else manifest.launch_uri,
        access_page=ACCESS,
    )
    return pages.show(view)
