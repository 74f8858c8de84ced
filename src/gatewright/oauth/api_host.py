"""A host of a tenant's API that issues nothing: which of the tenant's issuers made the token shown there, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gatewright.base.digest import Kind, split
from gatewright.oauth.handle import STANDING_BYTES, open_handle
from gatewright_guard.jose import MAX_TOKEN, parse
from gatewright_guard.refused import Refused

if TYPE_CHECKING:
    from gatewright.oauth.issuer import ApiHost, Issuer
    from gatewright.oauth.ports import World

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"


async def issuer_of(token: str, site: ApiHost, world: World, *, now: int) -> Issuer:
    """Return the issuer that a token is of, as far as the token itself can tell; the first one where it is of none.

    Nothing is believed by this: whoever accepts the token holds it against that issuer as everywhere else (`access.present`).
    """
    url = await _url_in(token, site, world, now)
    return next((issuer for issuer in site.issuers if issuer.url == url), site.issuers[0])


async def _url_in(token: str, site: ApiHost, world: World, now: int) -> str | None:
    if len(token) > MAX_TOKEN or len(site.issuers) == 1:
        return None
    if token.startswith(Kind.ACCESS):
        # A handle opens for the issuer that sealed it and for no other.
        return next((issuer.url for issuer in site.issuers if open_handle(token, issuer, world.sealer, now) is not None), None)
    if token.startswith(Kind.STANDING):
        parts = split(Kind.STANDING, token, STANDING_BYTES)
        row = None if parts is None else await world.ledger.standing(parts[0])
        return None if row is None or row.tenant != site.tenant else row.issuer
    try:
        named = parse(token).payload.get("iss")
    except Refused:
        return None
    return named if isinstance(named, str) else None


def document(site: ApiHost) -> Mapping[str, object]:
    """Return what a client needs to know of the API at this host (RFC 9728 §2)."""
    return {
        "resource": site.url,
        "resource_name": site.name,
        "authorization_servers": [issuer.url for issuer in site.issuers],
        "bearer_methods_supported": ["header"],
    }
