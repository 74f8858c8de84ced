"""The few threads that may burn a core's time on passwords: one bounded queue for all of them.

A hash costs 25 ms and 19 MiB on purpose, so a person at a page goes before a program at the token endpoint, and a browser that signed
in before goes ahead of strangers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final, TypeVar

from msgspec import Struct

from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.users.passwords import digest_of, fits, outdated

T = TypeVar("T")

PATIENCE_SECONDS: Final = 2.0
_NICE: Final = 10


class Lane(IntEnum):
    """Who is served first: a browser that signed in before, a person at a page, a program at the token endpoint."""

    KNOWN = 0
    PAGE = 1
    TOKEN = 2


class Checked(Struct, frozen=True):
    """Whether a password fits, and its digest anew where the kept one was made with other parameters."""

    fits: bool
    renewed: str | None = None


class _Job:
    """One piece of work that somebody waits for. `lock` of the pool guards `left`: taken by a thread, or given up by its owner."""

    __slots__ = ("future", "left", "loop", "work")

    def __init__(self, work: Callable[[], object], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[object] = loop.create_future()
        self.left = False

    def run(self) -> None:
        """Do the work and hand its outcome to the loop, which may be gone by now."""
        try:
            outcome: object = self.work()
            failed = False
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            outcome, failed = error, True
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            self.loop.call_soon_threadsafe(self.settle, outcome, failed)

    def settle(self, outcome: object, failed: bool) -> None:  # noqa: FBT001 - called back by position
        """Give the outcome to whoever waits, if somebody still does."""
        if self.future.done():
            return
        if failed and isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class PasswordPool:
    """Hashes in threads of low priority. Its `verify` is the `Passwords` port; the pages ask `check`."""

    __slots__ = ("_closed", "_lanes", "_limits", "_ready", "_threads", "_wanted", "patience")

    def __init__(self, threads: int = 1, queue: int = 64, patience: float = PATIENCE_SECONDS) -> None:
        self._wanted = threads
        self._limits = {Lane.KNOWN: max(1, queue // 4), Lane.PAGE: queue, Lane.TOKEN: max(1, queue // 2)}
        self._lanes: dict[Lane, deque[_Job]] = {lane: deque() for lane in Lane}
        self._ready = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.patience = patience

    async def verify(self, digest: str, secret: str) -> bool:
        """Tell whether the secret of a client belongs to its digest."""
        return await self.run(Lane.TOKEN, lambda: fits(digest, secret))

    async def check(self, digest: str | None, password: str, *, salt: bytes, lane: Lane) -> Checked:
        """Check a user's password; None where there is no such user, at the same cost."""
        return await self.run(lane, lambda: _checked(digest, password, salt))

    async def make(self, password: str, salt: bytes) -> str:
        """Return the digest of a new password."""
        return await self.run(Lane.PAGE, lambda: digest_of(password, salt))

    async def run(self, lane: Lane, work: Callable[[], T]) -> T:
        """Do some work in a thread.

        Raises:
            TemporarilyUnavailable: too many wait already, or it waited for two seconds, or there is no thread that would do it.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, loop)
        with self._ready:
            if self._closed or len(self._lanes[lane]) >= self._limits[lane]:
                raise _full("the queue is full")
            if not self._started():
                raise _full("the system gives no thread")
            self._lanes[lane].append(job)
            self._ready.notify()
        timer = loop.call_later(self.patience, self._give_up, lane, job, _full("waited too long"))
        try:
            return await job.future  # type: ignore[return-value] # what the work returns
        finally:
            timer.cancel()
            self._give_up(lane, job, None)

    def close(self) -> None:
        """Finish what was begun, refuse the rest. Called on the loop whose requests wait."""
        with self._ready:
            self._closed = True
            for lane in self._lanes.values():
                while lane:
                    job = lane.popleft()
                    job.left = True
                    job.settle(_full("the server stops"), failed=True)
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    def _give_up(self, lane: Lane, job: _Job, error: Exception | None) -> None:
        with self._ready:
            if job.left:
                return
            job.left = True
            self._lanes[lane].remove(job)
        if error is not None and not job.future.done():
            job.future.set_exception(error)

    def _started(self) -> bool:
        """Start a thread if one is lacking; tell whether there is any. One that cannot be started now is tried again by the next."""
        # Made when first needed: a worker process is forked from one that has no threads.
        if len(self._threads) < self._wanted:
            thread = threading.Thread(target=self._serve, name=f"passwords-{len(self._threads)}", daemon=True)
            with suppress(RuntimeError):  # a limit of the system or of the container
                thread.start()
                self._threads.append(thread)
        return bool(self._threads)

    def _serve(self) -> None:
        _yield_to_others()
        while (job := self._next()) is not None:
            job.run()

    def _next(self) -> _Job | None:
        with self._ready:
            while not self._closed:
                for lane in Lane:
                    if self._lanes[lane]:
                        job = self._lanes[lane].popleft()
                        job.left = True
                        return job
                self._ready.wait()
        return None


def _checked(digest: str | None, password: str, salt: bytes) -> Checked:
    if not fits(digest, password):
        return Checked(fits=False)
    return Checked(fits=True, renewed=digest_of(password, salt) if digest is not None and outdated(digest) else None)


def _full(why: str) -> TemporarilyUnavailable:
    return TemporarilyUnavailable("many people are signing in right now; try again in a moment", retry_after=2, why=f"passwords: {why}")


def _yield_to_others() -> None:
    """Let everything else go first. Only Linux gives a thread a priority of its own; elsewhere it would be the whole process's."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)
