"""Why a call was refused: the checks one by one, for the people whose access it was about (`docs/decisions/0018`).

To everybody else the page of a decision is the page of none (`security-rules` 52).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.clients.book import BY_ID
from gatewright.clients.owners import READ_SECRETS, holds, may
from gatewright.clients.registry import to_client
from gatewright.oauth.access import Form as TokenForm
from gatewright.oauth.finding import LONGEST, PATH, SHOWN_FOR, open_finding
from gatewright.oauth.inquiry import FOUND, Sight, inquire
from gatewright.oauth.language import chosen, preferences
from gatewright.web import decision_views, views
from gatewright.web.pages import page as pages
from gatewright.web.pages.own import SIGN_OUT, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, visitor_of
from gatewright.web.pages.sign_in import visiting_to

if TYPE_CHECKING:
    from gatewright.clients.book import ClientRow
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.finding import Finding
    from gatewright.oauth.inquiry import Check, ScopeLook
    from gatewright.oauth.visit import Seat, Visitor

PATHS: Final = re.compile(rf"{re.escape(PATH)}([A-Za-z0-9_-]{{1,{LONGEST}}})")
_OF_TENANT: Final = "gw:grants:read"
_OF_ACCOUNT: Final = ("gw:members:read", "gw:access:read")
_TOKENS: Final = {
    TokenForm.HANDLE: "Opaque access token",
    TokenForm.JWT: "JWT access token",
    TokenForm.STANDING: "Access token until revoked",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A refusal with what it was about as that is now, and where whoever looks belongs."""

    finding: Finding
    standing: Standing
    client: ClientRow
    catalogue: Catalogue
    seats: tuple[Seat, ...]

    @property
    def here(self) -> Seat | None:
        """The place of whoever looks in the account of the token, if there is both."""
        return next((seat for seat in self.seats if seat.account == self.standing.account), None)


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the checks of a refusal, or ask for a sign-in first, whatever the address."""
    visitor = await visitor_of(page, house)
    if visitor is None:
        return await visiting_to(page, house, page.path)
    case = await _case(page, house, visitor)
    sight = None if case is None else await _sight(case, visitor, house)
    if case is None or sight is None:
        return await _none(page, house, visitor)
    if case.finding.too_old(page.at.now):
        brand, finding = await brand_of(page, house), case.finding
        old = decision_views.DecisionTooOld(brand=brand, decision=finding.decision, at=finding.at, days=SHOWN_FOR // 86400)
        return pages.show(old, status=410)
    return await _page(page, house, visitor, case, sight)


async def _case(page: PageAsk, house: House, visitor: Visitor) -> Case | None:
    issuer = page.issuer
    catalogue = await house.world.directory.catalogue(issuer.tenant)
    finding = open_finding(page.path.removeprefix(PATH), issuer.tenant, issuer.url, catalogue, house.world.sealer, page.at.now)
    standing = None if finding is None else await house.world.ledger.standing(finding.authorization)
    client = None if standing is None else await house.store.one(BY_ID, id=standing.client, tenant=issuer.tenant)
    if finding is None or standing is None or client is None:
        return None
    seats = await house.front.consents.all_seats(issuer.tenant, visitor.person)
    return Case(finding, standing, client, catalogue, seats)


async def _sight(case: Case, visitor: Visitor, house: House) -> Sight | None:
    """Return what somebody may see of a refusal; None where it is nothing at all.

    The user whose access it was and the members of the account see the checks, those who manage the tenant see them all, and whoever the
    app belongs to sees verdicts: names too, where the app is the tenant's own.
    """
    standing, catalogue, here = case.standing, case.catalogue, case.here
    own = standing.person == visitor.person
    runs_tenant = any(holds(catalogue, seat.roles, _OF_TENANT) for seat in case.seats)
    runs_account = here is not None and any(holds(catalogue, here.roles, scope) for scope in _OF_ACCOUNT)
    makes_app = await may(house.store, case.client, visitor.person, catalogue, READ_SECRETS)
    if not (own or runs_tenant or here is not None or makes_app):
        return None
    known = {name for seat in case.seats for name in (seat.slug, ids.show(ids.ACCOUNT, seat.account))}
    return Sight(
        names=runs_tenant or here is not None or (own and not standing.account) or (makes_app and case.client.terms.party == "first"),
        person=own or runs_tenant or runs_account,
        accounts=frozenset(known | ({case.finding.account} if runs_tenant else set())),
    )


async def _page(page: PageAsk, house: House, visitor: Visitor, case: Case, sight: Sight) -> PageReply:
    finding, standing, catalogue = case.finding, case.standing, case.catalogue
    answer = inquire(finding, standing, to_client(case.client, []), catalogue, sight, page.at.now)
    api = catalogue.apis.get(finding.api)
    view = decision_views.Decision(
        brand=await brand_of(page, house),
        person=views.Person(name=visitor.name, email=visitor.email),
        sign_out=views.Form(action=SIGN_OUT, csrf=own_token(page, house, visitor)),
        decision=finding.decision,
        at=finding.at,
        now=page.at.now,
        cause=answer.cause.value,
        found=FOUND[answer.cause],
        cure=answer.cure,
        good=answer.would_pass,
        app=case.client.terms.client_name,
        api="" if api is None else api.name,
        user=standing.person_email if sight.person else None,
        account=_account(case) if sight.names else None,
        limited=not (sight.names and sight.person),
        token=_TOKENS[finding.form],
        issued_at=finding.issued_at,
        expires_at=finding.expires_at,
        checks=_lines(answer.checks),
        scopes=tuple([_scope(look, catalogue, preferences("", page.headers.get("accept-language", ""))) for look in answer.scopes]),
    )
    return pages.show(view)


def _account(case: Case) -> views.Account | None:
    slug, here = case.standing.account_slug, case.here
    return None if slug is None else views.Account(name=slug if here is None else here.name, slug=slug)


def _scope(look: ScopeLook, catalogue: Catalogue, wanted: tuple[str, ...]) -> decision_views.ScopeLook:
    scope = catalogue.scopes_by_name.get(look.name)
    texts = {} if scope is None else dict(scope.texts)
    lang = chosen(texts, wanted)
    return decision_views.ScopeLook(
        name=look.name,
        text=look.text if lang is None else texts[lang],
        lang=lang,
        then=look.then.value,
        now=look.now.value,
        cure=look.cure,
        checks=_lines(look.checks),
    )


def _lines(checks: tuple[Check, ...]) -> tuple[decision_views.CheckLine, ...]:
    return tuple([decision_views.CheckLine(asks=one.asks, then=one.then, now=one.now, note=one.note) for one in checks])


async def _none(page: PageAsk, house: House, visitor: Visitor) -> PageReply:
    """Return the page for what is nothing, or nothing to this visitor: the same, so that nobody learns which."""
    view = decision_views.NoDecision(
        brand=await brand_of(page, house),
        person=views.Person(name=visitor.name, email=visitor.email),
        sign_out=views.Form(action=SIGN_OUT, csrf=own_token(page, house, visitor)),
    )
    return pages.show(view, status=404)
