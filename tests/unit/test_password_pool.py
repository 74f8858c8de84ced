"""The queue for passwords: who waits for whom, and who is sent away."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from argon2.low_level import Type, hash_secret

from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.signin.pool import Lane, PasswordPool
from gatewright.users.passwords import fits

SALT = bytes(range(16))
WEAK = hash_secret(b"correct horse", SALT, 1, 64, 1, 32, Type.ID).decode()


class Held:
    """A pool whose only thread is busy until it is let go."""

    def __init__(self, pool: PasswordPool) -> None:
        self.pool = pool
        self.busy = threading.Event()
        self.free = threading.Event()
        self.done: list[str] = []

    def hold(self) -> None:
        """Keep the thread busy."""
        self.busy.set()
        self.free.wait()

    async def begin(self) -> asyncio.Task[None]:
        """Return once the thread is busy."""
        task = asyncio.create_task(self.pool.run(Lane.PAGE, self.hold))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(self.busy.wait, 30)
        return task

    def ask(self, lane: Lane, name: str) -> asyncio.Task[None]:
        """Ask for a piece of work that writes its name down."""
        return asyncio.create_task(self.pool.run(lane, lambda: self.done.append(name)))


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    made = Held(PasswordPool(queue=4, patience=60))
    yield made
    made.free.set()
    made.pool.close()


async def test_a_browser_that_is_known_goes_before_strangers_and_both_before_programs(held: Held) -> None:
    first = await held.begin()
    waiting = [held.ask(Lane.TOKEN, "token"), held.ask(Lane.PAGE, "page"), held.ask(Lane.PAGE, "page 2"), held.ask(Lane.KNOWN, "known")]
    await asyncio.sleep(0)
    held.free.set()
    await asyncio.gather(first, *waiting)
    assert held.done == ["known", "page", "page 2", "token"]


async def test_a_full_queue_is_said_at_once_and_a_share_is_kept_for_known_browsers(held: Held) -> None:
    first = await held.begin()
    waiting = [held.ask(Lane.PAGE, f"page {number}") for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(TemporarilyUnavailable) as refused:
        await held.pool.run(Lane.PAGE, lambda: None)
    assert refused.value.retry_after > 0
    waiting.append(held.ask(Lane.KNOWN, "known"))
    await asyncio.sleep(0)
    held.free.set()
    await asyncio.gather(first, *waiting)
    assert held.done[0] == "known"


async def test_programs_do_not_use_up_the_places_of_people(held: Held) -> None:
    first = await held.begin()
    waiting = [held.ask(Lane.TOKEN, "token") for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TemporarilyUnavailable):
        await held.pool.run(Lane.TOKEN, lambda: None)
    waiting.append(held.ask(Lane.PAGE, "page"))
    await asyncio.sleep(0)
    held.free.set()
    await asyncio.gather(first, *waiting)


async def test_nobody_waits_longer_than_the_patience_of_the_pool() -> None:
    held = Held(PasswordPool(patience=30))
    try:
        first = await held.begin()
        held.pool.patience = 0  # not before: on a busy machine the thread takes its time to begin
        with pytest.raises(TemporarilyUnavailable):
            await held.pool.run(Lane.PAGE, lambda: held.done.append("never"))
        held.free.set()
        await first
        assert held.done == []
    finally:
        held.free.set()
        held.pool.close()


async def test_work_that_nobody_waits_for_any_more_is_not_begun(held: Held) -> None:
    first = await held.begin()
    gone = held.ask(Lane.PAGE, "gone")
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    held.free.set()
    await first
    assert held.done == []


async def test_what_goes_wrong_in_the_thread_is_raised_where_it_was_asked_for(held: Held) -> None:
    with pytest.raises(ValueError, match="NUL"):
        await held.pool.make("a\0b", SALT)
    assert await held.pool.verify(WEAK, "correct horse")


async def test_a_check_renews_a_digest_that_is_outdated() -> None:
    pool = PasswordPool(patience=60)
    try:
        found = await pool.check(WEAK, "correct horse", salt=SALT, lane=Lane.PAGE)
        assert found.fits
        assert found.renewed is not None
        assert fits(found.renewed, "correct horse")
        assert not (await pool.check(WEAK, "wrong", salt=SALT, lane=Lane.KNOWN)).fits
        assert not (await pool.check(None, "correct horse", salt=SALT, lane=Lane.KNOWN)).fits
        again = await pool.check(found.renewed, "correct horse", salt=SALT, lane=Lane.PAGE)
        assert (again.fits, again.renewed) == (True, None)
    finally:
        pool.close()


async def test_a_pool_that_closes_refuses_those_who_wait_and_all_who_come(held: Held) -> None:
    first = await held.begin()
    waiting = held.ask(Lane.PAGE, "waiting")
    await asyncio.sleep(0)

    def let_go() -> None:
        while not held.pool._closed:
            pass
        held.free.set()

    closing = asyncio.create_task(asyncio.to_thread(let_go))
    await asyncio.sleep(0)
    held.pool.close()
    await asyncio.gather(first, closing)
    with pytest.raises(TemporarilyUnavailable):
        await waiting
    assert held.done == []
    with pytest.raises(TemporarilyUnavailable):
        await held.pool.run(Lane.PAGE, lambda: None)


async def test_work_that_ends_after_its_loop_hurts_nobody() -> None:
    pool = PasswordPool(patience=60)
    began, go_on = threading.Event(), threading.Event()

    def begin() -> None:
        began.set()
        go_on.wait()

    def short_lived() -> None:
        async def ask() -> None:
            task = asyncio.create_task(pool.run(Lane.PAGE, begin))
            assert await asyncio.to_thread(began.wait, 30)
            task.cancel()

        asyncio.run(ask())

    await asyncio.to_thread(short_lived)
    go_on.set()
    assert await pool.run(Lane.PAGE, lambda: "still here") == "still here"
    pool.close()


class FewThreads:
    """A system that gives no more threads until it is asked for the last time of `refusals`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refusals: int, after: int = 0) -> None:
        really = threading.Thread.start
        self.asked = 0

        def start(thread: threading.Thread) -> None:
            if thread.name.startswith("passwords"):
                self.asked += 1
                if after < self.asked <= after + refusals:
                    raise RuntimeError("can't start new thread")
            really(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


async def test_a_thread_that_could_not_be_started_is_tried_again_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    FewThreads(monkeypatch, refusals=1)
    pool, done = PasswordPool(patience=60), list[str]()
    with pytest.raises(TemporarilyUnavailable) as refused:
        await pool.run(Lane.PAGE, lambda: done.append("refused"))
    assert refused.value.retry_after > 0
    assert "thread" in refused.value.why
    await pool.run(Lane.PAGE, lambda: done.append("second"))
    pool.close()
    assert done == ["second"]


async def test_a_pool_that_never_got_a_thread_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    FewThreads(monkeypatch, refusals=1)
    pool = PasswordPool(patience=60)
    with pytest.raises(TemporarilyUnavailable):
        await pool.run(Lane.PAGE, lambda: None)
    pool.close()


async def test_one_thread_serves_all_while_there_are_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    few = FewThreads(monkeypatch, refusals=1, after=1)
    pool = PasswordPool(threads=2, patience=60)
    assert [await pool.run(Lane.PAGE, lambda: "served") for _ in range(3)] == ["served"] * 3
    pool.close()
    assert few.asked == 3, "the second thread is started as soon as the system gives one"
