"""What APIs hear by their feeds of access that becomes less and goes on: each of its own scopes, by the names that tokens carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.endings.book import narrowed
from gatewright.endings.records import ANYTHING, Lost, Narrowing
from gatewright.ledger.dying import MOST, UNDER
from gatewright.ledger.standing import NAMES
from gatewright.store import Query

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatewright.base.moment import Moment
    from gatewright.ledger.target import Target
    from gatewright.store import Tx

# A token with which an app cleans up names its installation, and no user.
_CLEANING: Final = Query(
    int,
    """SELECT a.id FROM authorization_row AS a
        WHERE a.tenant = :tenant AND a.ended_at IS NULL AND a.consent_grant IN (
              SELECT g.id FROM consent_grant AS g
               WHERE g.tenant = :tenant AND g.person = :person AND g.source = 'cleanup' AND g.ended_at IS NULL)
     ORDER BY a.id""",
)


async def of_parties(
    tx: Tx,
    at: Moment,
    tenant: int,
    scopes: Collection[int],
    *,
    authorizations: tuple[int, ...] = (),
    client: int = 0,
    person: int = 0,
    account: int = 0,
) -> None:
    """Tell that tokens of these parties together, 0 standing for any, lost some scopes. A part of a unit of work.

    An API hears of its own. Those that every tenant has are at none that verifies by itself.
    """
    lost: dict[int, list[str]] = {}
    for row in await tx.all(NAMES, tenant=tenant) if scopes else []:
        if row.scope in scopes:
            lost.setdefault(row.api, []).append(row.name)
    for api in sorted(lost):
        of = Narrowing(
            tenant=tenant,
            authorizations=authorizations,
            api=api,
            client=client,
            person=person,
            account=account,
            lost=Lost(scopes=tuple(lost[api])),
        )
        await narrowed(tx, at, of)


async def of_grant(tx: Tx, at: Moment, tenant: int, grant: int, scopes: Collection[int]) -> None:
    """Tell of a grant that lost some scopes, by its authorizations. A part of a unit of work."""
    under = await tx.all(UNDER, grant=grant, tenant=tenant, count=MOST + 1)
    if len(under) > MOST:
        # Too many to name: whoever has these scopes is asked about, for the life of a token.
        await of_parties(tx, at, tenant, scopes)
    elif under:
        await of_parties(tx, at, tenant, scopes, authorizations=tuple(under))


async def of_ending_sooner(tx: Tx, at: Moment, tenant: int, grant: int) -> None:
    """Tell of a grant that got an earlier end than tokens may know of, so that they are asked about. A part of a unit of work."""
    under = await tx.all(UNDER, grant=grant, tenant=tenant, count=MOST + 1)
    if under:
        few = tuple(under) if len(under) <= MOST else ()
        await narrowed(tx, at, Narrowing(tenant=tenant, authorizations=few, lost=ANYTHING))


async def of_target(tx: Tx, at: Moment, target: Target, scopes: Collection[int]) -> None:
    """Tell of many grants that lost some scopes, by what they have in common. A part of a unit of work."""
    if target.grant:
        await of_grant(tx, at, target.tenant, target.grant, scopes)
        return
    await of_parties(tx, at, target.tenant, scopes, client=target.client, person=target.person, account=target.account)
    if target.person:
        cleaning = await tx.all(_CLEANING, tenant=target.tenant, person=target.person)
        if cleaning:
            await of_parties(tx, at, target.tenant, scopes, authorizations=tuple(cleaning))
