"""Counts what happens a thousand times a second: in memory, added to the store in batches, lost for seconds at a crash."""

from __future__ import annotations

from typing import Final

from gatewright.store import Query, Store, StoreError, Tx

DAY: Final = 86_400
KINDS_KEPT: Final = 50_000  # distinct counters between two flushes; beyond that new ones are not counted

_ADD: Final = Query(
    None,
    """
    INSERT INTO usage_count (name, tenant, event, subject, day, total, last_at)
    VALUES (:name, :tenant, :event, :subject, :day, :total, :now)
        ON CONFLICT (name) DO UPDATE SET total = usage_count.total + excluded.total, last_at = excluded.last_at
    """,
)
_LAST: Final = Query(int, "SELECT MAX(last_at) FROM usage_count WHERE tenant = :tenant AND subject = :subject AND event = :event")


class Counters:
    """The counters of one process; `count` costs a dict access."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, int], int] = {}

    def count(self, event: str, tenant: int, subject: int) -> None:
        """Count one event of a client, API or grant."""
        key = (event, tenant, subject)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < KINDS_KEPT:
            counts[key] = 1

    async def flush(self, store: Store, now: int) -> int:
        """Add what was counted to the store; return how many counters that were. What cannot be written is counted again later."""
        taken, self._counts = self._counts, {}
        waiting = sorted(taken.items())
        while waiting:
            part, waiting = waiting[:200], waiting[200:]
            try:
                await store.run(_add, part, now)
            except StoreError:
                for key, total in part + waiting:
                    self._counts[key] = self._counts.get(key, 0) + total
                raise
        return len(taken)


async def _add(tx: Tx, part: list[tuple[tuple[str, int, int], int]], now: int) -> None:
    day = now // DAY
    for (event, tenant, subject), total in part:
        name = f"{tenant}/{event}/{subject}/{day}"
        await tx.do(_ADD, name=name, tenant=tenant, event=event, subject=subject, day=day, total=total, now=now)


async def last_used(store: Store, tenant: int, subject: int, event: str) -> int | None:
    """Return when an event of a subject was last counted, or None."""
    return await store.one(_LAST, tenant=tenant, subject=subject, event=event)
