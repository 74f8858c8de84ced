"""Keys, tokens and claims for the guard's tests; joserfc signs, so that another's signature is what we check."""

import json
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gatewright_guard.jose import KeySet, PublicKey, b64url, public_key

NOW: Final = 1_800_000_000
ISSUER: Final = "https://id.acme.test"
AUDIENCE: Final = "https://bank.acme.test"
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519")


def a_key(alg: str = "ES256", kid: str = "k1") -> Key:
    """A private key; the same for the same arguments."""
    return _made(alg, kid)


@cache
def _made(alg: str, kid: str) -> Key:
    said: Any = {"kid": kid, "alg": alg, "use": "sig"}
    match alg:
        case "ES256":
            return ECKey.generate_key("P-256", said)
        case "ES384":
            return ECKey.generate_key("P-384", said)
        case "RS256" | "PS256":
            return RSAKey.generate_key(2048, said)
        case _:
            return OKPKey.generate_key("Ed25519", said)


def a_jwk(alg: str = "ES256", kid: str = "k1") -> dict[str, Any]:
    """The public half of a key, as a JWKS has it."""
    return dict(a_key(alg, kid).as_dict(private=False))


def a_public_key(alg: str = "ES256", kid: str = "k1") -> PublicKey:
    return public_key(a_jwk(alg, kid))


def keys_of(*kids: str, alg: str = "ES256") -> KeySet:
    return KeySet(tuple(a_public_key(alg, kid) for kid in kids or ("k1",)))


def signed(payload: bytes, header: Mapping[str, Any], key: Key) -> str:
    """A compact JWS that joserfc made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact(dict(header), payload, key, algorithms=[header["alg"]])


def some_claims(**changes: object) -> dict[str, Any]:
    """The claims of a good access token; a change to None takes one away."""
    claims = {
        "iss": ISSUER,
        "sub": "us_1",
        "aud": AUDIENCE,
        "exp": NOW + 900,
        "iat": NOW,
        "jti": "j1",
        "client_id": "budget-buddy",
        "scope": "read:balance openid",
        "gw_az": "az_1",
        "account_id": "ac_1",
        "account": "acme-dev",
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def a_token(alg: str = "ES256", kid: str = "k1", *, typ: str | None = "at+jwt", **changes: object) -> str:
    """A good access token with some claims changed."""
    header = {"alg": alg, "kid": kid} | ({} if typ is None else {"typ": typ})
    return signed(json.dumps(some_claims(**changes)).encode(), header, a_key(alg, kid))


def part(value: object) -> str:
    """A value as a token's part: JSON, or bytes as they are."""
    return b64url(value if isinstance(value, bytes) else json.dumps(value).encode())
