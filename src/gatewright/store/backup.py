"""Backup: a consistent snapshot of every table in one file that either engine can be restored from."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gatewright.store.errors import BackupError
from gatewright.store.migrate import SCHEMA, apply, done_in, migrate, migrations, missing
from gatewright.store.query import Value
from gatewright.store.runner import PAGE, Row, Runner, Say, runner_of

VERSION: Final = 1
_OWN: Final = "migration"  # says what the database is, not what is in it


class Header(Struct, frozen=True, tag_field="line", tag="header", forbid_unknown_fields=True):
    """A backup's first line."""

    format: Literal["gatewright backup"]
    version: int
    schema: int
    engine: str
    at: int


class Table(Struct, frozen=True, tag_field="line", tag="table", forbid_unknown_fields=True):
    """The line before a table's rows."""

    name: str
    columns: list[str]


class Trailer(Struct, frozen=True, tag_field="line", tag="end", forbid_unknown_fields=True):
    """A backup's last line: how many rows each table has, and the digest of all that stands before."""

    rows: dict[str, int]
    sha256: str


_Line = Header | Table | Trailer | list[Value]
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Line)


async def backup(url: str, path: Path, *, now: int, folder: Path = SCHEMA) -> dict[str, int]:
    """Write everything as it is at this moment to `path`, which appears only when it is whole; return the rows by table.

    Others may go on reading and writing meanwhile. The file holds what the store holds: keep it as safe.
    """
    async with runner_of(url, target=None) as runner:  # of a standby too
        await runner.snapshot()
        done = await done_in(runner)
        if not done:
            raise BackupError("there is nothing to back up: the database was never set up")
        missing(migrations(folder), done)  # a newer program's database is that program's to back up
        with _whole(path) as file:
            header = Header(format="gatewright backup", version=VERSION, schema=len(done), engine=runner.engine, at=now)
            return await _write(runner, file, header)


async def restore(url: str, path: Path, *, now: int, folder: Path = SCHEMA, say: Say = lambda _sentence: None) -> dict[str, int]:
    """Fill an empty database from a backup, in one transaction, then migrate it to this program's schema; return the rows by table."""
    known = migrations(folder)
    header, rows = verify(path)
    if header.schema > len(known):
        raise BackupError(
            f"{path} holds schema {header.schema}, and this version of Gatewright knows schemas up to {len(known)}: use a newer version"
        )
    async with runner_of(url) as runner:
        await runner.lock(say)
        await runner.begin()
        try:
            if await runner.tables():
                raise BackupError("the database is not empty: restore into a new one")
            for migration in known[: header.schema]:
                await apply(runner, migration, len(known), now, say)
            await _fill(runner, path, say)
        except BaseException:
            await runner.rollback()
            raise
        await runner.commit()
        await runner.unlock()
    await migrate(url, now=now, folder=folder, say=say)
    return rows


def verify(path: Path) -> tuple[Header, dict[str, int]]:
    """Read a backup to its end; return its header and its rows by table, or say in a sentence what is wrong with it."""
    lines = _read(path)
    header = next(lines, None)
    if not isinstance(header, Header):
        raise BackupError(f"{path} is no backup of Gatewright's")
    if header.version != VERSION:
        raise BackupError(f"{path} has format {header.version}, and this version of Gatewright reads format {VERSION}")
    counted: dict[str, int] = {}
    table: Table | None = None
    for line in lines:
        if isinstance(line, Trailer):
            if line.rows != counted:
                raise BackupError(f"{path} is damaged: it does not hold the rows that it says")
            return header, counted
        if isinstance(line, Table):
            table = line
            counted[table.name] = 0
        elif table is None or isinstance(line, Header) or len(line) != len(table.columns):
            raise BackupError(f"{path} is damaged: a row fits no table")
        else:
            counted[table.name] += 1
    raise BackupError(f"{path} is cut off: its last line is missing")


def _read(path: Path) -> Iterator[_Line]:
    """Yield a backup's lines, each once the digest of the last line can still hold; the last line is checked against it."""
    digest = sha256()
    try:
        with gzip.open(path, "rb") as file:
            for raw in file:
                line = _DECODER.decode(raw)
                if isinstance(line, Trailer) and line.sha256 != digest.hexdigest():
                    raise BackupError(f"{path} is damaged: its content does not have the digest that it says")
                yield line
                digest.update(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile, msgspec.DecodeError) as error:
        raise BackupError(f"{path} is no backup of Gatewright's, or is damaged or cut off: {error}") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error


async def _write(runner: Runner, file: gzip.GzipFile, header: Header) -> dict[str, int]:
    digest = sha256()
    counted: dict[str, int] = {}

    def put(line: object) -> None:
        raw = _ENCODER.encode(line) + b"\n"
        digest.update(raw)
        file.write(raw)

    put(header)
    tables = await runner.tables()
    for name in _ordered(set(tables) - {_OWN}, await runner.references()):
        columns = tables[name]
        put(Table(name=name, columns=columns))
        counted[name] = 0
        async for page in runner.pages(name, columns):
            for row in page:
                put(row)
            counted[name] += len(page)
    put(Trailer(rows=counted, sha256=digest.hexdigest()))
    return counted


async def _fill(runner: Runner, path: Path, say: Say) -> None:
    tables = await runner.tables()
    names = _ordered(set(tables) - {_OWN}, await runner.references())
    for name in reversed(names):
        # What the migrations themselves put there is in the backup as it has become since.
        await runner.do(f'DELETE FROM "{name}"')  # noqa: S608 - our own table
    async for table, rows in _pages(path):
        if table.name not in names or set(table.columns) != set(tables[table.name]):
            raise BackupError(f"{path} holds a table {table.name!r} that its schema does not have so")
        if not rows:
            say(f"restoring {table.name}")
            continue
        await runner.fill(table.name, table.columns, rows)


async def _pages(path: Path) -> AsyncIterator[tuple[Table, list[Row]]]:
    """Yield each table first without rows, then with its rows in pages."""
    table: Table | None = None
    page: list[Row] = []
    for line in _read(path):
        if isinstance(line, list):
            page.append(line)
        if table is not None and page and (len(page) == PAGE or not isinstance(line, list)):
            yield table, page
            page = []
        if isinstance(line, Table):
            table = line
            yield table, []


def _ordered(tables: set[str], references: list[tuple[str, str]]) -> list[str]:
    """Return the tables so that each comes after those that its foreign keys name."""
    graph: TopologicalSorter[str] = TopologicalSorter({name: set() for name in sorted(tables)})
    for table, other in references:
        if table != other and {table, other} <= tables:
            graph.add(table, other)
    try:
        return list(graph.static_order())
    except CycleError as error:
        raise BackupError(f"the tables {', '.join(error.args[1])} name each other, so no order restores them") from error


def _is_free(path: Path) -> None:
    if path.exists():
        raise BackupError(f"{path} is there already and is not overwritten")


@contextmanager
def _whole(path: Path) -> Iterator[gzip.GzipFile]:
    """A compressed file that gets its name only when all of it is on the disk; readable by nobody else."""
    _is_free(path)
    try:
        # By chance and not by the process's number: in containers that comes again, and a killed backup leaves its part.
        handle, name = mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as disk:
            with gzip.GzipFile(fileobj=disk, mode="wb", filename="", compresslevel=6, mtime=0) as packed:
                yield packed
            disk.flush()
            os.fsync(disk.fileno())
        _is_free(path)
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
