"""Crash enumeration: a unit of work is made to fail before each of its statements in turn, and once more at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Concatenate, ParamSpec, TypeVar

from gatewright.store import Query, Store, Tx, Value

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")


class Crash(Exception):
    """Stands for the process's end at this very place."""


class CrashingTx:
    """A transaction that fails where its `n`-th statement would begin."""

    def __init__(self, tx: Tx, n: int) -> None:
        self._tx = tx
        self._left = n

    def step(self) -> None:
        """Counts one statement."""
        self._left -= 1
        if self._left == 0:
            raise Crash

    async def one(self, query: Query[R], **args: Value) -> R | None:
        self.step()
        return await self._tx.one(query, **args)

    async def all(self, query: Query[R], **args: Value) -> list[R]:
        self.step()
        return await self._tx.all(query, **args)

    async def do(self, query: Query[Any], **args: Value) -> int:
        self.step()
        return await self._tx.do(query, **args)

    async def wake(self) -> None:
        await self._tx.wake()


class CrashingStore:
    """A store whose units fail at their `n`-th statement; everything else passes. For acts that open their own units."""

    def __init__(self, store: Store, n: int) -> None:
        self._store = store
        self._n = n
        self.crashed = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def run(self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a unit that fails."""

        async def failing(tx: Tx) -> T:
            crashing = CrashingTx(tx, self._n)
            try:
                result = await unit(crashing, *args, **kwargs)
                crashing.step()
            except Crash:
                self.crashed = True
                raise
            return result

        return await self._store.run(failing)


async def crash_everywhere(
    store: Store, act: Callable[[Any], Awaitable[T]], check: Callable[[int], Awaitable[None]], *, most: int = 500
) -> tuple[T, int]:
    """Runs `act(store)` with a crash at statement 1, 2, 3 … until it passes, and `check(n)` after each crash.

    Returns what the act returned at last, and how many times it crashed before.
    """
    for n in count(1):
        assert n <= most, f"still crashing after {most} statements: does the act try again by itself?"
        broken = CrashingStore(store, n)
        try:
            result = await act(broken)
        except Crash:
            await check(n)
        else:
            assert not broken.crashed, f"the act went on after a crash at statement {n}"
            return result, n - 1
    raise AssertionError("count() ended")
