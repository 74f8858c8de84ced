"""A store's tables by their names, past the server: how a million rows get in within a minute, and how ids are looked up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import asyncpg

Row = tuple[Any, ...]
_BATCH = 20_000


class Raw(Protocol):
    """The few things that the benchmarks do to a store directly."""

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a statement."""

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's columns, in order."""

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Add many rows."""

    def tidy(self) -> None:
        """Leave the store as time would: statistics gathered, nothing waiting to be written."""

    def size_mb(self) -> float:
        """Return how much it takes on disk."""

    def close(self) -> None:
        """Let go of it."""


class RawSqlite:
    """An SQLite file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db = sqlite3.connect(file, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA synchronous=OFF")

    def rows(self, sql: str) -> list[Row]:
        return self._db.execute(sql).fetchall()

    def columns(self, table: str) -> tuple[str, ...]:
        return tuple(str(row[1]) for row in self.rows(f"PRAGMA table_info({table})"))

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of ours
        supply = iter(rows)
        while batch := list(islice(supply, _BATCH)):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(sql, batch)
            self._db.execute("COMMIT")

    def tidy(self) -> None:
        self._db.execute("ANALYZE")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def size_mb(self) -> float:
        return self._file.stat().st_size / 1e6

    def close(self) -> None:
        self._db.close()


class RawPostgres:
    """A PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.Runner()
        self._db = self._loop.run(asyncpg.connect(url))

    def rows(self, sql: str) -> list[Row]:
        return [tuple(row) for row in self._loop.run(self._db.fetch(sql))]

    def columns(self, table: str) -> tuple[str, ...]:
        text = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"  # noqa: S608
        return tuple(str(row[0]) for row in self.rows(text))

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        supply = iter(rows)
        while batch := list(islice(supply, _BATCH)):
            self._loop.run(self._db.copy_records_to_table(table, records=batch, columns=columns))

    def tidy(self) -> None:
        self._loop.run(self._db.execute("VACUUM ANALYZE"))
        self._loop.run(self._db.execute("CHECKPOINT"))

    def size_mb(self) -> float:
        return float(self.rows("SELECT pg_database_size(current_database())")[0][0]) / 1e6

    def close(self) -> None:
        self._loop.run(self._db.close())
        self._loop.close()
