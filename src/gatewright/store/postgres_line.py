"""One connection to PostgreSQL that mends itself, a handful of them, and PostgreSQL's errors in this package's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol

import asyncpg

from gatewright.store.errors import (
    BadQuery,
    ConstraintBroken,
    NotUnique,
    OutcomeUnknown,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)

_DIAL: Final = 2.0  # seconds
_CLOSING: Final = 2.0
READS: Final = ("default_transaction_read_only", "on")
_REFUSES: Final = "25006"  # what a transaction that may only read says to a write
_LOST: Final = ("08", "57P01", "57P02", "57P03", "57P05")
_COLLIDED: Final = ("40001", "40P01", "40003")
_SLOW: Final = ("55P03", "57014", "25P03")


class Lost(StoreUnavailable):
    """The connection was lost while a statement may have been running."""


class Refusing(Lost):
    """The connection was given up, since its server takes no writes: it is no primary, or not any more. Nothing was written."""


class Collision(StoreBusy):
    """Another transaction was in the way; the same again may well succeed."""


class Prepared(Protocol):
    """What is used of a driver's prepared statement."""

    async def fetch(self, *args: object, timeout: float) -> list[Any]: ...  # noqa: ASYNC109 - the driver's word
    def get_statusmsg(self) -> str: ...
    def get_parameters(self) -> Sequence[Any]: ...
    def get_attributes(self) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Dial:
    """How a connection is made."""

    url: str
    name: str  # what pg_stat_activity shows
    patience: float  # seconds that a statement may take
    settings: tuple[tuple[str, str], ...] = ()
    # What the server has to be, whatever the URL says: what a standby knows may be old, and with it a token good that was revoked.
    # Not "read-write", which a line of ours that only reads would not be. None leaves it to the URL.
    target: str | None = "primary"

    @property
    def reads(self) -> bool:
        """Tell whether nothing is to be written on it."""
        return READS in self.settings

    async def connect(self) -> Any:  # noqa: ANN401 - the driver has no types
        """Connect, or say in a sentence why not."""
        milliseconds = int(self.patience * 1000)
        settings = {
            "application_name": self.name,
            "TimeZone": "UTC",
            "jit": "off",
            "default_transaction_isolation": "read committed",
            "statement_timeout": str(milliseconds),
            "lock_timeout": str(milliseconds * 3 // 5),
            "idle_in_transaction_session_timeout": str(milliseconds * 2),
            # A node that vanished without a word must not keep its locks for the two hours of the system's default.
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
            **dict(self.settings),
        }
        try:
            return await asyncpg.connect(
                self.url, timeout=_DIAL, statement_cache_size=0, server_settings=settings, target_session_attrs=self.target
            )
        except (*_ERRORS, ValueError) as error:
            # An address may hold a password, so it is not in the sentence.
            raise StoreUnavailable(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error


class Line:
    """One connection, made when it is first needed and again after it was lost. Used by one caller at a time."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._connection: Any = None
        self._prepared: dict[str, Prepared] = {}
        self._names = count()
        self._timeout = dial.patience + 2  # the server gives up first, unless it is gone
        self._inside = False  # a transaction

    async def up(self) -> Any:  # noqa: ANN401 - the driver has no types
        """Return the open connection."""
        if self._connection is None or self._connection.is_closed():
            if self._inside:
                # On a new connection the rest of the transaction would be committed statement by statement.
                raise Lost("the connection to PostgreSQL was lost inside a transaction")
            self._prepared.clear()
            self._connection = await self._dial.connect()
        return self._connection

    async def prepared(self, text: str) -> Prepared:
        """Return a statement prepared on the open connection; raises this package's errors."""
        connection = await self.up()
        statement = self._prepared.get(text)
        if statement is None:
            try:
                # Without a name the driver has PostgreSQL parse and plan it again for each run, which costs 20 times what the run does.
                statement = await connection.prepare(text, name=f"gw_{next(self._names)}", timeout=self._timeout)
            except _ERRORS as error:
                raise self._failed(error) from error
            self._prepared[text] = statement
        return statement

    async def rows(self, text: str, args: Sequence[object]) -> list[Any]:
        """Run a prepared statement and return its rows."""
        statement = await self.prepared(text)
        try:
            return await statement.fetch(*args, timeout=self._timeout)
        except _ERRORS as error:
            raise self._failed(error) from error

    async def touched(self, text: str, args: Sequence[object]) -> int:
        """Run a prepared statement and return how many rows it wrote."""
        await self.rows(text, args)
        verb, _, count = self._prepared[text].get_statusmsg().rpartition(" ")
        return 0 if verb == "SELECT" or not count.isdigit() else int(count)

    async def say(self, text: str) -> str:
        """Run a statement without parameters, unprepared; return its status."""
        connection = await self.up()
        try:
            status: str = await connection.execute(text, timeout=self._timeout)
        except _ERRORS as error:
            raise self._failed(error) from error
        return status

    async def begin(self, how: str = "") -> None:
        """Begin a transaction; until it is over the line is not made anew."""
        await self.say(f"BEGIN {how}")
        self._inside = True

    async def commit(self) -> None:
        """Commit; `OutcomeUnknown` when the connection was lost meanwhile."""
        try:
            await self.up()
        finally:
            self._inside = False
        try:
            status = await self.say("COMMIT")
        except Lost as error:
            raise OutcomeUnknown(f"the connection was lost while committing: {error}") from error
        if status != "COMMIT":
            raise StoreUnavailable(f"PostgreSQL answered COMMIT with {status}")

    async def rollback(self) -> None:
        """Undo; never fails, since losing the connection undoes as well."""
        self._inside = False
        if self._connection is None or self._connection.is_closed():
            return
        try:
            await self.say("ROLLBACK")
        except StoreError:
            self.drop()

    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        """Call `heard` for each notification, until the connection is lost; return then."""
        ended = asyncio.Event()
        connection = await self.up()
        connection.add_termination_listener(lambda _connection: ended.set())
        try:
            await connection.add_listener(channel, lambda *_message: heard())
        except _ERRORS as error:
            raise self._failed(error) from error
        heard()  # for what was said before we listened
        await ended.wait()

    async def copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert many rows at once."""
        connection = await self.up()
        try:
            await connection.copy_records_to_table(table, columns=columns, records=rows, timeout=self._timeout)
        except _ERRORS as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> StoreError:
        fault = translated(error)
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            # The schema moved on beneath the statement; prepared anew it fits.
            self._prepared.clear()
            return Collision("the schema was changed meanwhile")
        if getattr(error, "sqlstate", None) == _REFUSES and not self._dial.reads:
            # Kept, it would refuse for ever, also once the same address leads to a server that takes writes.
            self.drop()
            return Refusing(f"PostgreSQL takes no writes: {error}")
        if isinstance(fault, Lost) or (self._connection is not None and self._connection.is_closed()):
            self.drop()
            return fault if isinstance(fault, Lost) else Lost(str(fault))
        return fault

    def drop(self) -> None:
        """Let go of the connection at once."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._prepared.clear()

    async def close(self) -> None:
        """Say goodbye, then let go."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=_CLOSING)
            except _ERRORS:
                self.drop()
        self._connection = None


class Pool:
    """A few lines, lent to one caller each. The one used last is lent first, so that the others may rest."""

    def __init__(self, dial: Dial, size: int, *, limit: int) -> None:
        self._free = [Line(dial) for _ in range(size)]
        self._every = tuple(self._free)
        self._turn = asyncio.Semaphore(size)
        self._limit = limit
        self._waiting = 0
        self._patience = dial.patience

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """Lend a line; `StoreBusy` when none comes free in time."""
        if self._waiting >= self._limit:
            raise StoreBusy(f"{self._waiting} callers are waiting for a connection already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._turn.acquire()
        except TimeoutError:
            raise StoreBusy("no connection came free in time") from None
        finally:
            self._waiting -= 1
        line = self._free.pop()
        try:
            yield line
        finally:
            self._free.append(line)
            self._turn.release()

    async def close(self) -> None:
        """Close all lines."""
        for line in self._every:
            await line.close()


_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


def translated(error: BaseException) -> StoreError:
    """Return a driver's error in this package's words."""
    text = str(error) or type(error).__name__
    state = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, asyncpg.DataError) or state[:2] in {"22", "42"}:
        return BadQuery(text)
    if isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)) or state.startswith(_LOST):
        return Lost(f"the connection to PostgreSQL was lost: {text}")
    if state in _COLLIDED:
        return Collision(text)
    if state in _SLOW:
        return StoreBusy(f"PostgreSQL took too long: {text}")
    if state == "23505":
        return NotUnique(text)
    if state.startswith("23"):
        return ConstraintBroken(text)
    return StoreUnavailable(f"PostgreSQL refused: {text}")
