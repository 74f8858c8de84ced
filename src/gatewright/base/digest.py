"""Texts and digests of the secrets that we make. A kind has a prefix, so that one is never taken for another."""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from enum import StrEnum
from hashlib import sha256
from typing import Final

_ID_BYTES: Final = 8
# base64url is base64 with two other characters (RFC 4648 §5). What only the other alphabet has, and padding, is no character here.
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_PADDING: Final = (b"", b"", b"==", b"=")
# What the last character of a text may be: its bits beyond the last whole byte are zero (RFC 4648 §3.5).
_LAST: Final = ("", "", "AQgw", "AEIMQUYcgkosw048")

_BLOCK: Final = 64
_INNER: Final = bytes([byte ^ 0x36 for byte in range(256)])
_OUTER: Final = bytes([byte ^ 0x5C for byte in range(256)])


class Kind(StrEnum):
    """What a secret is for; its value is the prefix of its text, which secret scanners find."""

    ACCESS = "gwa_"
    STANDING = "gwt_"
    REFRESH = "gwr_"
    CODE = "gwc_"
    DEVICE_CODE = "gwd_"
    CLIENT_SECRET = "gws_"
    API_SECRET = "gwp_"
    SESSION = "gwb_"
    STEP = "gwx_"


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()


def unb64(text: str) -> bytes | None:
    """Return the bytes of base64url text without padding, or None when it is not the one text for those bytes."""
    over = len(text) & 3
    if over and text[-1] not in _LAST[over]:
        return None
    try:
        return a2b_base64(text.encode().translate(_FROM_URL) + _PADDING[over], strict_mode=True)
    except ValueError:
        return None


def digest(kind: Kind, tenant: int, secret: str) -> str:
    """Return the digest kept of a secret of at least 128 random bits: SHA-256 over kind, tenant and secret."""
    return b64(sha256(f"{kind}\0{tenant}\0{secret}".encode()).digest())


def same(one: str, other: str) -> bool:
    """Compare two digests or secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 (RFC 2104 §2).

    The standard library's one call gives up the interpreter each time, and waits for it again while another thread works; two
    hashes of a short text do not.
    """
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    block = key.ljust(_BLOCK, b"\0")
    return sha256(block.translate(_OUTER) + sha256(block.translate(_INNER) + message).digest()).digest()


def with_id(kind: Kind, number: int, secret: bytes) -> str:
    """Return the text of a secret whose row is found by its id: prefix, then base64url of id and secret."""
    return kind + b64(number.to_bytes(_ID_BYTES, "big") + secret)


def split(kind: Kind, text: str, length: int) -> tuple[int, bytes] | None:
    """Return the row id and the `length` secret bytes of such a text, or None when it is none of that kind."""
    if not text.startswith(kind):
        return None
    raw = unb64(text[len(kind) :])
    if raw is None or len(raw) != _ID_BYTES + length or raw[0] > 0x7F:
        return None
    return int.from_bytes(raw[:_ID_BYTES], "big"), raw[_ID_BYTES:]
