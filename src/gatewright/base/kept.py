"""A bounded memory of what was read: the longest unused goes first, and nothing is believed while the change feed is silent."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key, read when first asked for. What is not found is not remembered.

    `fresh` tells whether changes made elsewhere are heard. While they are not, every `get` reads (`decisions` §5).
    """

    __slots__ = ("_fresh", "_limit", "_load", "_loading", "_values")

    def __init__(self, load: Callable[[K], Awaitable[V | None]], *, limit: int, fresh: Callable[[], bool]) -> None:
        self._load = load
        self._limit = limit
        self._fresh = fresh
        self._values: OrderedDict[K, V] = OrderedDict()
        self._loading: dict[K, asyncio.Task[V | None]] = {}

    async def get(self, key: K) -> V | None:
        """Return a value; one that is kept costs no wait."""
        values = self._values
        found = values.get(key)
        if found is not None and self._fresh():
            values.move_to_end(key)
            return found
        return await self._read(key)

    def forget(self, key: K) -> None:
        """Read a key anew when it is next asked for; what is being read now may be outdated already, so it is not kept."""
        self._values.pop(key, None)
        self._loading.pop(key, None)

    def forget_where(self, outdated: Callable[[K, V], bool]) -> None:
        """Forget every value of which this is true, and everything that is being read."""
        for key in [key for key, value in self._values.items() if outdated(key, value)]:
            del self._values[key]
        self._loading.clear()

    def forget_all(self) -> None:
        """Forget everything, for whoever cannot know what was changed."""
        self._values.clear()
        self._loading.clear()

    def __len__(self) -> int:
        return len(self._values)

    async def _read(self, key: K) -> V | None:
        task = self._loading.get(key)
        if task is None:
            # One reading for all who ask meanwhile; it goes on when one of them gives up.
            task = asyncio.ensure_future(self._fetch(key))
            self._loading[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)

    async def _fetch(self, key: K) -> V | None:
        return await self._load(key)

    def _keep(self, key: K, done: asyncio.Task[V | None]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if self._loading.get(key) is not done:
            return  # forgotten while it was read
        del self._loading[key]
        value = None if failed else done.result()
        if value is None:
            self._values.pop(key, None)
            return
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._limit:
            self._values.popitem(last=False)
