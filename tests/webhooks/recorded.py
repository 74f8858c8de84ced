"""What the outbox holds."""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.store import Query, Store
from gatewright.webhooks.records import EventRow

EVERY = Query(
    EventRow,
    """SELECT id, client, type, data, at, state, since, tries, next_at, last_at, last_outcome, last_status
         FROM webhook_event ORDER BY client, id, type""",
)


async def recorded(store: Store, *, client: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Every event in order: its type and its data."""
    return [(row.type, msgspec.json.decode(row.data)) for row in await rows(store) if client in (0, row.client)]


async def rows(store: Store) -> list[EventRow]:
    """Every event as it is kept."""
    return await store.all(EVERY)
