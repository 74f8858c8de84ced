"""What the front door must know of a user and a client, each in one statement. Implements `oauth.visit.Consents`.

A membership, its account and what the client was given there are read together: reading them one after the other would cost an
authorization two statements more (`docs/decisions/0008`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.ledger.grants import Grants, giving_of
from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.visit import Given, Seat, Seats
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.visit import Consent
    from gatewright.store import Store


class _Row(Struct, frozen=True):
    total: int
    membership: int
    account: int
    account_epoch: int
    slug: str
    name: str
    roles: str
    chosen_at: int | None
    consent: int | None
    granted: str | None
    declined: str | None


class _SeatRow(Struct, frozen=True):
    membership: int
    account: int
    account_epoch: int
    slug: str
    name: str
    roles: str
    chosen_at: int | None


# The account that is named, or with none named the one chosen last; beside it how many there are.
SEAT: Final = Query(
    _Row,
    """SELECT (SELECT count(*) FROM membership AS o JOIN account AS b ON b.id = o.account
                WHERE o.person = m.person AND o.ended_at IS NULL AND b.disabled_at IS NULL AND b.deleted_at IS NULL),
              m.id, a.id, a.epoch, a.slug, a.name, m.roles, m.chosen_at, g.id, g.granted, g.declined
         FROM {each} membership AS m
              JOIN account AS a ON a.id = m.account
              LEFT JOIN consent_grant AS g ON g.tenant = m.tenant AND g.client = :client AND g.person = m.person
                                          AND g.account = m.account AND g.acting = 0 AND g.ended_at IS NULL
                                          AND (g.expires_at IS NULL OR g.expires_at > :now)
        WHERE m.id = (SELECT o.id FROM membership AS o JOIN account AS b ON b.id = o.account
                       WHERE o.person = :person AND o.tenant = :tenant AND o.ended_at IS NULL
                         AND b.tenant = :tenant AND b.disabled_at IS NULL AND b.deleted_at IS NULL
                         AND (b.id = :number OR :number = 0) AND (b.slug = :slug OR :slug = '')
                    ORDER BY coalesce(o.chosen_at, 0) DESC, o.id LIMIT 1)""",
    each={"person": int, "tenant": int, "client": int, "number": int, "slug": str, "now": int},
)
COUNT: Final = Query(
    int,
    """SELECT count(*) FROM membership AS m JOIN account AS a ON a.id = m.account
        WHERE m.person = :person AND m.tenant = :tenant AND m.ended_at IS NULL AND a.disabled_at IS NULL AND a.deleted_at IS NULL""",
)
EVERY_SEAT: Final = Query(
    _SeatRow,
    """SELECT m.id, a.id, a.epoch, a.slug, a.name, m.roles, m.chosen_at
         FROM membership AS m JOIN account AS a ON a.id = m.account
        WHERE m.person = :person AND m.tenant = :tenant AND m.ended_at IS NULL
          AND a.tenant = :tenant AND a.disabled_at IS NULL AND a.deleted_at IS NULL
     ORDER BY a.name, a.id""",
)
CHOOSE: Final = Query(None, "UPDATE membership SET chosen_at = :now WHERE id = :id AND person = :person AND ended_at IS NULL")


class RoomConsents:
    """The `Consents` port over a store and its grants."""

    __slots__ = ("_grants", "_store")

    def __init__(self, store: Store, grants: Grants) -> None:
        self._store = store
        self._grants = grants

    async def seats(self, tenant: int, client: int, person: int, *, number: int, slug: str, now: int) -> Seats:
        """Return the seat in the account of this number or slug; with neither, the one chosen last."""
        row = await self._store.one(SEAT, tenant=tenant, client=client, person=person, number=number, slug=slug, now=now)
        if row is None:
            # Whether there are other accounts is asked only where the picker could help.
            if not number and not slug:
                return Seats()
            return Seats(total=await self._store.one(COUNT, tenant=tenant, person=person) or 0)
        given = None if row.consent is None else Given(row.consent, ids_of(row.granted or ""), ids_of(row.declined or ""))
        seat = Seat(row.membership, row.account, row.account_epoch, row.slug, row.name, ids_of(row.roles), row.chosen_at, given)
        return Seats(seat, row.total)

    async def without_account(self, tenant: int, client: int, person: int, now: int) -> Given | None:
        """Return what was given outside any account."""
        grant = await self._grants.find(tenant, client, person, 0)
        return None if grant is None or grant.over(now) else Given(grant.id, grant.scopes, grant.declined_scopes)

    async def all_seats(self, tenant: int, person: int) -> tuple[Seat, ...]:
        """Return every account of a user, by name."""
        rows = await self._store.all(EVERY_SEAT, tenant=tenant, person=person)
        return tuple(
            [Seat(row.membership, row.account, row.account_epoch, row.slug, row.name, ids_of(row.roles), row.chosen_at) for row in rows]
        )

    async def choose(self, membership: int, person: int, now: int) -> None:
        """Remember the account that was picked last."""
        await self._store.verb(CHOOSE, id=membership, person=person, now=now)

    async def give(self, at: Moment, consent: Consent) -> Given:
        """Make or change a grant."""
        grant = await self._grants.give(at, giving_of(consent))
        return Given(grant.id, grant.scopes, grant.declined_scopes)
