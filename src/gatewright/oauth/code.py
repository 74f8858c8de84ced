"""The authorization code: found by the id that it carries, proved by its digest (RFC 6749 §4.1.2, §4.1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.base.digest import Kind, digest, same, split, with_id
from gatewright.oauth import pkce
from gatewright.oauth.errors import InvalidGrant

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ask import Ask
    from gatewright.oauth.authorization import Redeemable
    from gatewright.oauth.client import Client

_BYTES = 32


def new_code(number: int, tenant: int, at: Moment) -> tuple[str, str]:
    """Return the text of a code for the authorization of this id, and the digest that its row keeps."""
    text = with_id(Kind.CODE, number, at.dice.bytes(_BYTES))
    return text, digest(Kind.CODE, tenant, text)


def authorization_of(code: str) -> int | None:
    """Return the id of the authorization that a code names, or None when a text is no code."""
    found = split(Kind.CODE, code, _BYTES)
    return None if found is None else found[0]


def prove(code: str, standing: Redeemable | None, ask: Ask, client: Client) -> Redeemable:
    """Return the authorization whose code this is, shown by its own client with all that it was bound to.

    Nothing here uses the code up, so a stranger who stole one can neither burn it nor sign its owner out.

    Raises:
        InvalidGrant: it is not, or it was never used and is too old. A used one is let through to be found a replay.
    """
    issuer = ask.issuer
    if standing is None or standing.tenant != issuer.tenant or standing.code_digest is None:
        raise InvalidGrant("the code is unknown", why="no such authorization")
    if not same(digest(Kind.CODE, issuer.tenant, code), standing.code_digest):
        raise InvalidGrant("the code is unknown", why="wrong code for the authorization")
    if standing.issuer != issuer.url:
        raise InvalidGrant("the code was issued by another issuer")
    if standing.client != client.id:
        raise InvalidGrant("the code was issued to another client")
    fault = _redirect_fault(ask.params.get("redirect_uri"), standing, client)
    fault = fault or pkce.fault(standing.code_challenge, ask.params.get("code_verifier"))
    if fault is not None:
        raise InvalidGrant(fault)
    late = standing.code_expires_at is None or standing.code_expires_at <= ask.at.now
    if late and standing.code_used_by is None:
        raise InvalidGrant("the code has expired")
    return standing


def _redirect_fault(shown: str | None, standing: Redeemable, client: Client) -> str | None:
    """Return why a `redirect_uri` is not the one of the authorization request (RFC 6749 §4.1.3), or None.

    Where PKCE already proves that asker and redeemer are one, it need not be sent again; what is sent is compared (OAuth 2.1
    §4.1.3).
    """
    asked = standing.redirect_uri
    if shown is None:
        needed = asked is not None and standing.code_challenge is None
        return "the redirect_uri of the authorization request is needed" if needed else None
    if asked is not None:
        return None if shown == asked else "the redirect_uri is not the one of the authorization request"
    # It was left out when the code was asked for, which is possible only with one that is registered.
    return None if client.settings.redirect_uris == (shown,) else "the redirect_uri is not the one that the code was sent to"
