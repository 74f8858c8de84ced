"""What a tenant defines: its APIs, their scopes and its roles, as one immutable snapshot."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

OPENID_API: Final = 0  # the `api` of a scope that belongs to no API but to OpenID Connect
UNTIL_REVOKED: Final = 0  # the `token_lifetime` of an API whose tokens live until they are revoked


class Scope(Struct, frozen=True):
    """One named access level of one API, or an OpenID Connect scope (`api` is then `OPENID_API`)."""

    id: int
    name: str
    api: int
    text: str
    risk: Literal["normal", "high"] = "normal"
    reach: Literal["account", "tenant"] = "account"
    implies: tuple[int, ...] = ()


class Api(Struct, frozen=True, kw_only=True):
    """A protected resource: an audience with its scopes and how its access tokens are made."""

    id: int
    audience: str
    name: str
    roles: Literal["required", "off"] = "required"
    token_format: Literal["jwt", "opaque"] = "jwt"
    token_lifetime: int = 900
    token_alg: Literal["ES256", "RS256", "EdDSA"] = "ES256"
    disabled: bool = False


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


class Catalogue:
    """One tenant's APIs, scopes and roles, found by id and by name."""

    __slots__ = ("apis", "apis_by_audience", "roles", "roles_by_name", "scopes", "scopes_by_name", "version")

    def __init__(self, apis: list[Api], scopes: list[Scope], roles: list[Role], version: int = 0) -> None:
        every = [*OPENID_SCOPES, *scopes]
        self.version = version
        self.apis = {api.id: api for api in apis}
        self.apis_by_audience = {api.audience: api for api in apis}
        self.scopes = {scope.id: scope for scope in every}
        self.scopes_by_name = {scope.name: scope for scope in every}
        self.roles = {role.id: role for role in roles}
        self.roles_by_name = {role.name: role for role in roles}

    def names(self, ids: frozenset[int] | tuple[int, ...]) -> list[str]:
        """Return the names of scopes, OpenID's first, then in the order in which they were made."""
        known = self.scopes
        return [known[number].name for number in sorted(ids) if number in known]

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


@lru_cache(maxsize=8192)
def ids_of(text: str) -> frozenset[int]:
    """Return the ids of a stored list (decimal numbers joined by spaces)."""
    return frozenset(map(int, text.split()))


def text_of(ids: frozenset[int] | tuple[int, ...]) -> str:
    """Return the stored text of a list of ids, in rising order, so that equal sets have equal texts."""
    return " ".join(map(str, sorted(ids)))
