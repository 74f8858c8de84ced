"""The token endpoint (RFC 6749 §3.2): every grant type passes the same five steps in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.client_auth import authenticate
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import UnauthorizedClient, UnsupportedGrantType
from gatewright.oauth.grant_types import GRANT_TYPES, Call, GrantType
from gatewright.oauth.mint import mint

if TYPE_CHECKING:
    from gatewright.oauth.ports import World


async def token(ask: Ask, world: World) -> Reply:
    """Answer a token request."""
    grant_type = grant_type_of(ask)  # 1 which grant?
    client = await authenticate(ask, world)  # 2 who is calling?
    if grant_type.NAME not in client.grant_types:  # 3 may it ask so?
        raise UnauthorizedClient(f"this client is not set up for the grant type '{grant_type.NAME}'")
    call = Call(ask, client)
    approval = await grant_type.approve(call, world)  # 4 what was allowed?
    reply = await mint(approval, ask.issuer, world, ask.at)  # 5 make it
    world.usage.count(grant_type.NAME, client.tenant, client.id)
    world.uses.used(approval.standing.grant, ask.at.now)
    for breach in call.breaches:
        world.usage.would_refuse(client.tenant, client.id, breach)
    return Reply(reply)


def grant_type_of(ask: Ask) -> GrantType:
    """Return the grant type of a request.

    Raises:
        InvalidRequest: it names none.
        UnsupportedGrantType: there is no such one here (RFC 6749 §5.2).
    """
    name = ask.params.need("grant_type")
    grant_type = GRANT_TYPES.get(name)
    if grant_type is None:
        raise UnsupportedGrantType(f"the grant type '{printable(name)}' is not offered here")
    return grant_type
