"""Counts what happens a thousand times a second: in memory, added to the store in batches, lost for seconds at a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from gatewright.store import OutcomeUnknown, Query, Store, StoreError, Tx

if TYPE_CHECKING:
    from gatewright.oauth.report_only import Breach

T = TypeVar("T")

DAY: Final = 86_400
BATCH: Final = 200  # rows a transaction
KINDS_KEPT: Final = 50_000  # distinct counters between two flushes; beyond that new ones are not counted

_ADD: Final = Query(
    None,
    """
    INSERT INTO usage_count (name, tenant, event, subject, day, total, last_at)
    VALUES (:name, :tenant, :event, :subject, :day, :total, :now)
        ON CONFLICT (name) DO UPDATE SET total = usage_count.total + excluded.total, last_at = excluded.last_at
    """,
)
# Nothing is counted for a rule that is tried out no longer: its row is gone.
_WOULD_REFUSE: Final = Query(
    None,
    "UPDATE watched_rule SET total = total + :total, last_at = :now, example = :example WHERE name = :name",
)
_LAST_USE: Final = Query(
    int,
    """SELECT MAX(last_at) FROM usage_count
        WHERE tenant = :tenant AND subject = :client
          AND event IN ('authorization_code', 'refresh_token', 'client_credentials', 'password', 'introspected', 'verified',
                        'urn:ietf:params:oauth:grant-type:device_code')""",
)
_LAST: Final = Query(int, "SELECT MAX(last_at) FROM usage_count WHERE tenant = :tenant AND subject = :subject AND event = :event")


class Counters:
    """The counters of one process; `count` costs a dict access."""

    __slots__ = ("_breaches", "_counts")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, int], int] = {}
        self._breaches: dict[str, tuple[int, str]] = {}

    def count(self, event: str, tenant: int, subject: int) -> None:
        """Count one event of a client, API or grant."""
        key = (event, tenant, subject)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < KINDS_KEPT:
            counts[key] = 1

    def would_refuse(self, tenant: int, client: int, breach: Breach) -> None:
        """Count what passed only because its rule is tried out with this client."""
        name = watch_name(tenant, client, breach.rule)
        total = self._breaches.get(name, (0, ""))[0]
        if total or len(self._breaches) < KINDS_KEPT:
            self._breaches[name] = (total + 1, breach.example)

    async def flush(self, store: Store, now: int) -> int:
        """Add what was counted to the store; return how many counters that were. What was not written is counted again later."""
        return await self._flush_breaches(store, now) + await self._flush_counts(store, now)

    async def _flush_breaches(self, store: Store, now: int) -> int:
        taken, self._breaches = self._breaches, {}
        waiting = sorted(taken.items())
        while waiting:
            part, waiting = waiting[:BATCH], waiting[BATCH:]
            try:
                await store.run(_add_breaches, part, now)
            except StoreError as fault:
                for name, (total, example) in _unwritten(fault, part) + waiting:
                    later = self._breaches.get(name, (0, example))
                    self._breaches[name] = (later[0] + total, later[1])
                raise
        return len(taken)

    async def _flush_counts(self, store: Store, now: int) -> int:
        taken, self._counts = self._counts, {}
        waiting = sorted(taken.items())
        while waiting:
            part, waiting = waiting[:BATCH], waiting[BATCH:]
            try:
                await store.run(_add, part, now)
            except StoreError as fault:
                for key, total in _unwritten(fault, part) + waiting:
                    self._counts[key] = self._counts.get(key, 0) + total
                raise
        return len(taken)


def _unwritten(fault: StoreError, part: list[T]) -> list[T]:
    """Return what of a part is counted again later: nothing where it may have been written, since too few is better than twice."""
    return [] if isinstance(fault, OutcomeUnknown) else part


async def _add(tx: Tx, part: list[tuple[tuple[str, int, int], int]], now: int) -> None:
    day = now // DAY
    for (event, tenant, subject), total in part:
        name = f"{tenant}/{event}/{subject}/{day}"
        await tx.do(_ADD, name=name, tenant=tenant, event=event, subject=subject, day=day, total=total, now=now)


async def _add_breaches(tx: Tx, part: list[tuple[str, tuple[int, str]]], now: int) -> None:
    for name, (total, example) in part:
        await tx.do(_WOULD_REFUSE, name=name, total=total, example=example, now=now)


def watch_name(tenant: int, client: int, rule: str) -> str:
    """Return the name under which a rule that a client is watched for is counted."""
    return f"{tenant}/{client}/{rule}"


async def last_use(store: Store | Tx, tenant: int, client: int) -> int | None:
    """Return when a client last got a token or had one looked at, or None."""
    return await store.one(_LAST_USE, tenant=tenant, client=client)


async def last_used(store: Store | Tx, tenant: int, subject: int, event: str) -> int | None:
    """Return when an event of a subject was last counted, or None."""
    return await store.one(_LAST, tenant=tenant, subject=subject, event=event)
