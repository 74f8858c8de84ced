"""Opening one SQLite file the way every connection here must, and saying its errors in this package's words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import Final
from urllib.parse import unquote, urlsplit

import apsw

from gatewright.store.errors import BadQuery, ConstraintBroken, NotUnique, StoreBusy, StoreError, StoreUnavailable

# Versions before it can corrupt a WAL file that several connections use (sqlite.org/wal.html, "the WAL-reset bug").
OLDEST: Final = (3, 51, 3)
_PAUSE: Final = 0.0002  # SQLite's own back-off climbs to 100 ms, which made p99 ten times worse with two writers
_UNIQUE: Final = frozenset({apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID})
_MISTAKES: Final = (apsw.SQLError, apsw.MismatchError, apsw.RangeError, apsw.BindingsError, apsw.ReadOnlyError, apsw.SchemaChangeError)


def path_of(url: str) -> Path:
    """Return the file that a `sqlite:///absolute/path` or `sqlite:relative/path` names."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.strip("/"):
        raise StoreUnavailable(f"{url!r} names no file: write sqlite:///var/lib/gatewright/store.sqlite3, or sqlite:store.sqlite3")
    return Path(path)


def connect(path: Path, *, synchronous: str = "FULL", patience: float = 5.0, query_only: bool = False) -> apsw.Connection:
    """Open a connection; the file is made when it is missing, readable by nobody else.

    A connection belongs to the process that opened it: open after forking, never before.
    """
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST:
        raise StoreUnavailable(f"SQLite {apsw.sqlite_lib_version()} can damage a file; at least 3.51.3 is needed")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(os.fspath(path), statementcachesize=512)
        # First of all: with nobody to wait, even `journal_mode` fails when two processes start at once.
        connection.set_busy_handler(_waiter(patience))
        if connection.pragma("journal_mode", "wal") != "wal":
            raise StoreUnavailable(f"{path} cannot be kept in WAL mode; it must lie on a local disk")
        connection.pragma("synchronous", synchronous)
        connection.pragma("foreign_keys", "ON")
        connection.pragma("temp_store", "memory")
        connection.pragma("cache_size", -16_000)
        connection.pragma("journal_size_limit", 64 << 20)
        connection.pragma("query_only", query_only)
        # Else SQLite plans a statement anew for each new value that might suggest another plan: 45 us for each look at an authorization.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    except OSError as error:
        raise StoreUnavailable(f"the store {path} cannot be opened: {error.strerror}") from error
    except apsw.Error as error:
        fault = translated(error)
        raise fault if isinstance(fault, StoreBusy) else StoreUnavailable(f"the store {path} cannot be opened: {error}") from error
    return connection


def _waiter(patience: float) -> Callable[[int], bool]:
    limit = int(patience / _PAUSE)

    def wait(tries: int) -> bool:
        if tries >= limit:
            return False
        select((), (), (), _PAUSE)
        return True

    return wait


def translated(error: apsw.Error) -> StoreError:
    """Return the same fault in this package's words."""
    text = str(error)
    if isinstance(error, apsw.ConstraintError):
        kind = NotUnique if getattr(error, "extendedresult", 0) in _UNIQUE else ConstraintBroken
        return kind(text)
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return StoreBusy("another process has been writing to the store for too long")
    if isinstance(error, _MISTAKES):
        return BadQuery(text)
    return StoreUnavailable(f"the store's file cannot be used: {text}")
