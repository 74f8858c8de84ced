"""The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): take a request in, look where it stands, answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.base import ids
from gatewright.oauth import checks, refresh
from gatewright.oauth.answer import Sent, approve, refuse, told_here
from gatewright.oauth.authorization import INSTALLED, CodeTerms, NewAuthorization
from gatewright.oauth.catalogue import OPENID_API
from gatewright.oauth.code import new_code
from gatewright.oauth.device import GRANT_TYPE as DEVICE_CODE
from gatewright.oauth.device import Told
from gatewright.oauth.errors import AccessDenied, InvalidRequest, PageError
from gatewright.oauth.logout import read_hint
from gatewright.oauth.next_step import Answer, AskConsent, Pending, Refuse, Situation, needs_account, next_step
from gatewright.oauth.redirect_uri import match
from gatewright.oauth.showing import OUT_OF_BAND, Weakness
from gatewright.oauth.visit import Consent, Seat, Seats, Visitor

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ask import Ask
    from gatewright.oauth.device import Waiting
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.report_only import Breach
    from gatewright.oauth.request import AuthorizationRequest, Progress
    from gatewright.oauth.visit import Front

OPENED_BY: Final = "authorization_code"
BY_HAND_SECONDS: Final = 300  # a person who copies a code is slower than a browser


async def accept(ask: Ask, front: Front) -> AuthorizationRequest:
    """Return the request that came, after every check (RFC 6749 §4.1.1).

    Raises:
        PageError: a fault before the address of the answer is proved.
        checks.Refused: any other.
    """
    world, issuer, params = front.world, ask.issuer, ask.params
    client_id, text = params.get("client_id"), params.get("id_token_hint")
    client = None if client_id is None else await world.directory.client(issuer.tenant, client_id)
    catalogue = await world.directory.catalogue(issuer.tenant)
    hint = None if text is None else await read_hint(text, issuer, world)
    breaches: list[Breach] = []
    request = checks.examine(params, client, catalogue, hint=hint, now=ask.at.now, breaches=breaches)
    for breach in breaches:
        world.usage.would_refuse(issuer.tenant, 0 if client is None else client.id, breach)
    return request


async def look(request: AuthorizationRequest, progress: Progress, cookie: str, issuer: Issuer, front: Front, at: Moment) -> Situation:
    """Return where a request stands just now; two statements where somebody is signed in.

    Raises:
        PageError: the client was disabled meanwhile, or its address or its grant type is no longer registered.
    """
    directory, tenant = front.world.directory, issuer.tenant
    client = await directory.client(tenant, request.client_id)
    if client is None or client.disabled:
        raise PageError(InvalidRequest("no active client is registered here under this client_id"))
    if client.settings.withdrawn:
        raise PageError(InvalidRequest("this app was withdrawn meanwhile: it is not installed any more"))
    if request.device is not None and DEVICE_CODE not in client.grant_types:
        raise PageError(InvalidRequest("this app lets nobody sign in at another device any more"))
    if request.device is None and match(request.back.redirect_uri, client) is None:
        raise PageError(InvalidRequest("the parameter 'redirect_uri' is no longer registered for this client"))
    catalogue = await directory.catalogue(tenant)
    visitor = await front.visits.find(issuer, cookie, at) if cookie else None
    situation = Situation(request=request, progress=progress, client=client, catalogue=catalogue, visitor=visitor)
    return situation if visitor is None else replace(situation, seats=await _seats(situation, visitor, front, at.now))


async def _seats(situation: Situation, visitor: Visitor, front: Front, now: int) -> Seats:
    request, client = situation.request, situation.client
    if not needs_account(request, client, situation.catalogue):
        return Seats(given=await front.consents.without_account(client.tenant, client.id, visitor.person, now))
    number = client.settings.account or ids.read(ids.ACCOUNT, request.account) or 0
    slug = "" if number else request.account
    if not number and not slug:
        number = situation.done.account
    return await front.consents.seats(client.tenant, client.id, visitor.person, number=number, slug=slug, now=now)


async def advance(situation: Situation, issuer: Issuer, front: Front, at: Moment, *, address: str = "") -> Sent | Pending:
    """Return the answer if the request is ready for one, else what the user must do first. `address` is the browser's."""
    step = next_step(situation)
    if isinstance(step, Refuse):
        return await _refused(situation, step, issuer, front, at, address)
    if isinstance(step, Answer):
        return await _answered(situation, step, issuer, front, at, address)
    return step


async def _refused(situation: Situation, step: Refuse, issuer: Issuer, front: Front, at: Moment, address: str) -> Sent:
    request = situation.request
    if request.device is None:
        return refuse(step.error, request.back, issuer)
    person = 0 if situation.visitor is None else situation.visitor.person
    number = request.device.id
    await front.world.devices.deny(at, number, issuer.tenant, person, address=address, refused=step.error.code)
    return told_here(step.error)


async def _answered(situation: Situation, step: Answer, issuer: Issuer, front: Front, at: Moment, address: str) -> Sent:
    """Open an authorization and return its code. One statement, or a grant before it where a trusted client gets something new.

    An app's is opened together with its install.
    """
    client, request, visitor = situation.client, situation.request, _present(situation)
    given = step.given
    if step.give or given is None:
        given = await front.consents.give(at, consent_of(situation, step.seat, step.give, frozenset(), asked=False))
    number = at.id()
    code, digest = new_code(number, client.tenant, at)
    terms = CodeTerms(
        digest=digest,
        expires_at=at.now + (BY_HAND_SECONDS if situation.by_hand else issuer.policy.code_lifetime),
        challenge=request.challenge,
        redirect_uri=request.back.redirect_uri if request.redirect_sent else None,
    )
    new = opened(situation, step, visitor, given.id, terms, number, issuer, at)
    if client.is_app:
        install = await front.world.installs.open(new, client.settings.manifest)
        return approve(code, request.back, issuer, install=ids.show(ids.INSTALL, install))
    await front.world.ledger.open(new, weakness=Weakness(OUT_OF_BAND, address) if situation.by_hand else None)
    return approve(code, request.back, issuer)


def opened(
    situation: Situation, step: Answer, visitor: Visitor, grant: int, code: CodeTerms, number: int, issuer: Issuer, at: Moment
) -> NewAuthorization:
    """Return the authorization that a request leads to, under a grant and with a code."""
    client, request, seat = situation.client, situation.request, step.seat
    limits = refresh.terms(client, step.granted, issuer.policy, at.now)
    return NewAuthorization(
        id=number,
        tenant=client.tenant,
        issuer=issuer.url,
        opened_by=INSTALLED if client.is_app else OPENED_BY,
        grant=grant,
        client=client.id,
        client_epoch=client.epoch,
        person=visitor.person,
        person_epoch=visitor.person_epoch,
        account=0 if seat is None else seat.account,
        account_epoch=0 if seat is None else seat.account_epoch,
        membership=0 if seat is None else seat.membership,
        session=visitor.session,
        session_bound=limits.session_bound,
        scopes=step.granted,
        resources=request.resources,
        claims=request.claims.kept(step.identity | step.granted),
        nonce=request.nonce,
        auth_time=visitor.auth_time,
        acr=visitor.acr,
        amr=visitor.amr,
        access_secret=at.text(),
        refresh_secret=at.text() if limits.issued else None,
        refresh_idle_until=limits.idle_until,
        refresh_until=limits.until,
        code=code,
        opened_at=at.now,
        sweep_at=limits.sweep_at,
    )


async def allow(situation: Situation, step: AskConsent, ticked: frozenset[str], front: Front, at: Moment) -> bool:
    """Remember what the user said yes and no to; tell whether it was yes to anything."""
    granted, declined = said(situation, step, ticked)
    if granted:
        await front.consents.give(at, consent_of(situation, step.seat, granted, declined, asked=True))
    return bool(granted)


def said(situation: Situation, step: AskConsent, ticked: frozenset[str]) -> tuple[frozenset[int], frozenset[int]]:
    """Return what the user said yes and no to. What is of OpenID Connect is asked as a whole, and all of it for a client that wants all
    or nothing.
    """
    known = situation.catalogue.scopes
    sure = step.asked if situation.client.all_or_nothing else step.required
    yes = frozenset([one for one in step.asked if one in sure or known[one].api == OPENID_API or known[one].name in ticked])
    granted = yes | (situation.catalogue.implied(yes) & step.possible) if yes else yes
    return granted, step.asked - granted


def consent_of(situation: Situation, seat: Seat | None, granted: frozenset[int], declined: frozenset[int], *, asked: bool) -> Consent:
    """Return what is said yes and no to as the record of it."""
    client = situation.client
    return Consent(
        tenant=client.tenant,
        client=client.id,
        person=_present(situation).person,
        account=0 if seat is None else seat.account,
        granted=granted,
        declined=declined,
        asked=asked,
        exact=client.is_app,
    )


def _present(situation: Situation) -> Visitor:
    assert situation.visitor is not None  # noqa: S101 - nothing is given or answered for nobody
    return situation.visitor


def deny(request: AuthorizationRequest, issuer: Issuer) -> Sent:
    """Return the answer for a user who said no (RFC 6749 §4.1.2.1)."""
    return refuse(AccessDenied("the user said no"), request.back, issuer)


async def deny_device(waiting: Waiting, issuer: Issuer, front: Front, at: Moment, *, person: int, address: str) -> Sent:
    """Have a device told that its user said no (RFC 8628 §3.5), and return what the user is told."""
    first = await front.world.devices.deny(at, waiting.id, issuer.tenant, person, address=address)
    return Sent("", device=Told.DENIED if first else Told.LATE)
