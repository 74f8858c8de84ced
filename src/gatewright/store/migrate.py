"""Forward-only migrations: numbered files, each in one transaction with the row that says it was done."""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from gatewright.store.errors import BadQuery, SchemaError, StoreBusy, StoreError
from gatewright.store.port import Store
from gatewright.store.query import Query
from gatewright.store.runner import Runner, Say, runner_of

SCHEMA: Final = Path(__file__).with_name("schema")

_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_COMMENT: Final = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_WORD: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<id>\bID\b)|(?P<end>;[ \t]*(?=\n|\Z))""")
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL)"
)
_NOTE: Final = "INSERT INTO migration (number, name, digest, at) VALUES ({}, '{}', '{}', {})"  # our own file names and numbers
_TRIES: Final = 30


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


DONE = Query(Applied, "SELECT number, name, digest FROM migration ORDER BY number")


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


async def done_in(runner: Runner) -> list[Applied]:
    """Return what a database has behind it, nothing where nothing was ever set up."""
    if "migration" not in await runner.tables():
        return []
    return [DONE.make(row) for row in await runner.rows(DONE.text)]


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
    async with runner_of(url) as runner:
        if not missing(wanted, await done_in(runner)):
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


async def _all(runner: Runner, wanted: list[Migration], now: int, say: Say) -> None:
    while True:
        await runner.begin()
        try:
            # Asked inside the transaction: who waited for the lock finds what was done meanwhile.
            lacking = missing(wanted, await done_in(runner))
            if lacking:
                await apply(runner, lacking[0], len(wanted), now, say)
        except BaseException:
            await runner.rollback()
            raise
        await runner.commit()
        if len(lacking) <= 1:
            return


async def apply(runner: Runner, migration: Migration, last: int, now: int, say: Say) -> None:
    """Run one file and note it, inside a transaction that the caller has begun."""
    statements = migration.statements(runner.id_type)
    await runner.do(_TABLE)
    for number, statement in enumerate(statements, 1):
        say(f"schema {migration.number} of {last}, {migration.name}: statement {number} of {len(statements)}")
        try:
            await runner.do(statement)
        except BadQuery as error:
            raise SchemaError(f"migration {migration.number:04d}_{migration.name}, statement {number}: {error}") from error
    await runner.do(_NOTE.format(migration.number, migration.name, migration.digest, now))
