"""Before an app is uninstalled that may clean up after itself: what will happen, and the choice to leave it nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewright.base import ids
from gatewright.ledger.cleanup import SECONDS
from gatewright.web import app_views, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.apps import CONFIRM, REMOVE, UNINSTALL, page_of, seats_of_admin
from gatewright.web.pages.own import own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import ACCESS
from gatewright.web.pages.sign_in import visiting_to

if TYPE_CHECKING:
    from gatewright.market.listing import Install
    from gatewright.oauth.visit import Visitor


async def show(page: PageAsk, house: House) -> PageReply:
    """Say what will happen; whoever may not uninstall the app is led away."""
    visitor = await visitor_of(page, house)
    if visitor is None:
        return await visiting_to(page, house, _address(page.field("install"), page.field("account")))
    number = ids.read(ids.INSTALL, page.field("install"))
    install = None if number is None else await house.market.find(page.issuer.tenant, number)
    back = None if install is None else await _back(page, house, visitor, install)
    if install is None or back is None:
        return go(ACCESS)
    scopes = (await house.world.directory.catalogue(page.issuer.tenant)).scopes
    cleanup = await house.market.cleanup_of(install, page.issuer.tenant)
    view = app_views.Uninstall(
        brand=await brand_of(page, house),
        form=views.Form(action=UNINSTALL if back == ACCESS else REMOVE, csrf=own_token(page, house, visitor)),
        install=ids.show(ids.INSTALL, install.id),
        app=install.name,
        account=views.Account(name=install.account_name, slug=install.account_slug),
        acts_for=install.acting_email,
        cleanup=tuple([scopes[one].text for one in sorted(cleanup) if one in scopes]),
        minutes=SECONDS // 60,
        back=back,
    )
    return pages.show(view)


async def _back(page: PageAsk, house: House, visitor: Visitor, install: Install) -> str | None:
    """Return the list that somebody came from who may uninstall this: their own apps, or those of an account that they look after."""
    if not page.field("account"):
        return ACCESS if install.acting == visitor.person else None
    seats = await seats_of_admin(page, house, visitor)
    return next((page_of(seat) for seat in seats if seat.slug == page.field("account") and seat.account == install.account), None)


def _address(install: str, account: str) -> str:
    return f"{CONFIRM}?install={quote(install)}" + (f"&account={quote(account)}" if account else "")
