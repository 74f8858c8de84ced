"""The one thread of a process that writes to the file: what is waiting is committed together, and fails apart."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Generic, TypeVar

import apsw

from gatewright.store.errors import OutcomeUnknown, StoreBusy, StoreError, StoreUnavailable, UnitMisbehaved
from gatewright.store.following import Then
from gatewright.store.port import Counts, Tx
from gatewright.store.query import Query, Value
from gatewright.store.sqlite_file import translated

R = TypeVar("R")
T = TypeVar("T")

BATCH: Final = 128
UNITS: Final = 8  # in one batch; consuming verbs go before them, so that management never holds up a token


class _Broken(Exception):
    """The transaction is gone with all that was in it, or must go; `fault` is what the one that is to blame is told."""

    def __init__(self, text: str, fault: StoreError | None = None) -> None:
        super().__init__(text)
        self.fault = fault


class Verb(Generic[R]):
    """One guarded write that is waiting."""

    __slots__ = ("error", "following", "future", "query", "result", "values")

    def __init__(self, query: Query[R], values: tuple[Value, ...], future: asyncio.Future[R | None], then: Then | None) -> None:
        self.query = query
        self.values = values
        self.future = future
        self.following = () if then is None else then.apart()
        self.result: R | None = None
        self.error: BaseException | None = None

    def perform(self, connection: apsw.Connection, counts: Counts) -> None:
        """Run the statement; it is undone by itself when it fails."""
        rows = connection.execute(self.query.sqlite, self.values).fetchall()
        self.result = self.query.make(rows[0]) if rows else None
        if rows and self.following:
            try:
                for query, values in self.following:
                    connection.execute(query.sqlite, values)
            except apsw.Error as error:
                # What came first is written already, and a savepoint for each verb would cost more than a batch that is run again.
                raise _Broken(str(error), translated(error)) from error


class Unit(Generic[T]):
    """One unit of work that is waiting."""

    __slots__ = ("call", "error", "future", "result")

    def __init__(self, call: Callable[[Tx], Awaitable[T]], future: asyncio.Future[T]) -> None:
        self.call = call
        self.future = future
        self.result: T | None = None
        self.error: BaseException | None = None

    def perform(self, connection: apsw.Connection, counts: Counts) -> None:
        """Push the unit to its end inside a savepoint, which is undone when it fails."""
        connection.execute("SAVEPOINT unit")
        tx = SqliteTx(connection, counts)
        try:
            self.result = _pushed(self.call(tx))
            if tx.failed is not None:
                raise tx.failed
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO unit")
                connection.execute("RELEASE unit")
            raise
        finally:
            tx.over = True
        connection.execute("RELEASE unit")


class SqliteTx:
    """The transaction of a unit on SQLite. Nothing in it ever suspends, so one push runs a unit to its end."""

    def __init__(self, connection: apsw.Connection, counts: Counts) -> None:
        self._connection = connection
        self._counts = counts
        self.over = False
        self.failed: StoreError | None = None

    async def one(self, query: Query[R], **args: Value) -> R | None:
        rows = self._rows(query, args)
        return query.make(rows[0]) if rows else None

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        make = query.make
        return [make(row) for row in self._rows(query, args)]

    async def do(self, query: Query[Any], **args: Value) -> int:
        before = self._connection.total_changes()
        self._rows(query, args)
        return self._connection.total_changes() - before

    async def wake(self) -> None:
        """Nothing to do: every connection sees by `PRAGMA data_version` that another one committed."""

    def _rows(self, query: Query[Any], args: dict[str, Value]) -> list[tuple[Any, ...]]:
        if self.over:
            raise UnitMisbehaved("a unit used its transaction after it was over")
        if self.failed is not None:
            raise self.failed
        self._counts.statements += 1
        try:
            return self._connection.execute(query.sqlite, query.bind(args)).fetchall()
        except apsw.Error as error:
            # PostgreSQL gives a transaction up at its first failing statement; so that units behave alike, so does this.
            self.failed = translated(error)
            raise self.failed from error


Item = Verb[Any] | Unit[Any]


class Writer:
    """Takes what is waiting, runs it in one transaction, and answers when COMMIT has returned (security rule 60)."""

    def __init__(self, connection: apsw.Connection, counts: Counts, *, limit: int) -> None:
        self._connection = connection
        self._counts = counts
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._handing: list[Item] = []
        self._waiting = 0
        self._closed = False
        self._verbs: deque[Verb[Any]] = deque()
        self._units: deque[Unit[Any]] = deque()
        self._thread = Thread(target=self._main, name="gatewright-writer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over an item; from here on it is written whether or not its caller waits for it."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= self._limit:
            raise StoreBusy(f"{self._waiting} writes are waiting already")
        self._waiting += 1
        self._counts.waiting += 1
        if not self._handing:
            # Not at once: what else this turn of the loop hands over comes along, and the thread wakes up once for all of it.
            self._loop.call_soon(self._hand_over)
        self._handing.append(item)

    def _hand_over(self) -> None:
        handed, self._handing = self._handing, []
        if handed:
            self._queue.put(handed)

    async def close(self) -> None:
        """Finish what was handed over, then end the thread and close its connection."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._connection.close()

    def _main(self) -> None:
        closing = False
        while not closing or self._verbs or self._units:
            if not self._verbs and not self._units:
                closing = self._take(self._queue.get())
            with suppress(Empty):
                while len(self._verbs) < BATCH:
                    closing = self._take(self._queue.get_nowait()) or closing
            units = min(UNITS, len(self._units))
            batch: list[Item] = [self._verbs.popleft() for _ in range(min(BATCH - units, len(self._verbs)))]
            batch += [self._units.popleft() for _ in range(units)]
            if batch:
                self._serve(batch)
                with suppress(RuntimeError):  # the loop was closed before the store was
                    self._loop.call_soon_threadsafe(self._answer, batch)

    def _take(self, handed: list[Item] | None) -> bool:
        """Sort items into their queues; tell whether it was the sign to close."""
        for item in handed or ():
            if isinstance(item, Verb):
                self._verbs.append(item)
            else:
                self._units.append(item)
        return handed is None

    def _serve(self, batch: list[Item]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            # Nothing was run, and running the items one by one would wait as long for each.
            _fail(batch, translated(error))
            return
        try:
            self._run(batch)
            self._connection.execute("COMMIT")
            self._counts.commits += 1
        except (_Broken, apsw.Error) as error:
            with suppress(apsw.Error):  # there may be none any more
                self._connection.execute("ROLLBACK")
            if len(batch) == 1:
                _fail(batch, _of_commit(error))
            else:
                for item in batch:
                    self._serve([item])

    def _run(self, batch: list[Item]) -> None:
        for item in batch:
            item.error = None
            try:
                item.perform(self._connection, self._counts)
            except _Broken:
                raise
            except BaseException as error:  # it is the caller's, and is raised there
                item.error = translated(error) if isinstance(error, apsw.Error) else error
                if not self._connection.in_transaction:
                    raise _Broken(str(error)) from error

    def _answer(self, batch: list[Item]) -> None:
        """Resolve the callers' futures; runs on the loop."""
        self._waiting -= len(batch)
        self._counts.waiting -= len(batch)
        for item in batch:
            if item.future.done():
                continue
            if item.error is None:
                item.future.set_result(item.result)
            else:
                item.future.set_exception(item.error)


def _fail(batch: list[Item], error: StoreError) -> None:
    for item in batch:
        item.error = error


def _of_commit(error: _Broken | apsw.Error) -> StoreError:
    if isinstance(error, apsw.IOError):
        return OutcomeUnknown(f"the disk failed while committing: {error}")
    if isinstance(error, _Broken) and error.fault is not None:
        return error.fault
    return translated(error) if isinstance(error, apsw.Error) else StoreUnavailable(f"the store's file cannot be written: {error}")


def _pushed(unit: Awaitable[T]) -> T:
    """Run a unit to its end by hand."""
    steps: Generator[Any, Any, T] = unit.__await__()
    try:
        steps.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    except RuntimeError as error:
        # This thread has no loop, so whatever asks for one reveals itself before it suspends.
        if str(error) == "no running event loop":
            raise UnitMisbehaved("a unit awaited something other than its transaction") from error
        raise
    with suppress(RuntimeError):
        steps.close()
    raise UnitMisbehaved("a unit awaited something other than its transaction")
