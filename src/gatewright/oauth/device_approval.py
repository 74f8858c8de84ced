"""The user's side of a device's request (RFC 8628 §3.3): found by its code, answered once, by the one who typed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.oauth import device
from gatewright.oauth.answer import Sent
from gatewright.oauth.authorization import CodeTerms
from gatewright.oauth.authorize import consent_of, deny_device, opened, said
from gatewright.oauth.device import Told, Waiting
from gatewright.oauth.next_step import Answer, AskConsent, next_step
from gatewright.oauth.redirect_uri import NOWHERE
from gatewright.oauth.request import AuthorizationRequest, ReturnTo
from gatewright.oauth.visit import Given

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import NewAuthorization
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.next_step import Situation
    from gatewright.oauth.ports import World
    from gatewright.oauth.visit import Front, Seats, Visitor

_NOT_GIVEN: Final = Given(0, frozenset(), frozenset())


async def find(user_code: str, issuer: Issuer, world: World, at: Moment) -> AuthorizationRequest | None:
    """Return what a device asks for whose user code was typed, as an authorization request; None where none waits. One statement."""
    request = await world.devices.named(issuer.tenant, device.user_digest(user_code, issuer.tenant, world.sealer))
    if request is None or request.issuer != issuer.url or request.answer is not None or request.expires_at <= at.now:
        return None
    client = await world.directory.client_by_row(issuer.tenant, request.client)
    if client is None or client.disabled or device.GRANT_TYPE not in client.grant_types:
        return None
    return AuthorizationRequest(
        client_id=client.client_id,
        back=ReturnTo(NOWHERE),
        scopes=tuple(request.scopes.split()),
        resources=tuple(request.resources.split()),
        account=request.account,
        asked_at=at.now,
        device=Waiting(request.id, device.shown(user_code), request.network, request.asked_at, request.expires_at),
    )


async def over(waiting: Waiting, visitor: Visitor | None, world: World, now: int) -> Told | None:
    """Return what to tell a user of a device that waits no more, None of one that does. One statement, two of an answered one."""
    request = await world.devices.find(waiting.id)
    if request is not None and request.answer is None and request.expires_at > now:
        return None
    return await _late(waiting, 0 if visitor is None else visitor.person, world, now)


async def allow(
    situation: Situation, step: AskConsent, ticked: frozenset[str], issuer: Issuer, front: Front, at: Moment, *, address: str
) -> Sent:
    """Let the device in with what the user said yes to; nothing of it is remembered where somebody answered before.

    Like a code that its user carries, a yes counts in this post alone: nobody is let in by what was said yes to before.
    """
    visitor, waiting = situation.visitor, situation.request.device
    assert visitor is not None  # noqa: S101 - somebody is asked
    assert waiting is not None  # noqa: S101 - a device is answered
    granted, declined = said(situation, step, ticked)
    if not granted:
        return await deny_device(waiting, issuer, front, at, person=visitor.person, address=address)
    meant = next_step(_as_if_given(situation, visitor, granted, declined))
    assert isinstance(meant, Answer)  # noqa: S101 - everything else was asked before, and some of what was possible is given
    number = waiting.id
    # However late the yes comes, the device asks once more, and then hears of it.
    until = max(waiting.expires_at, at.now + device.LONGEST_INTERVAL)
    terms = CodeTerms(digest="", expires_at=until, challenge=None, redirect_uri=None)
    new = _of_device(opened(situation, meant, visitor, 0, terms, number, issuer, at))
    consent = consent_of(situation, step.seat, granted, declined, asked=True)
    first = await front.world.devices.allow(at, number, consent, new, address=address)
    return Sent("", device=Told.ALLOWED if first else await _late(waiting, new.person, front.world, at.now))


async def _late(waiting: Waiting, person: int, world: World, now: int) -> Told:
    """Return what to tell whose answer came too late. Who said yes before hears that again: a button is easily pressed twice."""
    standing = await world.ledger.redeemable(waiting.id)
    own = standing is not None and standing.person == person and standing.fault(now) is None
    return Told.ALLOWED if own else Told.LATE


def _of_device(new: NewAuthorization) -> NewAuthorization:
    """Return an authorization as the device's and not this browser's: it goes on when the user signs out here.

    So there is no session that a refresh token could be bound to, and what would be bound to one is not issued (`security-rules` 30).
    """
    new = replace(new, opened_by=device.GRANT_TYPE, session=0)
    if not new.session_bound:
        return new
    return replace(new, session_bound=False, refresh_secret=None, refresh_idle_until=None, refresh_until=None)


def _as_if_given(situation: Situation, visitor: Visitor, granted: frozenset[int], declined: frozenset[int]) -> Situation:
    """Return where the request stands once this is given, which happens together with the answer to the device."""
    seats = situation.seats
    before = (seats.given if seats.seat is None else seats.seat.given) or _NOT_GIVEN
    given = Given(before.id, (before.granted - declined) | granted, (before.declined | declined) - granted)
    progress = replace(situation.done, session=visitor.session, consented=True)
    return replace(situation, progress=progress, seats=_seats_with(seats, given))


def _seats_with(seats: Seats, given: Given) -> Seats:
    return replace(seats, given=given) if seats.seat is None else replace(seats, seat=replace(seats.seat, given=given))
