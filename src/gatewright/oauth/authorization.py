"""The record of one approval, as one statement reads it: what was allowed, to whom, and whether all of them still stand."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from gatewright.oauth.catalogue import OPENID_API, Catalogue, Scope, ids_of, said
from gatewright.oauth.client import Client
from gatewright.oauth.decision import NOBODY, Bounds, Decision, Party, Verdict, decide

_KEPT: Final = 4096  # decisions in memory, a kilobyte each or less
Basis = tuple[bool, str | None, str, str | None, str | None]
"""What of a row decides: whether there is a user, the roles held in the account, the ceiling, and what was granted and declined."""

INSTALLED: Final = "install"  # how an app's authorization begins, in `opened_by`

EndedBecause = Literal[
    "withdrawn", "by_admin", "replay", "expired", "revoked", "signed_out", "user_disabled", "user_deleted", "account_disabled",
    "membership_ended", "client_disabled", "reinstalled", "uninstalled",
]  # fmt: skip


CLEANUP: Final = "install_cleanup"
"""The `opened_by` of what an app has after it was uninstalled."""


class Standing(Struct, frozen=True):
    """An authorization joined with its grant, user, account, membership, client and the mark of one token, as of now.

    `cleaning` is the installation where an app cleans up after it was uninstalled.

    Columns come in the order of `ledger.standing`. Lists of ids are stored texts; `*_drift` is the present epoch less the one
    copied when the row was opened, so that anything but 0 means "ended meanwhile"; it is None where there is no such party.
    `session_until` is when its session lapses if its browser does not come again.
    """

    id: int
    tenant: int
    issuer: str
    grant: int
    client: int
    person: int
    account: int
    membership: int
    session: int
    epoch: int
    scopes: str
    resources: str
    claims: str
    auth_time: int | None
    acr: str | None
    amr: str | None
    access_secret: str
    session_bound: int
    opened_at: int
    ended_at: int | None
    ended_because: str | None
    granted: str | None
    declined: str | None
    grant_expires_at: int | None
    grant_ended_at: int | None
    grant_ended_because: str | None
    client_disabled_at: int | None
    client_drift: int | None
    person_disabled_at: int | None
    person_drift: int | None
    person_email: str | None
    person_email_verified_at: int | None
    person_name: str | None
    person_profile: str | None
    membership_roles: str | None
    membership_ended_at: int | None
    account_slug: str | None
    account_disabled_at: int | None
    account_drift: int | None
    session_ended_at: int | None
    session_until: int | None
    marked: int | None
    standing_digest: str | None
    cleaning: int | None

    def fault(self, now: int) -> Verdict | None:
        """Return why nothing under this authorization is good any more, or None while it stands."""
        if self.ended_at is not None:
            return Verdict.GRANT_ENDED if self.ended_because in ("withdrawn", "replay", "by_admin") else Verdict.TOKEN_REVOKED
        if self.granted is None or self.grant_ended_at is not None:
            return Verdict.GRANT_ENDED
        if self.grant_expires_at is not None and self.grant_expires_at <= now:
            return Verdict.GRANT_ENDED
        if self.client_disabled_at is not None or self.client_drift != 0:
            return Verdict.CLIENT_DISABLED
        if self.person and (self.person_disabled_at is not None or self.person_drift != 0):
            return Verdict.USER_DISABLED
        if self.account and (self.account_disabled_at is not None or self.account_drift != 0):
            return Verdict.ACCOUNT_DISABLED
        if self.membership and (self.membership_roles is None or self.membership_ended_at is not None):
            return Verdict.MEMBERSHIP_ENDED
        if self.session_bound and (self.session_until is None or self.session_ended_at is not None or self.session_until <= now):
            return Verdict.TOKEN_REVOKED
        return None

    @property
    def party(self) -> Party:
        """Who stands behind it today, for the decision."""
        return party_of(user=self.person != 0, roles=self.membership_roles)

    @property
    def ceiling(self) -> frozenset[int]:
        """The scopes that this approval may ever yield."""
        return ids_of(self.scopes)

    def today(self, names: tuple[str, ...] | None, catalogue: Catalogue, client: Client) -> Decision:
        """Return today's decision on scope names, or on all of the ceiling, within this authorization and its grant."""
        return _today(names, catalogue, client, self._basis)

    def allowed(self, api: int, names: tuple[str, ...] | None, catalogue: Catalogue, client: Client) -> Allowed:
        """Return what of today's decision a token for one API has."""
        return _allowed(api, names, catalogue, client, self._basis)

    @property
    def _basis(self) -> Basis:
        return (self.person != 0, self.membership_roles, self.scopes, self.granted, self.declined)


class Redeemable(Standing, frozen=True):
    """An authorization with that by which its code and its refresh tokens are judged; the mark is not asked for."""

    nonce: str | None
    code_digest: str | None
    code_expires_at: int | None
    code_challenge: str | None
    redirect_uri: str | None
    code_used_by: str | None
    refresh_secret: str | None
    generation: int
    rotated_at: int | None
    refresh_idle_until: int | None
    refresh_until: int | None


class Allowed(Struct, frozen=True):
    """The scopes of a token at its API, OpenID's among them, and the same as texts: all, the API's own, those that need no account."""

    scopes: tuple[Scope, ...]
    scope: str
    own: str
    reach: str


# The decision is pure, and the same few are asked for again and again: the same client, roles, consent and scopes. A snapshot of the
# catalogue or of a client is a key by what it is, not by what it says, so whatever an admin changes is decided anew.
def decided(names: tuple[str, ...] | None, catalogue: Catalogue, client: Client, basis: Basis) -> Decision:
    """Return the decision on scope names, or on all of the ceiling, for what a row decides by."""
    user, roles, scopes, granted, declined = basis
    if names is None:
        names = tuple(catalogue.names(ids_of(scopes)))
    party, only = party_of(user=user, roles=roles), client.settings.roles
    if only and party.user and not party.roles.intersection(only):
        # The client is for users with these roles, and this one has none of them any more (`decisions` §2).
        return Decision((), tuple([(name, Verdict.ROLE_LACKS_SCOPE) for name in dict.fromkeys(names)]))
    bounds = Bounds(consented=ids_of(granted or ""), declined=ids_of(declined or ""), ceiling=ids_of(scopes))
    return decide(names, catalogue, client, party, bounds)


_today = lru_cache(maxsize=_KEPT)(decided)


@lru_cache(maxsize=_KEPT)
def _allowed(api: int, names: tuple[str, ...] | None, catalogue: Catalogue, client: Client, basis: Basis) -> Allowed:
    granted = _today(names, catalogue, client, basis).granted
    kept = tuple([scope for scope in granted if scope.api in (api, OPENID_API)])
    return Allowed(
        kept,
        said(kept),
        said([scope for scope in kept if scope.api == api]),
        said([scope for scope in kept if scope.reach == "tenant"]),
    )


def role_names(standing: Standing, catalogue: Catalogue, client: Client) -> tuple[str, ...]:
    """Return the names of the roles that the user has in the account today, as far as the client is for them (RFC 9068 §2.2.3.1)."""
    party, only = standing.party, client.settings.roles
    held = [role.name for role in catalogue.roles.values() if role.id in party.roles and (not only or role.id in only)]
    return tuple(sorted(held))


def party_of(*, user: bool, roles: str | None) -> Party:
    """Return who stands behind an authorization; `roles` is the stored text of the membership, None where there is none."""
    if not user:
        return NOBODY
    return Party(user=True, member=roles is not None, roles=ids_of(roles) if roles else frozenset())


class CodeTerms(Struct, frozen=True, kw_only=True):
    """What the code of a new authorization is bound to (RFC 6749 §4.1.3, RFC 7636 §4.4)."""

    digest: str
    expires_at: int
    challenge: str | None
    redirect_uri: str | None


class NewAuthorization(Struct, frozen=True, kw_only=True):
    """An authorization about to be opened under a live grant. The epochs are those of the parties as they were read."""

    id: int
    tenant: int
    issuer: str
    opened_by: str
    grant: int
    client: int
    client_epoch: int
    person: int = 0
    person_epoch: int = 0
    account: int = 0
    account_epoch: int = 0
    membership: int = 0
    session: int = 0
    session_bound: bool = False
    scopes: frozenset[int] = frozenset()
    resources: tuple[str, ...] = ()
    claims: str = ""
    nonce: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    amr: str | None = None
    access_secret: str
    refresh_secret: str | None = None
    refresh_idle_until: int | None = None
    refresh_until: int | None = None
    code: CodeTerms | None = None
    opened_at: int
    sweep_at: int
