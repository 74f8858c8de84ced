"""What APIs hear by their feeds of a grant that ends: its authorizations, since a token names its authorization and not its grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.endings.book import all_ended, ended
from gatewright.endings.records import Ending
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.ledger.telling import Ended
    from gatewright.store import Tx

MOST: Final = 2000  # authorizations that are named one by one: each sign-in to an app is one

UNDER: Final = Query(
    int, "SELECT id FROM authorization_row WHERE consent_grant = :grant AND tenant = :tenant AND ended_at IS NULL ORDER BY id LIMIT :count"
)
# A token with which an app cleans up names its installation, and no user.
OF_CLEANUPS: Final = Query(
    int,
    """SELECT a.id FROM authorization_row AS a
        WHERE a.tenant = :tenant AND a.ended_at IS NULL AND a.consent_grant IN (
              SELECT g.id FROM consent_grant AS g
               WHERE g.tenant = :tenant AND g.person = :person AND g.source = 'cleanup' AND g.ended_at = :now)
     ORDER BY a.id""",
)
UNDER_SOME: Final = Query(
    int,
    """SELECT a.id FROM authorization_row AS a
        WHERE a.tenant = :tenant AND a.ended_at IS NULL AND a.consent_grant IN (
              SELECT g.id FROM consent_grant AS g
               WHERE g.tenant = :tenant AND g.id >= :first AND g.id <= :last AND g.ended_at = :now)
     ORDER BY a.id""",
)


async def of_grant(tx: Tx, at: Moment, tenant: int, grant: Ended) -> None:
    """Tell of a grant that has just ended. A part of a unit of work."""
    under = await tx.all(UNDER, grant=grant.id, tenant=tenant, count=MOST + 1)
    if len(under) <= MOST or not grant.person:
        await all_ended(tx, at, tenant, under)
    else:
        # Too many to name: all of the app for this user in this account, under whatever grant.
        await ended(tx, at, Ending(tenant=tenant, client=grant.client, person=grant.person, account=grant.account))


async def of_parties(tx: Tx, at: Moment, tenant: int, *, client: int = 0, person: int = 0, account: int = 0) -> None:
    """Tell that every grant of these parties together has just ended, by one row. A part of a unit of work."""
    await ended(tx, at, Ending(tenant=tenant, client=client, person=person, account=account))
    if person:
        await all_ended(tx, at, tenant, await tx.all(OF_CLEANUPS, tenant=tenant, person=person, now=at.now))


async def of_grants(tx: Tx, at: Moment, tenant: int, grants: list[int]) -> None:
    """Tell of several grants that have just ended. A part of a unit of work."""
    if grants:
        under = await tx.all(UNDER_SOME, tenant=tenant, first=min(grants), last=max(grants), now=at.now)
        await all_ended(tx, at, tenant, under)
