"""What is counted in memory reaches the store once, and a store that is away loses nothing of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import pytest

from gatewright.audit import usage
from gatewright.audit.usage import BATCH as BATCH_OF_COUNTS
from gatewright.audit.usage import DAY, Counters, last_used, watch_name
from gatewright.jobs.sweep import BATCH, COUNTS_KEPT, sweep
from gatewright.oauth.report_only import Breach
from gatewright.store import OutcomeUnknown, Query, Store, StoreError
from tests.support.engines import Nodes

NOW = 1_900_000_000
_WATCHED: Final = Query(
    None,
    """INSERT INTO watched_rule (name, tenant, client, rule, since, total, example) VALUES (:name, 1, 7, 'pkce', 1, 0, '')""",
)


async def total(store: Store, event: str = "introspected") -> int | None:
    return await store.one(Query(int, "SELECT CAST(SUM(total) AS BIGINT) FROM usage_count WHERE event = :event"), event=event)


async def test_events_are_added_up_by_day(store: Store) -> None:
    counters = Counters()
    for now in (NOW, NOW + 1, NOW + DAY):
        counters.count("introspected", 1, 7)
        counters.count("introspected", 1, 7)
        assert await counters.flush(store, now) == 1
    assert await total(store) == 6
    assert await store.all(Query(int, "SELECT total FROM usage_count ORDER BY day")) == [4, 2]
    assert await last_used(store, 1, 7, "introspected") == NOW + DAY


async def test_nothing_counted_is_nothing_written(store: Store) -> None:
    assert await Counters().flush(store, NOW) == 0
    assert await last_used(store, 1, 7, "introspected") is None


async def test_tenants_are_counted_apart(store: Store) -> None:
    counters = Counters()
    counters.count("introspected", 1, 7)
    counters.count("introspected", 2, 7)
    assert await counters.flush(store, NOW) == 2
    assert await last_used(store, 3, 7, "introspected") is None


async def test_what_could_not_be_written_is_written_the_next_time(nodes: Nodes) -> None:
    closed, store = await nodes(), await nodes()
    await closed.close()
    counters = Counters()
    for subject in range(450):
        counters.count("introspected", 1, subject)
    with pytest.raises(StoreError):
        await counters.flush(closed, NOW)
    counters.count("introspected", 1, 0)
    await counters.flush(store, NOW)
    assert await total(store) == 451


class UnsureStore:
    """A store whose connection is lost at each commit, which had come through."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def run(self, unit: Callable[..., Awaitable[object]], *args: object) -> None:
        await self._store.run(unit, *args)
        raise OutcomeUnknown("the connection was lost while committing")


async def test_what_may_have_been_written_is_not_counted_twice(store: Store) -> None:
    counters, unsure = Counters(), cast("Store", UnsureStore(store))
    for subject in range(2 * BATCH_OF_COUNTS + 1):
        counters.count("introspected", 1, subject)
    with pytest.raises(OutcomeUnknown):
        await counters.flush(unsure, NOW)
    await counters.flush(store, NOW)
    assert await total(store) == 2 * BATCH_OF_COUNTS + 1


async def test_neither_is_what_would_have_been_refused(store: Store) -> None:
    counters, unsure = Counters(), cast("Store", UnsureStore(store))
    await store.run(lambda tx: tx.do(_WATCHED, name=watch_name(1, 7, "pkce")))
    counters.would_refuse(1, 7, Breach("pkce", "no code_challenge"))
    with pytest.raises(OutcomeUnknown):
        await counters.flush(unsure, NOW)
    await counters.flush(store, NOW)
    assert await store.one(Query(int, "SELECT total FROM watched_rule")) == 1


async def test_strangers_cannot_make_the_memory_grow(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "KINDS_KEPT", 3)
    counters = Counters()
    for subject in (1, 2, 3, 4, 5, 1):
        counters.count("introspected", 1, subject)
    assert await counters.flush(store, NOW) == 3
    assert await total(store) == 4


async def test_counts_of_last_year_are_swept_by_whole_days(store: Store) -> None:
    counters = Counters()
    midnight = NOW // DAY * DAY
    for now in (midnight - 1, midnight, NOW):
        counters.count("introspected", 1, 7)
        await counters.flush(store, now)
    assert await total(store) == 3
    assert await sweep(store, midnight - 1 + COUNTS_KEPT) == {}
    assert await sweep(store, midnight + COUNTS_KEPT) == {"usage_count": 1}
    assert await store.all(Query(int, "SELECT day FROM usage_count")) == [midnight // DAY]
    assert await last_used(store, 1, 7, "introspected") == NOW


async def test_a_sweep_of_many_counts_goes_in_batches(store: Store) -> None:
    counters = Counters()
    for subject in range(BATCH + 1):
        counters.count("introspected", 1, subject)
    await counters.flush(store, NOW)
    assert await sweep(store, NOW + COUNTS_KEPT + DAY) == {"usage_count": BATCH + 1}
