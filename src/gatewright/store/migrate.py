"""Forward-only migrations: numbered files, each in one transaction with the row that says it was done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import apsw
from msgspec import Struct

from gatewright.store.errors import BadQuery, SchemaError, StoreBusy, StoreError, StoreUnavailable
from gatewright.store.port import Store
from gatewright.store.postgres_line import Dial, Line
from gatewright.store.query import Query, Value
from gatewright.store.sqlite_file import connect, path_of, translated

SCHEMA: Final = Path(__file__).with_name("schema")

Say = Callable[[str], None]

_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_COMMENT: Final = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_WORD: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<id>\bID\b)|(?P<end>;[ \t]*(?=\n|\Z))""")
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL)"
)
_DONE: Final = "SELECT number, name, digest FROM migration ORDER BY number"
_LOCK: Final = 0x6761746577726974  # one lock for each database, whatever the schema
_TRIES: Final = 30
_PAUSE: Final = 0.1


class Applied(Struct, frozen=True):
    """A migration that a database has behind it."""

    number: int
    name: str
    digest: str


class Migration(Struct, frozen=True):
    """A file of the schema folder."""

    number: int
    name: str
    digest: str
    text: str

    def statements(self, id_type: str) -> list[str]:
        """Return the file's statements with `ID` as this engine's type of a primary key."""
        text = _COMMENT.sub(lambda found: found[1] or " ", self.text)
        parts: list[str] = [""]
        at = 0
        for word in _WORD.finditer(text):
            parts[-1] += text[at : word.start()]
            at = word.end()
            if word["end"]:
                parts.append("")
            else:
                parts[-1] += id_type if word["id"] else word.group()
        parts[-1] += text[at:]
        return [part.strip() for part in parts if part.strip()]


DONE = Query(Applied, _DONE)


def migrations(folder: Path = SCHEMA) -> list[Migration]:
    """Return the files of a schema folder in order."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        name = _FILE.fullmatch(path.name)
        if name is None or int(name[1]) != len(found) + 1:
            raise SchemaError(f"{path.name} does not continue the numbering of {folder}: {len(found) + 1:04d}_… was expected")
        text = path.read_text("utf-8").replace("\r\n", "\n")
        found.append(Migration(len(found) + 1, name[2], sha256(text.encode()).hexdigest(), text))
    if not found:
        raise SchemaError(f"there are no migrations in {folder}")
    return found


def missing(wanted: list[Migration], done: list[Applied]) -> list[Migration]:
    """Return what a database still lacks; raises `SchemaError` when it is none of ours or from a newer program."""
    if len(done) > len(wanted):
        raise SchemaError(
            f"the database is at schema {done[-1].number}, and this version of Gatewright knows schemas up to {len(wanted)}:"
            " start the version that made it, or a newer one"
        )
    for one, other in zip(wanted, done, strict=False):
        if (one.number, one.digest) != (other.number, other.digest):
            raise SchemaError(
                f"migration {other.number:04d}_{other.name} was changed after it was applied to this database: restore the file,"
                " and write what is new into a new one"
            )
    return wanted[len(done) :]


async def check_schema(store: Store, folder: Path = SCHEMA) -> None:
    """Refuse a database whose schema is not exactly what this program expects."""
    wanted = migrations(folder)
    try:
        done = await store.all(DONE)
    except BadQuery:
        done = []
    lacking = missing(wanted, done)
    if lacking:
        raise SchemaError(f"the database lacks {len(lacking)} of {len(wanted)} migrations: run `gatewright migrate` first")


async def migrate(url: str, *, now: int, folder: Path = SCHEMA, say: Say = lambda _sentence: None, until: int | None = None) -> int:
    """Bring a database to this program's schema (or to number `until` of it) and return the number it is at.

    Any number of processes may do so at once: one migrates, the others wait, then find it done. Killed anywhere, the next start
    takes it up at the file that was not finished. `say` is told each statement before it runs.
    """
    wanted = migrations(folder)[:until]
    async with _runner(url) as runner:
        if not missing(wanted, await runner.done()):
            return len(wanted)
        await runner.lock(say)
        try:
            for tries in range(_TRIES):
                try:
                    await _all(runner, wanted, now, say)
                    break
                except StoreBusy:
                    if tries == _TRIES - 1:
                        raise
                    say("somebody is using what is to be changed; trying again")
        finally:
            with suppress(StoreError):
                await runner.unlock()
    return len(wanted)


async def _all(runner: _Runner, wanted: list[Migration], now: int, say: Say) -> None:
    while True:
        await runner.begin()
        try:
            # Asked inside the transaction: who waited for the lock finds what was done meanwhile.
            lacking = missing(wanted, await runner.done())
            if lacking:
                await _one(runner, lacking[0], len(wanted), now, say)
        except BaseException:
            with suppress(StoreError):
                await runner.do("ROLLBACK")
            raise
        await runner.do("COMMIT")
        if len(lacking) <= 1:
            return


async def _one(runner: _Runner, migration: Migration, last: int, now: int, say: Say) -> None:
    statements = migration.statements(runner.id_type)
    await runner.do(_TABLE)
    for number, statement in enumerate(statements, 1):
        say(f"schema {migration.number} of {last}, {migration.name}: statement {number} of {len(statements)}")
        try:
            await runner.do(statement)
        except BadQuery as error:
            raise SchemaError(f"migration {migration.number:04d}_{migration.name}, statement {number}: {error}") from error
    await runner.note(migration.number, migration.name, migration.digest, now)


class _Runner(Protocol):
    """One connection that migrates."""

    id_type: str

    async def lock(self, say: Say) -> None: ...
    async def unlock(self) -> None: ...
    async def begin(self) -> None: ...
    async def do(self, statement: str) -> None: ...
    async def done(self) -> list[Applied]: ...
    async def note(self, *row: Value) -> None: ...


@asynccontextmanager
async def _runner(url: str) -> AsyncIterator[_Runner]:
    if url.startswith("sqlite:"):
        # Little patience in the driver and more here: the loop stays awake while another process migrates.
        connection = connect(path_of(url), patience=0.05)
        try:
            yield _SqliteRunner(connection)
        finally:
            connection.close()
    elif url.startswith(("postgres://", "postgresql://")):
        line = Line(Dial(url, "gatewright migrate", 600.0, (("lock_timeout", "5000"),)))
        try:
            await line.up()
            yield _PostgresRunner(line)
        finally:
            await line.close()
    else:
        raise StoreUnavailable("a store is named by sqlite:///path/to/file or postgres://user@host/database")


class _SqliteRunner:
    id_type = "INTEGER PRIMARY KEY"

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._say: Say = lambda _sentence: None

    async def lock(self, say: Say) -> None:
        """Nothing is held: BEGIN IMMEDIATE is the lock, file by file."""
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

    async def do(self, statement: str) -> None:
        self._rows(statement)

    async def done(self) -> list[Applied]:
        if not self._rows("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'"):
            return []
        return [DONE.make(row) for row in self._rows(_DONE)]

    async def note(self, *row: Value) -> None:
        self._rows("INSERT INTO migration (number, name, digest, at) VALUES (?, ?, ?, ?)", row)

    def _rows(self, statement: str, values: tuple[Value, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except apsw.Error as error:
            raise translated(error) from error


class _PostgresRunner:
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
        await self._line.say("BEGIN")

    async def do(self, statement: str) -> None:
        await self._line.say(statement)

    async def done(self) -> list[Applied]:
        if (await self._line.rows("SELECT to_regclass('migration')::text", ()))[0][0] is None:
            return []
        return [DONE.make(row) for row in await self._line.rows(_DONE, ())]

    async def note(self, *row: Value) -> None:
        await self._line.rows("INSERT INTO migration (number, name, digest, at) VALUES ($1, $2, $3, $4)", row)
