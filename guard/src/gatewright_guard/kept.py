"""Things from afar that are kept for a while: one value that is renewed, and many small ones that are forgotten."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

import msgspec

from gatewright_guard.fetch import Unavailable

T = TypeVar("T")
Clock = Callable[[], float]
_log: Final = logging.getLogger("gatewright_guard")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How long a value from afar is good, in seconds."""

    fresh_for: float
    """Until then it is used as it is; later it is used while it is renewed in the background."""
    overdue_after: float
    """Later nobody uses it without having tried to renew it, so that the first caller after a quiet night gets no old key."""
    keep_for: float = 24 * 3600
    """Until then it is used if it cannot be renewed; later nothing is."""
    failed_pause: float = 2
    """While there is no value: after a try that failed, the next one is made no earlier."""
    asked_pause: float = 10
    """While there is a value: after a try that failed, or for one that a caller's token causes, the next is made no earlier."""


class Kept(Generic[T]):
    """One value that is fetched when needed, by one request at a time for all who wait."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock, terms: Terms) -> None:
        self._fetch = fetch
        self._clock = clock
        self._terms = terms
        self._value: T | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._failed = False
        self._task: asyncio.Task[T] | None = None

    def peek(self) -> T | None:
        """The value if it is fresh, so that nobody need be asked; any thread may look."""
        return self._value if 0 <= self._clock() - self._fetched_at < self._terms.fresh_for else None

    async def get(self) -> T:
        """The value, fresh or at least not too old."""
        value, terms = self._value, self._terms
        age = self._clock() - self._fetched_at
        if value is None or age >= terms.keep_for:
            return await self._renew(terms.failed_pause if self._failed else 0)
        if 0 <= age < terms.fresh_for:
            return value
        pause = terms.asked_pause if self._failed else 0
        if age >= terms.overdue_after:
            return await self._renewed_or(value, pause)
        if self._may_try(pause):
            self._start()
        return value

    async def other_than(self, seen: T) -> T:
        """A newer value than the one seen, if there is one; asked for no more often than the terms allow."""
        if self._value is not None and self._value is not seen:
            return self._value
        return await self._renewed_or(seen, self._terms.asked_pause)

    async def aclose(self) -> None:
        """Stop what runs in the background."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _renewed_or(self, value: T, pause: float) -> T:
        try:
            return await self._renew(pause)
        except Unavailable:
            return value

    async def _renew(self, pause: float) -> T:
        running = self._running()
        if running is None and not self._may_try(pause):
            raise Unavailable("the last try was a moment ago")
        # A caller that goes away does not take the answer from the others who wait for it.
        return await asyncio.shield(running or self._start())

    def _may_try(self, pause: float) -> bool:
        # A clock that was set back must not silence us until it has caught up.
        return self._running() is None and (self._tried_at is None or not 0 <= self._clock() - self._tried_at < pause)

    def _running(self) -> asyncio.Task[T] | None:
        task = self._task
        return task if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop() else None

    def _start(self) -> asyncio.Task[T]:
        self._tried_at = self._clock()
        self._task = asyncio.get_running_loop().create_task(self._try())
        self._task.add_done_callback(finished)
        return self._task

    async def _try(self) -> T:
        self._failed = True
        try:
            value = await self._fetch()
        except Unavailable as fault:
            _log.warning("%s", fault)
            raise
        self._value, self._fetched_at, self._failed = value, self._clock(), False
        return value


def finished(task: asyncio.Task[T]) -> None:
    """Mark a task's failure as seen: those who wait get it, and where nobody waits it was logged where it happened."""
    if not task.cancelled():
        task.exception()


class Recent(Generic[T]):
    """What was learned lately, under a digest, each until its own time; the longest unused goes first when it is full.

    Safe for several threads: between two steps another one may have taken an entry away.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def get(self, key: bytes, now: float) -> tuple[T] | None:
        """The value in a tuple of one, since None may be a value."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry[1]:
            self._entries.pop(key, None)
            return None
        with suppress(KeyError):
            self._entries.move_to_end(key)
        return (entry[0],)

    def put(self, key: bytes, value: T, until: float) -> None:
        self._entries[key] = (value, until)
        with suppress(KeyError):
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
