"""Live grants as an admin lists them: page by page, latest first, of one client, one user, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.ledger.grants import Grant
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Store

NEWEST: Final = (1 << 63) - 1
LIST: Final = Query(
    Grant,
    """SELECT id, tenant, client, account, person, granted, declined, claims, source, made_at, changed_at, expires_at, acting
         FROM consent_grant
        WHERE tenant = :tenant AND ended_at IS NULL AND id < :before
          AND (CAST(:client AS BIGINT) = 0 OR client = :client) AND (CAST(:person AS BIGINT) = 0 OR person = :person)
     ORDER BY id DESC LIMIT :count""",
)


async def grants_of(store: Store, tenant: int, *, client: int = 0, person: int = 0, before: int = NEWEST, count: int = 100) -> list[Grant]:
    """Return live grants that were made before the one with the id `before`; 0 stands for every client or user."""
    return await store.all(LIST, tenant=tenant, client=client, person=person, before=before, count=count)
