"""Who is at the browser and where they may act, as the front door reads it; and the ports through which it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gatewright.oauth.decision import Party

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import World


class Visitor(Struct, frozen=True):
    """A user and the session in which they are signed in, both alive; `person_epoch` as it is now."""

    session: int
    person: int
    person_epoch: int
    email: str
    name: str
    auth_time: int
    acr: str
    amr: str
    proof: str
    """The digest of the cookie: what a form of this session is bound to."""


class Given(Struct, frozen=True):
    """The live grant of a client for a user in an account: what was said yes to, and what no."""

    id: int
    granted: frozenset[int]
    declined: frozenset[int]


class Seat(Struct, frozen=True):
    """A user's membership in an account, with what the client was given there."""

    membership: int
    account: int
    account_epoch: int
    slug: str
    name: str
    roles: frozenset[int]
    chosen_at: int | None = None
    given: Given | None = None

    @property
    def party(self) -> Party:
        """Who this is for the decision."""
        return Party(user=True, member=True, roles=self.roles)


class Seats(Struct, frozen=True):
    """The seat that a request would use (the one it names, else the one chosen last), and how many there are in all.

    `given` is what was given without any account.
    """

    seat: Seat | None = None
    total: int = 0
    given: Given | None = None


class Consent(Struct, frozen=True, kw_only=True):
    """What a user says yes and no to. `asked` is False where nobody was asked because the client is trusted.

    `handed_out` tells of a service user, whose account's admin gave its password to the client and thereby the consent. `exact` puts it
    in the place of all that was said before.
    """

    tenant: int
    client: int
    person: int
    account: int
    granted: frozenset[int]
    declined: frozenset[int] = frozenset()
    asked: bool = True
    handed_out: bool = False
    exact: bool = False


class Visits(Protocol):
    """Who is at the browser (`signin` implements it)."""

    async def find(self, issuer: Issuer, cookie: str, at: Moment) -> Visitor | None:
        """Return whose session a cookie is, if it and its user are alive at this issuer. One statement."""


class Consents(Protocol):
    """What users gave to clients, and where they may act (`consents` implements it)."""

    async def seats(self, tenant: int, client: int, person: int, *, number: int, slug: str, now: int) -> Seats:
        """Return the seat in the account of this number or slug; with neither, the one chosen last. One statement."""

    async def without_account(self, tenant: int, client: int, person: int, now: int) -> Given | None:
        """Return what was given outside any account. One statement."""

    async def all_seats(self, tenant: int, person: int) -> tuple[Seat, ...]:
        """Return every account of a user, for the picker."""

    async def choose(self, membership: int, person: int, now: int) -> None:
        """Remember the account that was picked last."""

    async def give(self, at: Moment, consent: Consent) -> Given:
        """Make or change a grant, with its entry in the audit log."""


@dataclass(frozen=True, slots=True)
class Front:
    """All that the browser flow may await."""

    world: World
    visits: Visits
    consents: Consents
