"""Live grants as an admin lists them, page by page: of one client, user or account, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.ledger.grants import Grant
from gatewright.ledger.target import MEANT, Target
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Store

NEWEST: Final = (1 << 63) - 1


COLUMNS: Final = "id, tenant, client, account, person, granted, declined, claims, source, made_at, changed_at, expires_at, acting"
LIST: Final = {
    way: Query(Grant, f"SELECT {COLUMNS} FROM consent_grant WHERE {meant} AND id < :before ORDER BY id DESC LIMIT :count")  # noqa: S608 - our own words
    for way, meant in MEANT.items()
}
WALK: Final = {
    way: Query(Grant, f"SELECT {COLUMNS} FROM consent_grant WHERE {meant} AND id > :after ORDER BY id LIMIT :count")  # noqa: S608 - our own words
    for way, meant in MEANT.items()
}


async def grants_of(
    store: Store, tenant: int, *, client: int = 0, person: int = 0, account: int = 0, before: int = NEWEST, count: int = 100
) -> list[Grant]:
    """Return live grants that were made before the one with the id `before`; 0 stands for every client, user or account."""
    target = Target(tenant=tenant, client=client, person=person, account=account)
    return await store.all(LIST[target.way], **target.args, before=before, count=count)
