"""The change feed: every node hears every commit, in order, and knows when it may not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median

import asyncpg
import pytest

from gatewright.store import Change, ChangeFeed, Query, Store, StoreError, Tx, announce
from tests.store.things import ADD_ALONE, COUNT
from tests.support.engines import Nodes

SWEEP = Query(None, "DELETE FROM change")
REWIND = Query(None, "UPDATE change_head SET head = 3 WHERE id = 1")
BEHEAD = Query(None, "DELETE FROM change_head")

Feeds = Callable[[Store], Awaitable["Ear"]]


class Ear:
    """A feed and what it heard."""

    def __init__(self, feed: ChangeFeed) -> None:
        self.feed = feed
        self.heard: list[Change] = []
        self.gaps = 0
        self.news = asyncio.Event()
        feed.on_change(self.hear)
        feed.on_gap(self.gap)

    def hear(self, change: Change) -> None:
        self.heard.append(change)
        self.news.set()

    def gap(self) -> None:
        self.gaps += 1
        self.news.set()

    @property
    def subjects(self) -> list[int]:
        return [change.subject for change in self.heard]

    async def until(self, count: int) -> None:
        """Waits until that many changes and gaps were heard."""
        async with asyncio.timeout(10):
            while len(self.heard) + self.gaps < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def feeds() -> AsyncIterator[Feeds]:
    opened: list[ChangeFeed] = []

    async def listen(store: Store) -> Ear:
        ear = Ear(ChangeFeed(store))
        opened.append(ear.feed)
        await ear.feed.start()
        return ear

    yield listen
    for feed in opened:
        await feed.close()


async def tell(tx: Tx, subject: int) -> None:
    await tx.do(ADD_ALONE, id=subject, name="x", n=0)
    await announce(tx, tenant=1, kind="client", subject=subject, at=5)


async def test_every_node_hears_every_change_once_and_in_order(store: Store, nodes: Nodes, feeds: Feeds) -> None:
    other = await nodes()
    ears = [await feeds(store), await feeds(other)]
    await asyncio.gather(*[(store, other)[n % 2].run(tell, n) for n in range(10, 40)])
    for ear in ears:
        await ear.until(30)
        assert [change.seq for change in ear.heard] == list(range(1, 31))
        assert sorted(ear.subjects) == list(range(10, 40))
        assert ear.heard[0] == Change(1, 1, "client", ear.subjects[0], 5)
    assert ears[0].subjects == ears[1].subjects


async def test_a_feed_begins_at_the_present(store: Store, feeds: Feeds) -> None:
    await store.run(tell, 10)
    ear = await feeds(store)
    assert ear.feed.fresh
    assert ear.feed.seen == 1
    await store.run(tell, 11)
    await ear.until(1)
    assert ear.subjects == [11]


async def test_a_writer_may_look_at_once(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)
    await store.run(tell, 10)
    await ear.feed.look()
    assert ear.subjects == [10]


async def test_a_change_that_was_rolled_back_is_heard_by_nobody_and_leaves_no_gap(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)

    async def stumble(tx: Tx) -> None:
        await tell(tx, 10)
        raise KeyError

    with pytest.raises(KeyError):
        await store.run(stumble)
    await store.run(tell, 11)
    await ear.until(1)
    assert [(change.seq, change.subject) for change in ear.heard] == [(1, 11)]
    assert ear.gaps == 0


async def test_many_changes_come_in_pages(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)

    async def flood(tx: Tx) -> None:
        for subject in range(1200):
            await announce(tx, tenant=1, kind="client", subject=subject, at=5)

    await store.run(flood)
    await ear.until(1200)
    assert ear.subjects == list(range(1200))


async def test_what_was_swept_before_it_was_heard_is_a_gap(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)

    async def forget(tx: Tx) -> None:
        await tell(tx, 10)
        await tx.do(SWEEP)
        await tell(tx, 11)

    await store.run(forget)
    await ear.until(1)
    assert (ear.heard, ear.gaps, ear.feed.seen) == ([], 1, 2)
    await store.run(tell, 12)
    await ear.until(2)
    assert ear.subjects == [12]


async def test_a_database_that_went_back_in_time_is_a_gap(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)
    for subject in range(10, 15):
        await store.run(tell, subject)
    await ear.until(5)
    await store.verb(REWIND)
    await ear.feed.look()
    assert (ear.gaps, ear.feed.seen) == (1, 3)


async def test_a_callback_that_fails_gets_the_change_again_and_the_feed_is_not_fresh_meanwhile(store: Store, feeds: Feeds) -> None:
    ear = await feeds(store)
    fails = [ValueError("twice"), ValueError("once")]
    states: list[bool] = []
    done = asyncio.Event()

    def fragile(change: Change) -> None:
        states.append(ear.feed.fresh)
        if fails:
            raise fails.pop()
        done.set()

    ear.feed.on_change(fragile)
    await store.run(tell, 10)
    async with asyncio.timeout(5):
        await done.wait()
    assert states[1:] == [False, False]
    assert ear.subjects == [10, 10, 10]
    await ear.feed.look()
    assert ear.feed.fresh
    assert ear.feed.fault is None


async def test_a_feed_that_hears_nothing_is_not_fresh(store: Store, nodes: Nodes, feeds: Feeds) -> None:
    other = await nodes()
    ear = await feeds(other)
    await other.close()
    with pytest.raises(StoreError):
        await ear.feed.look()
    async with asyncio.timeout(5):
        while ear.feed.fault is None:  # noqa: ASYNC110 - the feed looks by itself
            await asyncio.sleep(0)
    assert not ear.feed.fresh


async def test_a_database_without_a_head_is_named(store: Store) -> None:
    await store.verb(BEHEAD)
    with pytest.raises(StoreError, match="no head"):
        await store.run(tell, 10)
    assert await store.one(COUNT) == 1


@pytest.mark.parametrize("engine", ["postgres"])
async def test_a_slow_commit_with_the_lower_number_is_not_overtaken(store: Store, url: str, feeds: Feeds) -> None:
    ear = await feeds(store)
    slow, fast = [await asyncpg.connect(url) for _ in range(2)]
    try:
        await slow.execute("BEGIN; UPDATE change_head SET head = head + 1; INSERT INTO change VALUES (1, 1, 'slow', 1, 5)")
        overtaking = asyncio.create_task(
            fast.execute("UPDATE change_head SET head = head + 1; INSERT INTO change VALUES (2, 1, 'fast', 2, 5)")
        )
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        watcher = await asyncpg.connect(url)
        while not await watcher.fetchval(waiting):  # noqa: ASYNC110 - until the second stands behind the first
            await asyncio.sleep(0)
        await watcher.close()
        await ear.feed.look()
        assert ear.heard == []
        await slow.execute("COMMIT")
        await overtaking
        await ear.until(2)
        assert [change.kind for change in ear.heard] == ["slow", "fast"]
    finally:
        await slow.close()
        await fast.close()


@pytest.mark.parametrize("engine", ["postgres"])
async def test_the_line_that_listens_may_be_cut(store: Store, url: str, feeds: Feeds) -> None:
    ear = await feeds(store)
    cutter = await asyncpg.connect(url)
    cut = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name LIKE '% listen'"""
    try:
        waits = []
        for subject in range(10, 15):
            await cutter.fetchval(cut)
            before = asyncio.get_running_loop().time()
            await store.run(tell, subject)
            await ear.until(subject - 9)
            waits.append(asyncio.get_running_loop().time() - before)
        assert median(waits) < 1
        while not await cutter.fetchval(cut):  # noqa: ASYNC110 - it comes back by itself
            await asyncio.sleep(0)
    finally:
        await cutter.close()
    assert ear.subjects == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("engine", ["postgres"])
async def test_a_notice_is_quicker_than_looking(store: Store, nodes: Nodes, feeds: Feeds) -> None:
    other = await nodes()
    ear = await feeds(other)
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    for subject in range(10, 30):
        before = loop.time()
        await store.run(tell, subject)
        await ear.until(subject - 9)
        waits.append(loop.time() - before)
    # Of looks that are 0.4 s apart one in four finds something within 0.1 s.
    assert sorted(waits)[9] < 0.1
