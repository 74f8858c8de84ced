"""Statements of many callers, run as one: what waits goes when the last flush has returned; there is no timer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from gatewright.store.errors import NotUnique, OutcomeUnknown, StoreBusy, StoreError, StoreUnavailable
from gatewright.store.following import Then, joined
from gatewright.store.port import Counts
from gatewright.store.postgres_line import Line, Lost, Refusing
from gatewright.store.query import Query, Value

R = TypeVar("R")

BATCH: Final = 128
_MENDING: Final = 1.0  # seconds in which a lost connection may come back
_PAUSE: Final = 0.05


class Item:
    """One caller's arguments, those of a follower behind those of the verb."""

    __slots__ = ("future", "key", "values")

    def __init__(self, values: tuple[Value, ...], key: tuple[Value, ...], future: asyncio.Future[Any]) -> None:
        self.values = values
        self.key = key
        self.future = future


class Work:
    """What is run for many at once: a statement, or a verb with its followers; and who waits for it."""

    __slots__ = ("followed", "query", "queue", "text")

    def __init__(self, query: Query[Any], *thens: Query[Any]) -> None:
        self.query = query
        self.followed = bool(thens)
        self.text = joined(query, *thens) if thens else (query.batch or "")
        self.queue: deque[Item] = deque()


Alone = Callable[[Query[Any], str, Sequence[object]], Awaitable[list[Any]]]


class Coalescer:
    """Runs `each` statements over a few pinned lines, one flush of a statement at a time.

    In one flush no two writes have their key in common, so that "were you first?" has one answer for each row; flushes are sorted
    by key, so that nodes take their row locks in the same order (security rule 12).
    """

    def __init__(self, lines: list[Line], alone: Alone, counts: Counts, *, limit: int) -> None:
        self._idle = lines
        self._every = tuple(lines)
        self._alone = alone
        self._counts = counts
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._works: dict[tuple[Query[Any], ...], Work] = {}
        self._ready: deque[Work] = deque()
        self._flying: set[Work] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._mending = 0
        self._starting = False

    def put(self, query: Query[R], values: tuple[Value, ...], then: Then | None = None) -> asyncio.Future[R | None]:
        """Hand over one caller's arguments; return where the record, or None, will be."""
        if self._mending:
            raise StoreUnavailable("the connection to PostgreSQL was lost and is being made again")
        if self._waiting >= self._limit:
            raise StoreBusy(f"{self._waiting} statements are waiting already")
        future: asyncio.Future[R | None] = self._loop.create_future()
        kind = (query,) if then is None else (query, *then.queries)
        work = self._works.get(kind)
        if work is None:
            work = self._works[kind] = Work(*kind)
        item = Item(values if then is None else values + then.bound(), query.key_of(values), future)
        if not work.queue and work not in self._flying:
            self._ready.append(work)
        work.queue.append(item)
        self._waiting += 1
        self._counts.waiting += 1
        if self._idle and not self._starting:
            # Not at once: what else this turn of the loop hands over comes along.
            self._starting = True
            self._loop.call_soon(self._start)
        return future

    async def close(self) -> None:
        """Finish what was handed over, then close the lines."""
        while self._tasks or self._ready:
            if not self._tasks:
                self._start()
            await asyncio.wait(self._tasks)
        for line in self._every:
            await line.close()

    def _start(self) -> None:
        self._starting = False
        while self._idle and self._ready:
            work = self._ready.popleft()
            self._flying.add(work)
            self._track(self._flush(self._idle.pop(), work, _taken(work)))

    async def _flush(self, line: Line, work: Work, items: list[Item]) -> None:
        try:
            if len(items) == 1 and not work.followed:
                # The text for one caller needs no arrays to be taken apart: a quarter less for both sides.
                rows = await self._rows(line, work.query, work.query.postgres, items[0].values)
                _settle(items[0], work.query.make(rows[0]) if rows else None)
            else:
                arrays = list(zip(*[item.values for item in items], strict=True))
                _answer(work.query, items, await self._rows(line, work.query, work.text, arrays, followed=work.followed))
        except (StoreUnavailable, OutcomeUnknown) as error:
            # Lost, with nothing to ask any more: running them one by one would find nobody either.
            _fail(items, error)
        except StoreError:
            # One of them is to blame, and fails alone. On other lines, so that the others need not wait for it.
            for item in items:
                self._track(self._single(work, item))
        except BaseException as error:
            _fail(items, error)
            raise
        finally:
            self._waiting -= len(items)
            self._counts.waiting -= len(items)
            self._flying.discard(work)
            if work.queue:
                self._ready.append(work)
            self._idle.append(line)
            self._start()

    async def _rows(self, line: Line, query: Query[Any], text: str, args: Sequence[object], *, followed: bool = False) -> list[Any]:
        self._counts.flushes += 1
        self._counts.commits += query.writes
        try:
            return await line.rows(text, args)
        except Lost as error:
            lost = error
            # The same arguments again are the same attempts, so what was committed counts as first (security rule 13).
            await self._mend(line, query, lost)
        try:
            return await line.rows(text, args)
        except (StoreBusy, StoreUnavailable) as error:
            raise _after_loss(query, lost, error) from error
        except NotUnique as error:
            if not followed or isinstance(lost, Refusing):
                raise
            # A follower carries no attempt. That one is there already says that it was committed, but not for which of these.
            raise _after_loss(query, lost, error) from error

    async def _mend(self, line: Line, query: Query[Any], lost: Lost) -> None:
        """Connect again, for a while; new callers are refused meanwhile instead of queueing."""
        self._mending += 1
        try:
            async with asyncio.timeout(_MENDING):
                while True:
                    try:
                        await line.up()
                    except StoreUnavailable:
                        await asyncio.sleep(_PAUSE)
                    else:
                        return
        except TimeoutError:
            raise _after_loss(query, lost, lost) from lost
        finally:
            self._mending -= 1

    async def _single(self, work: Work, item: Item) -> None:
        try:
            _answer(work.query, [item], await self._alone(work.query, work.text, [(value,) for value in item.values]))
        except StoreError as error:
            _fail([item], error)
        except BaseException as error:
            _fail([item], error)
            raise

    def _track(self, work: Any) -> None:  # noqa: ANN401 - a coroutine of this class
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _taken(work: Work) -> list[Item]:
    """Take what may go together: each key once, the rest stays in order for the next flush."""
    queue = work.queue
    if len(queue) == 1 or not work.query.writes:
        return [queue.popleft() for _ in range(min(BATCH, len(queue)))]
    chosen: dict[tuple[Value, ...], Item] = {}
    left: list[Item] = []
    while queue and len(chosen) < BATCH:
        item = queue.popleft()
        if chosen.setdefault(item.key, item) is not item:
            left.append(item)
    queue.extendleft(reversed(left))
    return [chosen[key] for key in sorted(chosen)]


def _after_loss(query: Query[Any], lost: Lost, error: StoreError) -> StoreError:
    """Return what is told when the second try failed as well."""
    refused = isinstance(lost, Refusing) and (isinstance(error, Refusing) or not isinstance(error, Lost))
    if query.writes and not refused:
        return OutcomeUnknown(f"the connection was lost while committing, and could not be made again: {error}")
    return error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error))


def _answer(query: Query[Any], items: list[Item], rows: list[Any]) -> None:
    """Give each caller its row; a caller that has gone gets none, but its write stays."""
    if query.keyed:
        size = len(query.key)
        by_key = {tuple(row[:size]): query.make(row) for row in rows}
        results = [by_key.get(item.key) for item in items]
    else:
        results = [None] * len(items)
        for row in rows:
            if results[row[-1] - 1] is None:
                results[row[-1] - 1] = query.make(row[:-1])
    for item, result in zip(items, results, strict=True):
        _settle(item, result)


def _settle(item: Item, result: object) -> None:
    if not item.future.done():
        item.future.set_result(result)


def _fail(items: list[Item], error: BaseException) -> None:
    for item in items:
        if not item.future.done():
            item.future.set_exception(error)
