"""Texts and digests of the secrets that we make. A kind has a prefix, so that one is never taken for another."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Final

_ID_BYTES: Final = 8


class Kind(StrEnum):
    """What a secret is for; its value is the prefix of its text, which secret scanners find."""

    ACCESS = "gwa_"
    STANDING = "gwt_"
    REFRESH = "gwr_"
    CODE = "gwc_"
    CLIENT_SECRET = "gws_"
    API_SECRET = "gwp_"
    SESSION = "gwb_"
    STEP = "gwx_"


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes | None:
    """Return the bytes of base64url text without padding, or None when it is not the one text for those bytes."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if b64(raw) == text else None


def digest(kind: Kind, tenant: int, secret: str) -> str:
    """Return the digest kept of a secret of at least 128 random bits: SHA-256 over kind, tenant and secret."""
    return b64(sha256(f"{kind}\0{tenant}\0{secret}".encode()).digest())


def same(one: str, other: str) -> bool:
    """Compare two digests or secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


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
