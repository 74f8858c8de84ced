"""What an audience, a scope's name and the edges between scopes may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gatewright.oauth.catalogue import MANAGEMENT, MANAGEMENT_PREFIX, OPENID_SCOPES

LONGEST_OPAQUE: Final = 86_400  # seconds: a sealed handle lives at most a day (`decisions` §3)
LONGEST_JWT: Final = 86_400  # a JWT is believed elsewhere until it expires, so it gets no more than a handle
SHORTEST_API_SECRET: Final = 32  # characters: an API is a machine, and its secret is kept as a fast digest

FEED_SECONDS: Final = 1  # within which a guard that follows the feed refuses what was revoked

_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,100}")  # RFC 6749 §3.3, scope-token
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_OPENID: Final = frozenset(scope.name for scope in OPENID_SCOPES)


def scope_fault(name: str) -> str | None:
    """Return why a scope cannot have this name, or None (RFC 6749 §3.3)."""
    if name in _OPENID:
        return "this name belongs to OpenID Connect"
    if name.startswith(MANAGEMENT_PREFIX):
        return f'names that begin with "{MANAGEMENT_PREFIX}" belong to the management API'
    if not _SCOPE.fullmatch(name):
        return "a scope's name has at most 100 visible ASCII characters, without space, quotation mark and backslash"
    return None


def audience_fault(audience: str) -> str | None:
    """Return why this is no audience of an API, or None (RFC 8707 §2: an absolute URI without a fragment)."""
    if not _URI.fullmatch(audience) or len(audience) > 255:
        return 'an absolute address such as "https://api.example.com" is expected'
    if "#" in audience:
        return "an audience has no fragment (#)"
    if audience == MANAGEMENT.audience:
        return "this is the audience of the management API"
    return None


def cycle(implies: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return scopes that imply each other in a circle, or nothing."""
    done: set[str] = set()

    def look(name: str, way: tuple[str, ...]) -> tuple[str, ...]:
        if name in way:
            return (*way[way.index(name) :], name)
        if name in done:
            return ()
        for next_name in implies.get(name, ()):
            found = look(next_name, (*way, name))
            if found:
                return found
        done.add(name)
        return ()

    return next((found for name in implies if (found := look(name, ()))), ())
