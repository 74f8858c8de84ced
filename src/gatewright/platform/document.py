"""The shape of a platform file. Keys that have a name in RFC 7591 carry it; `examples/platform.example.toml` shows them in use."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from gatewright.base.duration import Duration
from gatewright.base.source import SecretSource
from gatewright.oauth.client import AuthMethod, ClientType, GrantTypeName, RedirectMatch
from gatewright.oauth.issuer import PathPreset
from gatewright.oauth.report_only import Rule
from gatewright.tenants.records import Look

UNTIL_REVOKED_WORD: Final = "until_revoked"
NEVER: Final = "never"

Slug = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z",
        extra={"form": "small letters, digits and hyphens are expected, at most 63, beginning with a letter or digit"},
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Uri = Annotated[str, Meta(min_length=1, max_length=2000)]
Day = Annotated[
    str,
    Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", examples=["2027-03-31"], extra={"form": "a day is expected"}),
]
# An empty text takes the address away: TOML has no word for nothing.
EventUrl = Annotated[str, Meta(max_length=2000)]
Lifetime = Annotated[
    str,
    Meta(
        pattern=r"^(?:[0-9]{1,6}[smhd]|until_revoked)\Z",
        examples=["15m", "2h", UNTIL_REVOKED_WORD],
        extra={"form": 'a duration or "until_revoked" is expected'},
    ),
]


RetireDay = Annotated[
    str,
    Meta(
        pattern=r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|never)\Z",
        examples=["2027-03-01", NEVER],
        extra={"form": 'a day such as "2027-03-01" is expected, or "never"'},
    ),
]


RoutePath = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=r"^/[^\s?#%;\\]*\Z",
        examples=["/accounts/{account}/balance", "/reports/*"],
        extra={"form": "a path that begins with a slash is expected, decoded, without query"},
    ),
]
HostName = Annotated[
    str,
    Meta(
        max_length=253,
        pattern=r"^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])\Z",
        examples=["api.acme.test"],
        extra={"form": "a host name in small letters is expected, without scheme and port"},
    ),
]
Method = Annotated[
    str, Meta(pattern=r"^[A-Z][A-Z-]{0,30}\Z", examples=["GET", "POST"], extra={"form": "a method in capital letters is expected"})
]


class DomainPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A domain with what differs from its tenant: the name and the look of its pages."""

    origin: Uri
    name: Name | None = None
    brand: Look = Look()


class TenantPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The white-label platform itself."""

    slug: Slug
    name: Name
    domains: Annotated[tuple[Uri | DomainPart, ...], Meta(min_length=1)]
    api_hosts: tuple[Uri, ...] = ()
    paths: Annotated[tuple[PathPreset, ...], Meta(min_length=1)] = ("standard",)
    brand: Look = Look()
    scopes_policy: Literal["required", "all_allowed"] = "required"


def origins_in(tenant: TenantPart) -> tuple[str, ...]:
    """Return every origin that a file names, those of API hosts behind the others."""
    return (*map(origin_of, tenant.domains), *tenant.api_hosts)


def origin_of(domain: str | DomainPart) -> str:
    """Return the origin of a domain, however it is written."""
    return domain if isinstance(domain, str) else domain.origin


class TokenPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an API's access tokens are made. Without a lifetime: 15 minutes for a JWT, an hour for an opaque token."""

    format: Literal["jwt", "opaque"] = "jwt"
    lifetime: Lifetime | None = None
    alg: Literal["ES256", "RS256", "EdDSA"] = "ES256"


class ScopePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scope with more than its description."""

    text: Text
    risk: Literal["normal", "high"] = "normal"
    reach: Literal["account", "tenant"] = "account"
    implies: tuple[Name, ...] = ()
    demo: bool = False
    cleanup: bool = False
    texts: dict[str, Text] = {}
    aliases: tuple[Name, ...] = ()
    retires: RetireDay | None = None


class RoutePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request needs where a proxy asks at the verify address. The first row that fits counts, and what none fits is closed.

    `path` is compared segment by segment: `{name}` is any one, `/*` at the end whatever follows. Without `methods` it is for all, and
    GET is for HEAD too. Without `scopes` (all of them) and `any_of` any token for the API will do; `public` asks for none.
    """

    path: RoutePath
    host: HostName | None = None
    methods: tuple[Method, ...] = ()
    scopes: tuple[Name, ...] = ()
    any_of: tuple[Name, ...] = ()
    account_in: Name | None = None
    public: bool = False


class ApiPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A protected resource."""

    audience: Uri
    name: Name
    roles: Literal["required", "off"] = "required"
    token: TokenPart = TokenPart()
    usage: Annotated[
        bool, Meta(description="Whether it reports which scopes decided its calls, so that what nobody uses can be taken back.")
    ] = False
    secret: SecretSource | None = None
    scopes: dict[str, Text | ScopePart] = {}
    routes: Annotated[tuple[RoutePart, ...], Meta(max_length=500)] = ()
    verify_max_age: Duration | None = None


class RolePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named set of scopes."""

    name: Name
    scopes: tuple[Name, ...]


class AccountPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer company."""

    slug: Slug
    name: Name


class MembershipPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's place in an account."""

    account: Name
    roles: tuple[Name, ...] = ()


class UserPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person or a service user. `profile` holds standard claims (OpenID Connect Core §5.1)."""

    email: Name
    name: Annotated[str, Meta(max_length=200)] = ""
    kind: Literal["person", "service"] = "person"
    email_verified: bool = False
    profile: dict[str, Any] = {}
    password: SecretSource | None = None
    memberships: tuple[MembershipPart, ...] = ()


class PasswordGrantPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a client may still use the password grant, and the last day on which it may (UTC)."""

    until: Day
    reason: Text


class RefreshPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long access renews itself: `when` says whether always or only with `offline_access`."""

    idle: Duration | None = None
    absolute: Duration | None = None
    when: Literal["always", "offline"] = "always"


class OwnerPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose a client is: the user who made it, by e-mail address, the account that it belongs to, by slug, or both."""

    user: Name | None = None
    account: Name | None = None


class ClientPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client. What is left out is decided by its type."""

    client_id: Name
    client_name: Name
    type: ClientType = "web"
    party: Literal["first", "third"] = "third"
    consent: Literal["auto", "always"] = "auto"
    grant_types: tuple[GrantTypeName, ...] = ()
    redirect_uris: tuple[Uri, ...] = ()
    redirect_match: RedirectMatch = "exact"
    post_logout_redirect_uris: tuple[Uri, ...] = ()
    scopes: tuple[Name, ...] = ()
    scopes_policy: Literal["required", "all_allowed", "manifest"] = "required"
    unknown_scopes: Literal["refuse", "ignore"] = "refuse"
    denied: Literal["drop", "refuse"] = "drop"
    roles: tuple[Name, ...] = ()
    pkce: Literal["required", "optional"] = "required"
    token_endpoint_auth_method: AuthMethod = "secret"
    jwks: dict[str, Any] | None = None
    jwks_uri: Uri | None = None
    id_token_signed_response_alg: Literal["RS256", "ES256", "EdDSA"] = "RS256"
    refresh: RefreshPart = RefreshPart()
    audience: Literal["strict", "first"] = "strict"
    account: Name | None = None
    service_user: Name | None = None
    allowed_ips: tuple[Name, ...] = ()
    introspects: bool = False
    lasting_session: bool = False
    third_party_management: bool = False
    password_grant: PasswordGrantPart | None = None
    internal: bool = False
    cors_origins: tuple[Uri, ...] = ()
    out_of_band: bool = False
    demo_scopes: Literal["marked", "all"] = "marked"
    event_url: EventUrl | None = None
    report_only: tuple[Rule, ...] = ()
    secret: SecretSource | None = None
    secret_readable: bool = False
    owner: OwnerPart = OwnerPart()


class AppPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app of the marketplace, by its manifest's file; beside it what an admin decides on it and its developer does not."""

    slug: Slug
    manifest: Name
    redirect_match: RedirectMatch = "exact"
    developer: Name | None = None
    secret: SecretSource | None = None


class Platform(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file: one tenant. `prune` removes what an earlier apply of the file made and it names no longer."""

    tenant: TenantPart
    apis: tuple[ApiPart, ...] = ()
    roles: tuple[RolePart, ...] = ()
    accounts: tuple[AccountPart, ...] = ()
    users: tuple[UserPart, ...] = ()
    clients: tuple[ClientPart, ...] = ()
    apps: tuple[AppPart, ...] = ()
    prune: bool = False
