"""The endings of one process as its feeds read them: one look at the store for all of them, however many listen."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from gatewright.endings import book
from gatewright.endings.records import Ended
from gatewright.oauth.errors import TemporarilyUnavailable

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.store.port import Store

POLL: Final = 0.1  # seconds between two looks where nobody tells of a commit, and the line that tells may be cut
FRESH: Final = 1.0  # seconds after a look for which it may be said that everything was told
REMEMBERED: Final = 4096  # endings in memory, for listeners that are nearly up to date
OF_API: Final = 256  # feeds of one API in one process
OF_PROCESS: Final = 2048


class Feeds:
    """Reads what ended as long as somebody listens. It costs nothing while nobody does."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._listening: Counter[int] = Counter()
        self._recent: deque[Ended] = deque(maxlen=REMEMBERED)
        self._before = 0  # the number before the first of `_recent`
        self._head = 0
        self._looked_at = float("-inf")
        self._woken = asyncio.Event()
        self._news: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        self.turn = 0  # another one than when a listener began: it must begin anew
        self.fault: Exception | None = None  # why the last look failed

    @property
    def head(self) -> int:
        """The number of the last ending that was read."""
        return self._head

    @property
    def fresh(self) -> bool:
        """Tell whether everything that was committed a second ago has been read."""
        return asyncio.get_running_loop().time() - self._looked_at < FRESH

    @contextmanager
    def listening(self, api: int) -> Iterator[None]:
        """Count a listener in, and have the store looked at.

        Raises:
            TemporarilyUnavailable: there are too many, of this API or at all, or the process is about to stop.
        """
        if self.closed or self._listening[api] >= OF_API or self._listening.total() >= OF_PROCESS:
            raise TemporarilyUnavailable("too many feeds are open here; try again in a moment", retry_after=5, why="too many feeds")
        self._listening[api] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())
        try:
            yield
        finally:
            self._listening[api] -= 1

    def nudge(self) -> None:
        """Hear that this process has just written an ending."""
        self._woken.set()

    async def start_of(self, tenant: int, resumed: int | None) -> int | None:
        """Return the number after which a listener goes on that saw this ending last; None where that is not known any more."""
        return 0 if resumed is None else await self._store.one(book.SEQ_OF, id=resumed, tenant=tenant)

    async def after(self, tenant: int, seq: int) -> tuple[list[Ended], int]:
        """Return endings of a tenant after a number, in order, and the number up to which these are all."""
        head = self._head
        if seq >= self._before:
            return self._since(tenant, seq), max(seq, head)
        found = await self._store.all(book.OF_TENANT, tenant=tenant, seq=seq)
        last = found[-1].seq if found else seq
        # A number is given in the order of commits, so up to the last that was read there are no others, though the look was before it.
        return found, last if len(found) == book.PAGE else max(last, head)

    def _since(self, tenant: int, seq: int) -> list[Ended]:
        found = []
        for one in reversed(self._recent):
            if one.seq <= seq:
                break
            if one.tenant == tenant:
                found.append(one)
        found.reverse()
        return found

    def news(self) -> asyncio.Future[None]:
        """Return what is done once something more was read, or the feeds are to end; nobody cancels it."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    async def look(self) -> None:
        """Read everything that is committed by now."""
        asked_at = asyncio.get_running_loop().time()
        if await self._store.one(book.WAITING) is not None:
            await book.number(self._store, self._clock)
        head = await self._store.one(book.HEAD, id=1) or 0
        if head < self._head:
            # Another database than before (restored from a backup): numbers are given again, so nobody goes on with those of before.
            self.turn += 1
        if head < self._head or self._looked_at == float("-inf"):
            self._recent.clear()
            self._head = self._before = head
            self._tell()
        while self._head < head:
            found = await self._store.all(book.AFTER, seq=self._head)
            self._remember(found, found[-1].seq if found else head)
        self._looked_at = asked_at
        self.fault = None

    async def close(self) -> None:
        """End every feed at once, and look no more."""
        self.stop()
        task = self._task
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def stop(self) -> None:
        """Have every feed end; whoever listened goes on at another process."""
        self.closed = True
        self._tell()

    def _remember(self, found: list[Ended], head: int) -> None:
        for one in found:
            if len(self._recent) == REMEMBERED:
                self._before = self._recent[0].seq
            self._recent.append(one)
        self._head = head
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _follow(self) -> None:
        watch = self._store.watch(self._woken.set)
        behind = True
        try:
            while self._listening.total():
                self._woken.clear()
                try:
                    behind = watch.moved() or behind
                    if behind:
                        await self.look()
                        behind = False
                    else:
                        self._looked_at = asyncio.get_running_loop().time()
                except Exception as error:  # noqa: BLE001 - whatever it was, the feeds say nothing of being current until a look succeeds
                    self.fault = error
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(POLL, watch.every)):
                        await self._woken.wait()
                        behind = True
        finally:
            # From here on a listener that comes begins anew.
            self._task = None
            self._looked_at = float("-inf")
            await watch.close()
