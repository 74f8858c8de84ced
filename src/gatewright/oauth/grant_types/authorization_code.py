"""The authorization code grant (RFC 6749 §4.1.3 with RFC 7636 §4.6). A code buys tokens once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth.code import authorization_of, find, late, unproved
from gatewright.oauth.errors import InvalidGrant, OAuthError, TemporarilyUnavailable
from gatewright.oauth.grant_types.exchange import exchange

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable, Standing
    from gatewright.oauth.grant_types.approval import Approval, Call
    from gatewright.oauth.ports import World

NAME: Final = "authorization_code"


async def approve(call: Call, world: World) -> Approval:
    """Prove the code, decide, use it up. In this order: what can refuse comes before the write, and the punishment of a replay
    comes only after possession is proved.
    """
    code = call.ask.params.need("code")
    standing = await _proved(code, call, world)
    return await exchange(standing, call, world)


async def _proved(code: str, call: Call, world: World) -> Redeemable:
    """Return the authorization whose code this is, shown by its own client with all that it was bound to.

    Raises:
        InvalidGrant: it is not, or it was never used and is too old. A used one is let through to be found a replay.
        TemporarilyUnavailable: too many wrong proofs came from there.
    """
    ask, client = call.ask, call.client
    number = authorization_of(code)
    wait = 0 if number is None else world.guesses.code_wait(number, client.id, ask.address, ask.at.now)
    if wait:
        raise _slowed(wait)
    standing = find(code, None if number is None else await world.ledger.redeemable(number), ask)
    fault = unproved(standing, ask, client)
    old = standing.code_used_by is None and late(standing, ask.at.now)
    if fault is not None:
        # What buys nothing any more is worth no guess, so none is counted: a stale code costs a read and no write.
        dead = old or standing.code_used_by is not None or standing.fault(ask.at.now) is not None
        raise InvalidGrant(fault) if dead else await _missed(fault, standing, call, world)
    if old:
        raise InvalidGrant("the code has expired")
    return standing


async def _missed(fault: str, standing: Standing, call: Call, world: World) -> OAuthError:
    """Count a wrong proof for a code that could still be exchanged (`security-rules` 22); return what is answered."""
    ask = call.ask
    wait = await world.guesses.code_missed(standing.tenant, standing.id, call.client.id, ask.address, ask.at)
    return _slowed(wait) if wait else InvalidGrant(fault)


def _slowed(wait: int) -> TemporarilyUnavailable:
    sentence = "too many attempts to exchange this code with a wrong proof: try again later"
    return TemporarilyUnavailable(sentence, retry_after=wait, why="wrong proofs of a code are slowed")
