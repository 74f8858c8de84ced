"""Browsers in which somebody signed in before: their own failures alone slow them down (`docs/decisions/0008`).

The cookie proves it for one name each; it lets nobody in and names nobody.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from gatewright.base.digest import b64, unb64

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ports import Sealer

MOST: Final = 4  # people who share a browser
_NONCE_BYTES: Final = 9
_MAC_BYTES: Final = 15
_BYTES: Final = _NONCE_BYTES + _MAC_BYTES
_PURPOSE: Final = "known device"


def known_as(cookie: str, tenant: int, name: str, sealer: Sealer) -> str:
    """Return the mark under which a browser is known for a user's name, or "" when it is not."""
    for part in _parts(cookie):
        if hmac.compare_digest(part[_NONCE_BYTES:], _mac(tenant, name, part[:_NONCE_BYTES], sealer)):
            return b64(part[:_NONCE_BYTES])
    return ""


def remembered(cookie: str, tenant: int, name: str, sealer: Sealer, at: Moment) -> str:
    """Return the cookie of a browser in which this user has just signed in."""
    if known_as(cookie, tenant, name, sealer):
        return cookie
    nonce = at.dice.bytes(_NONCE_BYTES)
    return ".".join([b64(part) for part in [nonce + _mac(tenant, name, nonce, sealer), *_parts(cookie)][:MOST]])


def _parts(cookie: str) -> list[bytes]:
    found = [unb64(text) for text in cookie.split(".")[:MOST]]
    return [part for part in found if part is not None and len(part) == _BYTES]


def _mac(tenant: int, name: str, nonce: bytes, sealer: Sealer) -> bytes:
    return sealer.mac(_PURPOSE, tenant, nonce + name.encode())[:_MAC_BYTES]
