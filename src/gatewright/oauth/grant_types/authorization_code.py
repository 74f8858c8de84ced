"""The authorization code grant (RFC 6749 §4.1.3 with RFC 7636 §4.6). A code buys tokens once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth.catalogue import UNTIL_REVOKED
from gatewright.oauth.code import authorization_of, prove
from gatewright.oauth.errors import InvalidGrant
from gatewright.oauth.grant_types.approval import Approval, Call, aim
from gatewright.oauth.handle import new_standing_token
from gatewright.oauth.ports import Redemption
from gatewright.oauth.refresh import GRANT_TYPE as REFRESH

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.ports import World

NAME: Final = "authorization_code"


async def approve(call: Call, world: World) -> Approval:
    """Prove the code, decide, use it up. In this order: what can refuse comes before the write, and the punishment of a replay
    comes only after possession is proved.
    """
    ask, client = call.ask, call.client
    code = ask.params.need("code")
    number = authorization_of(code)
    standing = prove(code, None if number is None else await world.ledger.redeemable(number), ask, client)
    if standing.code_used_by is not None:
        raise await _replayed(standing, call, world)
    fault = standing.fault(ask.at.now)
    if fault is not None:
        raise InvalidGrant("what the code stands for has ended", why=fault)
    catalogue = await world.directory.catalogue(standing.tenant)
    target = aim(None, standing, call, catalogue, whole=True)
    token = digest = None
    if target.api is not None and target.api.token_lifetime == UNTIL_REVOKED:
        token, digest = new_standing_token(standing.id, standing.tenant, ask.at)
    redemption = await world.ledger.redeem(standing.id, attempt=ask.at.attempt(), now=ask.at.now, standing_digest=digest)
    if redemption is Redemption.USED:
        raise await _replayed(standing, call, world)
    if redemption is Redemption.ENDED:
        raise InvalidGrant("what the code stands for has ended", why="ended while the code was exchanged")
    renews = standing.refresh_secret is not None and REFRESH in client.grant_types
    return Approval(
        standing=standing,
        client=client,
        target=target,
        refresh=(standing, standing.generation) if renews else None,
        nonce=standing.nonce,
        standing_token=token,
    )


async def _replayed(standing: Standing, call: Call, world: World) -> InvalidGrant:
    """End what the code stands for: its owner's tokens may be in the thief's hands (RFC 6749 §4.1.2, RFC 9700 §4.5.3)."""
    # What is over has its cause already, and the first one wins (`security-rules` 21).
    if standing.fault(call.ask.at.now) is None:
        await world.ledger.end(standing, because="replay", now=call.ask.at.now, replayed="code")
    return InvalidGrant("the code was already used; everything that came of it has ended", why="code replay")
