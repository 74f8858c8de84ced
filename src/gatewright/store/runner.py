"""One connection that sets up, saves or fills a whole database: the few things in which the engines differ there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import apsw

from gatewright.store.errors import StoreBusy, StoreUnavailable
from gatewright.store.postgres_line import Dial, Line
from gatewright.store.query import Value
from gatewright.store.sqlite_file import connect, path_of, translated

Say = Callable[[str], None]
Row = Sequence[Value]

PAGE: Final = 500  # rows in memory
_LOCK: Final = 0x6761746577726974  # one lock for each database, whatever the schema
_PAUSE: Final = 0.1


class Runner(Protocol):
    """What is asked of such a connection."""

    engine: str
    id_type: str

    async def lock(self, say: Say) -> None:
        """Wait until no other process has the lock."""

    async def unlock(self) -> None:
        """Let the next one in."""

    async def begin(self) -> None:
        """Begin a transaction that writes."""

    async def snapshot(self) -> None:
        """Begin a transaction that reads everything as it is at this moment."""

    async def commit(self) -> None:
        """End the transaction and keep what it did."""

    async def rollback(self) -> None:
        """End the transaction, if there still is one, as if it had not been."""

    async def do(self, statement: str) -> None:
        """Run a statement."""

    async def rows(self, statement: str) -> list[Row]:
        """Return the rows of a statement."""

    async def tables(self) -> dict[str, list[str]]:
        """Return the columns of each table, in order."""

    async def references(self) -> list[tuple[str, str]]:
        """Return which table's foreign keys name which other."""

    def pages(self, table: str, columns: list[str]) -> AsyncIterator[list[Row]]:
        """Read a table in pages, in the order of its columns."""

    async def fill(self, table: str, columns: list[str], rows: list[Row]) -> None:
        """Insert rows."""


@asynccontextmanager
async def runner_of(url: str, *, target: str | None = "primary") -> AsyncIterator[Runner]:
    """Open a connection of the engine that a URL names; `target` is what a server of PostgreSQL has to be, where the URL does not say."""
    if url.startswith("sqlite:"):
        # Little patience in the driver and more here: the loop stays awake while another process migrates.
        connection = connect(path_of(url), patience=0.05)
        try:
            yield SqliteRunner(connection)
        finally:
            connection.close()
    elif url.startswith(("postgres://", "postgresql://")):
        line = Line(Dial(url, "gatewright set-up", 600.0, (("lock_timeout", "5000"),), target))
        try:
            await line.up()
            yield PostgresRunner(line)
        finally:
            await line.close()
    else:
        raise StoreUnavailable("a store is named by sqlite:///path/to/file or postgres://user@host/database")


def quoted(name: str) -> str:
    """Return a table's or column's name as SQL takes any name."""
    return '"' + name.replace('"', '""') + '"'


def _select(table: str, columns: list[str]) -> str:
    listed = ", ".join(map(quoted, columns))
    # Our tables' first columns are their keys; sorted by them a row comes after the row of its own table that it names.
    return f"SELECT {listed} FROM {quoted(table)} ORDER BY {quoted(columns[0])}"  # noqa: S608 - names from the catalogue, quoted


class SqliteRunner:
    """SQLite's. What it does blocks the loop, on which nothing else runs then."""

    engine = "sqlite"
    id_type = "INTEGER PRIMARY KEY"

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._say: Say = lambda _sentence: None

    async def lock(self, say: Say) -> None:
        """Nothing is held: BEGIN IMMEDIATE is the lock, transaction by transaction."""
        self._say = say

    async def unlock(self) -> None:
        """Nothing is held."""

    async def begin(self) -> None:
        waiting = False
        while True:
            try:
                await self.do("BEGIN IMMEDIATE")
            except StoreBusy:
                if not waiting:
                    self._say("another process is writing to the store; waiting for it")
                waiting = True
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def snapshot(self) -> None:
        self._rows("BEGIN")
        self._rows("SELECT count(*) FROM sqlite_schema")  # the first read takes the snapshot

    async def commit(self) -> None:
        self._rows("COMMIT")

    async def rollback(self) -> None:
        with suppress(apsw.Error):
            self._connection.execute("ROLLBACK")

    async def do(self, statement: str) -> None:
        self._rows(statement)

    async def rows(self, statement: str) -> list[Row]:
        return self._rows(statement)

    async def tables(self) -> dict[str, list[str]]:
        names = self._rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
        return {str(name): [str(row[0]) for row in self._rows("SELECT name FROM pragma_table_info(?)", (name,))] for (name,) in names}

    async def references(self) -> list[tuple[str, str]]:
        rows = self._rows('SELECT s.name, f."table" FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f')
        return [(str(table), str(other)) for table, other in rows]

    async def pages(self, table: str, columns: list[str]) -> AsyncIterator[list[Row]]:
        cursor = self._connection.execute(_select(table, columns))
        page: list[Row] = []
        for row in cursor:
            page.append(row)
            if len(page) == PAGE:
                yield page
                page = []
        yield page

    async def fill(self, table: str, columns: list[str], rows: list[Row]) -> None:
        marks = ", ".join("?" for _ in columns)
        text = f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, columns))}) VALUES ({marks})"  # noqa: S608 - quoted
        try:
            self._connection.executemany(text, rows)
        except apsw.Error as error:
            raise translated(error) from error

    def _rows(self, statement: str, values: tuple[Value, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except apsw.Error as error:
            raise translated(error) from error


class PostgresRunner:
    """PostgreSQL's."""

    engine = "postgres"
    id_type = "BIGINT PRIMARY KEY"

    def __init__(self, line: Line) -> None:
        self._line = line

    async def lock(self, say: Say) -> None:
        """Take a lock that belongs to the session, so that it goes with the process that held it."""
        waiting = False
        while not (await self._line.rows("SELECT pg_try_advisory_lock($1::bigint)", (_LOCK,)))[0][0]:
            if not waiting:
                say("another node is migrating the database; waiting for it")
            waiting = True
            await asyncio.sleep(_PAUSE)

    async def unlock(self) -> None:
        await self._line.rows("SELECT pg_advisory_unlock($1::bigint)", (_LOCK,))

    async def begin(self) -> None:
        await self._line.begin()

    async def snapshot(self) -> None:
        await self._line.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def commit(self) -> None:
        await self._line.commit()

    async def rollback(self) -> None:
        await self._line.rollback()

    async def do(self, statement: str) -> None:
        await self._line.say(statement)

    async def rows(self, statement: str) -> list[Row]:
        return await self._line.rows(statement, ())

    async def tables(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in await self._line.rows(
            """SELECT c.relname::text, a.attname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
                WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
                  AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY c.relname, a.attnum""",
            (),
        ):
            found.setdefault(table, []).append(column)
        return found

    async def references(self) -> list[tuple[str, str]]:
        rows = await self._line.rows(
            """SELECT a.relname::text, b.relname::text FROM pg_constraint AS f
                 JOIN pg_class AS a ON a.oid = f.conrelid JOIN pg_class AS b ON b.oid = f.confrelid
                WHERE f.contype = 'f' AND a.relnamespace = current_schema()::regnamespace""",
            (),
        )
        return [(table, other) for table, other in rows]

    async def pages(self, table: str, columns: list[str]) -> AsyncIterator[list[Row]]:
        # A cursor of its own for each table, since what is prepared for one does not fit another.
        cursor = quoted(f"every {table}")
        await self._line.say(f"DECLARE {cursor} NO SCROLL CURSOR FOR {_select(table, columns)}")
        while page := await self._line.rows(f"FETCH {PAGE} FROM {cursor}", ()):
            yield [tuple(row) for row in page]
        await self._line.say(f"CLOSE {cursor}")

    async def fill(self, table: str, columns: list[str], rows: list[Row]) -> None:
        await self._line.copy(table, columns, rows)
