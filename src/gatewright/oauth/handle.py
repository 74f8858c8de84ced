"""The opaque access token: a sealed handle on an authorization, worthless without its row (`docs/decisions/0005`).

Sealed under the key of the day, so that it tells a stranger nothing; and keyed by the row's own secret, so that neither the
sealing key alone nor the database alone makes one. What it says of scopes is only ever a further factor of the decision.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from struct import Struct as Layout
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base.digest import Kind, b64, digest, hmac_sha256, same, unb64, with_id

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import Sealer

LONGEST: Final = 86400  # seconds: what seals a handle is kept for little more than a day
JTI_BYTES: Final = 12
ALL: Final = b""  # what a handle names that may have every scope of its row at its API
STANDING_BYTES: Final = 32

_NONCE_BYTES: Final = 12
_MAC_BYTES: Final = 16
_KEY_BYTES: Final = 32
_FIXED: Final = Layout(f">Q{JTI_BYTES}sQIIIB")
_ACTOR: Final = Layout(">Q")
_HAS_KEY, _HAS_ACTOR, _NARROWED = 1, 2, 4
_KEPT: Final = 8192  # handles, half a kilobyte each
_LONGEST_PLAIN: Final = (200 - len(Kind.ACCESS)) * 3 // 4 - 30  # bytes; key id, nonce and tag of the seal take thirty


class Handle(Struct, frozen=True):
    """What an opaque access token holds. `named` are the scopes that it is narrowed to, as `places` writes them; `signed` are the
    bytes of all fields and `mac` what the row's secret made of them.
    """

    authorization: int
    jti: str
    api: int
    iat: int
    exp: int
    epoch: int
    cnf: bytes | None = None
    act: int | None = None
    named: bytes = ALL
    signed: bytes = b""
    mac: bytes = b""


class Handles:
    """Handles that were opened, by the digest of their text: what a text holds never changes, and only what was sealed is here.

    Nothing is said of whether one is still good: that is asked of the row each time. A sealer has one of these.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Handle] = {}

    def of(self, name: bytes, now: int) -> Handle | None:
        """Return a handle that was opened before, while it is in time; of another the key of its day may be gone."""
        known = self._known.get(name)
        return known if known is not None and known.iat <= now < known.exp else None

    def add(self, name: bytes, handle: Handle) -> None:
        """Remember a handle, unless it lives longer than any that is made here."""
        if handle.exp - handle.iat > LONGEST:
            return
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[name] = handle


def new_jti(at: Moment) -> str:
    """Return a new name for one access token (RFC 7519 §4.1.7)."""
    return at.text(JTI_BYTES)


def mark_of(tenant: int, jti: str | None) -> str:
    """Return the name of the mark that says "this access token was revoked"; a token without a name has none."""
    return "" if jti is None else f"{tenant}:at:{jti}"


def seal(handle: Handle, access_secret: str, issuer: Issuer, sealer: Sealer, at: Moment) -> str:
    """Return the text of an access token: at most 200 characters, whatever the scopes."""
    plain = pack(handle, access_secret)
    sealed = sealer.seal(issuer.tenant, issuer.url, plain, now=at.now, nonce=at.dice.bytes(_NONCE_BYTES))
    return Kind.ACCESS + b64(sealed)


def open_handle(text: str, issuer: Issuer, sealer: Sealer, now: int) -> Handle | None:
    """Return what a token's text holds, or None when this issuer did not seal it. Whether it is `authentic` and in time is
    still to be asked.
    """
    if not text.startswith(Kind.ACCESS):
        return None
    name = sha256(f"{issuer.tenant}\0{issuer.url}\0{text}".encode("utf-8", "surrogatepass")).digest()
    known = sealer.handles.of(name, now)
    if known is not None:
        return known
    sealed = unb64(text[len(Kind.ACCESS) :])
    plain = None if sealed is None else sealer.unseal(issuer.tenant, issuer.url, sealed, now=now)
    handle = None if plain is None else unpack(plain)
    if handle is not None:
        sealer.handles.add(name, handle)
    return handle


def authentic(handle: Handle, standing: Standing) -> bool:
    """Tell whether the row's own secret made this handle. Whether it is still good is another question: its end, its epoch, its mark."""
    return hmac.compare_digest(handle.mac, _mac_again(standing.access_secret, handle.signed))


def room(*, bound: bool = False, acting: bool = False) -> int:
    """Return how many bytes are left for the scopes of a handle that holds no more than this."""
    return _LONGEST_PLAIN - _FIXED.size - _MAC_BYTES - (_KEY_BYTES if bound else 0) - (_ACTOR.size if acting else 0)


def pack(handle: Handle, access_secret: str) -> bytes:
    """Return a handle as bytes, ready to be sealed."""
    flags = (_HAS_KEY if handle.cnf is not None else 0) | (_HAS_ACTOR if handle.act is not None else 0) | (_NARROWED if handle.named else 0)
    jti = unb64(handle.jti)
    if jti is None or len(jti) != JTI_BYTES or (handle.cnf is not None and len(handle.cnf) != _KEY_BYTES):
        raise ValueError("a handle holds a jti of 12 bytes and a key thumbprint of 32")
    signed = _FIXED.pack(handle.authorization, jti, handle.api, handle.iat, handle.exp, handle.epoch, flags)
    if flags:
        signed += (handle.cnf or b"") + (b"" if handle.act is None else _ACTOR.pack(handle.act)) + handle.named
    return signed + _mac(access_secret, signed)


def unpack(plain: bytes) -> Handle | None:
    """Return the handle that such bytes are, or None when they are none."""
    signed, mac = plain[:-_MAC_BYTES], plain[-_MAC_BYTES:]
    if len(signed) < _FIXED.size:
        return None
    number, jti, api, iat, exp, epoch, flags = _FIXED.unpack_from(signed)
    at = _FIXED.size
    key_end = at + (_KEY_BYTES if flags & _HAS_KEY else 0)
    end = key_end + (_ACTOR.size if flags & _HAS_ACTOR else 0)
    named = signed[end:]
    if len(signed) < end or bool(named) != bool(flags & _NARROWED) or flags & ~(_HAS_KEY | _HAS_ACTOR | _NARROWED):
        return None
    cnf = signed[at:key_end] if flags & _HAS_KEY else None
    act = _ACTOR.unpack_from(signed, key_end)[0] if flags & _HAS_ACTOR else None
    return Handle(number, b64(jti), api, iat, exp, epoch, cnf, act, named, signed, mac)


def _mac(access_secret: str, signed: bytes) -> bytes:
    return hmac_sha256(access_secret.encode(), signed)[:_MAC_BYTES]


# The same bytes under the same secret, for as long as a token is used.
_mac_again: Final = lru_cache(maxsize=_KEPT)(_mac)


def new_standing_token(number: int, tenant: int, at: Moment) -> tuple[str, str]:
    """Return the text of an access token that lives until it is revoked, and the digest that its row keeps."""
    text = with_id(Kind.STANDING, number, at.dice.bytes(STANDING_BYTES))
    return text, digest(Kind.STANDING, tenant, text)


def is_standing_token(text: str, standing: Standing) -> bool:
    """Tell whether a text is the token that lives for as long as this row does."""
    kept = standing.standing_digest
    return kept is not None and same(digest(Kind.STANDING, standing.tenant, text), kept)
