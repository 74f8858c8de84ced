"""Who of several nodes does a job: whoever took its lease, until it runs out."""

from __future__ import annotations

from typing import Final

from gatewright.store import Query, Store

_TAKE: Final = Query(
    str,
    """
    INSERT INTO deployment (name, value, until) VALUES (:name, :who, :until)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, until = excluded.until
        WHERE deployment.until <= :now OR deployment.value = excluded.value
    RETURNING value
    """,
)


async def take(store: Store, name: str, who: str, *, now: int, seconds: int) -> bool:
    """Take the lease of a job for so many seconds; tell whether it is ours. Taking one's own again prolongs it."""
    return await store.verb(_TAKE, name=f"job {name}", who=who, until=now + seconds, now=now) == who
