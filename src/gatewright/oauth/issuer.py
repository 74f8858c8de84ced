"""One authorization server as seen from outside: its URL, its policy and the paths it answers on."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

PathPreset = Literal["standard", "o", "oauth"]


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a tenant's admin may change while the server runs. All times in seconds; defaults from `decisions` §3."""

    code_lifetime: int = 60
    overlap_public: int = 10
    overlap_confidential: int = 600
    refresh_idle: int = 30 * 86400
    refresh_absolute_third_party: int = 365 * 86400
    session_idle: int = 12 * 3600
    session_absolute: int = 7 * 86400
    session_lasting: int = 30 * 86400
    id_token_lifetime: int = 3600
    openid_token_lifetime: int = 3600
    scopes_policy: Literal["required", "all_allowed"] = "required"
    """What a client is set to that is registered without saying it; clients that are there keep theirs."""


class Issuer(Struct, frozen=True, kw_only=True):
    """An issuer: one domain of one tenant. `url` is the `iss` of everything it makes (RFC 8414 §2)."""

    url: str
    tenant: int
    host: str
    policy: Policy
    paths: tuple[PathPreset, ...] = ("standard",)
    name: str = ""

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS; plain http is for loopback only."""
        return self.url.startswith("https://")


class ApiHost(Struct, frozen=True, kw_only=True):
    """A host that serves a tenant's API and issues nothing: what is shown there was made by one of the tenant's issuers (seed 002)."""

    url: str
    tenant: int
    host: str
    issuers: tuple[Issuer, ...]
    name: str = ""
