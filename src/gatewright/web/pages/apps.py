"""Installed apps as pages list them, and what those who may can do: uninstall, allow more, hand over to a service user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.market.rules import administers, beyond
from gatewright.oauth.catalogue import OPENID_API, ids_of
from gatewright.oauth.decision import Party
from gatewright.oauth.language import preferences
from gatewright.web import app_views, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.consent import groups
from gatewright.web.pages.own import SIGN_OUT, is_own, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import ACCESS
from gatewright.web.pages.sign_in import visiting_to
from gatewright.web.views import Done, InstallState

if TYPE_CHECKING:
    from gatewright.market.listing import Install
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.visit import Seat, Visitor

UNINSTALL: Final = "/-/access/uninstall"
CONFIRM: Final = "/-/uninstall"
UPDATE: Final = "/-/update"
ACCOUNT_APPS: Final = "/-/account-apps"
REMOVE: Final = "/-/account-apps/uninstall"
HAND_OVER: Final = "/-/account-apps/hand-over"
_NOW: Final = "now"  # what a form says of an app that may not clean up either; "cleanup" of one that may
_STATES: Final = {
    "waiting": InstallState.WAITING,
    "active": InstallState.ACTIVE,
    "no_access": InstallState.NO_ACCESS,
    "blocked": InstallState.BLOCKED,
}


def line(install: Install, catalogue: Catalogue, wanted: tuple[str, ...], *, may_update: bool, may_install: bool) -> views.InstallLine:
    """Return an install as pages show it to who may approve its updates, and to who may install it anew."""
    known = catalogue.scopes
    scopes = [known[number] for number in install.scopes if number in known]
    again = install.standing in ("waiting", "no_access") and not install.withdrawn
    return views.InstallLine(
        id=ids.show(ids.INSTALL, install.id),
        app=install.name,
        account=views.Account(name=install.account_name, slug=install.account_slug),
        state=_STATES[install.standing],
        openid=views.openid_lines([scope.name for scope in scopes if scope.api == OPENID_API]),
        groups=groups(install.scopes, catalogue, wanted),
        more=tuple([known[asked.scope].text for asked in install.update if asked.scope in known]),
        update=f"{UPDATE}?install={ids.show(ids.INSTALL, install.id)}" if install.update and may_update else None,
        again=f"/{install.slug}/install" if again and may_install else None,
        since=install.made_at,
    )


async def uninstall(page: PageAsk, house: House) -> PageReply:
    """Uninstall an app at the wish of the user whom it acts for: its token is dead at once."""
    visitor = await visitor_of(page, house)
    if visitor is None or not is_own(page, house, visitor):
        return go(ACCESS)
    number = ids.read(ids.INSTALL, page.field("install"))
    if number is not None:
        if await _asks_first(page, house, number):
            return go(f"{CONFIRM}?install={page.field('install')}")
        at_once = page.field("how") == _NOW
        await house.market.remove(page.at, page.issuer.tenant, number, visitor.person, at_once=at_once)
    return go(f"{ACCESS}?done={Done.UNINSTALLED}")


async def _asks_first(page: PageAsk, house: House, number: int) -> bool:
    """Tell whether it must be said what will happen: the app may clean up, and nobody was asked about that yet."""
    if page.field("how"):
        return False
    install = await house.market.find(page.issuer.tenant, number)
    return install is not None and bool(await house.market.cleanup_of(install, page.issuer.tenant))


# ---------------------------------------------------------------- the apps of an account, for its admins


async def seats_of_admin(page: PageAsk, house: House, visitor: Visitor) -> list[Seat]:
    """Return the accounts whose apps somebody looks after."""
    catalogue = await house.world.directory.catalogue(page.issuer.tenant)
    seats = await house.front.consents.all_seats(page.issuer.tenant, visitor.person)
    return [seat for seat in seats if administers(seat, catalogue)]


def page_of(seat: Seat) -> str:
    """Return where the apps of an account are looked after."""
    return f"{ACCOUNT_APPS}?account={quote(seat.slug)}"


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the apps of an account to one of its admins; to everybody else there is no such page."""
    visitor = await visitor_of(page, house)
    if visitor is None:
        return await visiting_to(page, house, f"{ACCOUNT_APPS}?account={quote(page.field('account'))}")
    seat = await _seat(page, house, visitor)
    return go(ACCESS) if seat is None else await _shown(page, house, visitor, seat)


async def _seat(page: PageAsk, house: House, visitor: Visitor) -> Seat | None:
    named = page.field("account")
    return next((seat for seat in await seats_of_admin(page, house, visitor) if seat.slug == named), None)


async def _shown(page: PageAsk, house: House, visitor: Visitor, seat: Seat, refused: str = "") -> PageReply:
    tenant = page.issuer.tenant
    catalogue = await house.world.directory.catalogue(tenant)
    robots = await house.market.robots(tenant, seat.account)
    wanted = preferences("", page.headers.get("accept-language", ""))
    view = app_views.AccountApps(
        brand=await brand_of(page, house),
        person=views.Person(name=visitor.name, email=visitor.email),
        account=views.Account(name=seat.name, slug=seat.slug),
        csrf=own_token(page, house, visitor),
        uninstall=REMOVE,
        hand_over=HAND_OVER,
        sign_out=SIGN_OUT,
        access_page=ACCESS,
        installs=tuple(
            [
                app_views.AccountInstall(
                    line=line(install, catalogue, wanted, may_update=install.service_user, may_install=False),
                    installer=install.installer,
                    acts_for=install.acting_email,
                    service_user=install.service_user,
                )
                for install in await house.market.of_account(tenant, seat.account)
            ]
        ),
        robots=tuple([(ids.show(ids.USER, robot.id), robot.name or robot.email) for robot in robots]),
        done=next((done for done in Done if done == page.field("done")), None),
        refused=refused,
    )
    return pages.show(view, status=409 if refused else 200)


async def remove(page: PageAsk, house: House) -> PageReply:
    """Uninstall an app from an account, whoever installed it."""
    found = await _admin(page, house)
    if found is None:
        return go(ACCESS)
    visitor, seat = found
    number = ids.read(ids.INSTALL, page.field("install"))
    if number is not None:
        if await _asks_first(page, house, number):
            return go(f"{CONFIRM}?install={page.field('install')}&account={quote(seat.slug)}")
        actor, at_once = ids.show(ids.USER, visitor.person), page.field("how") == _NOW
        await house.market.remove_from(page.at, page.issuer.tenant, number, seat.account, actor, at_once=at_once)
    return go(f"{page_of(seat)}&done={Done.UNINSTALLED}")


async def hand_over(page: PageAsk, house: House) -> PageReply:
    """Let an app act for a service user of the account, so that it outlives who installed it."""
    found = await _admin(page, house)
    if found is None:
        return go(ACCESS)
    visitor, seat = found
    number, robot = ids.read(ids.INSTALL, page.field("install")) or 0, ids.read(ids.USER, page.field("user")) or 0
    actor = ids.show(ids.USER, visitor.person)
    lacking = await _lacking(page, house, seat, number, robot)
    if lacking:
        sentence = f"nobody gives what they do not hold, and you do not hold {', '.join(lacking)} in this account"
        return await _shown(page, house, visitor, seat, sentence)
    try:
        await house.market.hand_over(page.at, page.issuer.tenant, number, account=seat.account, to=robot, actor=actor)
    except Refused as refused:
        return await _shown(page, house, visitor, seat, str(refused))
    return go(f"{page_of(seat)}&done={Done.HANDED_OVER}")


async def _lacking(page: PageAsk, house: House, seat: Seat, number: int, robot: int) -> list[str]:
    """Return what an app would get through a service user's roles and the admin's own do not give (`security-rules` 36)."""
    tenant = page.issuer.tenant
    install = await house.market.find(tenant, number)
    client = None if install is None else await house.world.directory.client_by_row(tenant, install.app)
    roles = next((ids_of(one.roles) for one in await house.market.robots(tenant, seat.account) if one.id == robot), None)
    if install is None or client is None or roles is None:
        return []  # refused with its own sentence
    catalogue = await house.world.directory.catalogue(tenant)
    return beyond(install.scopes, catalogue, client, seat.party, Party(user=True, member=True, roles=roles))


async def _admin(page: PageAsk, house: House) -> tuple[Visitor, Seat] | None:
    visitor = await visitor_of(page, house)
    if visitor is None or not is_own(page, house, visitor):
        return None
    seat = await _seat(page, house, visitor)
    return None if seat is None else (visitor, seat)
