"""What the rules that are only tried out would have refused, client by client (`oauth.report_only`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.usage import watch_name
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.oauth.client import ClientSettings
    from gatewright.store import Store, Tx


class Watch(Struct, frozen=True):
    """A rule that a client is watched for. With a `total` of 0 nothing would have been refused since `since`."""

    client: int
    client_id: str
    rule: str
    since: int
    total: int
    last_at: int | None
    example: str


LIST: Final = Query(
    Watch,
    """SELECT w.client, c.client_id, w.rule, w.since, w.total, w.last_at, w.example
         FROM watched_rule AS w JOIN client AS c ON c.id = w.client
        WHERE w.tenant = :tenant AND (CAST(:client AS BIGINT) = 0 OR w.client = :client)
     ORDER BY c.client_id, w.rule""",
)
_BEGIN: Final = Query(
    None,
    """INSERT INTO watched_rule (name, tenant, client, rule, since, total, example)
       VALUES (:name, :tenant, :client, :rule, :now, 0, '') ON CONFLICT (name) DO NOTHING""",
)
_STOP: Final = Query(None, "DELETE FROM watched_rule WHERE name = :name")


async def watches(store: Store | Tx, tenant: int, *, client: int = 0) -> list[Watch]:
    """Return what is tried out in a tenant, or with one client."""
    return await store.all(LIST, tenant=tenant, client=client)


async def watch(deed: Deed, client: int, before: ClientSettings | None, after: ClientSettings) -> None:
    """Begin to count what was named in `report_only` just now, and forget what is named there no longer."""
    old, new = frozenset(before.report_only if before is not None else ()), frozenset(after.report_only)
    for rule in sorted(new - old):
        await deed.tx.do(_BEGIN, name=watch_name(deed.tenant, client, rule), tenant=deed.tenant, client=client, rule=rule, now=deed.at.now)
    for rule in sorted(old - new):
        await deed.tx.do(_STOP, name=watch_name(deed.tenant, client, rule))
