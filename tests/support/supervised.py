"""Supervised workers that fail as a test has them fail: `python -m tests.support.supervised STORY`, which prints what became of them.

Time stands still while a worker lives that shall fail; what passes of it meanwhile is the story's. Pauses are over as soon as nobody else
is about to fail.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from gatewright.base.moment import IdMaker, Moment
from gatewright.cli.supervisor import Supervisor
from tests.support.clock import SeededDice

LONG_MS: Final = 60_000  # far beyond a quick death
ENOUGH: Final = 25  # deaths after which a story ends that should have ended before


class Shared:
    """Numbers that all processes of a story see."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, 8 * 8)).cast("q")

    def __getitem__(self, place: int) -> int:
        return self._memory[place]

    def add(self, place: int, amount: int = 1) -> int:
        """Add to a number and return it; two processes never add to one at once."""
        self._memory[place] += amount
        return self._memory[place]


NOW = 0
LIVES, HEALTHY, TOLD = 2, 4, 6  # of each of two workers: how often it was started, whether it serves, whether it was then told to stop


class Clock:
    """The time that the story shares."""

    def __init__(self, shared: Shared) -> None:
        self.supervisor: Supervisor | None = None
        self._shared = shared
        self._dice = SeededDice()
        self._ids = IdMaker(self._dice)

    def moment(self) -> Moment:
        """Return the present moment, which is the end of the next pause where there is nothing else to wait for."""
        workers = self.supervisor.workers if self.supervisor else []
        pauses = [worker.start_at_ms for worker in workers if not worker.pid]
        if pauses and not any(worker.pid for worker in workers if not self._shared[HEALTHY + worker.number]):
            self._shared.add(NOW, max(0, min(pauses) - self._shared[NOW]))
        return Moment(self._shared[NOW], self._dice, self._ids)


def serve(shared: Shared, number: int) -> None:
    """Be at work until told to stop, which is written down."""
    shared.add(HEALTHY + number)
    signal.sigwait([signal.SIGTERM])
    shared.add(TOLD + number)


def fail() -> None:
    """End at once, as a worker does that cannot read the store."""
    sys.exit(1)


def one_fails(shared: Shared, number: int) -> None:
    """Worker 0 is healthy. Worker 1 lives long, then fails a dozen times, then is healthy again, and the server is stopped."""
    life = shared.add(LIVES + number)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # so that it is not missed before somebody waits for it
    if number == 0:
        serve(shared, number)
    elif life == 1:
        shared.add(NOW, LONG_MS)
        fail()
    elif life <= 13:
        fail()
    else:
        os.kill(os.getppid(), signal.SIGTERM)
        serve(shared, number)


def none_comes_up(shared: Shared, number: int) -> None:
    """Every worker fails from the first."""
    shared.add(LIVES + number)
    fail()


def none_comes_back(shared: Shared, number: int) -> None:
    """Worker 0 takes its time to come up, both live for long, and from then on both fail."""
    life = shared.add(LIVES + number)
    if (number, life) == (1, 1):
        shared.add(NOW, LONG_MS)
    if (number, life) == (0, 1):
        while shared[NOW] < LONG_MS:
            pass
    fail()


STORIES: Final[dict[str, Callable[[Shared, int], None]]] = {story.__name__: story for story in (one_fails, none_comes_up, none_comes_back)}


def main(story: str) -> None:
    """Play a story and print its end."""
    shared, deaths = Shared(), list[tuple[int, int]]()
    clock = Clock(shared)

    def say(worker: int, _: int, pause: int) -> None:
        deaths.append((worker, pause))
        if len(deaths) >= ENOUGH:
            os.kill(os.getpid(), signal.SIGTERM)

    clock.supervisor = Supervisor(lambda number, _: STORIES[story](shared, number), 2, clock, say, lambda: None)
    status = clock.supervisor.run()
    print(json.dumps({"status": status, "deaths": deaths, "told": [shared[TOLD], shared[TOLD + 1]]}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(sys.argv[1])
