"""A new version of an installed app asks for more: what, in whose words why, and yes or no without a new installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.decision import Party, decide
from gatewright.oauth.language import preferences
from gatewright.web import app_views, csrf, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.apps import UPDATE, page_of, seats_of_admin
from gatewright.web.pages.consent import groups
from gatewright.web.pages.own import is_own, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import ACCESS
from gatewright.web.pages.sign_in import visiting_to
from gatewright.web.views import Choice, Done

if TYPE_CHECKING:
    from gatewright.market.listing import Install
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.visit import Seat, Visitor

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class _Offer(msgspec.Struct, frozen=True):
    """What is asked beyond what an install has: what of it can be given, and where who says yes goes back to."""

    install: Install
    asked: frozenset[int]
    required: frozenset[int]
    possible: frozenset[int]
    back: str


async def show(page: PageAsk, house: House) -> PageReply:
    """Show what a new version asks for; where nothing is, there is nothing to show."""
    visitor = await visitor_of(page, house)
    if visitor is None:
        number = ids.read(ids.INSTALL, page.field("install"))
        return go(ACCESS) if number is None else await visiting_to(page, house, f"{UPDATE}?install={page.field('install')}")
    offer = await _offer(page, house, visitor)
    return go(ACCESS) if offer is None else pages.show(await _view(page, house, visitor, offer))


async def act(page: PageAsk, house: House) -> PageReply:
    """Give what was allowed, for exactly what stood on the page; if that changed meanwhile it is shown again."""
    visitor = await visitor_of(page, house)
    if visitor is None or not is_own(page, house, visitor):
        return go(ACCESS)
    offer = await _offer(page, house, visitor)
    if offer is None:
        return go(ACCESS)
    if page.field("choice") != Choice.ALLOW:
        return go(offer.back)
    catalogue = await house.world.directory.catalogue(page.issuer.tenant)
    if page.field("shown") != (await _view(page, house, visitor, offer)).shown or offer.required - offer.possible:
        return go(f"{UPDATE}?install={ids.show(ids.INSTALL, offer.install.id)}")
    asked = offer.asked & offer.possible
    ticked = page.fields("scope")
    known = catalogue.scopes
    yes = frozenset([one for one in asked if one in offer.required or known[one].api == OPENID_API or known[one].name in ticked])
    granted = yes | (catalogue.implied(yes) & offer.possible)
    actor = ids.show(ids.USER, visitor.person)
    try:
        await house.market.update(page.at, offer.install, page.issuer.tenant, granted=granted, declined=asked - granted, actor=actor)
    except Refused:
        return go(offer.back)
    return go(f"{offer.back}{'&' if '?' in offer.back else '?'}done={Done.UPDATED}")


async def _offer(page: PageAsk, house: House, visitor: Visitor) -> _Offer | None:
    """Return what may be allowed by whoever is here: the user whom the app acts for, or for a service user an admin of the account."""
    tenant = page.issuer.tenant
    number = ids.read(ids.INSTALL, page.field("install"))
    install = None if number is None else await house.market.find(tenant, number)
    if install is None or not install.update:
        return None
    back: str | None = ACCESS if install.acting == visitor.person else None
    giver: Seat | None = None
    if install.service_user:
        giver = next((seat for seat in await seats_of_admin(page, house, visitor) if seat.account == install.account), None)
        back = None if giver is None else page_of(giver)
    roles = await house.market.roles_of(install, tenant)
    client = await house.world.directory.client_by_row(tenant, install.app)
    if back is None or roles is None or client is None:
        return None
    catalogue = await house.world.directory.catalogue(tenant)
    asked = frozenset([one.scope for one in install.update])
    names = catalogue.names(asked | catalogue.implied(asked & client.scopes))
    possible = decide(names, catalogue, client, Party(user=True, member=True, roles=roles)).ids
    if giver is not None:
        # Nobody gives what he does not hold (`security-rules` 36).
        possible &= decide(names, catalogue, client, giver.party).ids
    return _Offer(install, asked, frozenset([one.scope for one in install.update if one.required]), possible, back)


async def _view(page: PageAsk, house: House, visitor: Visitor, offer: _Offer) -> app_views.Update:
    catalogue = await house.world.directory.catalogue(page.issuer.tenant)
    install, known = offer.install, catalogue.scopes
    why = {one.scope: one.reason for one in install.update if one.reason}
    given = offer.asked & offer.possible
    wanted = preferences("", page.headers.get("accept-language", ""))
    view = app_views.Update(
        brand=await brand_of(page, house),
        form=views.Form(action=UPDATE, csrf=own_token(page, house, visitor)),
        install=ids.show(ids.INSTALL, install.id),
        app=install.name,
        account=views.Account(name=install.account_name, slug=install.account_slug),
        acts_for=install.acting_email,
        openid=views.openid_lines(
            [known[one].name for one in given if known[one].api == OPENID_API], reasons={known[one].name: text for one, text in why.items()}
        ),
        groups=groups(given, catalogue, wanted, required=offer.required, why=why),
        left_out=_texts(offer.asked - offer.possible - offer.required, catalogue),
        missing=_texts(offer.required - offer.possible, catalogue),
        back=offer.back,
    )
    told = _encode((replace(view, brand=None, form=views.Form(action="", csrf="")), install.published))
    return replace(view, shown=csrf.token(house.world.sealer, page.issuer, "update", told.decode()))


def _texts(scopes: frozenset[int], catalogue: Catalogue) -> tuple[str, ...]:
    return tuple([catalogue.scopes[number].text for number in sorted(scopes) if number in catalogue.scopes])
