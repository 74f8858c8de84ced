"""The change feed: what was committed that caches must hear of, in the order of its commits, on every node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from msgspec import Struct

from gatewright.store.errors import StoreError
from gatewright.store.port import Store, Tx
from gatewright.store.query import Query

T = TypeVar("T")

FRESH: Final = 2.0  # seconds of silence after which caches read through (security rule 57)
_PAGE: Final = 500


class Change(Struct, frozen=True):
    """Something that caches may hold was changed."""

    seq: int
    tenant: int
    kind: str
    subject: int
    at: int


NEXT = Query(int, "UPDATE change_head SET head = head + 1 WHERE id = 1 RETURNING head")
HEAD = Query(int, "SELECT a.head FROM {each} change_head AS a WHERE a.id = :id", each={"id": int})
APPEND = Query(None, "INSERT INTO change (seq, tenant, kind, subject, at) VALUES (:seq, :tenant, :kind, :subject, :at)")
SINCE = Query(Change, "SELECT seq, tenant, kind, subject, at FROM change WHERE seq > :seq AND seq <= :last ORDER BY seq")


async def announce(tx: Tx, *, tenant: int, kind: str, subject: int, at: int) -> None:
    """Append to the feed in the transaction that makes the change. The last thing of a unit, since it makes announcers queue.

    The head row stays locked until COMMIT, so numbers are committed in their order and none is skipped: a reader that has seen
    number n has seen all before it (security rule 58).
    """
    seq = await tx.one(NEXT)
    if seq is None:
        raise StoreError("the change feed has no head: the database was not set up by `gatewright migrate`")
    await tx.do(APPEND, seq=seq, tenant=tenant, kind=kind, subject=subject, at=at)
    await tx.wake()


class ChangeFeed:
    """Reads the feed as long as it is open and calls back, on the loop, for each change in order.

    A callback that raises gets the same change again at the next look, and until it takes it the feed is not fresh.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._callbacks: list[Callable[[Change], object]] = []
        self._gaps: list[Callable[[], object]] = []
        self._seen = 0
        self._heard_at = float("-inf")
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._watch = store.watch(self._woken.set)
        self._task: asyncio.Task[None] | None = None
        self._behind = True
        self.fault: Exception | None = None  # why the last look failed

    @property
    def fresh(self) -> bool:
        """Tell whether the feed was heard within two seconds; if not, a cache entry does not count."""
        return self._loop.time() - self._heard_at < FRESH

    @property
    def seen(self) -> int:
        """Return the number of the last change that was heard."""
        return self._seen

    def on_change(self, callback: Callable[[Change], object]) -> None:
        """Have `callback` called for every change from now on."""
        self._callbacks.append(callback)

    def on_gap(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when changes were missed for good, so that everything cached must go."""
        self._gaps.append(callback)

    async def start(self) -> None:
        """Begin at the present end of the feed. Open caches after this."""
        self._behind = self._watch.moved()
        self._seen = await self._store.one(HEAD, id=1) or 0
        self._heard_at = self._loop.time()
        self._task = self._loop.create_task(self._listen())

    async def look(self) -> None:
        """Hear everything that is committed by now."""
        async with self._turn:
            asked_at = self._loop.time()
            head = await self._store.one(HEAD, id=1) or 0
            while self._seen != head:
                await self._hear(head)
            self._heard_at = asked_at
            self._behind = False
            self.fault = None

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._watch.close()

    async def _hear(self, head: int) -> None:
        last = min(head, self._seen + _PAGE)
        changes = await self._store.all(SINCE, seq=self._seen, last=last)
        if head < self._seen or [change.seq for change in changes] != list(range(self._seen + 1, last + 1)):
            # Swept before we heard it, or the database is another one than before (restored from a backup).
            for gap in self._gaps:
                gap()
            self._seen = head
            return
        for change in changes:
            for callback in self._callbacks:
                callback(change)
            self._seen = change.seq

    async def _listen(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watch.every):
                    await self._woken.wait()
            self._woken.clear()
            try:
                self._behind = self._watch.moved() or self._behind
                if self._behind:
                    await self.look()
                else:
                    self._heard_at = self._loop.time()
            except Exception as error:  # noqa: BLE001 - whatever it was, caches read through until a look succeeds
                self.fault = error
                self._heard_at = float("-inf")
