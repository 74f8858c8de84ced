"""An access token of ours that comes back: opened, held against its row, and decided anew (`decisions` §2, §3).

Every endpoint that accepts one goes through `present`, and `present` reads one row: the token says what it may at most, the row whether
it still stands, today's decision what is left of it. A JWT is no exception: its signature says only that we made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, ValidationError, convert, structs

from gatewright.base import ids
from gatewright.base.digest import Kind, split
from gatewright.oauth import places
from gatewright.oauth.authorization import Allowed, Standing
from gatewright.oauth.catalogue import OPENID_API, UNTIL_REVOKED, Api, Catalogue, Scope
from gatewright.oauth.client import Client
from gatewright.oauth.client_auth import may_call
from gatewright.oauth.decision import Verdict
from gatewright.oauth.handle import ALL, STANDING_BYTES, Handle, authentic, is_standing_token, mark_of, open_handle
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.ports import World
from gatewright.oauth.report_only import breach, watched
from gatewright_guard.jose import MAX_TOKEN

Names = tuple[str, ...] | None  # None: all of the row
_NO_API: Final = -1


class Form(StrEnum):
    """The three texts that an access token of ours may be."""

    HANDLE = "handle"
    JWT = "jwt"
    STANDING = "standing"


class Token(Struct, frozen=True):
    """What a token says of itself, its seal or signature being right. `exp` is None where it lives until it is revoked."""

    form: Form
    authorization: int
    jti: str | None
    api: int
    iat: int | None
    exp: int | None
    epoch: int | None = None
    names: tuple[str, ...] | None = None
    named: bytes = ALL
    handle: Handle | None = None


class Access(Struct, frozen=True):
    """A token that is good now, and what it may today."""

    token: Token
    standing: Standing
    client: Client
    catalogue: Catalogue
    api: Api | None
    allowed: Allowed

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What it may today: the scopes of its API, and OpenID's."""
        return self.allowed.scopes

    @property
    def scope(self) -> str:
        """The scopes as the `scope` member has them (RFC 6749 §3.3)."""
        return self.allowed.scope


class NoAccess(Struct, frozen=True):
    """A token that is no good. Without a `cause` it is unknown; with one it is authentic, and its holder may be told."""

    cause: Verdict | None = None
    because: str = ""
    token: Token | None = None
    standing: Standing | None = None


UNKNOWN: Final = NoAccess()


async def present(
    text: str, issuer: Issuer, world: World, *, now: int, address: str | None = None, catalogue: Catalogue | None = None
) -> Access | NoAccess:
    """Return what an access token may at this moment, or why nothing. `address` is its holder's, where that is known.

    `catalogue` is the tenant's, from whoever asked for it a moment ago.
    """
    token = _handed(text, issuer, world, now) if text.startswith(Kind.ACCESS) else await opened(text, issuer, world, now=now)
    if token is None:
        return UNKNOWN
    standing = await world.ledger.standing(token.authorization, mark=mark_of(issuer.tenant, token.jti))
    if standing is None or standing.tenant != issuer.tenant or standing.issuer != issuer.url or not proved(text, token, standing):
        return UNKNOWN
    if catalogue is None:
        catalogue = await world.directory.catalogue(issuer.tenant)
    client = await world.directory.client_by_row(issuer.tenant, standing.client)
    if token.form is Form.STANDING:
        token = structs.replace(token, api=_api_of(standing, catalogue, client))
    cause, because = ended(token, standing, now)
    if cause is not None:
        return NoAccess(cause, because, token, standing)
    if client is None or client.disabled:
        return NoAccess(Verdict.CLIENT_DISABLED, "", token, standing)
    if address is not None and client.settings.allowed_ips and not may_call(client.settings.allowed_ips, address):
        if not watched("allowed_ips", client):
            return NoAccess(Verdict.IP_NOT_ALLOWED, "", token, standing)
        found = breach("allowed_ips", "a token of this client may not be used from this address", address=address)
        world.usage.would_refuse(client.tenant, client.id, found)
    return _decided(token, standing, client, catalogue, names_of(token, standing, catalogue))


async def opened(text: str, issuer: Issuer, world: World, *, now: int) -> Token | None:
    """Return what a text says if this issuer made it as an access token; whether it is still good is another question."""
    if text.startswith(Kind.ACCESS):
        return _handed(text, issuer, world, now)
    if len(text) > MAX_TOKEN:
        return None
    if text.startswith(Kind.STANDING):
        parts = split(Kind.STANDING, text, STANDING_BYTES)
        return None if parts is None else Token(Form.STANDING, parts[0], None, OPENID_API, None, None)
    if text.count(".") != 2:
        return None
    payload = await world.signer.verify(issuer.tenant, text)
    if payload is None or await world.signer.typ(text) != "at+jwt" or payload.get("iss") != issuer.url:
        return None
    if payload.get("cnf") is not None:
        # Nothing here asks for the proof of its key yet, and without it a bound token is nobody's (RFC 9449 §7.2).
        return None
    return _of_jwt(payload, await world.directory.catalogue(issuer.tenant))


def _handed(text: str, issuer: Issuer, world: World, now: int) -> Token | None:
    handle = open_handle(text, issuer, world.sealer, now) if len(text) <= MAX_TOKEN else None
    if handle is None:
        return None
    return Token(
        Form.HANDLE,
        handle.authorization,
        handle.jti,
        handle.api,
        handle.iat,
        handle.exp,
        handle.epoch,
        None,
        handle.named,
        handle,
    )


class _Claims(Struct, frozen=True):
    """What we put into our own JWT access tokens, as far as it is read again (`mint.AccessClaims`)."""

    aud: str
    iat: int
    exp: int
    jti: str
    scope: str
    gw_az: str
    gw_ep: int = 0


def _of_jwt(payload: Mapping[str, object], catalogue: Catalogue) -> Token | None:
    try:
        claims = convert(payload, _Claims)
    except ValidationError:
        return None
    number = ids.read(ids.AUTHORIZATION, claims.gw_az)
    api = catalogue.apis_by_audience.get(claims.aud)
    if number is None or api is None:
        return None
    names = tuple(claims.scope.split())
    return Token(Form.JWT, number, claims.jti, api.id, claims.iat, claims.exp, claims.gw_ep, names)


def proved(text: str, token: Token, standing: Standing) -> bool:
    """Tell whether a token was made for this row: neither the sealing key alone nor the database alone makes one."""
    match token.form:
        case Form.HANDLE:
            handle = token.handle
            # The epoch is asked in `ended`: a token of an earlier one is ours, and over.
            return handle is not None and authentic(handle, _as_of(standing, handle.epoch))
        case Form.STANDING:
            return is_standing_token(text, standing)
        case Form.JWT:
            return True


def _as_of(standing: Standing, epoch: int) -> Standing:
    return standing if standing.epoch == epoch else structs.replace(standing, epoch=epoch)


def ended(token: Token, standing: Standing, now: int) -> tuple[Verdict | None, str]:
    """Return why a token is over, and because of what. That everything ended is told before that this one did."""
    fault = standing.fault(now)
    if fault is not None:
        return fault, standing.ended_because or standing.grant_ended_because or ""
    if standing.marked is not None or (token.epoch is not None and token.epoch != standing.epoch):
        return Verdict.TOKEN_REVOKED, "revoked"
    if token.exp is not None and token.exp <= now:
        return Verdict.TOKEN_EXPIRED, ""
    return None, ""


def names_of(token: Token, standing: Standing, catalogue: Catalogue) -> Names:
    """Return the scopes that a token names at most, before the row and today's decision cut them."""
    if token.names is not None or token.named == ALL:
        return token.names
    return tuple(places.names(token.named, standing.ceiling, token.api, catalogue))


def _decided(token: Token, standing: Standing, client: Client, catalogue: Catalogue, names: Names) -> Access | NoAccess:
    api = catalogue.apis.get(token.api)
    if token.api != OPENID_API and (api is None or api.disabled):
        return NoAccess(Verdict.TOKEN_REVOKED, "", token, standing)
    return Access(token, standing, client, catalogue, api, standing.allowed(token.api, names, catalogue, client))


def _api_of(standing: Standing, catalogue: Catalogue, client: Client | None) -> int:
    """Return the API of a token that lives until it is revoked: it says nothing itself, so its row must."""
    within = standing.resources.split()
    app = client is not None and client.is_app
    for number in sorted(standing.ceiling):
        scope = catalogue.scopes.get(number)
        api = None if scope is None else catalogue.apis.get(scope.api)
        # Only such an API has such tokens (`grant_types.authorization_code`); an app has one for every API that takes opaque ones.
        lasts = api is not None and (api.token_lifetime == UNTIL_REVOKED or (app and api.token_format == "opaque"))
        if api is not None and lasts and (not within or api.audience in within):
            return api.id
    return _NO_API
