"""Token revocation (RFC 7009): a client gives back what it was given. Whatever it shows, it learns nothing but 200."""

from __future__ import annotations

from typing import Final

from gatewright.base.digest import Kind
from gatewright.oauth import refresh
from gatewright.oauth.access import Form, Token, opened, proved
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.authorization import Standing
from gatewright.oauth.client import Client
from gatewright.oauth.client_auth import authenticate
from gatewright.oauth.handle import mark_of
from gatewright.oauth.ports import World

DONE: Final = Reply(None)


async def revoke(ask: Ask, world: World) -> Reply:
    """End an access token, or with a refresh token the authorization behind it (§2.1).

    The kind is read off the text, so a wrong `token_type_hint` misleads nobody. A token of another client is left alone and
    answered like an unknown one (§2.2).

    Raises:
        InvalidClient: the client is unknown or did not prove itself.
        InvalidRequest: there is no token in the request.
    """
    client = await authenticate(ask, world)
    text = ask.params.need("token")
    if text.startswith(Kind.REFRESH):
        await _refresh_token(text, client, ask, world)
    else:
        await _access_token(text, client, ask, world)
    return DONE


async def _refresh_token(text: str, client: Client, ask: Ask, world: World) -> None:
    shown = refresh.parse(text)
    standing = None if shown is None else await world.ledger.redeemable(shown.authorization)
    # Any generation that we made will do: the client gives the chain back, and its last link may have been lost on the way.
    if shown is None or standing is None or not _own(standing, client, ask) or not refresh.prove(shown, standing, world.sealer):
        return
    await _end(standing, ask, world)


async def _access_token(text: str, client: Client, ask: Ask, world: World) -> None:
    token = await opened(text, ask.issuer, world, now=ask.at.now)
    if token is None or (token.exp is not None and token.exp <= ask.at.now):
        return
    standing = await world.ledger.standing(token.authorization, mark=mark_of(ask.issuer.tenant, token.jti))
    if standing is None or not _own(standing, client, ask) or not proved(text, token, standing):
        return
    if token.form is Form.STANDING:
        await _end(standing, ask, world)
    elif standing.marked is None:
        await _mark(token, standing, ask, world)


def _own(standing: Standing, client: Client, ask: Ask) -> bool:
    return standing.tenant == ask.issuer.tenant and standing.issuer == ask.issuer.url and standing.client == client.id


async def _end(standing: Standing, ask: Ask, world: World) -> None:
    # The first cause wins, and the store is spared a write that would change nothing.
    if standing.ended_at is None:
        await world.ledger.end(standing, because="revoked", now=ask.at.now)


async def _mark(token: Token, standing: Standing, ask: Ask, world: World) -> None:
    if token.jti is not None and token.exp is not None:
        api = token.api if token.form is Form.JWT else None
        await world.ledger.revoke(standing, token.jti, until=token.exp, attempt=ask.at.attempt(), api=api)
