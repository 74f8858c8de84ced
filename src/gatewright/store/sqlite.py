"""SQLite: reads on the loop, listings on a reader thread, writes on one writer thread with group commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import apsw
import apsw.ext

from gatewright.store.errors import StoreBusy, StoreUnavailable, UnitMisbehaved
from gatewright.store.following import Then
from gatewright.store.port import Counts, Readiness, Tx
from gatewright.store.query import Query, Value
from gatewright.store.sqlite_file import connect, translated
from gatewright.store.sqlite_writer import Unit, Verb, Writer

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")

# The schema is counted so that the file itself is touched.
_CLOCK: Final = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) + 0 * (SELECT count(*) FROM sqlite_schema)"
_LISTINGS: Final = 256  # that may wait for the reader thread


class SqliteStore:
    """One file, used by any number of processes on one machine; each opens its own `SqliteStore` after it was forked."""

    engine: Final = "sqlite"

    def __init__(self, path: Path, *, synchronous: str, limit: int, patience: float) -> None:
        self.counts = Counts()
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._connection = connect(path, patience=patience, query_only=True)
        self._execute = self._connection.cursor().execute
        self._lister = connect(path, patience=patience, query_only=True)
        self._reader = ThreadPoolExecutor(1, "gatewright-reader")
        self._listing = 0
        self._synchronous = synchronous
        self._writer = Writer(connect(path, synchronous=synchronous, patience=patience), self.counts, limit=limit)
        self._closed = False

    async def one(self, query: Query[R], **args: Value) -> R | None:
        if self._closed or query.writes or get_ident() != self._thread:
            self._check()
            query.reads_only()
        self.counts.reads += 1
        try:
            # All rows are fetched, since a statement left half read would keep its snapshot.
            rows = self._execute(query.sqlite, query.bind(args)).fetchall()
        except apsw.Error as error:
            raise translated(error) from error
        return query.make(rows[0]) if rows else None

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        self._check()
        query.reads_only()
        if self._listing >= _LISTINGS:
            raise StoreBusy(f"{self._listing} listings are waiting already")
        self.counts.listings += 1
        self._listing += 1
        work = self._loop.run_in_executor(self._reader, self._list, query, query.bind(args))
        work.add_done_callback(self._listed)
        return await asyncio.shield(work)

    async def verb(self, query: Query[R], then: Then | None = None, /, **args: Value) -> R | None:
        self._check()
        future: asyncio.Future[R | None] = self._loop.create_future()
        self._writer.put(Verb(query, query.bind(args), future, then))
        self.counts.verbs += 1
        return await future

    async def run(self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        future: asyncio.Future[T] = self._loop.create_future()

        def call(tx: Tx) -> Awaitable[T]:
            return unit(tx, *args, **kwargs)

        self._writer.put(Unit(call, future))
        self.counts.units += 1
        return await future

    def watch(self, wake: Callable[[], None]) -> SqliteWatch:
        return SqliteWatch(self._connection)

    async def faults(self, query: Query[Any]) -> list[str]:
        self._check()
        try:
            found = apsw.ext.query_info(self._connection, query.sqlite)
        except apsw.Error as error:
            return [f"{query.where}: SQLite says: {error}"]
        columns = len(found.description)
        return [] if columns == query.columns else [f"{query.where}: {columns} columns for a record of {query.columns}"]

    async def ready(self) -> Readiness:
        self._check()
        try:
            clock_ms = self._execute(_CLOCK).fetchall()[0][0]
        except apsw.Error as error:
            raise translated(error) from error
        warnings = (
            () if self._synchronous in {"FULL", "EXTRA"} else ("a power cut may lose what was acknowledged: synchronous is not FULL",)
        )
        return Readiness(version=f"SQLite {apsw.sqlite_lib_version()}", clock_ms=int(str(clock_ms)), warnings=warnings)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        self._reader.shutdown(wait=True)
        self._lister.close()
        self._connection.close()

    def _check(self) -> None:
        if get_ident() != self._thread:
            raise UnitMisbehaved("a unit used the store instead of its transaction")
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _list(self, query: Query[R], values: tuple[Value, ...]) -> list[R]:
        make = query.make
        try:
            return [make(row) for row in self._lister.execute(query.sqlite, values)]
        except apsw.Error as error:
            raise translated(error) from error

    def _listed(self, work: asyncio.Future[Any]) -> None:
        self._listing -= 1
        if not work.cancelled():
            work.exception()  # looked at, even if its caller has gone


class SqliteWatch:
    """Compares `PRAGMA data_version`, which moves when any other connection, of any process, has committed."""

    every: Final = 0.2

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._seen: int | None = None

    def moved(self) -> bool:
        try:
            version: int = self._connection.pragma("data_version")
        except apsw.Error as error:
            raise translated(error) from error
        moved = version != self._seen
        self._seen = version
        return moved

    async def close(self) -> None:
        """Nothing is held."""
