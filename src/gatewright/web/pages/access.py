"""A user's own page: the apps with access and the browsers signed in, and taking either away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.ledger.scope_use import reporting, uses_of
from gatewright.ledger.shrinking import ASKED, shrink_one
from gatewright.ledger.target import Target
from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.language import preferences
from gatewright.oauth.scope_use import DAY, Held, idle, uses
from gatewright.signin.browsers import browser_of
from gatewright.web import views
from gatewright.web.pages import page as pages
from gatewright.web.pages.apps import UNINSTALL, line, page_of, seats_of_admin
from gatewright.web.pages.consent import groups
from gatewright.web.pages.own import SIGN_OUT, is_own, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import ACCESS
from gatewright.web.pages.sign_in import visit
from gatewright.web.views import Done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewright.ledger.grants import HeldGrant
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.scope_use import Reporting, Uses
    from gatewright.oauth.visit import Visitor
    from gatewright.signin.sessions import SessionRow

REMOVE: Final = "/-/access/remove"
SHRINK: Final = "/-/access/shrink"
END_SESSION: Final = "/-/access/end-session"
END_OTHERS: Final = "/-/access/end-others"


@dataclass(frozen=True, slots=True)
class Knowing:
    """What is known of the use of scopes, for all apps of a page."""

    catalogue: Catalogue
    reports: Mapping[int, Reporting]
    days: Uses
    now: int

    def used(self, grant: HeldGrant) -> dict[int, views.ScopeUsed]:
        """Return what is known of each scope; nothing where none of the app's APIs reports, which nobody need read for each scope."""
        told = uses(self._held(grant), self.catalogue, self.reports, self.now)
        if all(one.since is None and one.last_day is None for one in told):
            return {}
        return {
            one.scope: views.ScopeUsed(use=one.use.value, last=None if one.last_day is None else one.last_day * DAY, since=one.since)
            for one in told
        }

    def unused(self, grant: HeldGrant) -> frozenset[int]:
        """Return what can be taken away: not where it would be given again unasked, nor everything, for which there is another button."""
        found = idle(self._held(grant), self.catalogue, self.reports, self.now)
        return found if grant.source == ASKED and found != grant.scopes else frozenset()

    def _held(self, grant: HeldGrant) -> Held:
        return Held(scopes=grant.scopes, changed_at=grant.changed_at, days=self.days.get(grant.id, {}))


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the page, or ask for a sign-in first."""
    visitor = await visitor_of(page, house)
    if visitor is None:
        return await visit(page, house)
    tenant, now = page.issuer.tenant, page.at.now
    catalogue = await house.world.directory.catalogue(tenant)
    held = await house.grants.of_person(tenant, visitor.person, now)
    sessions = await house.sessions.of_person(tenant, visitor.person, now)
    installs = await house.market.of_user(tenant, visitor.person)
    installed = {install.grant for install in installs}
    listed = [grant for grant in held if grant.id not in installed]
    reports = await reporting(house.store, tenant, catalogue)
    days = await uses_of(house.store, tenant, [grant.id for grant in listed]) if reports else {}
    wanted = preferences("", page.headers.get("accept-language", ""))
    view = views.MyAccess(
        brand=await brand_of(page, house),
        person=views.Person(name=visitor.name, email=visitor.email),
        now=now,
        csrf=own_token(page, house, visitor),
        remove=REMOVE,
        shrink=SHRINK,
        end_session=END_SESSION,
        end_others=END_OTHERS,
        sign_out=SIGN_OUT,
        uninstall=UNINSTALL,
        grants=tuple([await _grant(grant, Knowing(catalogue, reports, days, now), wanted, tenant, house) for grant in listed]),
        installs=tuple([line(install, catalogue, wanted, may_update=True, may_install=True) for install in installs]),
        administers=tuple([(seat.name, page_of(seat)) for seat in await seats_of_admin(page, house, visitor)]),
        sessions=tuple([_session(row, visitor) for row in sessions]),
        done=next((done for done in Done if done == page.field("done")), None),
    )
    return pages.show(view)


async def remove(page: PageAsk, house: House) -> PageReply:
    """Take back what an app was given: everything under it ends at once."""
    visitor = await _own(page, house)
    if visitor is None:
        return go(ACCESS)
    number = ids.read(ids.GRANT, page.field("grant"))
    tenant = page.issuer.tenant
    held = await house.grants.of_person(tenant, visitor.person, page.at.now)
    if any(grant.id == number for grant in held) and number is not None:
        await house.market.take_back(page.at, tenant, number, visitor.person)
    return go(f"{ACCESS}?done={Done.REMOVED}")


async def shrink(page: PageAsk, house: House) -> PageReply:
    """Take from an app what it did not use, of what the page showed as unused; it can ask for it again."""
    visitor = await _own(page, house)
    if visitor is None:
        return go(ACCESS)
    tenant, number = page.issuer.tenant, ids.read(ids.GRANT, page.field("grant"))
    shown = frozenset([scope for text in page.field("scopes").split() if (scope := ids.read(ids.SCOPE, text)) is not None])
    catalogue, done = await house.world.directory.catalogue(tenant), False
    held = await house.grants.of_person(tenant, visitor.person, page.at.now)
    if number is not None and shown and any(grant.id == number for grant in held):
        target = Target(tenant=tenant, grant=number)
        actor = ids.show(ids.USER, visitor.person)
        done = await house.store.run(shrink_one, page.at, target, catalogue, shown, actor=actor)
    return go(f"{ACCESS}?done={Done.SHRUNK if done else Done.NOT_SHRUNK}")


async def end_session(page: PageAsk, house: House) -> PageReply:
    """Sign one other browser out."""
    visitor = await _own(page, house)
    if visitor is None:
        return go(ACCESS)
    number = ids.read(ids.SESSION, page.field("session"))
    if number is not None:
        await house.sessions.end(page.at, page.issuer.tenant, visitor.person, number)
    return go(f"{ACCESS}?done={Done.SESSION_ENDED}")


async def end_others(page: PageAsk, house: House) -> PageReply:
    """Sign all other browsers out."""
    visitor = await _own(page, house)
    if visitor is None:
        return go(ACCESS)
    await house.sessions.end_others(page.at, page.issuer.tenant, visitor.person, visitor.session)
    return go(f"{ACCESS}?done={Done.OTHERS_ENDED}")


async def _own(page: PageAsk, house: House) -> Visitor | None:
    """Return who posts a form of their own page; None leads back to it, where it can be done again."""
    visitor = await visitor_of(page, house)
    return visitor if visitor is not None and is_own(page, house, visitor) else None


async def _grant(grant: HeldGrant, knowing: Knowing, wanted: tuple[str, ...], tenant: int, house: House) -> views.GrantLine:
    catalogue = knowing.catalogue
    client = await house.world.directory.client_by_row(tenant, grant.client)
    account = None
    if grant.account_slug is not None:
        account = views.Account(name=grant.account_name or grant.account_slug, slug=grant.account_slug)
    openid = [scope.name for number in grant.scopes if (scope := catalogue.scopes.get(number)) is not None and scope.api == OPENID_API]
    used, unused = knowing.used(grant), knowing.unused(grant)
    return views.GrantLine(
        id=ids.show(ids.GRANT, grant.id),
        client=grant.client_name,
        third_party=client is None or client.settings.party == "third",
        disabled=client is None or client.disabled,
        account=account,
        openid=views.openid_lines(openid),
        groups=groups(grant.scopes, catalogue, wanted, used=used),
        since=grant.made_at,
        last_used=grant.used_at,
        unused=tuple([line for group in groups(unused, catalogue, wanted, used=used) for line in group.scopes]),
        unused_ids=" ".join([ids.show(ids.SCOPE, number) for number in sorted(unused)]),
    )


def _session(row: SessionRow, visitor: Visitor) -> views.SessionLine:
    return views.SessionLine(
        id=ids.show(ids.SESSION, row.id),
        browser=browser_of(row.agent),
        place=row.address,
        since=row.created_at,
        last_seen=row.seen_at,
        current=row.id == visitor.session,
    )
