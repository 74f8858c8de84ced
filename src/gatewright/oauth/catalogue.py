"""What a tenant defines: its APIs, their scopes and its roles, as one immutable snapshot; with them what every tenant has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct, structs

from gatewright.base.ids import SCOPE, show
from gatewright_guard.decide import Requirement
from gatewright_guard.rules import Rule, Rules

OPENID_API: Final = 0  # the `api` of a scope that belongs to no API but to OpenID Connect
UNTIL_REVOKED: Final = 0  # the `token_lifetime` of an API whose tokens live until they are revoked

_HTTP: Final = re.compile(r"(https?://[^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)


class Scope(Struct, frozen=True):
    """One named access level of one API, or an OpenID Connect scope (`api` is then `OPENID_API`).

    `place` is its number among all scopes that its API ever had. `cleanup`: an app that had it may use it for some minutes more after
    it was uninstalled, to put its own things away.
    """

    id: int
    name: str
    api: int
    text: str
    risk: Literal["normal", "high"] = "normal"
    reach: Literal["account", "tenant"] = "account"
    implies: tuple[int, ...] = ()
    place: int = 0
    demo: bool = False
    """Whether a client with published credentials may have it."""
    cleanup: bool = False
    texts: tuple[tuple[str, str], ...] = ()
    """The text in other languages, each with its tag (RFC 5646)."""
    aliases: tuple[str, ...] = ()
    """Other names under which it is asked for; tokens carry them beside its own."""
    retires_at: int | None = None
    made_at: int = 0


class Route(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What requests to an API need where a proxy asks at the verify address (`docs/decisions/0021`).

    `scopes` (all of them) and `any_of` are ids, so that a scope keeps its routes when it gets another name. No `methods` are all.
    """

    path: str
    host: str | None = None
    methods: tuple[str, ...] = ()
    scopes: tuple[int, ...] = ()
    any_of: tuple[int, ...] = ()
    account_in: str | None = None
    public: bool = False


class Api(Struct, frozen=True, kw_only=True):
    """A protected resource: an audience with its scopes and how its access tokens are made.

    `verify_max_age` is for how many seconds a proxy may keep an answer of the verify address.
    """

    id: int
    audience: str
    name: str
    roles: Literal["required", "off"] = "required"
    token_format: Literal["jwt", "opaque"] = "jwt"
    token_lifetime: int = 900
    token_alg: Literal["ES256", "RS256", "EdDSA"] = "ES256"
    disabled: bool = False
    jwt_until: int = 0
    """Until when JWTs may live that were made before its format or lifetime was changed last."""
    routes: tuple[Route, ...] = ()
    verify_max_age: int = 0
    usage: bool = False
    """Whether it reports which scopes decided its calls."""
    names_roles: bool = False
    """Whether it is told the names of the roles that the user of a token has in its account (RFC 9068 §2.2.3.1)."""


class ApiSecret(Struct, frozen=True):
    """The digest of a secret with which an API proves itself, and the second at which it ends."""

    digest: str
    expires_at: int | None = None

    def is_live(self, now: int) -> bool:
        """Tell whether it is good at this moment."""
        return self.expires_at is None or self.expires_at > now


class Role(Struct, frozen=True):
    """A named set of scopes, held by a user in an account."""

    id: int
    name: str
    scopes: frozenset[int]


OPENID_SCOPES: Final = (
    Scope(1, "openid", OPENID_API, "Know who you are here"),
    Scope(2, "profile", OPENID_API, "See your name and public profile"),
    Scope(3, "email", OPENID_API, "See your e-mail address"),
    Scope(4, "address", OPENID_API, "See your postal address"),
    Scope(5, "phone", OPENID_API, "See your phone number"),
    Scope(6, "offline_access", OPENID_API, "Keep this access also when you are away"),
)
OPENID, PROFILE, EMAIL, ADDRESS, PHONE, OFFLINE_ACCESS = (scope.id for scope in OPENID_SCOPES)
OPENID_IDS: Final = frozenset(scope.id for scope in OPENID_SCOPES)

# Gatewright itself as an API: the management API, the same in every tenant. Its scopes reach over the whole tenant but for the last
# six, which end at the account of the token. Their names are reserved, their ids never change: new ones go to the end.
MANAGEMENT_API: Final = 1
MANAGEMENT_PREFIX: Final = "gw:"
MANAGEMENT: Final = Api(
    id=MANAGEMENT_API, audience="urn:gatewright:management", name="Gatewright management", token_format="opaque", token_lifetime=3600
)
_MANAGEMENT: Final = (
    Scope(11, "gw:tenant:read", MANAGEMENT_API, "See the settings and domains of this platform", reach="tenant"),
    Scope(12, "gw:tenant:write", MANAGEMENT_API, "Change the settings and domains of this platform", "high", "tenant"),
    Scope(13, "gw:users:read", MANAGEMENT_API, "See all users of this platform", reach="tenant"),
    Scope(14, "gw:users:write", MANAGEMENT_API, "Make, change, disable and delete users of this platform", "high", "tenant"),
    Scope(15, "gw:accounts:read", MANAGEMENT_API, "See all accounts and who belongs to them", reach="tenant"),
    Scope(16, "gw:accounts:write", MANAGEMENT_API, "Make, change and delete accounts, and decide who belongs to them", "high", "tenant"),
    Scope(17, "gw:clients:read", MANAGEMENT_API, "See the apps and services that may ask for access", reach="tenant"),
    Scope(18, "gw:clients:write", MANAGEMENT_API, "Register and change apps and services, and make their secrets", "high", "tenant"),
    Scope(19, "gw:apis:read", MANAGEMENT_API, "See the APIs of this platform and their scopes", reach="tenant"),
    Scope(20, "gw:apis:write", MANAGEMENT_API, "Change the APIs of this platform and their scopes", "high", "tenant"),
    Scope(21, "gw:roles:read", MANAGEMENT_API, "See the roles of this platform", reach="tenant"),
    Scope(22, "gw:roles:write", MANAGEMENT_API, "Change what the roles of this platform hold", "high", "tenant"),
    Scope(23, "gw:grants:read", MANAGEMENT_API, "See everything that users gave to apps", reach="tenant"),
    Scope(24, "gw:grants:write", MANAGEMENT_API, "End what users gave to apps", "high", "tenant"),
    Scope(25, "gw:keys:read", MANAGEMENT_API, "See which signing keys are in use", reach="tenant"),
    Scope(26, "gw:keys:write", MANAGEMENT_API, "Replace and withdraw signing keys", "high", "tenant"),
    Scope(27, "gw:audit:read", MANAGEMENT_API, "Read the audit log of this platform", "high", "tenant"),
    Scope(28, "gw:members:read", MANAGEMENT_API, "See who belongs to your account"),
    Scope(29, "gw:members:write", MANAGEMENT_API, "Decide who belongs to your account, with which roles", "high"),
    Scope(30, "gw:access:read", MANAGEMENT_API, "See which apps and services have access to your account"),
    Scope(31, "gw:access:write", MANAGEMENT_API, "End the access of apps and services to your account", "high"),
    Scope(40, "gw:client_secrets:read", MANAGEMENT_API, "See the secrets of your apps, and read those that can be read again", "high"),
    Scope(41, "gw:client_secrets:write", MANAGEMENT_API, "Make and end the secrets of your apps", "high"),
)
MANAGEMENT_SCOPES: Final = tuple([structs.replace(scope, place=scope.id - _MANAGEMENT[0].id) for scope in _MANAGEMENT])
MANAGEMENT_IDS: Final = frozenset(scope.id for scope in MANAGEMENT_SCOPES)

BUILT_IN: Final = (*OPENID_SCOPES, *MANAGEMENT_SCOPES)
"""The scopes that every tenant has; a file or an admin may name them and may not define them."""
BUILT_IN_IDS: Final = frozenset(scope.id for scope in BUILT_IN)


class Catalogue:
    """One tenant's APIs, scopes and roles, found by id and by name.

    `retired` are the names of scopes that are given no more. `until` is when the next one retires; behind it the snapshot is outdated.
    """

    __slots__ = (
        "_apis_by_address",
        "_rules",
        "apis",
        "apis_by_audience",
        "retired",
        "roles",
        "roles_by_name",
        "scopes",
        "scopes_by_name",
        "until",
        "version",
    )

    def __init__(
        self, apis: list[Api], scopes: list[Scope], roles: list[Role], version: int = 0, *, retired: frozenset[str] = frozenset()
    ) -> None:
        every = [*BUILT_IN, *scopes]
        self.retired = retired
        self.until = min([scope.retires_at for scope in scopes if scope.retires_at is not None], default=None)
        self.version = version
        self.apis = {api.id: api for api in (*apis, MANAGEMENT)}
        self.apis_by_audience = {api.audience: api for api in self.apis.values()}
        self._apis_by_address = {_address(audience): api for audience, api in self.apis_by_audience.items()}
        self.scopes = {scope.id: scope for scope in every}
        self.scopes_by_name = {name: scope for scope in every for name in (scope.name, *scope.aliases)}
        self.roles = {role.id: role for role in roles}
        self.roles_by_name = {role.name: role for role in roles}
        self._rules: dict[int, Rules] = {}

    def rules(self, api: Api) -> Rules:
        """Return an API's table of routes with the present names of their scopes, taken apart when first needed."""
        found = self._rules.get(api.id)
        if found is None:
            found = self._rules[api.id] = Rules([self._rule(route) for route in api.routes])
        return found

    def _rule(self, route: Route) -> Rule:
        return Rule(
            path=route.path,
            needs=None if route.public else Requirement(self._required(route.scopes), self._required(route.any_of)),
            methods=frozenset(route.methods) or None,
            account_in=route.account_in,
            host=route.host,
        )

    def _required(self, ids: tuple[int, ...]) -> tuple[str, ...]:
        # A scope that is given to nobody any more is still needed, so that what it protected stays shut.
        return tuple([self.scopes[number].name if number in self.scopes else show(SCOPE, number) for number in ids])

    def api_named(self, resource: str) -> Api | None:
        """Return the API whose audience is the address that a `resource` parameter names, however the client writes it (RFC 8707 §2)."""
        exact = self.apis_by_audience.get(resource)
        return self._apis_by_address.get(_address(resource)) if exact is None else exact

    def names(self, ids: frozenset[int] | tuple[int, ...]) -> list[str]:
        """Return the names of scopes, OpenID's first, then in the order in which they were made."""
        known = self.scopes
        return [known[number].name for number in sorted(ids) if number in known]

    def ids_named(self, names: Iterable[str]) -> frozenset[int]:
        """Return the ids of those names that are known, other names of a scope among them."""
        known = self.scopes_by_name
        return frozenset([known[name].id for name in names if name in known])

    def implied(self, ids: frozenset[int]) -> frozenset[int]:
        """Return the scopes together with all that they imply."""
        found = set(ids)
        waiting = list(ids)
        while waiting:
            scope = self.scopes.get(waiting.pop())
            for number in scope.implies if scope else ():
                if number not in found:
                    found.add(number)
                    waiting.append(number)
        return frozenset(found)


def _address(uri: str) -> str:
    """Return the text by which two ways to write one http address are equal: scheme and host in lower case, and no path rather than
    "/" (RFC 3986 §6.2.2.1, §6.2.3). Clients that take an address apart and write it again send what their language makes of it.
    """
    found = _HTTP.fullmatch(uri)
    if found is None:
        return uri
    return found[1].lower() + ("" if found[2] == "/" else found[2])


def said(scopes: Iterable[Scope]) -> str:
    """Return scopes as the `scope` parameter has them (RFC 6749 §3.3). One with other names is said under all of them, since neither
    the client that asked nor the API that looks knows yet which one is the present (`docs/decisions/0017`).
    """
    return " ".join([" ".join((scope.name, *scope.aliases)) if scope.aliases else scope.name for scope in scopes])


@lru_cache(maxsize=8192)
def ids_of(text: str) -> frozenset[int]:
    """Return the ids of a stored list (decimal numbers joined by spaces)."""
    return frozenset(map(int, text.split()))


def text_of(ids: frozenset[int] | tuple[int, ...]) -> str:
    """Return the stored text of a list of ids, in rising order, so that equal sets have equal texts."""
    return " ".join(map(str, sorted(ids)))
