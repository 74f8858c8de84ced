"""The `Signer` port without a key room: keys made once for all tests, real signatures."""

from collections.abc import Mapping
from functools import cache

import msgspec

from gatewright.keys.signing import MadeKey, SigningKey, load, make
from gatewright_guard.jose import KeySet, parse, read_jwks, verify
from gatewright_guard.refused import Refused


@cache
def made(alg: str) -> MadeKey:
    """The one key of an algorithm; making an RSA key takes long."""
    return make(alg)


@cache
def signing(alg: str) -> SigningKey:
    """The same key, ready to sign."""
    key = made(alg)
    return load(alg, key.kid, key.private)


def public_keys(*algs: str) -> dict[str, object]:
    """The JWKS of the keys of these algorithms."""
    return {"keys": [msgspec.json.decode(made(alg).public_jwk) for alg in algs]}


def key_set(*algs: str) -> KeySet:
    """The same for the guard."""
    return read_jwks(public_keys(*algs))


class OneKeySigner:
    """Signs for every tenant with the same keys."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    async def sign(self, tenant: int, alg: str, typ: str, payload: bytes) -> str:
        self.used.add(alg)
        return signing(alg).sign(typ, payload)

    async def verify(self, tenant: int, token: str) -> Mapping[str, object] | None:
        try:
            return verify(token, key_set(*self.used)).payload
        except Refused:
            return None

    async def typ(self, token: str) -> str | None:
        try:
            return parse(token).header.typ
        except Refused:
            return None

    async def jwks(self, tenant: int) -> bytes:
        return msgspec.json.encode(public_keys(*sorted(self.used)))
