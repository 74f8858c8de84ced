"""The password grant (RFC 6749 §4.3), which RFC 9700 §2.4 forbids: for clients that an admin excepted by name, until a date.

A service user's password any such client may show; a person's only the platform's own, and never where a second factor guards it. A
wrong password, an unknown name and everything else that a stranger could learn from are one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import calendar, ids
from gatewright.base.secret import Secret
from gatewright.oauth import refresh
from gatewright.oauth.authorization import NewAuthorization
from gatewright.oauth.catalogue import MANAGEMENT_API, OPENID, Catalogue
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.decision import Decision, Party, Verdict, decide, printable, refusal, requested, with_implied
from gatewright.oauth.errors import InvalidGrant, InvalidRequest, InvalidScope, UnauthorizedClient
from gatewright.oauth.grant_types.approval import Approval, Call
from gatewright.oauth.next_step import takes_place_in_one
from gatewright.oauth.report_only import breach, watched
from gatewright.oauth.resource import Target, pick
from gatewright.oauth.showing import PASSWORD_GRANT, Showing, Shown, Weakness
from gatewright.oauth.visit import Consent, Given, Seat, Seats

if TYPE_CHECKING:
    from gatewright.oauth.ports import World

NAME: Final = "password"
AMR: Final = "pwd"  # RFC 8176 §2
WRONG: Final = "the user name or password is wrong, or may not be used here"
"""The one answer to everything that must not be told apart."""


async def approve(call: Call, world: World) -> Approval:
    """See that the client may ask so, prove the password, decide, then open an authorization. What can refuse comes before it."""
    ask, client = call.ask, call.client
    excepted(call)
    username, secret = ask.params.need("username"), Secret(ask.params.need("password"))
    catalogue = await world.directory.catalogue(client.tenant)
    names = wanted(call, catalogue)
    showing = Showing(
        issuer=ask.issuer,
        client=client.id,
        username=username,
        password=secret,
        people=client.knows_people,
        address=ask.address,
    )
    who = await world.people.prove(showing, ask.at)
    if who is None:
        raise InvalidGrant(WRONG)
    seats = await _seats(names, who, call, catalogue, world)
    seat = seat_of(ask.params.get("account"), seats, tied=client.settings.account)
    given = seats.given if seat is None else seat.given
    decision = granted(names, seat, given, call, catalogue)
    target = pick(ask.params.resources, (), decision.granted, catalogue, client)
    return await _opened(call, who, seat, given, decision, target, world)


def excepted(call: Call) -> None:
    """Refuse a client whose exception is over, and pages of strangers, before anything is looked at.

    Raises:
        UnauthorizedClient: with what to do.
    """
    settings, ask = call.client.settings, call.ask
    exception = settings.password_grant
    if exception is None or exception.until <= ask.at.now:
        over = "" if exception is None else f", which ended with {calendar.day(exception.until - 1)}"
        raise UnauthorizedClient(f"the password grant needs an exception of this client{over}: use the authorization code grant instead")
    if ask.origin is not None and ask.origin not in settings.cors_origins:
        raise UnauthorizedClient("pages of this origin may not use the password grant as this client: its cors_origins do not name it")
    if watched("password_grant", call.client):
        call.breaches.append(breach("password_grant", "the password grant was used", address=ask.address))


def wanted(call: Call, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the scopes that are asked for; `openid` is given or refused, never left out in silence (`security-rules` 28).

    Raises:
        InvalidScope: none was asked for and the client must, or one is unknown, or it is `openid` and not allowed to the client, or
            one of management, for which everybody is asked at a page (`security-rules` 36).
    """
    names = requested(call.ask.params.get("scope"), catalogue, call.client, call.breaches)
    if "openid" in names and OPENID not in call.client.scopes:
        raise InvalidScope("the scope openid is not allowed to this client")
    known = catalogue.scopes_by_name
    asked_at_a_page = next((name for name in names if known[name].api == MANAGEMENT_API), None)
    if asked_at_a_page is not None:
        raise InvalidScope(f"{printable(asked_at_a_page)} is asked for at a page: use the authorization code grant")
    return names


async def _seats(names: tuple[str, ...], who: Shown, call: Call, catalogue: Catalogue, world: World) -> Seats:
    client, account = call.client, call.ask.params.get("account") or ""
    now = call.ask.at.now
    if not account and not takes_place_in_one(names, client, catalogue):
        return Seats(given=await world.consents.without_account(client.tenant, client.id, who.person, now))
    number = client.settings.account or ids.read(ids.ACCOUNT, account) or 0
    return await world.consents.seats(client.tenant, client.id, who.person, number=number, slug="" if number else account, now=now)


def seat_of(asked: str | None, seats: Seats, *, tied: int) -> Seat | None:
    """Return the seat that the token is for; of several accounts none wins in silence (`security-rules` 33).

    `tied` is the one account that the client works in, 0 where it works in any.

    Raises:
        InvalidRequest: the account is not one of this user's, or several are and none was named.
    """
    seat = seats.seat
    if asked is not None or tied:
        if seat is None or asked not in (None, seat.slug, ids.show(ids.ACCOUNT, seat.account)):
            raise InvalidRequest("the account, by the parameter 'account' or the client's own, is none of this user's accounts")
    elif seats.total > 1:
        raise InvalidRequest("this user belongs to several accounts: name one in the parameter 'account', by its slug or id")
    return seat


def granted(names: tuple[str, ...], seat: Seat | None, given: Given | None, call: Call, catalogue: Catalogue) -> Decision:
    """Return today's decision, less what the user once said no to.

    Raises:
        InvalidScope: nothing is left, or too little for this client (at this endpoint whoever's doing it is, RFC 6749 §5.2).
    """
    client = call.client
    party = Party(user=True) if seat is None else seat.party
    roles = client.settings.roles
    if roles and not party.roles.intersection(roles):
        raise InvalidScope("the user has none of the roles that this client is for", why=Verdict.ROLE_LACKS_SCOPE)
    decision = decide(with_implied(names, catalogue, client), catalogue, client, party)
    declined = frozenset() if given is None else given.declined
    kept = tuple([scope for scope in decision.granted if scope.id not in declined])
    refused = tuple([(scope.name, Verdict.DECLINED_BY_USER) for scope in decision.granted if scope.id in declined])
    decision = Decision(kept, decision.refused + refused)
    error = refusal(decision, client, names if "scope" in call.ask.params else ())
    if error is not None:
        raise InvalidScope(error.description, why=error.why)
    return decision


async def _opened(
    call: Call, who: Shown, seat: Seat | None, given: Given | None, decision: Decision, target: Target, world: World
) -> Approval:
    """Give what is new, open the authorization, and read it back as every other endpoint will."""
    ask, client = call.ask, call.client
    held = frozenset[int]() if given is None else given.granted
    if given is None or decision.ids - held:
        consent = Consent(
            tenant=client.tenant,
            client=client.id,
            person=who.person,
            account=0 if seat is None else seat.account,
            granted=decision.ids,
            asked=False,
            handed_out=who.kind == "service",
        )
        given = await world.consents.give(ask.at, consent)
    new = _authorization(call, who, seat, given, decision, target)
    await world.ledger.open(new, weakness=Weakness(PASSWORD_GRANT, ask.address))
    standing = await world.ledger.redeemable(new.id)
    fault = Verdict.GRANT_ENDED if standing is None else standing.fault(ask.at.now)
    if standing is None or fault is not None:
        raise InvalidGrant(WRONG, why=fault or "")
    return Approval(standing=standing, client=client, target=target, refresh=None if new.refresh_secret is None else (standing, 0))


def _authorization(call: Call, who: Shown, seat: Seat | None, given: Given, decision: Decision, target: Target) -> NewAuthorization:
    ask, client, at = call.ask, call.client, call.ask.at
    limits = refresh.terms(client, decision.ids, ask.issuer.policy, at.now)
    # Nobody signed in at a browser, so there is no session that a refresh token could be bound to.
    renews = limits.issued and not limits.session_bound
    return NewAuthorization(
        id=at.id(),
        tenant=client.tenant,
        issuer=ask.issuer.url,
        opened_by=NAME,
        grant=given.id,
        client=client.id,
        client_epoch=client.epoch,
        person=who.person,
        person_epoch=who.epoch,
        account=0 if seat is None else seat.account,
        account_epoch=0 if seat is None else seat.account_epoch,
        membership=0 if seat is None else seat.membership,
        scopes=decision.ids,
        resources=(target.api.audience,) if ask.params.resources and target.api is not None else (),
        auth_time=at.now,
        acr=ACR_PASSWORD,
        amr=AMR,
        access_secret=at.text(),
        refresh_secret=at.text() if renews else None,
        refresh_idle_until=limits.idle_until if renews else None,
        refresh_until=limits.until if renews else None,
        opened_at=at.now,
        sweep_at=limits.sweep_at,
    )
