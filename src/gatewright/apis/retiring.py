"""Scopes that go on their day, by themselves: nobody does anything then, so the APIs with JWTs that carry them are told by a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.apis import losing
from gatewright.apis.book import scopes_of
from gatewright.endings.records import KEPT
from gatewright.ledger import narrowing
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Clock, Moment
    from gatewright.store import Store, Tx

BATCH: Final = 100  # scopes in one look; many may have the same day


class _Due(Struct, frozen=True):
    """A scope whose last day is over. `name` is that of the mark which says that this was told."""

    id: int
    tenant: int
    retires_at: int
    name: str


_NAME: Final = "CAST(s.tenant AS TEXT) || ':retired:' || CAST(s.id AS TEXT) || ':' || CAST(s.retires_at AS TEXT)"
# Of what went earlier no JWT lives.
_DUE: Final = Query(
    _Due,
    f"""SELECT s.id, s.tenant, s.retires_at, {_NAME} FROM scope AS s
         WHERE s.retires_at <= :now AND s.retires_at > :since AND s.retired_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM mark AS k WHERE k.name = {_NAME})
      ORDER BY s.retires_at, s.id LIMIT {BATCH}""",  # noqa: S608 - our own words
)
_TOLD: Final = Query(
    None, "INSERT INTO mark (name, tenant, attempt, until) VALUES (:name, :tenant, '', :until) ON CONFLICT (name) DO NOTHING"
)


async def retire_due(store: Store, clock: Clock) -> int:
    """Tell of the scopes that went since the last look, by whichever process looks first; return how many."""
    at, told = clock.moment(), 0
    while due := await store.all(_DUE, now=at.now, since=at.now - KEPT):
        told += await store.run(_tell, at, due)
    return told


async def _tell(tx: Tx, at: Moment, due: list[_Due]) -> int:
    told = 0
    for one in due:
        if await tx.do(_TOLD, name=one.name, tenant=one.tenant, until=one.retires_at + 2 * KEPT):
            told += 1
            # With it goes what roles had through it alone.
            lost = losing.implied(await scopes_of(tx, one.tenant), frozenset([one.id]), one.retires_at - 1)
            await narrowing.of_parties(tx, at, one.tenant, lost)
    return told
