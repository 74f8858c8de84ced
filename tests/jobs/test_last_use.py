"""When a grant was last used is noted in memory, written in batches, and never goes back."""

from __future__ import annotations

import pytest

from gatewright.ledger import last_use
from gatewright.ledger.last_use import FINE, LastUse
from gatewright.store import Query, Store, StoreError
from tests.jobs.test_sweep import _GRANT, put
from tests.support.engines import Nodes

NOW = 1_900_000_000


async def grants(store: Store, *numbers: int) -> None:
    for number in numbers:
        await put(store, _GRANT, id=number, expires_at=None, ended_at=None)


async def used_at(store: Store) -> list[int | None]:
    found = await store.all(Query(int, "SELECT COALESCE(used_at, 0) FROM consent_grant ORDER BY id"))
    return [at or None for at in found]


async def test_the_latest_use_is_written(store: Store) -> None:
    await grants(store, 1, 2, 3)
    uses = LastUse()
    for at in (NOW, NOW + 5):
        uses.used(1, at)
    uses.used(2, NOW)
    assert await uses.flush(store) == 2
    assert await used_at(store) == [NOW + 5, NOW, None]
    assert await uses.flush(store) == 0


async def test_what_is_used_all_the_time_is_written_once_an_hour(store: Store) -> None:
    await grants(store, 1)
    uses = LastUse()
    written = 0
    for at in range(NOW, NOW + 3 * FINE, 60):
        uses.used(1, at)
        written += await uses.flush(store)
    assert written == 3
    assert await used_at(store) == [NOW + 2 * FINE]


async def test_another_node_that_saw_a_later_use_is_right(nodes: Nodes) -> None:
    one, other = await nodes(), await nodes()
    await grants(one, 1)
    early, late = LastUse(), LastUse()
    early.used(1, NOW)
    late.used(1, NOW + 9)
    await late.flush(other)
    await early.flush(one)
    assert await used_at(one) == [NOW + 9]


async def test_what_could_not_be_written_is_written_the_next_time(nodes: Nodes) -> None:
    closed, store = await nodes(), await nodes()
    await grants(store, 1, 2)
    await closed.close()
    uses = LastUse()
    uses.used(1, NOW)
    uses.used(2, NOW)
    with pytest.raises(StoreError):
        await uses.flush(closed)
    uses.used(1, NOW + 1)
    assert await uses.flush(store) == 2
    assert await used_at(store) == [NOW + 1, NOW]


async def test_the_memory_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_use, "MOST", 3)
    await grants(store, *range(1, 6))
    uses = LastUse()
    for _ in range(2):
        for number in range(1, 6):
            uses.used(number, NOW)
    assert await uses.flush(store) == 3
    assert await used_at(store) == [NOW, NOW, NOW, None, None]
    for number in range(3, 6):
        uses.used(number, NOW + 1)
    assert await uses.flush(store) == 2, "the third was written a second ago"
    assert await used_at(store) == [NOW, NOW, NOW, NOW + 1, NOW + 1]


async def test_a_grant_that_is_gone_is_no_fault(store: Store) -> None:
    uses = LastUse()
    uses.used(404, NOW)
    assert await uses.flush(store) == 1
