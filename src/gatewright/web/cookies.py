"""The cookies: their names, and the attributes that keep them where they belong (RFC 6265bis §4.1.3, `security-rules` 40)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewright.oauth.issuer import Issuer


class Cookie(StrEnum):
    """What a cookie is for: the session; the requests under way in this browser; the users who signed in here before."""

    SESSION = "gw_session"
    FLOW = "gw_flow"
    DEVICE = "gw_device"


def name_of(cookie: Cookie, issuer: Issuer) -> str:
    """Return a cookie's name. The prefix ties it to this very host over TLS; plain http is for loopback and cannot have it."""
    return f"__Host-{cookie}" if issuer.secure else cookie.value


def read(cookies: Mapping[str, str], cookie: Cookie, issuer: Issuer) -> str:
    """Return the value of a cookie, "" where it was not sent."""
    return cookies.get(name_of(cookie, issuer), "")


def put(cookie: Cookie, value: str, issuer: Issuer, *, seconds: int | None = None) -> str:
    """Return a Set-Cookie header; without `seconds` the browser forgets it when it is closed."""
    lasting = "" if seconds is None else f"; Max-Age={seconds}"
    secure = "; Secure" if issuer.secure else ""
    return f"{name_of(cookie, issuer)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{lasting}"


def drop(cookie: Cookie, issuer: Issuer) -> str:
    """Return the Set-Cookie header that makes a browser forget."""
    return put(cookie, "", issuer, seconds=0)
