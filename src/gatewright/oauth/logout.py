"""Leaving: who may end the browser's session without asking, and where the browser goes then (OpenID Connect RP-Initiated Logout)."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.ask import Params
from gatewright.oauth.client import Client
from gatewright.oauth.errors import InvalidRequest, PageError
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.ports import World

_ID_TOKEN_TYPES = (None, "JWT")  # what an ID token's header may call itself; an access token says at+jwt


class Hint(Struct, frozen=True):
    """An ID token that we made for a client at this issuer, perhaps long ago."""

    client_id: str
    person: int
    session: int | None


class Leaving(Struct, frozen=True):
    """What a request to sign out comes to: `redirect` is where to go after it, `ask` whether the user is asked first."""

    client: Client | None
    redirect: str | None
    ask: bool


async def read_hint(text: str, issuer: Issuer, world: World) -> Hint | None:
    """Return what an `id_token_hint` says, or None when this issuer did not make it; an expired one is as good (§2, Core §3.1.2.1)."""
    claims = await world.signer.verify(issuer.tenant, text)
    if claims is None or await world.signer.typ(text) not in _ID_TOKEN_TYPES or claims.get("iss") != issuer.url:
        return None
    audience, subject, session = claims.get("aud"), claims.get("sub"), claims.get("sid")
    person = ids.read(ids.USER, subject) if isinstance(subject, str) else None
    if not isinstance(audience, str) or person is None:
        return None
    return Hint(audience, person, ids.read(ids.SESSION, session) if isinstance(session, str) else None)


async def leave(params: Params, issuer: Issuer, world: World, *, signed_in: int) -> Leaving:
    """Decide on a request to sign out; `signed_in` is the user of the browser's session here, 0 for none.

    Raises:
        PageError: the client is unknown or not the one of the hint, or the address to go to is not registered for it (§2, §3).
    """
    text = params.get("id_token_hint")
    hint = None if text is None else await read_hint(text, issuer, world)
    named = params.get("client_id")
    if hint is not None and named not in (None, hint.client_id):
        raise PageError(InvalidRequest("the parameter 'client_id' names another client than the id_token_hint"))
    client_id = hint.client_id if hint is not None else named
    client = None if client_id is None else await world.directory.client(issuer.tenant, client_id)
    if client is None and named is not None:
        raise PageError(InvalidRequest("the parameter 'client_id' names no client"))
    redirect = after(params.get("post_logout_redirect_uri"), params.get("state"), client)
    # Anybody can make a browser come here; only whoever holds an ID token of this very user spares him the question.
    return Leaving(client, redirect, ask=bool(signed_in) and (hint is None or hint.person != signed_in))


def after(uri: str | None, state: str | None, client: Client | None) -> str | None:
    """Return where the browser goes after the sign-out: an address registered for the client, character by character (§3).

    Raises:
        PageError: an address was asked for, and is not registered for the client, or no client is known.
    """
    if uri is None:
        return None
    if client is None or client.disabled or uri not in client.settings.post_logout_redirect_uris:
        raise PageError(InvalidRequest("the parameter 'post_logout_redirect_uri' is not registered for the client"))
    if state is None:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}state={quote(state, safe='')}"
