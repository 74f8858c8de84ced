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


def find(code: str, standing: Redeemable | None, ask: Ask) -> Redeemable:
    """Return the authorization whose code this is, at the issuer that gave it.

    Raises:
        InvalidGrant: it is none of ours, or another issuer's.
    """
    issuer = ask.issuer
    if standing is None or standing.tenant != issuer.tenant or standing.code_digest is None:
        raise InvalidGrant("the code is unknown", why="no such authorization")
    if not same(digest(Kind.CODE, issuer.tenant, code), standing.code_digest):
        raise InvalidGrant("the code is unknown", why="wrong code for the authorization")
    if standing.issuer != issuer.url:
        raise InvalidGrant("the code was issued by another issuer")
    return standing


def unproved(standing: Redeemable, ask: Ask, client: Client) -> str | None:
    """Return what a code was bound to and is not shown with: its client, its redirect_uri, its verifier; None when all is right.

    Nothing here uses the code up, so a stranger who stole one can neither burn it nor sign its owner out.
    """
    if standing.client != client.id:
        return "the code was issued to another client"
    fault = _redirect_fault(ask.params.get("redirect_uri"), standing, client)
    return fault or pkce.fault(standing.code_challenge, ask.params.get("code_verifier"))


def late(standing: Redeemable, now: int) -> bool:
    """Tell whether a code is too old; a used one is let through by whoever asks, to be found a replay."""
    return standing.code_expires_at is None or standing.code_expires_at <= now


def _redirect_fault(shown: str | None, standing: Redeemable, client: Client) -> str | None:
    """Return why a `redirect_uri` is not the one of the authorization request (RFC 6749 §4.1.3), or None.

    Where PKCE already proves that asker and redeemer are one, it need not be sent again; what is sent is compared (OAuth 2.1
    §4.1.3).
    """
    asked = standing.redirect_uri
    if shown is None:
        # An app of the marketplace need not say again where it was sent (`decisions` §9).
        needed = asked is not None and standing.code_challenge is None and not client.is_app
        return "the redirect_uri of the authorization request is needed" if needed else None
    if asked is not None:
        return None if shown == asked else "the redirect_uri is not the one of the authorization request"
    # It was left out when the code was asked for, which is possible only with one that is registered.
    return None if client.settings.redirect_uris == (shown,) else "the redirect_uri is not the one that the code was sent to"
