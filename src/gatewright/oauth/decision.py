"""The one decision: which scopes, and why not the others. Pure; every endpoint, page and explanation asks it.

requested and known to the tenant and allowed to the client and open to this user and consented or trusted and within the
ceiling of an earlier approval. A scope is granted when every factor says yes; otherwise the first that says no is its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from gatewright.oauth.catalogue import MANAGEMENT_IDS, OFFLINE_ACCESS, OPENID_API, Catalogue, Scope, said
from gatewright.oauth.client import Client
from gatewright.oauth.errors import AccessDenied, InvalidScope, OAuthError
from gatewright.oauth.report_only import Breach, enforce


class Verdict(StrEnum):
    """Why a scope was granted or not; also the causes that a guard hands on. A closed table."""

    GRANTED = "granted"
    SCOPE_UNKNOWN = "scope_unknown"
    SCOPE_NOT_REQUESTED = "scope_not_requested"
    SCOPE_NOT_ALLOWED_TO_CLIENT = "scope_not_allowed_to_client"
    ROLE_LACKS_SCOPE = "role_lacks_scope"
    DECLINED_BY_USER = "declined_by_user"
    NOT_CONSENTED = "not_consented"
    BEYOND_GRANT = "beyond_grant"
    WRONG_ACCOUNT = "wrong_account"
    RESOURCE_OF_OTHER_ACCOUNT = "resource_of_other_account"
    MEMBERSHIP_ENDED = "membership_ended"
    ACCOUNT_DISABLED = "account_disabled"
    USER_DISABLED = "user_disabled"
    CLIENT_DISABLED = "client_disabled"
    IP_NOT_ALLOWED = "ip_not_allowed"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    GRANT_ENDED = "grant_ended"


class Party(Struct, frozen=True):
    """Who stands behind a request, as far as the decision cares.

    `user` is False for a back-end service. `member` tells of an active membership in the chosen account; `roles` are the ids
    of the roles held there.
    """

    user: bool
    member: bool = False
    roles: frozenset[int] = frozenset()


_OF_THE_USER: Final = frozenset(
    {Verdict.DECLINED_BY_USER, Verdict.NOT_CONSENTED, Verdict.ROLE_LACKS_SCOPE, Verdict.MEMBERSHIP_ENDED, Verdict.WRONG_ACCOUNT}
)
NOBODY = Party(user=False)


class Bounds(Struct, frozen=True):
    """What earlier approvals allow: None is "no bound". `consented` is None where the client is trusted or not yet asked."""

    consented: frozenset[int] | None = None
    declined: frozenset[int] = frozenset()
    ceiling: frozenset[int] | None = None


UNBOUND = Bounds()


class Decision(Struct, frozen=True):
    """The answer: scopes granted, in the order asked, and for every other name its verdict."""

    granted: tuple[Scope, ...]
    refused: tuple[tuple[str, Verdict], ...]

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the granted scopes."""
        return frozenset([scope.id for scope in self.granted])

    @property
    def scope(self) -> str:
        """The granted scopes as the `scope` parameter has them (RFC 6749 §3.3)."""
        return said(self.granted)


def decide(names: Iterable[str], catalogue: Catalogue, client: Client, party: Party, bounds: Bounds = UNBOUND) -> Decision:
    """Return the decision on scope names; repeated names count once, and so do the names of one scope."""
    granted: dict[int, Scope] = {}
    refused: list[tuple[str, Verdict]] = []
    known = catalogue.scopes_by_name
    held = open_to(catalogue, client, party)
    allowed = client.scopes if not client.demo else _for_a_demo(client, catalogue)
    for name in dict.fromkeys(names):
        scope = known.get(name)
        verdict = Verdict.SCOPE_UNKNOWN if scope is None else _verdict(scope, allowed, catalogue, party, held, bounds)
        if scope is not None and verdict is Verdict.GRANTED:
            granted.setdefault(scope.id, scope)
        else:
            refused.append((name, verdict))
    return Decision(tuple(granted.values()), tuple(refused))


def open_to(catalogue: Catalogue, client: Client, party: Party) -> frozenset[int]:
    """Return the scopes that the party's roles hold in the account, cut to the client's roles where it names some."""
    roles = party.roles
    if client.settings.roles:
        roles = roles.intersection(client.settings.roles)
    found: frozenset[int] = frozenset()
    for number in roles:
        role = catalogue.roles.get(number)
        if role is not None:
            found |= role.scopes
    return catalogue.implied(found) if found else found


def _for_a_demo(client: Client, catalogue: Catalogue) -> frozenset[int]:
    """Return what is allowed to a client whose credentials are published: what is marked for that, unless an admin opens it."""
    if client.settings.demo_scopes == "all":
        return client.scopes
    return frozenset(
        [scope.id for scope in catalogue.scopes.values() if scope.id in client.scopes and (scope.demo or scope.api == OPENID_API)]
    )


def _verdict(scope: Scope, allowed: frozenset[int], catalogue: Catalogue, party: Party, held: frozenset[int], bounds: Bounds) -> Verdict:
    number = scope.id
    if number not in allowed:
        return Verdict.SCOPE_NOT_ALLOWED_TO_CLIENT
    if scope.api != OPENID_API:
        api = catalogue.apis.get(scope.api)
        if api is None or api.disabled:
            return Verdict.SCOPE_UNKNOWN
        if party.user and (not party.member or (api.roles == "required" and number not in held)):
            return Verdict.ROLE_LACKS_SCOPE if party.member else Verdict.MEMBERSHIP_ENDED
    if bounds.ceiling is not None and number not in bounds.ceiling:
        return Verdict.BEYOND_GRANT
    if bounds.consented is not None and number not in bounds.consented:
        return Verdict.DECLINED_BY_USER if number in bounds.declined else Verdict.NOT_CONSENTED
    return Verdict.GRANTED


def requested(scope: str | None, catalogue: Catalogue, client: Client, breaches: list[Breach]) -> tuple[str, ...]:
    """Return the scopes that a request asks for (RFC 6749 §3.3), by their present names, and by the client's policy where it names none.
    What passes only because its rule is tried out is added to `breaches`.

    Raises:
        InvalidScope: none was asked and the client must ask, one is unknown here and the client is not set to ignore it, or all retired.
    """
    if client.settings.scopes_policy == "manifest":
        return _of_manifest(scope, catalogue, client)
    if scope is None:
        if client.settings.scopes_policy == "required":
            fault = InvalidScope("no scope was requested: name the scopes that are needed in the parameter 'scope'")
            breaches.append(enforce("scopes_policy", client, fault))
        return _mild(catalogue, client)
    names, known = tuple(dict.fromkeys(scope.split(" "))), catalogue.scopes_by_name
    # What has retired falls away as what is denied does, and for a client that wants all or nothing it is as bad.
    gone = frozenset[str]() if client.all_or_nothing else catalogue.retired
    unknown = [name for name in names if name not in known and name not in gone]
    # OpenID Connect Core §3.1.2.1 has scopes that are not understood ignored; a plain OAuth request is told.
    if unknown and client.settings.unknown_scopes == "refuse" and "openid" not in names:
        named = printable(unknown[0])
        breaches.append(enforce("unknown_scopes", client, InvalidScope(f"unknown scope: {named}")))
    found = tuple(dict.fromkeys([known[name].name for name in names if name in known]))
    if not found and not unknown:
        raise InvalidScope(f"the scope is retired and given no more: {printable(names[0])}")
    return found


def _mild(catalogue: Catalogue, client: Client) -> tuple[str, ...]:
    """Return what a client gets unasked. What is dangerous, lasts or manages, and what was made after the client was set so, is
    asked for by its name or not at all (`security-rules` 35, 36).
    """
    since = client.settings.scopes_policy_at
    mild = [
        scope.id
        for scope in catalogue.scopes.values()
        if scope.risk != "high" and scope.id != OFFLINE_ACCESS and (not since or scope.made_at <= since)
    ]
    return tuple(catalogue.names(client.scopes.intersection(mild) - MANAGEMENT_IDS))


def with_implied(names: Iterable[str], catalogue: Catalogue, client: Client) -> tuple[str, ...]:
    """Return scope names with those that they imply, as it is settled when access is given (`security-rules` 34)."""
    known = catalogue.scopes_by_name
    wanted = tuple(names)
    asked = frozenset([known[name].id for name in wanted if name in known])
    return (*wanted, *catalogue.names(catalogue.implied(asked & client.scopes) - asked))


def _of_manifest(scope: str | None, catalogue: Catalogue, client: Client) -> tuple[str, ...]:
    """Return what an app's manifest asks for, whatever of that a request names: the required ones always (`security-rules` 35)."""
    known = catalogue.scopes
    asks = {known[asked.scope].name: asked.required for asked in client.settings.asks if asked.scope in known}
    if scope is None:
        return tuple(asks)
    named = frozenset(scope.split(" "))
    beyond = sorted(named - asks.keys())
    if beyond:
        raise InvalidScope(f"the app's manifest does not ask for {printable(beyond[0])}: publish a version that does")
    return tuple([name for name, required in asks.items() if required or name in named])


def nothing_granted(decision: Decision) -> OAuthError:
    """Return the error for a decision that grants nothing: the user's doing or the client's (`decisions` §2)."""
    verdicts = {verdict for _, verdict in decision.refused}
    named = ", ".join(f"{printable(name)}: {verdict}" for name, verdict in decision.refused[:5])
    if verdicts & {Verdict.DECLINED_BY_USER}:
        return AccessDenied("the user declined every scope that was requested")
    if verdicts & {Verdict.ROLE_LACKS_SCOPE, Verdict.MEMBERSHIP_ENDED}:
        return AccessDenied("the user cannot give any of the requested scopes", why=named)
    return InvalidScope(f"none of the requested scopes can be given ({named})" if named else "no scope was requested")


def refusal(decision: Decision, client: Client, asked: Iterable[str]) -> OAuthError | None:
    """Return why a request is refused as a whole, or None: nothing is granted, or something that was asked for by name is denied
    and the client wants all or nothing (`security-rules` 31).
    """
    if not decision.granted:
        return nothing_granted(decision)
    names = frozenset(asked) if client.all_or_nothing else frozenset[str]()
    denied = tuple([(name, verdict) for name, verdict in decision.refused if name in names])
    if not denied:
        return None
    named = ", ".join(f"{printable(name)}: {verdict}" for name, verdict in denied[:5])
    users = any(verdict in _OF_THE_USER for _, verdict in denied)
    return (AccessDenied if users else InvalidScope)(f"this client wants all that it asks for, and not all can be given ({named})")


def printable(text: str) -> str:
    """Return text cut down to what an error_description may hold (RFC 6749 §5.2: no quote, no backslash, ASCII)."""
    kept = "".join(char for char in text[:60] if 0x20 <= ord(char) <= 0x7E and char not in '"\\')
    return kept or "(unprintable)"
