"""What the codes of an approval have in common, whichever way they came: used up once, and a second time is a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.oauth.catalogue import UNTIL_REVOKED, ids_of
from gatewright.oauth.errors import InvalidGrant
from gatewright.oauth.grant_types.approval import Approval, Call, aim
from gatewright.oauth.handle import new_standing_token
from gatewright.oauth.ports import Redemption
from gatewright.oauth.refresh import GRANT_TYPE as REFRESH

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable, Standing
    from gatewright.oauth.catalogue import Api
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import World


async def exchange(standing: Redeemable, call: Call, world: World) -> Approval:
    """Decide on the authorization of a code whose possession is proved, and use it up. What can refuse comes before the write.

    Raises:
        InvalidGrant: what the code stands for has ended, or it was used before, which ends it.
        InvalidScope, InvalidTarget: today's decision leaves nothing of it, or not for one API.
    """
    ask, client = call.ask, call.client
    if standing.code_used_by is not None:
        raise await replayed(standing, call, world)
    fault = standing.fault(ask.at.now)
    if fault is not None:
        raise InvalidGrant("what the code stands for has ended", why=fault)
    catalogue = await world.directory.catalogue(standing.tenant)
    target = aim(None, standing, call, catalogue, whole=True)
    token = digest = None
    if lasts_until_revoked(target.api, client):
        token, digest = new_standing_token(standing.id, standing.tenant, ask.at)
    attempt, install = ask.at.attempt(), 0
    if client.is_app:
        redemption, install = await world.installs.redeem(standing, attempt=attempt, now=ask.at.now, standing_digest=digest)
    else:
        redemption = await world.ledger.redeem(standing.id, attempt=attempt, now=ask.at.now, standing_digest=digest)
    if redemption is Redemption.USED:
        raise await replayed(standing, call, world)
    if redemption is Redemption.ENDED:
        raise InvalidGrant("what the code stands for has ended", why="ended while the code was exchanged")
    renews = standing.refresh_secret is not None and REFRESH in client.grant_types and not (client.is_app and token)
    return Approval(
        standing=standing,
        client=client,
        target=target,
        refresh=(standing, standing.generation) if renews else None,
        nonce=standing.nonce,
        standing_token=token,
        install=install,
        declined=tuple(catalogue.names(ids_of(standing.declined or ""))) if install else (),
    )


def lasts_until_revoked(api: Api | None, client: Client) -> bool:
    """Tell whether an access token is good until somebody ends it: as its API says, and for apps at every API that takes opaque ones."""
    if api is None or api.token_format != "opaque":
        return False
    return client.is_app or api.token_lifetime == UNTIL_REVOKED


async def replayed(standing: Standing, call: Call, world: World) -> InvalidGrant:
    """End what the code stands for: its owner's tokens may be in the thief's hands (RFC 6749 §4.1.2, RFC 9700 §4.5.3)."""
    # What is over has its cause already, and the first one wins (`security-rules` 21).
    if standing.fault(call.ask.at.now) is None:
        await world.ledger.end(standing, because="replay", now=call.ask.at.now, replayed="code")
    return InvalidGrant("the code was already used; everything that came of it has ended", why="code replay")
