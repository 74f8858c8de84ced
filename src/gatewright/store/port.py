"""What an engine promises: the same words, the same answers and the same errors on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from msgspec import Struct

from gatewright.store.following import Then
from gatewright.store.query import Query, Value

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")


class Tx(Protocol):
    """The transaction of a unit of work; all that a unit may await."""

    async def one(self, query: Query[R], **args: Value) -> R | None:
        """Return the first row, or None."""

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        """Return all rows."""

    async def do(self, query: Query[Any], **args: Value) -> int:
        """Run a statement; return how many rows it touched."""

    async def wake(self) -> None:
        """Have every node look at the change feed as soon as this transaction is committed."""


class Watch(Protocol):
    """An engine's way of telling that something may have been committed, by whomever."""

    @property
    def every(self) -> float:
        """How many seconds may pass between two looks."""

    def moved(self) -> bool:
        """Tell whether something may have been committed since the last call; costs microseconds."""

    async def close(self) -> None:
        """Stop watching."""


class Readiness(Struct, frozen=True):
    """What the engine says of itself (security rule 18)."""

    version: str
    clock_ms: int  # the database's clock, milliseconds since 1970
    warnings: tuple[str, ...] = ()

    def skew_ms(self, now_ms: int) -> int:
        """Return how far the caller's clock is from the database's."""
        return abs(now_ms - self.clock_ms)


@dataclass(slots=True)
class Counts:
    """What was asked of an engine since it was opened; budgets in tests and metrics read it."""

    reads: int = 0
    listings: int = 0
    verbs: int = 0
    units: int = 0
    statements: int = 0  # inside units
    commits: int = 0
    waiting: int = 0  # handed over to a queue and not answered yet
    flushes: int = 0  # round trips of PostgreSQL's coalesced statements


class Store(Protocol):
    """An open engine. Every method may raise `StoreError` and nothing else."""

    counts: Counts

    @property
    def engine(self) -> str:
        """Either `sqlite` or `postgres`."""

    async def one(self, query: Query[R], **args: Value) -> R | None:
        """Read the first row of a statement that finds by key, or None. Sees everything that was committed before."""

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        """Read a listing, off the hot path."""

    async def verb(self, query: Query[R], then: Then | None = None, /, **args: Value) -> R | None:
        """Run one guarded write as a transaction of its own; return its RETURNING row, or None where nothing matched.

        What is to be written beside it if it was first (an audit entry) goes along as `then`: both are committed, or neither.

        It is committed when this returns. A caller that is cancelled meanwhile does not take the write back. The statement must
        be one that may be run again with the same arguments (it carries an attempt or is idempotent): after a lost connection
        the engine does so once.
        """

    async def run(self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit of work, whole or not at all.

        A unit awaits nothing but its transaction, and is called again when it collided with another, so it changes nothing else.
        """

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Watch for commits of others; `wake` is called on the loop where the engine is told of one."""

    async def faults(self, query: Query[Any]) -> list[str]:
        """Prepare a statement; return what does not fit between it, its parameters and its record."""

    async def ready(self) -> Readiness:
        """Ask the engine how it is; raises `StoreUnavailable` when it does not answer."""

    async def close(self) -> None:
        """Finish what was handed over, then close."""
