"""Where the endpoints answer: one table of paths for each preset. The router and the metadata both read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatewright.oauth.issuer import Issuer, PathPreset

DEVICE_PAGE: Final = "/device"
"""Where users type the codes of their devices: the one page whose address is typed by hand (RFC 8628 §3.3)."""

# What keeps its address whatever the preset: the documents that are found by convention (RFC 8414 §3, OpenID Connect
# Discovery §4), the addresses that only these documents tell, and our own.
_EVERYWHERE: Final[Mapping[str, tuple[str, ...]]] = {
    "metadata": ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
    "jwks": ("/jwks",),
    "end_session": ("/end_session",),
    "why": ("/-/why",),
    "feed": ("/-/feed",),
    "usage": ("/-/usage",),
    "me": ("/v1/me",),
    "app_manifest": ("/-/schemas/app-manifest.json",),
}


def _slashed(path: str) -> tuple[str, ...]:
    # Both answer, the one with the slash is published: a redirect from one to the other would lose a POST's body.
    return (f"{path}/", path)


PATHS: Final[Mapping[PathPreset, Mapping[str, tuple[str, ...]]]] = {
    "standard": {
        **_EVERYWHERE,
        "authorize": ("/authorize",),
        "token": ("/token",),
        "userinfo": ("/userinfo",),
        "revoke": ("/revoke",),
        "introspect": ("/introspect",),
        "device_authorization": ("/device_authorization",),
    },
    "o": {
        **_EVERYWHERE,
        "authorize": _slashed("/o/authorize"),
        "token": _slashed("/o/token"),
        "userinfo": _slashed("/o/userinfo"),
        "revoke": _slashed("/o/revoke_token"),
        "introspect": _slashed("/o/introspect"),
        "device_authorization": _slashed("/o/device-authorization"),
    },
    "oauth": {
        **_EVERYWHERE,
        "authorize": ("/oauth/authorize",),
        "token": ("/oauth/token",),
        "userinfo": ("/oauth/userinfo",),
        "revoke": ("/oauth/revoke",),
        "introspect": ("/oauth/introspect",),
        "device_authorization": ("/oauth/device_authorization",),
    },
}
"""Preset → endpoint → its paths, the published one first."""


def published(presets: tuple[PathPreset, ...]) -> PathPreset:
    """Return the preset that metadata tells: the standard one where it is on, else the first."""
    return "standard" if "standard" in presets else presets[0]


def url_of(issuer: Issuer, endpoint: str) -> str:
    """Return the published URL of an endpoint."""
    return issuer.url + PATHS[published(issuer.paths)][endpoint][0]


def urls_of(issuer: Issuer, endpoint: str) -> frozenset[str]:
    """Return every URL at which an issuer answers as an endpoint, whichever preset it belongs to."""
    return frozenset([issuer.url + path for preset in issuer.paths for path in PATHS[preset][endpoint]])
