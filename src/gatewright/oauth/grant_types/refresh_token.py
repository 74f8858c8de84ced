"""The refresh grant (RFC 6749 §6) with rotation, reuse detection and an overlap (RFC 9700 §4.14.2, `decisions` §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.oauth import refresh
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import InvalidGrant, InvalidScope
from gatewright.oauth.grant_types.approval import Approval, Call, aim, narrowing
from gatewright.oauth.handle import ALL
from gatewright.oauth.refresh import Judgement, Shown

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable, Standing
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.ports import World
    from gatewright.oauth.resource import Target

NAME: Final = refresh.GRANT_TYPE
UNKNOWN: Final = "the refresh token is unknown"


async def approve(call: Call, world: World) -> Approval:
    """Prove the token, decide, then ask its generation. Nothing before the generation writes, so nobody who cannot use the
    token can end anything with it.
    """
    ask, client = call.ask, call.client
    shown = refresh.parse(ask.params.need("refresh_token"))
    if shown is None:
        raise InvalidGrant(UNKNOWN, why="no refresh token")
    standing = prove(shown, await world.ledger.redeemable(shown.authorization), call, world)
    catalogue = await world.directory.catalogue(standing.tenant)
    names = wanted(ask.params.get("scope"), standing, catalogue)
    target = aim(names, standing, call, catalogue)
    named = ALL if names is None else narrowing(names, standing, target, catalogue)
    standing, not_after = await _turn(shown, standing, target, call, world)
    return Approval(
        standing=standing,
        client=client,
        target=target,
        named=named,
        # The last of the chain: a repeat is answered with the very token that its rotation made.
        refresh=(standing, shown.generation + 1),
        not_after=not_after,
    )


def prove(shown: Shown, standing: Redeemable | None, call: Call, world: World) -> Redeemable:
    """Return the authorization that a refresh token renews, shown by its own client at its own issuer.

    Raises:
        InvalidGrant: the token is not ours, not this client's, not good here, or what it stands for has ended.
    """
    ask = call.ask
    if standing is None or standing.tenant != ask.issuer.tenant:
        raise InvalidGrant(UNKNOWN, why="no such authorization")
    if standing.client != call.client.id:
        raise InvalidGrant("the refresh token was issued to another client", why="another client's refresh token")
    if not refresh.prove(shown, standing, world.sealer):
        raise InvalidGrant(UNKNOWN, why="wrong refresh token for the authorization")
    if standing.issuer != ask.issuer.url:
        raise InvalidGrant("the refresh token was issued by another issuer")
    fault = standing.fault(ask.at.now)
    if fault is not None:
        raise InvalidGrant("what the refresh token stands for has ended", why=fault)
    if refresh.expired(standing, ask.at.now):
        raise InvalidGrant("the refresh token has expired")
    return standing


def wanted(scope: str | None, standing: Standing, catalogue: Catalogue) -> tuple[str, ...] | None:
    """Return the scopes that are asked for, by their present names: None for those of the authorization, or fewer (RFC 6749 §6).
    What has retired since falls away as it does without a `scope`.

    Raises:
        InvalidScope: one of them was never granted.
    """
    if scope is None:
        return None
    known, ceiling = catalogue.scopes_by_name, standing.ceiling
    asked = [name for name in scope.split(" ") if name not in catalogue.retired]
    beyond = [name for name in asked if name not in known or known[name].id not in ceiling]
    if beyond:
        raise InvalidScope(f"beyond what was granted: {printable(beyond[0])}")
    return tuple(dict.fromkeys([known[name].name for name in asked]))


async def _turn(shown: Shown, standing: Redeemable, target: Target, call: Call, world: World) -> tuple[Redeemable, int | None]:
    """Move the chain on, or answer for the move that was just made. Return the row and the latest end of the access token."""
    ask, policy = call.ask, call.ask.issuer.policy
    judgement = refresh.judge(shown.generation, standing, call.client, ask.at.now, policy)
    if judgement is Judgement.ROTATE:
        idle_until = refresh.idle_limit(call.client, policy, ask.at.now)
        first = await world.ledger.rotate(
            standing.id, generation=shown.generation, attempt=ask.at.attempt(), now=ask.at.now, idle_until=idle_until
        )
        if first:
            return standing, None
        # Somebody else was faster, or ended it. The same rule is asked again, of what is true now.
        standing = prove(shown, await world.ledger.redeemable(standing.id), call, world)
        judgement = refresh.judge(shown.generation, standing, call.client, ask.at.now, policy)
    if judgement is not Judgement.REPEAT:
        await world.ledger.end(standing, because="replay", now=ask.at.now, replayed="refresh_token")
        raise InvalidGrant("the refresh token was already used; what it stands for has ended", why="refresh token reuse")
    world.usage.count("refresh_repeated", standing.tenant, standing.grant)
    # Not later than the token that was lost, so that repeating gains nobody anything.
    return standing, (standing.rotated_at or ask.at.now) + target.lifetime(policy)
