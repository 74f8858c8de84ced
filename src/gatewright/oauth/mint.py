"""From an approval to tokens: the only place that makes them. Nothing here can refuse, and nothing here writes."""

from __future__ import annotations

from hashlib import sha256, sha512
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.base.digest import b64
from gatewright.oauth import refresh
from gatewright.oauth.authorization import role_names
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.claims import for_id_token, subject
from gatewright.oauth.handle import Handle, new_jti, seal

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.grant_types.approval import Approval
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import World

_ENCODE: Final = msgspec.json.Encoder().encode


class TokenReply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A successful answer of the token endpoint (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3); `scope` is always said."""

    access_token: str
    token_type: str
    expires_in: int | None = None
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None
    account_id: str | None = None
    account: str | None = None
    install_id: str | None = None
    granted_scopes: tuple[str, ...] | None = None
    declined_scopes: tuple[str, ...] | None = None


class AccessClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a JWT access token (RFC 9068 §2.2). Private: the authorization, its epoch, and the scopes that need no account."""

    iss: str
    sub: str
    aud: str
    client_id: str
    iat: int
    exp: int
    jti: str
    scope: str
    account_id: str | None = None
    account: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    gw_az: str
    gw_ep: int = 0
    gw_reach: str = ""
    roles: tuple[str, ...] = ()


async def mint(approval: Approval, issuer: Issuer, world: World, at: Moment) -> TokenReply:
    """Return the tokens of an approval."""
    standing, target = approval.standing, approval.target
    install = approval.install
    exp: int | None = None
    access = approval.standing_token
    if access is None:
        exp = _end(approval, issuer, at.now)
        access = await _access_token(approval, exp, issuer, world, at)
    return TokenReply(
        access_token=access,
        token_type="Bearer",
        expires_in=None if exp is None else exp - at.now,
        scope=target.scope,
        refresh_token=None if approval.refresh is None else refresh.make(*approval.refresh, world.sealer),
        id_token=await _id_token(approval, access, issuer, world, at) if _says_who(approval) else None,
        account_id=ids.show(ids.ACCOUNT, standing.account) if standing.account else None,
        account=standing.account_slug,
        install_id=ids.show(ids.INSTALL, install) if install else None,
        granted_scopes=tuple([scope.name for scope in target.scopes]) if install else None,
        declined_scopes=approval.declined if install else None,
    )


def _says_who(approval: Approval) -> bool:
    return approval.standing.person != 0 and any(scope.id == OPENID for scope in approval.target.scopes)


def _end(approval: Approval, issuer: Issuer, now: int) -> int:
    """Return the last second of an access token: its lifetime, or less where what it rests on ends before."""
    exp = now + approval.target.lifetime(issuer.policy)
    standing = approval.standing
    session = standing.session_until if standing.session_bound else None
    for limit in (approval.not_after, standing.grant_expires_at, session):
        if limit is not None and limit < exp:
            exp = max(limit, now)
    return exp


async def _access_token(approval: Approval, exp: int, issuer: Issuer, world: World, at: Moment) -> str:
    standing, api = approval.standing, approval.target.api
    jti = new_jti(at)
    if api is None or api.token_format == "opaque":
        number = 0 if api is None else api.id
        handle = Handle(standing.id, jti, number, at.now, exp, standing.epoch, named=approval.named)
        return seal(handle, standing.access_secret, issuer, world.sealer, at)
    claims = AccessClaims(
        iss=issuer.url,
        sub=subject(standing, approval.client),
        aud=api.audience,
        client_id=approval.client.client_id,
        iat=at.now,
        exp=exp,
        jti=jti,
        scope=approval.target.scope,
        account_id=ids.show(ids.ACCOUNT, standing.account) if standing.account else None,
        account=standing.account_slug,
        auth_time=standing.auth_time,
        acr=standing.acr,
        gw_az=ids.show(ids.AUTHORIZATION, standing.id),
        gw_ep=standing.epoch,
        gw_reach="" if standing.account else approval.target.reach,
        # Who can read this token is its app, and another company's app has no business with the names of a customer's roles.
        roles=await _roles(approval, world) if api.names_roles and approval.client.settings.party == "first" else (),
    )
    return await world.signer.sign(standing.tenant, api.token_alg, "at+jwt", _ENCODE(claims))


async def _roles(approval: Approval, world: World) -> tuple[str, ...]:
    catalogue = await world.directory.catalogue(approval.standing.tenant)
    return role_names(approval.standing, catalogue, approval.client)


async def _id_token(approval: Approval, access_token: str, issuer: Issuer, world: World, at: Moment) -> str:
    """Return a statement about the sign-in, for the client (OpenID Connect Core §2, §3.1.3.3; on refresh §12.2)."""
    standing, client = approval.standing, approval.client
    alg = client.settings.id_token_signed_response_alg
    claims = for_id_token(standing, client)
    claims |= {
        "iss": issuer.url,
        "sub": subject(standing, client),
        "aud": client.client_id,
        "exp": at.now + issuer.policy.id_token_lifetime,
        "iat": at.now,
        "at_hash": at_hash(access_token, alg),
    }
    if standing.auth_time is not None:
        claims["auth_time"] = standing.auth_time
    if approval.nonce is not None:
        claims["nonce"] = approval.nonce
    if standing.acr is not None:
        claims["acr"] = standing.acr
    if standing.amr:
        claims["amr"] = standing.amr.split()
    if standing.session:
        claims["sid"] = ids.show(ids.SESSION, standing.session)
    return await world.signer.sign(standing.tenant, alg, "JWT", _ENCODE(claims))


def at_hash(access_token: str, alg: str) -> str:
    """Return the left half of the access token's digest, by the hash of the signature's algorithm (OpenID Connect Core §3.1.3.6).

    Ed25519 hashes with SHA-512 (RFC 8032 §5.1), all else that we sign with is 256 bits.
    """
    raw = (sha512 if alg == "EdDSA" else sha256)(access_token.encode("ascii")).digest()
    return b64(raw[: len(raw) // 2])
