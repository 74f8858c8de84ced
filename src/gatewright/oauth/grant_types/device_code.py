"""The device code grant (RFC 8628 §3.4, §3.5): a device asks again and again until its user has answered at another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.digest import Kind, digest, same
from gatewright.oauth.code import late
from gatewright.oauth.device import GRANT_TYPE, LONGEST_INTERVAL, SLOWER, Polled, request_of
from gatewright.oauth.errors import AccessDenied, AuthorizationPending, ExpiredToken, InvalidGrant, SlowDown
from gatewright.oauth.grant_types.exchange import exchange

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable
    from gatewright.oauth.device import DeviceRequest
    from gatewright.oauth.grant_types.approval import Approval, Call
    from gatewright.oauth.ports import World

NAME: Final = GRANT_TYPE


async def approve(call: Call, world: World) -> Approval:
    """Tell the device what its user said so far; after a yes its code buys tokens once.

    A device that waits costs one read, and one that asks too early none: it is known by the digest of its code.

    Raises:
        AuthorizationPending, SlowDown, AccessDenied, ExpiredToken: §3.5.
        InvalidGrant: the code is unknown, another client's or another issuer's, or it was used before.
    """
    ask, client = call.ask, call.client
    code = ask.params.need("device_code")
    number, kept = request_of(code), digest(Kind.DEVICE_CODE, ask.issuer.tenant, code)
    if number is None:
        raise _unknown("no device code")
    last = world.devices.last(number)
    if last is not None and last.client == client.id and same(last.digest, kept) and last.too_early(ask.at.now):
        raise await _slowed(number, last, call, world)
    request = await world.devices.find(number)
    if request is None or request.answer == "allowed":
        return await exchange(await _redeemable(number, kept, call, world), call, world)
    if request.tenant != ask.issuer.tenant or not same(request.device_digest, kept):
        raise _unknown("wrong code for the request")
    _same_place(request, call)
    if request.answer == "denied":
        raise AccessDenied("the user said no, or could not say yes")
    if request.expires_at <= ask.at.now:
        raise _expired()
    asked = Polled(kept, client.id, ask.at.now, request.poll_interval)
    if last is not None and Polled(kept, client.id, last.at, request.poll_interval).too_early(ask.at.now):
        # Another worker was asked too early and wrote that down.
        raise await _slowed(number, asked, call, world)
    world.devices.polled(number, asked)
    raise AuthorizationPending("the user has not answered yet: ask again after the interval")


async def _redeemable(number: int, kept: str, call: Call, world: World) -> Redeemable:
    """Return the authorization that the user opened for this device, whose request may be forgotten by now.

    Raises:
        InvalidGrant: it is none, another client's or another issuer's.
        ExpiredToken: the device asked too late. A used code is let through to be found a replay.
    """
    ask = call.ask
    standing = await world.ledger.redeemable(number)
    if standing is None or standing.tenant != ask.issuer.tenant or standing.code_digest is None or not same(standing.code_digest, kept):
        raise _unknown("no such authorization")
    _same_place(standing, call)
    if standing.code_used_by is None and late(standing, ask.at.now):
        raise ExpiredToken("the user answered, but the device asked too late for it: begin again with a new code")
    return standing


def _same_place(found: Redeemable | DeviceRequest, call: Call) -> None:
    if found.issuer != call.ask.issuer.url:
        raise InvalidGrant("the device code was issued by another issuer")
    if found.client != call.client.id:
        raise InvalidGrant("the device code was issued to another client")


async def _slowed(number: int, last: Polled, call: Call, world: World) -> SlowDown:
    """Have the device wait five seconds longer from now on, for all workers; at the longest wait there is nothing more to write."""
    interval = min(last.interval + SLOWER, LONGEST_INTERVAL)
    if interval > last.interval:
        await world.devices.slow_down(number, interval)
    world.devices.polled(number, Polled(last.digest, last.client, call.ask.at.now, interval))
    return SlowDown(f"asked too early: wait {interval} seconds between two questions")


def _unknown(why: str) -> InvalidGrant:
    return InvalidGrant("the device code is unknown", why=why)


def _expired() -> ExpiredToken:
    return ExpiredToken("nobody answered in time: begin again with a new code")
