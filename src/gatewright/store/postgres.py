"""PostgreSQL: point reads and guarded writes coalesced on pinned connections, units and listings on a small pool."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import nullcontext, suppress
from itertools import count
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from gatewright.store.errors import BadQuery, OutcomeUnknown, StoreBusy, StoreError, StoreUnavailable, UnitMisbehaved
from gatewright.store.following import Then
from gatewright.store.port import Counts, Readiness, Tx
from gatewright.store.postgres_batch import Coalescer
from gatewright.store.postgres_line import READS, Collision, Dial, Line, Lost, Pool, Refusing
from gatewright.store.postgres_watch import CHANNEL, PostgresWatch
from gatewright.store.query import Query, Value

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")

_TRIES: Final = 10  # to reach a server that went away: about a second
_OLDEST: Final = 140000
# What is pinned finds rows by their keys. A plan made while a table was empty would otherwise scan it when it no longer is.
_INDEXED: Final = (("enable_seqscan", "off"),)  # where there is an index to use
_BY_KEY: Final = (
    *_INDEXED,
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
)
_READING: Final = (*_BY_KEY, READS)
_READY: Final = """
SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
       current_setting('server_version_num')::int
"""


class PostgresStore:
    """One database, used by any number of nodes."""

    engine: Final = "postgres"

    def __init__(self, url: str, *, name: str, limit: int, patience: float) -> None:
        self.counts = Counts()
        self._loop = asyncio.get_running_loop()
        self._dial = Dial(url, name, patience)
        self._pool = Pool(Dial(url, name, patience, _INDEXED), 6, limit=limit)
        reading, writing = Dial(url, name, patience, _READING), Dial(url, name, patience, _BY_KEY)
        self._reads = Coalescer([Line(reading), Line(reading)], self._rows, self.counts, limit=limit)
        self._verbs = Coalescer([Line(writing), Line(writing)], self._rows, self.counts, limit=limit)
        self._crowd = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.pushing = False  # a unit is being run this very moment

    async def one(self, query: Query[R], **args: Value) -> R | None:
        self._check()
        query.reads_only()
        self.counts.reads += 1
        values = query.bind(args)
        if query.batch:
            return await self._reads.put(query, values)
        work = self._alone(query, values)
        return await self._shielded(work)

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        self._check()
        query.reads_only()
        self.counts.listings += 1
        make = query.make
        return [make(row) for row in await self._shielded(self._rows(query, query.postgres, query.bind(args)))]

    async def verb(self, query: Query[R], then: Then | None = None, /, **args: Value) -> R | None:
        self._check()
        values = query.bind(args)
        if query.batch:
            answer = self._verbs.put(query, values, then)
            self.counts.verbs += 1
            return await answer
        if then is not None:
            raise BadQuery(f"{query.where}: a verb with a follower is one that can be run for many callers at once")
        self.counts.verbs += 1
        work = self._alone(query, values)
        return await self._shielded(work)

    async def run(self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        self.counts.units += 1

        def call(tx: Tx) -> Awaitable[T]:
            return unit(tx, *args, **kwargs)

        return await self._shielded(self._unit(call))

    def watch(self, wake: Callable[[], None]) -> PostgresWatch:
        return PostgresWatch(self._dial, wake)

    async def faults(self, query: Query[Any]) -> list[str]:
        self._check()
        found: list[str] = []
        async with self._pool.line() as line:
            for text, extra in ((query.postgres, 0), (query.batch, 0 if query.keyed or not query.columns else 1)):
                if text is not None:
                    found += await _faults(line, query, text, extra)
        return found

    async def ready(self) -> Readiness:
        self._check()
        async with self._pool.line() as line:
            version, clock_ms, commit, fsync, pages, number = (await line.rows(_READY, ()))[0]
        if number < _OLDEST:
            raise StoreUnavailable(f"PostgreSQL {version} is too old; 14 is the oldest that is supported")
        weak = {"synchronous_commit": commit, "fsync": fsync, "full_page_writes": pages}
        warnings = [f"a crash may lose what was acknowledged: {key} is off" for key, value in weak.items() if value == "off"]
        return Readiness(version=f"PostgreSQL {version}", clock_ms=clock_ms, warnings=tuple(warnings))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._reads.close()
        await self._verbs.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._pool.close()

    def _check(self) -> None:
        if self.pushing:
            raise UnitMisbehaved("a unit used the store instead of its transaction")
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled, so that no line is left in the middle of something."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, even if its caller has gone

    async def _alone(self, query: Query[R], values: tuple[Value, ...]) -> R | None:
        rows = await self._rows(query, query.postgres, values)
        return query.make(rows[0]) if rows else None

    async def _rows(self, query: Query[Any], text: str, values: Sequence[object]) -> list[Any]:
        """Run one text of a statement as a transaction of its own."""

        async def once(line: Line) -> list[Any]:
            self.counts.commits += query.writes
            return await line.rows(text, values)

        try:
            return await self._again(once)
        except Lost as error:
            raise _unknown(query, error) from error

    async def _unit(self, call: Callable[[Tx], Awaitable[T]]) -> T:
        async def once(line: Line) -> T:
            return await self._attempt(line, call)

        return await self._again(once)

    async def _again(self, once: Callable[[Line], Awaitable[T]]) -> T:
        """Do it, again where it collided, and once more where the connection was lost; ends in `Lost` when that did not help."""
        lost: Lost | None = None
        collided = False
        until = self._loop.time() + 2 * self._dial.patience
        for tries in count():
            try:
                # Who has collided goes one at a time from there on, so that one of them gets through.
                async with self._crowd if collided else nullcontext(), self._pool.line() as line:
                    return await once(line)
            except StoreError as error:
                collided = isinstance(error, Collision)
                lost = _verdict(error, lost, late=self._loop.time() > until or (lost is not None and tries >= _TRIES))
            await asyncio.sleep(min(0.001 * (1 << min(tries, 10)), 0.25))
        raise AssertionError  # count() has no end

    async def _attempt(self, line: Line, call: Callable[[Tx], Awaitable[T]]) -> T:
        await line.begin("ISOLATION LEVEL SERIALIZABLE")
        tx = PostgresTx(line, self.counts)
        try:
            result = await self._driven(call(tx), tx)
            if tx.failed is not None:
                raise tx.failed
            if tx.woken:
                await line.say(f"NOTIFY {CHANNEL}")
        except BaseException:
            await line.rollback()
            if isinstance(tx.failed, (Collision, Lost)):
                raise tx.failed from None
            raise
        finally:
            tx.over = True
        await line.commit()
        self.counts.commits += 1
        return result

    @types.coroutine
    def _driven(self, unit: Awaitable[T], tx: PostgresTx) -> Generator[Any, Any, T]:
        """Await a unit, looking at each of its suspensions: they may come from its transaction only."""
        steps = unit.__await__()
        push: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            self.pushing = True
            try:
                wanted = push(given)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.pushing = False
            if not tx.inside:
                with suppress(RuntimeError):
                    steps.close()
                raise UnitMisbehaved("a unit awaited something other than its transaction")
            try:
                push, given = steps.send, (yield wanted)
            except BaseException as error:  # noqa: BLE001 - it is the unit's own, and is raised there
                push, given = steps.throw, error


class PostgresTx:
    """The transaction of a unit on PostgreSQL."""

    def __init__(self, line: Line, counts: Counts) -> None:
        self._line = line
        self._counts = counts
        self.inside = False
        self.over = False
        self.woken = False
        self.failed: StoreError | None = None

    async def one(self, query: Query[R], **args: Value) -> R | None:
        rows: list[Any] = await self._said(self._line.rows, query, args)
        return query.make(rows[0]) if rows else None

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        make = query.make
        rows: list[Any] = await self._said(self._line.rows, query, args)
        return [make(row) for row in rows]

    async def do(self, query: Query[Any], **args: Value) -> int:
        return await self._said(self._line.touched, query, args)

    async def wake(self) -> None:
        self.woken = True

    async def _said(self, say: Callable[[str, tuple[Value, ...]], Awaitable[T]], query: Query[Any], args: dict[str, Value]) -> T:
        if self.over or self.inside:
            raise UnitMisbehaved("a unit used its transaction after it was over, or twice at a time")
        if self.failed is not None:
            raise self.failed
        values = query.bind(args)
        self._counts.statements += 1
        self.inside = True
        try:
            return await say(query.postgres, values)
        except StoreError as error:
            # PostgreSQL gives a transaction up at its first failing statement: so does the unit, whatever it catches.
            self.failed = error
            raise
        finally:
            self.inside = False


def _verdict(error: StoreError, lost: Lost | None, *, late: bool) -> Lost | None:
    """Return the loss so far when it is worth trying again; raise what is to be raised otherwise."""
    if isinstance(error, Collision) and not late:
        return lost
    if isinstance(error, Lost) and lost is None:
        return error
    if isinstance(error, (StoreBusy, StoreUnavailable)) and lost is not None:
        # Not reached: but it was there a moment ago and may come back.
        if late or isinstance(error, (StoreBusy, Lost)):
            # A refusal leaves nothing open, a loss after it may.
            raise error if isinstance(lost, Refusing) and isinstance(error, Lost) else lost from error
        return lost
    raise error


async def _faults(line: Line, query: Query[Any], text: str, extra: int) -> list[str]:
    try:
        statement = await line.prepared(text)
    except StoreError as error:
        return [f"{query.where}: PostgreSQL says: {error}"]
    found = [
        f"{query.where}: PostgreSQL takes :{name} as {kind.name}; write CAST(:{name} AS BIGINT) or AS TEXT"
        for name, kind in zip(query.names, statement.get_parameters(), strict=True)
        if kind.name.removesuffix("[]") not in {"int8", "text"}
    ]
    columns = list(statement.get_attributes())
    if len(columns) - extra != query.columns:
        found.append(f"{query.where}: {len(columns) - extra} columns for a record of {query.columns}")
    found += [
        f"{query.where}: the column {column.name} is a {column.type.name}, not BIGINT or TEXT"
        for column in columns
        if column.type.name not in {"int4", "int8", "text"}
    ]
    return found


def _unknown(query: Query[Any], lost: Lost) -> StoreError:
    if not query.writes or isinstance(lost, Refusing):
        return lost
    return OutcomeUnknown(f"the connection was lost while committing: {lost}")
