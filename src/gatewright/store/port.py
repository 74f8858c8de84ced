"""What an engine promises. Everything above knows these protocols and no driver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from gatewright.store.query import Query, Value

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")


class Tx(Protocol):
    """A transaction under way: the only thing that a unit of work may await."""

    async def one(self, query: Query[R], **args: Value) -> R | None:
        """Return the first row, or None."""

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        """Return every row."""

    async def do(self, query: Query[Any], **args: Value) -> int:
        """Run a statement and return how many rows it touched."""


class Store(Protocol):
    """A database. Whatever returns from `verb` or `run` is committed; whatever raises has left nothing behind."""

    @property
    def engine(self) -> str:
        """`sqlite` or `postgres`."""

    async def one(self, query: Query[R], **args: Value) -> R | None:
        """Return one row of committed state: a point read, on the loop's thread or in a batch with others."""

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        """Return the rows of a listing, read beside the hot path."""

    async def verb(self, query: Query[R], **args: Value) -> R | None:
        """Run one guarded write in a transaction of its own, committed together with its neighbours.

        Raises:
            StoreBusy, StoreUnavailable, OutcomeUnknown
        """

    async def run(self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kw: P.kwargs) -> T:
        """Run a unit of work; it may be called again after a serialization failure, so it touches nothing but its transaction.

        Raises:
            UnitMisbehaved, StoreBusy, StoreUnavailable, OutcomeUnknown
        """

    async def close(self) -> None:
        """Finish what was accepted and let go of the database."""
