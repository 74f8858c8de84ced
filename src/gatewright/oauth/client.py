"""A registered client and the settings that decide what it may do."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from gatewright.oauth.report_only import Rule

GrantTypeName = Literal[
    "authorization_code", "refresh_token", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code"
]
ClientType = Literal["web", "spa", "native", "device", "service", "demo"]
RedirectMatch = Literal["exact", "subpath"]
AuthMethod = Literal["none", "secret", "client_secret_basic", "client_secret_post", "private_key_jwt"]


class ClientSecret(Struct, frozen=True):
    """One live secret: `sha256` of one that we made, `argon2id` of a short one that somebody else chose."""

    id: int
    method: Literal["sha256", "argon2id"]
    digest: str
    expires_at: int | None = None


class PasswordException(Struct, frozen=True):
    """Why a client may still use the password grant, and the second at which that ends."""

    until: int
    reason: str


class AskedScope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scope that an app's manifest asks for, in the developer's words why; one that is not required can be left out."""

    scope: int
    required: bool = True
    reason: str = ""


class ClientSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a client as one document. Names are RFC 7591's where it has one; times in seconds.

    From `exchange` on it is about apps: `manifest` is the number of the version that is published, `asks` what that asks for.
    """

    client_name: str
    type: ClientType = "web"
    party: Literal["first", "third"] = "third"
    consent: Literal["auto", "always"] = "auto"
    grant_types: tuple[GrantTypeName, ...] = ("authorization_code",)
    redirect_uris: tuple[str, ...] = ()
    redirect_match: RedirectMatch = "exact"
    post_logout_redirect_uris: tuple[str, ...] = ()
    scopes: tuple[int, ...] = ()
    scopes_policy: Literal["required", "all_allowed", "manifest"] = "required"
    unknown_scopes: Literal["refuse", "ignore"] = "refuse"
    denied: Literal["drop", "refuse"] = "drop"
    roles: tuple[int, ...] = ()
    pkce: Literal["required", "optional"] = "required"
    token_endpoint_auth_method: AuthMethod = "secret"
    jwks: str | None = None
    jwks_uri: str | None = None
    id_token_signed_response_alg: Literal["RS256", "ES256", "EdDSA"] = "RS256"
    refresh: Literal["always", "offline"] = "always"
    refresh_idle: int | None = None
    refresh_absolute: int | None = None
    audience: Literal["strict", "first"] = "strict"
    account: int = 0
    service_user: int = 0
    allowed_ips: tuple[str, ...] = ()
    introspects: bool = False
    lasting_session: bool = False
    third_party_management: bool = False
    secret_readable: bool = False
    password_grant: PasswordException | None = None
    internal: bool = False
    cors_origins: tuple[str, ...] = ()
    out_of_band: bool = False
    demo_scopes: Literal["marked", "all"] = "marked"
    exchange: Literal["standard", "app"] = "standard"
    popup_origin: str | None = None
    manifest: int = 0
    asks: tuple[AskedScope, ...] = ()
    withdrawn: bool = False
    event_url: str | None = None
    report_only: tuple[Rule, ...] = ()
    scopes_policy_at: int = 0
    """When `all_allowed` was set; scopes made later are given by name alone. Kept by `clients.book`, 0 where it is not known."""


PUBLIC_TYPES: Final = frozenset({"spa", "native", "device"})
DEVICE_TYPES: Final = frozenset({"device", "native", "web"})
"""The types of clients whose users may sign in at another device (RFC 8628): those that may have no browser at hand."""
SECRET_METHODS: Final = frozenset({"secret", "client_secret_basic", "client_secret_post"})
"""How a client proves itself with a secret."""


class Client(Struct, frozen=True, kw_only=True, eq=False):
    """A client as the core sees it: its settings with its live secrets and status. Each reading of it is a snapshot of its own."""

    id: int
    tenant: int
    client_id: str
    epoch: int
    disabled: bool
    settings: ClientSettings
    scopes: frozenset[int]
    grant_types: frozenset[str]
    secrets: tuple[ClientSecret, ...] = ()

    @property
    def public(self) -> bool:
        """Whether it has no credential that it keeps to itself (RFC 6749 §2.1): none at all, or a published one."""
        return self.settings.token_endpoint_auth_method == "none" or self.demo

    @property
    def demo(self) -> bool:
        """Whether its credentials are published, so that anybody may call himself this client (`security-rules` 23)."""
        return self.settings.type == "demo"

    @property
    def all_or_nothing(self) -> bool:
        """Whether it wants every scope that it asks for, or to be refused (`security-rules` 31)."""
        return self.settings.denied == "refuse"

    @property
    def takes_paths_below(self) -> bool:
        """Whether an answer may go to a path below a registered address: set so, or the end of it is only tried out."""
        return not self.public and (self.settings.redirect_match == "subpath" or "redirect_match" in self.settings.report_only)

    @property
    def is_app(self) -> bool:
        """Whether it is an app of the marketplace, which is installed in an account (`docs/decisions/0015`)."""
        return self.settings.exchange == "app"

    @property
    def required(self) -> frozenset[int]:
        """The scopes that an app cannot do without, as its manifest says."""
        return frozenset([asked.scope for asked in self.settings.asks if asked.required])

    @property
    def asks_user(self) -> bool:
        """Whether its user is asked for consent."""
        return self.settings.party == "third" or self.settings.consent == "always" or self.demo

    @property
    def knows_people(self) -> bool:
        """Whether people may type their passwords into it: the platform's own, which asks nobody for consent (`decisions` §9)."""
        return self.settings.internal and not self.asks_user
