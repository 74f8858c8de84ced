"""The authorization code grant (RFC 6749 §4.1.3 with RFC 7636 §4.6). A code buys tokens once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth.catalogue import UNTIL_REVOKED, ids_of
from gatewright.oauth.code import authorization_of, find, late, unproved
from gatewright.oauth.errors import InvalidGrant, OAuthError, TemporarilyUnavailable
from gatewright.oauth.grant_types.approval import Approval, Call, aim
from gatewright.oauth.handle import new_standing_token
from gatewright.oauth.ports import Redemption
from gatewright.oauth.refresh import GRANT_TYPE as REFRESH

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable, Standing
    from gatewright.oauth.catalogue import Api
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import World

NAME: Final = "authorization_code"


async def approve(call: Call, world: World) -> Approval:
    """Prove the code, decide, use it up. In this order: what can refuse comes before the write, and the punishment of a replay
    comes only after possession is proved.
    """
    ask, client = call.ask, call.client
    code = ask.params.need("code")
    standing = await _proved(code, call, world)
    if standing.code_used_by is not None:
        raise await _replayed(standing, call, world)
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
        raise await _replayed(standing, call, world)
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


async def _replayed(standing: Standing, call: Call, world: World) -> InvalidGrant:
    """End what the code stands for: its owner's tokens may be in the thief's hands (RFC 6749 §4.1.2, RFC 9700 §4.5.3)."""
    # What is over has its cause already, and the first one wins (`security-rules` 21).
    if standing.fault(call.ask.at.now) is None:
        await world.ledger.end(standing, because="replay", now=call.ask.at.now, replayed="code")
    return InvalidGrant("the code was already used; everything that came of it has ended", why="code replay")
