"""A signed assertion instead of a secret (RFC 7523 §2.2, §3; OpenID Connect Core §9), under a key that only the client has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.base.digest import b64
from gatewright.oauth.client_auth.presented import FAILED, Presented
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from gatewright.oauth.paths import urls_of
from gatewright.oauth.ports import FetchFailed
from gatewright_guard.jose import BadKey, KeySet, Verified, parse, read_jwks
from gatewright_guard.jose import verify as verify_jws
from gatewright_guard.refused import Refused

if TYPE_CHECKING:
    from gatewright.oauth.ask import Ask
    from gatewright.oauth.client import Client
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import World

NAME: Final = "private_key_jwt"
TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGS: Final = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")

_TYPES: Final = (None, "JWT", "client-authentication+jwt")  # a signed request of the same client says oauth-authz-req+jwt
# Authlib's assertions live for an hour, and cannot be told otherwise; each is good once all the same.
_LONGEST_LIFE: Final = 3600
# FAPI 2.0 §5.3.2.1: clocks that are up to 10 s ahead must be forgiven, more than 60 s must not.
_SKEW: Final = 60


def find(ask: Ask) -> Presented | None:
    """Return the assertion that a request shows, and whose it says that it is.

    Raises:
        InvalidRequest: only one of the two parameters was sent.
        InvalidClient: the assertion is of another kind, or is no JWT that names a client.
    """
    assertion, kind = ask.params.get("client_assertion"), ask.params.get("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind is None:
        raise InvalidRequest("the parameters 'client_assertion' and 'client_assertion_type' belong together")
    if kind != TYPE:
        raise InvalidClient(f"the parameter 'client_assertion_type' must be {TYPE}")
    try:
        subject = parse(assertion).payload.get("sub")
    except Refused as fault:
        raise InvalidClient(FAILED, why=fault.why) from None
    if not isinstance(subject, str) or not subject or "\0" in subject:
        raise InvalidClient(FAILED, why="the assertion names no client")
    return Presented(NAME, subject, assertion)


async def verify(client: Client, presented: Presented, ask: Ask, world: World) -> None:
    """Prove that the client made this assertion, for us, just now, and that it is used for the first time.

    Raises:
        InvalidClient: it did not, or it is not.
    """
    keys = await _keys(client, presented.proof, ask, world)
    try:
        said = verify_jws(presented.proof, keys)
    except Refused as fault:
        raise InvalidClient(FAILED, why=fault.why) from None
    name, until = check(said, client, ask.issuer, ask.at.now)
    if not await world.ledger.first_time(name, tenant=client.tenant, attempt=ask.at.attempt(), until=until):
        raise InvalidClient("the client assertion was used before: make a new one for each request", why="jti seen before")


class _Claims(msgspec.Struct, frozen=True):
    """What RFC 7523 §3 wants of an assertion."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: int | float
    jti: str
    nbf: int | float = 0
    iat: int | float = 0


def check(said: Verified, client: Client, issuer: Issuer, now: int) -> tuple[str, int]:
    """Return the mark under which a rightly signed assertion is used up, and until when that must be remembered.

    Raises:
        InvalidClient: it is another's, for somebody else, or not of this time.
    """
    if said.header.typ not in _TYPES:
        raise InvalidClient(FAILED, why="the assertion's typ is of something else")
    try:
        claims = msgspec.convert(said.payload, _Claims)
    except msgspec.ValidationError as fault:
        raise InvalidClient("the client assertion needs iss, sub, aud, exp and jti", why=str(fault)) from None
    if claims.iss != client.client_id or claims.sub != client.client_id:
        raise InvalidClient(FAILED, why="iss and sub are not the client")
    if not _for_us(claims.aud, issuer):
        raise InvalidClient(f"the client assertion's aud must be {issuer.url} alone", why="audience")
    if claims.exp <= now:
        raise InvalidClient("the client assertion has expired", why="exp")
    if claims.exp > now + _LONGEST_LIFE + _SKEW:
        raise InvalidClient(f"the client assertion may live for {_LONGEST_LIFE} seconds at most", why="exp too far ahead")
    if max(claims.nbf, claims.iat) > now + _SKEW:
        raise InvalidClient("the client assertion is of the future: compare the clocks", why="iat or nbf")
    if not claims.jti:
        raise InvalidClient("the client assertion's jti is empty")
    name = b64(sha256(claims.jti.encode("utf-8", "surrogatepass")).digest())
    return f"ca:{client.id}:{name}", int(claims.exp) + _SKEW


def _for_us(aud: str | list[str], issuer: Issuer) -> bool:
    # Who is one of several audiences could show the assertion to the others as its own; the token endpoint's URL is what RFC 7523 §3
    # suggested before that was understood, and what most libraries still send.
    audience = aud if isinstance(aud, str) else aud[0] if len(aud) == 1 else None
    return audience is not None and (audience == issuer.url or audience in urls_of(issuer, "token"))


async def _keys(client: Client, assertion: str, ask: Ask, world: World) -> KeySet:
    settings = client.settings
    try:
        if settings.jwks is not None:
            return _inline(settings.jwks)
        if settings.jwks_uri is not None:
            return await world.fetch.keys(settings.jwks_uri, parse(assertion).header.kid, now=ask.at.now)
    except (BadKey, msgspec.MsgspecError) as fault:
        raise InvalidClient("the client's registered keys are no JWK Set", why=str(fault)) from None
    except FetchFailed as fault:
        raise InvalidClient("the client's keys cannot be fetched from its jwks_uri", why=str(fault)) from None
    raise InvalidClient(FAILED, why="the client has no keys")


@lru_cache(maxsize=1024)
def _inline(jwks: str) -> KeySet:
    return client_keys(msgspec.json.decode(jwks))


def client_keys(document: object) -> KeySet:
    """Return the keys of a client's JWK Set that may sign assertions.

    Raises:
        BadKey: it is no JWK Set.
    """
    if not isinstance(document, Mapping):
        raise BadKey("the document is no object")
    listed = document.get("keys")
    if isinstance(listed, list):
        twice = [_as_pss(jwk) for jwk in listed if _is_open_rsa(jwk)] + [_renamed(jwk) for jwk in listed if _is_ed25519(jwk)]
        document = {"keys": [*listed, *twice]}
    found = read_jwks(document)
    return KeySet(tuple(key for key in found.keys if key.alg in ALGS), found.passed_over)


def _is_open_rsa(jwk: object) -> bool:
    # An RSA key that names no algorithm may sign with either (RFC 7517 §4.4); a key of ours has one, so it is taken for two.
    return isinstance(jwk, Mapping) and jwk.get("kty") == "RSA" and "alg" not in jwk


def _as_pss(jwk: Mapping[str, object]) -> dict[str, object]:
    return {**jwk, "alg": "PS256"}


def _is_ed25519(jwk: object) -> bool:
    return isinstance(jwk, Mapping) and jwk.get("crv") == "Ed25519"


def _renamed(jwk: Mapping[str, object]) -> dict[str, object]:
    # One algorithm with two names (RFC 9864 §2.2): a key may be registered under the one and sign under the other.
    return {**jwk, "alg": "EdDSA" if jwk.get("alg") == "Ed25519" else "Ed25519"}
