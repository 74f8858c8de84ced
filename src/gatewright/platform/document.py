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
    name: Annotated[Name, Meta(description="What its pages are called, if that is not the tenant's name.")] | None = None
    brand: Annotated[
        Look,
        Meta(
            description="How its pages look, where that differs from the tenant.",
            examples=[{"color": "#0b6e4f", "terms": "https://acme.test/terms"}],
        ),
    ] = Look()


class TenantPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The white-label platform itself."""

    slug: Slug
    name: Annotated[Name, Meta(description="The platform's name, as users see it.")]
    domains: Annotated[tuple[Uri | DomainPart, ...], Meta(min_length=1)]
    api_hosts: tuple[Uri, ...] = ()
    paths: Annotated[Annotated[tuple[PathPreset, ...], Meta(min_length=1)], Meta(description="The sets of paths at which it answers.")] = (
        "standard",
    )
    brand: Annotated[
        Look,
        Meta(
            description="How its pages look: color, logo (a file's name), terms, privacy.",
            examples=[{"color": "#0b6e4f", "logo": "acme.svg", "terms": "https://acme.test/terms"}],
        ),
    ] = Look()
    scopes_policy: Annotated[
        Literal["required", "all_allowed"],
        Meta(description="What a client gets that names no scopes: `required` asks for them, `all_allowed` gives all."),
    ] = "required"


def origins_in(tenant: TenantPart) -> tuple[str, ...]:
    """Return every origin that a file names, those of API hosts behind the others."""
    return (*map(origin_of, tenant.domains), *tenant.api_hosts)


def origin_of(domain: str | DomainPart) -> str:
    """Return the origin of a domain, however it is written."""
    return domain if isinstance(domain, str) else domain.origin


def logos_in(tenant: TenantPart) -> tuple[str, ...]:
    """Return every logo that a file names, each once: the tenant's and those of its domains."""
    looks = (tenant.brand, *[domain.brand for domain in tenant.domains if isinstance(domain, DomainPart)])
    return tuple(dict.fromkeys([look.logo for look in looks if look.logo is not None]))


class TokenPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an API's access tokens are made. Without a lifetime: 15 minutes for a JWT, an hour for an opaque token.

    `roles`: the API is told the names of the user's roles in the account, by introspection, and in the JWTs of first-party apps.
    """

    format: Literal["jwt", "opaque"] = "jwt"
    lifetime: Lifetime | None = None
    alg: Literal["ES256", "RS256", "EdDSA"] = "ES256"
    roles: bool = False


class ScopePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scope with more than its description."""

    text: Annotated[Text, Meta(description="What it allows, as users read it on the consent page.")]
    risk: Annotated[Literal["normal", "high"], Meta(description="`high` is marked on the consent page, and never given unasked.")] = (
        "normal"
    )
    reach: Annotated[Literal["account", "tenant"], Meta(description="`tenant` lets a service use it without an account.")] = "account"
    implies: Annotated[tuple[Name, ...], Meta(description="Scopes that come with it.")] = ()
    demo: Annotated[bool, Meta(description="Whether a client with published credentials may have it.")] = False
    cleanup: Annotated[
        bool, Meta(description="Whether an app that had it may use it for fifteen minutes more after it was uninstalled.")
    ] = False
    texts: Annotated[
        dict[str, Text], Meta(description="The description in other languages, by language tag.", examples=[{"de": "Termine lesen"}])
    ] = {}
    aliases: Annotated[tuple[Name, ...], Meta(description="Other names under which clients ask for it.")] = ()
    retires: Annotated[RetireDay, Meta(description="The day from which it is no longer given, or `never`.")] | None = None


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

    audience: Annotated[Uri, Meta(description="Its identifier: the `aud` of its tokens and the `resource` of requests.")]
    name: Annotated[Name, Meta(description="Its name, as users see it.")]
    roles: Annotated[
        Literal["required", "off"], Meta(description="`required`: its scopes are held by roles; `off`: any active member has them.")
    ] = "required"
    token: Annotated[
        TokenPart, Meta(description="How its access tokens are made.", examples=[{"format": "jwt", "lifetime": "15m", "alg": "ES256"}])
    ] = TokenPart()
    usage: Annotated[
        bool, Meta(description="Whether it reports which scopes decided its calls, so that what nobody uses can be taken back.")
    ] = False
    secret: SecretSource | None = None
    scopes: Annotated[
        dict[str, Text | ScopePart],
        Meta(description="Its scopes: the name of each, with its description.", examples=[{"read:events": "See your events"}]),
    ] = {}
    routes: Annotated[
        Annotated[tuple[RoutePart, ...], Meta(max_length=500)],
        Meta(
            description="What a request needs where a proxy asks at the verify address, the first that fits.",
            examples=[[{"path": "/events/*", "methods": ["GET"], "scopes": ["read:events"]}]],
        ),
    ] = ()
    verify_max_age: Annotated[Duration, Meta(description="How long a proxy may keep an answer of the verify address.")] | None = None


class RolePart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named set of scopes."""

    name: Annotated[Name, Meta(description="The role's name.")]
    scopes: Annotated[tuple[Name, ...], Meta(description="The scopes that it holds.")]


class AccountPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer company."""

    slug: Annotated[Slug, Meta(description="Its short name in addresses and parameters.")]
    name: Annotated[Name, Meta(description="The company's name, as users see it.")]


class MembershipPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's place in an account."""

    account: Name
    roles: tuple[Name, ...] = ()


class UserPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person or a service user. `profile` holds standard claims (OpenID Connect Core §5.1)."""

    email: Annotated[Name, Meta(description="The address by which the user signs in.")]
    name: Annotated[Annotated[str, Meta(max_length=200)], Meta(description="The user's name.")] = ""
    kind: Annotated[Literal["person", "service"], Meta(description="A `service` user never signs in: programs act as it.")] = "person"
    email_verified: Annotated[bool, Meta(description="Whether the address is known to be the user's.")] = False
    profile: Annotated[
        dict[str, Any], Meta(description="Standard claims (OpenID Connect Core §5.1).", examples=[{"nickname": "Ann", "locale": "en"}])
    ] = {}
    password: SecretSource | None = None
    memberships: Annotated[
        tuple[MembershipPart, ...],
        Meta(
            description="The accounts that the user belongs to, with the roles held there.",
            examples=[[{"account": "acme-dev", "roles": ["Organizer"]}]],
        ),
    ] = ()


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

    client_id: Annotated[Name, Meta(description="The id with which it comes; it never changes.")]
    client_name: Annotated[Name, Meta(description="What users see it called.")]
    type: Annotated[ClientType, Meta(description="What it runs as; it decides what is left out here.")] = "web"
    party: Annotated[Literal["first", "third"], Meta(description="`first`: the platform's own, users are not asked for consent.")] = "third"
    consent: Annotated[Literal["auto", "always"], Meta(description="`always` asks users of first-party clients too.")] = "auto"
    grant_types: Annotated[tuple[GrantTypeName, ...], Meta(description="The grants that it may use.")] = ()
    redirect_uris: Annotated[tuple[Uri, ...], Meta(description="Where users come back to.")] = ()
    redirect_match: Annotated[RedirectMatch, Meta(description="`subpath` takes what lies below a redirect URI as well; a weakness.")] = (
        "exact"
    )
    post_logout_redirect_uris: Annotated[tuple[Uri, ...], Meta(description="Where users come back to after signing out.")] = ()
    scopes: Annotated[tuple[Name, ...], Meta(description="The scopes that it may ask for.")] = ()
    scopes_policy: Annotated[Literal["required", "all_allowed", "manifest"], Meta(description="What it gets when it names no scopes.")] = (
        "required"
    )
    unknown_scopes: Annotated[Literal["refuse", "ignore"], Meta(description="`ignore`: scopes that nobody defines are passed over.")] = (
        "refuse"
    )
    denied: Annotated[Literal["drop", "refuse"], Meta(description="`refuse`: a request of which a scope is denied is refused whole.")] = (
        "drop"
    )
    roles: Annotated[
        tuple[Name, ...], Meta(description="Only users with one of these roles may use it, and it gets no more than they hold.")
    ] = ()
    pkce: Annotated[
        Literal["required", "optional"], Meta(description="Whether it must prove its codes (RFC 7636); `optional` is a weakness.")
    ] = "required"
    token_endpoint_auth_method: Annotated[
        AuthMethod, Meta(description="How it proves itself; `secret` takes both ways of sending one.")
    ] = "secret"
    jwks: (
        Annotated[
            dict[str, Any],
            Meta(
                description="Its public keys (RFC 7517).",
                examples=[{"keys": [{"kty": "EC", "crv": "P-256", "x": "...", "y": "...", "kid": "1"}]}],
            ),
        ]
        | None
    ) = None
    jwks_uri: Annotated[Uri, Meta(description="Where it publishes its public keys.")] | None = None
    id_token_signed_response_alg: Annotated[Literal["RS256", "ES256", "EdDSA"], Meta(description="How its ID tokens are signed.")] = "RS256"
    refresh: Annotated[
        RefreshPart,
        Meta(description="How long its access renews itself.", examples=[{"idle": "30d", "absolute": "365d", "when": "always"}]),
    ] = RefreshPart()
    audience: Annotated[
        Literal["strict", "first"], Meta(description="`first` gives a request that spans several APIs a token for the first of them.")
    ] = "strict"
    account: Annotated[Name, Meta(description="The one account for which it acts.")] | None = None
    service_user: Annotated[Name, Meta(description="The service user as which it acts.")] | None = None
    allowed_ips: Annotated[tuple[Name, ...], Meta(description="The addresses and networks from which it and its tokens may come.")] = ()
    introspects: Annotated[bool, Meta(description="Whether it may ask about its own tokens (RFC 7662).")] = False
    lasting_session: Annotated[bool, Meta(description="Whether a native first-party app keeps its user signed in for 30 days.")] = False
    third_party_management: Annotated[
        bool, Meta(description="Whether it may have scopes of the management API although it is third-party; a weakness.")
    ] = False
    password_grant: (
        Annotated[
            PasswordGrantPart,
            Meta(
                description="Its exception for the password grant: until when, and why; a weakness.",
                examples=[{"until": "2027-06-30", "reason": "old connector"}],
            ),
        ]
        | None
    ) = None
    internal: Annotated[
        bool, Meta(description="Whether it is the platform's own page, which may take its users' passwords; a weakness.")
    ] = False
    cors_origins: Annotated[tuple[Uri, ...], Meta(description="The origins whose pages may read its answers.")] = ()
    out_of_band: Annotated[bool, Meta(description="Whether users may copy the code by hand; a weakness.")] = False
    demo_scopes: Annotated[Literal["marked", "all"], Meta(description="Which scopes a demo client may have; `all` is a weakness.")] = (
        "marked"
    )
    event_url: Annotated[EventUrl, Meta(description="Where its events are sent; empty for nowhere.")] | None = None
    report_only: Annotated[
        tuple[Rule, ...], Meta(description="Rules that are tried out: what they would refuse passes, and is counted.")
    ] = ()
    secret: SecretSource | None = None
    secret_readable: Annotated[bool, Meta(description="Whether its secret can be read again; a weakness.")] = False
    owner: Annotated[
        OwnerPart,
        Meta(description="Whose it is: a user, an account, or both.", examples=[{"user": "ann@acme.test", "account": "acme-dev"}]),
    ] = OwnerPart()


class AppPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app of the marketplace, by its manifest's file; beside it what an admin decides on it and its developer does not."""

    slug: Slug
    manifest: Name
    redirect_match: Annotated[RedirectMatch, Meta(description="`subpath` takes what lies below a redirect URI as well; a weakness.")] = (
        "exact"
    )
    developer: Annotated[Name, Meta(description="The e-mail address of the user who develops it.")] | None = None
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
