"""The token endpoint (RFC 6749 §3.2): every grant type passes the same five steps in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.client_auth import authenticate, secret
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import UnauthorizedClient, UnsupportedBody, UnsupportedGrantType
from gatewright.oauth.grant_types import GRANT_TYPES, Call, GrantType, authorization_code, install_cleanup
from gatewright.oauth.mint import mint

if TYPE_CHECKING:
    from gatewright.oauth.ports import World


async def token(ask: Ask, world: World) -> Reply:
    """Answer a token request."""
    if ask.json or "grant_type" not in ask.params:
        ask = await as_apps_say_it(ask, world)
    grant_type = grant_type_of(ask)  # 1 which grant?
    client = await authenticate(ask, world)  # 2 who is calling?
    if grant_type.NAME not in client.grant_types and grant_type.NAME != install_cleanup.NAME:  # 3 may it ask so?
        raise UnauthorizedClient(f"this client is not set up for the grant type '{grant_type.NAME}'")
    call = Call(ask, client)
    approval = await grant_type.approve(call, world)  # 4 what was allowed?
    reply = await mint(approval, ask.issuer, world, ask.at)  # 5 make it
    world.usage.count(grant_type.NAME, client.tenant, client.id)
    world.uses.used(approval.standing.grant, ask.at.now)
    for breach in call.breaches:
        world.usage.would_refuse(client.tenant, client.id, breach)
    return Reply(reply)


async def as_apps_say_it(ask: Ask, world: World) -> Ask:
    """Return the request of an app of the marketplace as any other client would send it: apps may post JSON, and need not say that
    what they bring is a code (`decisions` §9).

    Raises:
        UnsupportedBody: it is JSON from a client that is no app.
    """
    client_id = ask.params.get("client_id")
    presented = secret.find(ask) if client_id is None else None
    name = client_id if presented is None else presented.client_id
    client = None if name is None else await world.directory.client(ask.issuer.tenant, name)
    if ask.json and client is not None and not client.is_app:
        raise UnsupportedBody("this client sends the parameters as application/x-www-form-urlencoded; JSON is for apps of the marketplace")
    # Who posts JSON and is nobody is told so by the authentication.
    if "grant_type" in ask.params or not (ask.json or (client is not None and client.is_app)):
        return ask
    params = ask.params.having("grant_type", authorization_code.NAME)
    return Ask(params, ask.issuer, ask.at, authorization=ask.authorization, address=ask.address, json=ask.json)


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
