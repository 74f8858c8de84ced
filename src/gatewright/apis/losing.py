"""What tokens lose by a change of scopes and roles, for the APIs that may have JWTs which say more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.endings.book import narrowed
from gatewright.endings.records import Lost, Narrowing
from gatewright.ledger import narrowing
from gatewright.ledger.standing import FOR_ROLES
from gatewright.oauth.catalogue import ids_of

if TYPE_CHECKING:
    from gatewright.apis.book import RoleRow, ScopeRow, ScopeTerms
    from gatewright.audit.deed import Deed


class _Roles(Struct, frozen=True):
    roles: tuple[int, ...] = ()


_read_roles: Final = msgspec.json.Decoder(_Roles).decode


def implied(rows: list[ScopeRow], scopes: frozenset[int], now: int) -> frozenset[int]:
    """Return what roles give that hold some scopes: these and all that they imply, as far as they are given to anybody."""
    known = {row.id: row for row in rows if not row.over(now)}
    found, waiting = set[int](), list(scopes)
    while waiting:
        row = known.get(waiting.pop())
        if row is not None and row.id not in found:
            found.add(row.id)
            waiting += ids_of(row.implies)
    return frozenset(found)


async def with_scope(deed: Deed, before: ScopeRow, terms: ScopeTerms, rows: list[ScopeRow]) -> None:
    """Tell of what a change of a scope takes: what it implied, itself from clients with published credentials, its reach.

    `rows` are the tenant's scopes as they are after the change.
    """
    this, now = frozenset([before.id]), deed.at.now
    lost = implied([before if row.id == before.id else row for row in rows], this, now) - implied(rows, this, now)
    if (before.demo and not terms.demo) or (before.reach == "tenant" and terms.reach != "tenant"):
        lost |= this
    await narrowing.of_parties(deed.tx, deed.at, deed.tenant, lost)


async def with_role(deed: Deed, role: RoleRow, rows: list[ScopeRow]) -> None:
    """Tell of what goes with a role: what it held, its name, and all that was given to clients that are for those who have it."""
    tx, at, tenant = deed.tx, deed.at, deed.tenant
    await narrowing.of_parties(tx, at, tenant, implied(rows, ids_of(role.scopes), at.now))
    await narrowed(tx, at, Narrowing(tenant=tenant, lost=Lost(roles=(role.name,))))
    for client in await tx.all(FOR_ROLES, tenant=tenant):
        if role.id in _read_roles(client.settings).roles:
            await narrowed(tx, at, Narrowing(tenant=tenant, client=client.id))
