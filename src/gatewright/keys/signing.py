"""One signing key: made, kept as a document, and what it signs (RFC 7515, RFC 7518 §3, RFC 8037 §3.1). Pure but for the chance in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from gatewright.base.digest import b64
from gatewright_guard.jose import thumbprint

Alg = Literal["ES256", "RS256", "EdDSA"]
ALGS: Final[tuple[Alg, ...]] = ("ES256", "RS256", "EdDSA")

# RFC 7518 §3.3 asks for 2048 bits at least. 3072 would make each signature three times as dear (630 against 220 us) and outlive the key
# by decades: it is rotated within months. Whoever wants more than 112 bits of strength chooses ES256 or EdDSA, which have 128.
_RSA_BITS: Final = 2048
_KID_LENGTH: Final = 16  # characters of the thumbprint: 96 bits name a key well, and every token carries the name
_COORDINATE: Final = 32

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_SHA256: Final = SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256)
_PKCS1: Final = padding.PKCS1v15()


class MadeKey(msgspec.Struct, frozen=True):
    """A key just made: its name, its public JWK and its private half (PKCS #8)."""

    alg: str
    kid: str
    public_jwk: str
    private: bytes

    def __repr__(self) -> str:
        return f"MadeKey({self.alg}, {self.kid})"


class SigningKey:
    """The private half of a key, ready to sign; it knows its one algorithm."""

    __slots__ = ("_heads", "_sign", "alg", "kid")

    def __init__(self, alg: str, kid: str, private: PrivateKey) -> None:
        self.alg = alg
        self.kid = kid
        self._sign = _signs(private)
        self._heads: dict[str, str] = {}

    def sign(self, typ: str, payload: bytes) -> str:
        """Return the compact JWS over a payload (RFC 7515 §7.1); `typ` is one of our few, so that its header is made once."""
        head = self._heads.get(typ)
        if head is None:
            head = self._heads[typ] = b64(msgspec.json.encode({"alg": self.alg, "typ": typ, "kid": self.kid}))
        signed = f"{head}.{b64(payload)}"
        return f"{signed}.{b64(self._sign(signed.encode()))}"

    def __repr__(self) -> str:
        return f"SigningKey({self.alg}, {self.kid})"


def make(alg: str) -> MadeKey:
    """Make a key. Slow for RS256 (25 to 200 ms), so it is called off the loop."""
    private = _make_private(alg)
    jwk = _public_jwk(private)
    kid = kid_of(jwk)
    document = msgspec.json.encode({**jwk, "use": "sig", "alg": alg, "kid": kid}).decode()
    return MadeKey(alg, kid, document, private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def kid_of(jwk: Mapping[str, object]) -> str:
    """Return the name of a key: a piece of its thumbprint (RFC 7638), which begins with no "-", as it is typed at a terminal."""
    return thumbprint(jwk).lstrip("-")[:_KID_LENGTH]


def load(alg: str, kid: str, private: bytes) -> SigningKey:
    """Return the signing key of a private half that we made."""
    # What is loaded was authenticated when it was unwrapped; checking an RSA key's primes again would take longer than making it.
    key = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise TypeError(f"a private key of an unknown kind: {type(key).__name__}")
    return SigningKey(alg, kid, key)


def _make_private(alg: str) -> PrivateKey:
    match alg:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(f"no key is made for the algorithm {alg!r}")


def _public_jwk(private: PrivateKey) -> dict[str, str]:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(_COORDINATE)), "y": b64(point.y.to_bytes(_COORDINATE))}
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", "n": b64(_shortest(numbers.n)), "e": b64(_shortest(numbers.e))}
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(private.public_key().public_bytes_raw())}


def _shortest(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _signs(private: PrivateKey) -> Callable[[bytes], bytes]:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        sign_der = private.sign

        def es256(signed: bytes) -> bytes:
            # RFC 7518 §3.4: r and s side by side, not DER.
            r, s = decode_dss_signature(sign_der(signed, _ECDSA))
            return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)

        return es256
    if isinstance(private, rsa.RSAPrivateKey):
        sign_rsa = private.sign
        return lambda signed: sign_rsa(signed, _PKCS1, _SHA256)
    return private.sign
