"""DPoP: whoever shows a token proves that the key it is bound to is theirs (RFC 9449). Pure: time is handed in."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from gatewright_guard.jose import BadKey, Header, KeySet, PublicKey, b64url, parse, public_key, verify
from gatewright_guard.refused import Cause, Refused

ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")
"""What a proof may be signed with, as a challenge lists it (RFC 9449 §7.1)."""
MAX_AGE: Final = 60
"""Seconds for which a proof is good after it was made, beside what the clocks may differ (RFC 9449 §11.1)."""

_MAX_PROOF: Final = 4 * 1024
_MAX_ID: Final = 256
_PORTS: Final = {"http": 80, "https": 443}


class Proof(msgspec.Struct, frozen=True):
    """A proof that holds: the thumbprint of its key (RFC 7638), its id, and when it is over in epoch seconds."""

    jkt: str
    jti: str
    until: float


class _Wire(msgspec.Struct, frozen=True):
    """The claims of a proof at an API (RFC 9449 §4.2)."""

    jti: str
    htm: str
    htu: str
    iat: int | float
    ath: str


def check_proof(proof: str, *, method: str, url: str, token: str, now: float, leeway: int) -> Proof:
    """A proof after all that RFC 9449 §4.3 has an API check, but whether its id was seen before: for that ask `Replays`.

    `url` is the address that was called, `now` is in epoch seconds, `leeway` is how many of them the clocks may differ.
    """
    if len(proof) > _MAX_PROOF:
        raise _wrong("the proof is too long")
    try:
        header = parse(proof).header
        key = _key(header)
        payload = verify(proof, KeySet((key,))).payload
        wire = msgspec.convert(payload, _Wire)
    except (Refused, BadKey, msgspec.ValidationError) as fault:
        raise _wrong(f"the proof does not hold: {fault}") from fault
    if str(header.typ).lower() != "dpop+jwt":
        raise _wrong("the proof is signed, but is no proof: its typ is not dpop+jwt")
    if wire.htm != method or normal(wire.htu) != normal(url):
        raise _wrong("the proof is for another request")
    if not now - MAX_AGE - leeway <= wire.iat <= now + leeway:
        raise _wrong("the proof was not made just now")
    # RFC 9449 §4.3, check 12: a proof made for one token does for no other.
    if wire.ath != b64url(hashlib.sha256(token.encode()).digest()):
        raise _wrong("the proof is for another token")
    if not 0 < len(wire.jti) <= _MAX_ID:
        raise _wrong("the proof's jti is empty or too long")
    return Proof(key.thumbprint, wire.jti, wire.iat + MAX_AGE + leeway)


def _wrong(why: str) -> Refused:
    return Refused(Cause.PROOF_WRONG, why)


def _key(header: Header) -> PublicKey:
    """The public key in a proof's header, for the algorithm that the header names."""
    jwk = header.members.get("jwk")
    if not isinstance(jwk, Mapping):
        raise BadKey("the header has no jwk")
    # An RSA key does for two algorithms, and says seldom for which.
    key = public_key({**cast(Mapping[str, object], jwk), "alg": header.alg})
    return replace(key, kid=header.kid)


def normal(url: str) -> tuple[str, str, int | None, str]:
    """What of two addresses must be equal: no query, no fragment, normalised (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None, url
    scheme = parts.scheme.lower()
    path = "/".join(quote(unquote(segment), safe="!$&'()*+,;=:@-._~") for segment in (parts.path or "/").split("/"))
    return scheme, (parts.hostname or "").lower(), port or _PORTS.get(scheme), path


class Replays:
    """The proofs that were used, for as long as they are good: each works once (RFC 9449 §11.1). Safe for several threads.

    Only proofs beside a good token come in, so a stranger cannot fill it. The memory is one process's own.
    """

    def __init__(self, size: int = 100_000) -> None:
        self._size = size
        self._young: set[tuple[str, str]] = set()
        self._old: set[tuple[str, str]] = set()
        self._turn = 0.0
        self._lock = threading.Lock()

    def first(self, proof: Proof, now: float) -> bool:
        """Whether a proof was not used before; from now on it was."""
        # Two halves change places when the younger is full or as old as a proof gets: nothing is forgotten before its time,
        # as long as fewer than `size` proofs are used within it.
        name = (proof.jkt, proof.jti)
        with self._lock:
            if now >= self._turn or len(self._young) >= self._size:
                self._old, self._young = self._young, set()
                self._turn = now + 2 * (MAX_AGE + 60)
            if name in self._old or name in self._young:
                return False
            self._young.add(name)
            return True
