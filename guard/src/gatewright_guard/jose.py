"""Keys and signed tokens (RFC 7515, 7517, 7518, 8037): the one JOSE seam of the project.

A key knows its one algorithm, so there is no way to say "this key, with the algorithm that the token names". Only public keys
live here; nothing signs, nothing decrypts, and no key that a token brings along is ever looked at.
"""

import base64
import binascii
import enum
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, cast

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gatewright_guard.refused import Cause, Refused

MAX_TOKEN: Final = 16 * 1024
"""How many characters a token may have."""

_MAX_KEPT_HEADERS: Final = 64
_MAX_KEPT_HEADER: Final = 1024
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192

_Check = Callable[[bytes, bytes], bool]


# ---------------------------------------------------------------- base64url

# Standard base64's own two characters and the padding become ones that the strict decoder refuses.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/\x00\x00\x00")
_PADDING: Final = (b"", None, b"==", b"=")
# What the last character may be where it carries two or four bits of nothing (RFC 4648 §3.5): else two texts are one value.
_LAST: Final = (None, None, frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def b64url(data: bytes) -> str:
    """Bytes as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """The bytes of a base64url text, of which there is exactly one: no padding, no stray character or bit (RFC 7515 §2)."""
    try:
        raw = text.encode("ascii")
        over = len(raw) & 3
        padding_ = _PADDING[over]
        if padding_ is None:
            return _malformed("a part has a length that no base64url text has")
        last = _LAST[over]
        if last is not None and raw[-1] not in last:
            return _malformed("a part ends in bits that belong to nothing")
        return binascii.a2b_base64(raw.translate(_FROM_URL) + padding_, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return _malformed("a part is not base64url")


def _malformed(why: str) -> NoReturn:
    raise Refused(Cause.TOKEN_MALFORMED, why)


# ---------------------------------------------------------------- JSON objects

_decode: Final = msgspec.json.Decoder(dict[str, object]).decode
_encode: Final = msgspec.json.Encoder().encode


def _members(text: bytes) -> dict[str, object]:
    """A JSON object in which no name occurs twice at any depth (RFC 7515 §4, RFC 7519 §4)."""
    try:
        members = _decode(text)
        # A text that we would write ourselves has each name once; only what others wrote is read a second time, slowly.
        if _encode(members) != text:
            json.loads(text, object_pairs_hook=_each_once)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as fault:
        raise Refused(Cause.TOKEN_MALFORMED, "a part is not a JSON object as RFC 8259 has it") from fault
    return members


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _malformed("a name occurs twice in an object")
    return members


# ---------------------------------------------------------------- keys


class Algorithm(enum.StrEnum):
    """The signature algorithms that exist here (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2): none has a shared secret."""

    ES256 = "ES256"
    ES384 = "ES384"
    RS256 = "RS256"
    PS256 = "PS256"
    EDDSA = "EdDSA"
    ED25519 = "Ed25519"


class BadKey(ValueError):
    """A JWK that we will not use, and why; the text quotes no key material."""


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A public key with its one algorithm; made by `public_key` alone."""

    kid: str | None
    alg: Algorithm
    thumbprint: str
    holds: _Check
    """`holds(signature, signed)`: whether the signature is this key's over these bytes."""


_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_CURVES: Final[dict[str, tuple[Algorithm, ec.EllipticCurve, hashes.HashAlgorithm, int]]] = {
    "P-256": (Algorithm.ES256, ec.SECP256R1(), hashes.SHA256(), 32),
    "P-384": (Algorithm.ES384, ec.SECP384R1(), hashes.SHA384(), 48),
}


def public_key(jwk: Mapping[str, object]) -> PublicKey:
    """The key that a JWK describes, if all its members agree (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2)."""
    for name in _PRIVATE:
        if name in jwk:
            raise BadKey(f"the key has the private member {name!r}")
    if _optional(jwk, "use") not in (None, "sig"):
        raise BadKey("the key is not for signatures: its use is not 'sig'")
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list | tuple) and "verify" in operations):
        raise BadKey("the key is not for checking signatures: its key_ops lack 'verify'")
    make = _KINDS.get(_text(jwk, "kty"))
    if make is None:
        raise BadKey("the key's kty is none of EC, RSA and OKP")
    alg, holds = make(jwk, _optional(jwk, "alg"))
    return PublicKey(kid=_optional(jwk, "kid"), alg=alg, thumbprint=thumbprint(jwk), holds=holds)


def _ec(jwk: Mapping[str, object], named: str | None) -> tuple[Algorithm, _Check]:
    curve = _CURVES.get(_text(jwk, "crv"))
    if curve is None:
        raise BadKey("the key's curve is neither P-256 nor P-384")
    alg, shape, digest, size = curve
    if named not in (None, alg):
        raise BadKey(f"the key's alg is not {alg}, which its curve asks for")
    x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
    if len(x) != size or len(y) != size:
        raise BadKey("the key's coordinates have not the length that its curve asks for")
    try:
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), shape).public_key()
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise BadKey("the key is no point of its curve") from fault
    check, how = key.verify, ec.ECDSA(digest)

    def holds(signature: bytes, signed: bytes) -> bool:
        # RFC 7518 §3.4: r and s side by side, each as long as the curve; another length is another format.
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
        try:
            check(encode_dss_signature(r, s), signed, how)
        except InvalidSignature:
            return False
        return True

    return alg, holds


def _rsa(jwk: Mapping[str, object], named: str | None) -> tuple[Algorithm, _Check]:
    # `alg` is optional (RFC 7517 §4.4); RS256 is what OpenID Connect means where nothing is said.
    if named not in (None, Algorithm.RS256, Algorithm.PS256):
        raise BadKey("the key's alg is not one that its kty has here")
    alg = Algorithm.PS256 if named == Algorithm.PS256 else Algorithm.RS256
    n, e = int.from_bytes(_bytes(jwk, "n")), int.from_bytes(_bytes(jwk, "e"))
    if not _MIN_RSA_BITS <= n.bit_length() <= _MAX_RSA_BITS:
        raise BadKey(f"the key's modulus has {n.bit_length()} bits, not {_MIN_RSA_BITS} to {_MAX_RSA_BITS}")
    # A large exponent makes each check as dear as a signature, a small one is forbidden by FIPS 186-5 §5.4.
    if not 2**16 < e < 2**32:
        raise BadKey("the key's exponent is not between 2^16 and 2^32")
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise BadKey("the key's modulus and exponent make no RSA key") from fault
    check, digest = key.verify, hashes.SHA256()
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if alg is Algorithm.PS256 else padding.PKCS1v15()

    def holds(signature: bytes, signed: bytes) -> bool:
        try:
            check(signature, signed, scheme, digest)
        except InvalidSignature:
            return False
        return True

    return alg, holds


def _okp(jwk: Mapping[str, object], named: str | None) -> tuple[Algorithm, _Check]:
    if _text(jwk, "crv") != "Ed25519":
        raise BadKey("the key's curve is not Ed25519")
    # One curve, two names: the newer one (RFC 9864) is used by keys that say so.
    if named not in (None, Algorithm.EDDSA, Algorithm.ED25519):
        raise BadKey("the key's alg is not one that its curve has")
    alg = Algorithm.ED25519 if named == Algorithm.ED25519 else Algorithm.EDDSA
    try:
        check = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x")).verify
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise BadKey("the key is no Ed25519 key") from fault

    def holds(signature: bytes, signed: bytes) -> bool:
        try:
            check(signature, signed)
        except InvalidSignature:
            return False
        return True

    return alg, holds


_KINDS: Final = {"EC": _ec, "RSA": _rsa, "OKP": _okp}


def _text(jwk: Mapping[str, object], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise BadKey(f"the key's {name!r} is missing or no text")
    return value


def _optional(jwk: Mapping[str, object], name: str) -> str | None:
    return _text(jwk, name) if name in jwk else None


def _bytes(jwk: Mapping[str, object], name: str) -> bytes:
    try:
        return unb64url(_text(jwk, name))
    except Refused as fault:
        raise BadKey(f"the key's {name!r} is not base64url") from fault


_NAMING: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


def thumbprint(jwk: Mapping[str, object]) -> str:
    """A key's name made of the key itself (RFC 7638 §3, RFC 8037 §2): SHA-256 over its required members in order."""
    names = _NAMING.get(_text(jwk, "kty"))
    if names is None:
        raise BadKey("the key's kty is none of EC, RSA and OKP")
    return b64url(hashlib.sha256(_encode({name: _text(jwk, name) for name in names})).digest())


# ---------------------------------------------------------------- sets of keys


class Header(msgspec.Struct, frozen=True):
    """The protected header of a token, as far as we understand it (RFC 7515 §4)."""

    alg: str
    kid: str | None
    typ: str | None
    members: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The keys of one issuer, each under its `kid` and algorithm (RFC 7517 §5)."""

    keys: tuple[PublicKey, ...]
    passed_over: tuple[str, ...] = ()
    """Why each key of the document that is not here was left out."""
    # The tokens of one key share their first part: what it says, and which key it means, is worked out once. Only headers that
    # stood before a right signature are kept, so that a stranger cannot fill this.
    _kept: dict[str, tuple[Header, PublicKey]] = field(default_factory=dict, init=False, repr=False)

    def find(self, header: Header) -> PublicKey:
        """The one key that a header means: by kid and algorithm, or without a kid by algorithm alone (RFC 7515 §4.1.4)."""
        # Two that could be meant are as good as none: we do not try keys until one fits.
        found = [key for key in self.keys if key.alg == header.alg and header.kid in (None, key.kid)]
        if len(found) != 1:
            raise Refused(Cause.KEY_UNKNOWN, f"{len(found)} of the issuer's keys have the token's kid and alg")
        return found[0]

    def remember(self, part: str, header: Header, key: PublicKey) -> None:
        """Keep a header whose signature was right."""
        if len(part) <= _MAX_KEPT_HEADER:
            if len(self._kept) >= _MAX_KEPT_HEADERS:
                self._kept.clear()
            self._kept[part] = (header, key)

    def known(self, part: str) -> tuple[Header, PublicKey] | None:
        """A header seen before, and its key."""
        return self._kept.get(part)


def read_jwks(document: Mapping[str, object]) -> KeySet:
    """The keys of a JWK Set that we can use; the others are passed over, as RFC 7517 §5 asks, and the reasons kept."""
    listed = document.get("keys")
    if not isinstance(listed, list | tuple):
        raise BadKey("the document has no list 'keys'")
    good: list[PublicKey] = []
    bad: list[str] = []
    for jwk in listed:
        try:
            if not isinstance(jwk, Mapping):
                raise BadKey("the key is no object")
            good.append(public_key(cast(Mapping[str, object], jwk)))
        except BadKey as fault:
            bad.append(str(fault))
    return KeySet(tuple(good), tuple(bad))


# ---------------------------------------------------------------- tokens


class Unverified(msgspec.Struct, frozen=True):
    """What a token says about itself: enough to find the keys that may have signed it, never enough to believe it."""

    header: Header
    payload: Mapping[str, object]


class Verified(msgspec.Struct, frozen=True):
    """What a token says, its signature being right; whether the claims suffice is for the caller to ask."""

    header: Header
    payload: dict[str, object]
    key: PublicKey


def parse(token: str) -> Unverified:
    """A compact JWS taken apart without a look at its signature (RFC 7515 §5.2, steps 1 to 6)."""
    head, body, signature = _split(token)
    unb64url(signature)
    return Unverified(header=_header(head), payload=_members(unb64url(body)))


def verify(token: str, keys: KeySet) -> Verified:
    """A compact JWS whose signature is right under the key that its header names (RFC 7515 §5.2)."""
    head, body, signature = _split(token)
    known = keys.known(head)
    if known is None:
        header = _header(head)
        key = keys.find(header)
    else:
        header, key = known
    # The payload of a stranger is not even decoded.
    if not key.holds(unb64url(signature), token[: len(head) + 1 + len(body)].encode("ascii")):
        raise Refused(Cause.SIGNATURE_WRONG, "the signature is not the key's")
    if known is None:
        keys.remember(head, header, key)
    return Verified(header=header, payload=_members(unb64url(body)), key=key)


def _split(token: str) -> list[str]:
    if len(token) > MAX_TOKEN:
        _malformed("the token is too long")
    parts = token.split(".", 3)
    # Told before the signature is looked at: isascii makes the signed text's encoding safe.
    if len(parts) != 3 or not token.isascii():
        _malformed("the token has not three parts")
    return parts


def _header(part: str) -> Header:
    members = _members(unb64url(part))
    # RFC 7515 §4.1.11: what we must understand and do not makes the token invalid; we understand no extension.
    if "crit" in members:
        _malformed("the header has extensions that must be understood")
    alg = members.get("alg")
    if not isinstance(alg, str):
        _malformed("the header has no alg")
    return Header(alg=alg, kid=_named(members, "kid"), typ=_named(members, "typ"), members=members)


def _named(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    if value is None and name not in members:
        return None
    if not isinstance(value, str):
        _malformed(f"the header's {name} is no text")
    return value
