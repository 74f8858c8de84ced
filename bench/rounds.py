"""The measuring itself: alternating rounds, one operation after another on one deployment after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.cost import Meter, busy_seconds
from bench.load import Outcome, fire
from bench.operations import Operation, Stage
from bench.report import Row, Sample
from bench.server import pinned

WARM: Final = 200
QUIET: Final = 0.05  # the share of all cores that others may use during a run without disturbing it much


class Wrong(Exception):
    """An operation is not answered as it must be; its figures would mean nothing."""


@dataclass(slots=True)
class Target:
    """A running deployment that is measured: its stage, its processes, and what the rows say of it."""

    store: str
    fill: int
    workers: int
    stage: Stage
    server: int
    database: int | None
    where: frozenset[int]
    warm: set[str] = field(default_factory=set)

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are measured."""
        return [self.server] if self.database is None else [self.server, self.database]


def pace(where: frozenset[int]) -> float:
    """Return how much CPU time a fixed piece of work takes on a core, in µs: what changes from run to run is the machine's speed."""
    best = float("inf")
    with pinned(where):
        for _ in range(5):
            begun = time.thread_time()
            total = 0
            for number in range(20_000):
                total += number ^ (total & 0xFF)
            best = min(best, time.thread_time() - begun)
    return best * 1e6


def measured(target: Target, operation: Operation, connections: int, count: int) -> Sample:
    """Run one operation `count` times and return what it cost.

    Raises:
        Wrong: at its very first try it is not answered as it must be.
    """
    if operation.name not in target.warm:
        warm_up(target, operation)
    requests = operation.prepare(target.stage, count)
    before = pace(target.where)
    meter, busy = Meter(target.roots), busy_seconds()
    outcome = fire(*target.stage.address, requests, connections, good=operation.good)
    used, busy = meter.look(), busy_seconds() - busy
    done = max(outcome.count, 1)
    return Sample(
        rate=outcome.rate,
        p50=outcome.quantile(0.5),
        p99=outcome.quantile(0.99),
        server=used[target.server] / done * 1e6,
        database=0.0 if target.database is None else used[target.database] / done * 1e6,
        share=outcome.share,
        pace=(before + pace(target.where)) / 2,
        others=max(busy - sum(used.values()) - outcome.cpu, 0.0) / (outcome.seconds * (os.cpu_count() or 1)),
        wrong=_wrong(outcome, operation, count),
        strange=outcome.strange.decode("latin-1")[:300],
    )


def warm_up(target: Target, operation: Operation) -> None:
    """Have an operation answered a few times, unmeasured, and look at every answer."""
    outcome = fire(*target.stage.address, operation.prepare(target.stage, WARM), 8, keep=True, good=operation.good)
    for answer in outcome.answers:
        if int(answer[9:12]) not in operation.good or operation.proof not in answer:
            raise Wrong(f"{operation.name} on {target.store} is answered:\n{answer.decode('latin-1')[:1000]}")
    if outcome.count < WARM:
        raise Wrong(f"{operation.name} on {target.store}: {WARM - outcome.count} of {WARM} requests were not answered")
    target.warm.add(operation.name)


def _wrong(outcome: Outcome, operation: Operation, count: int) -> int:
    return count - sum(outcome.statuses[status] for status in operation.good)


def undisturbed(target: Target, operation: Operation, connections: int, count: int, tries: int) -> Sample:
    """Run it again, so many times at most, while others use more than a little of the machine; return the least disturbed run."""
    found = measured(target, operation, connections, count)
    for _ in range(tries - 1):
        if found.others <= QUIET:
            break
        found = min(found, measured(target, operation, connections, count), key=lambda sample: sample.others)
    return found


def one_round(
    targets: list[Target], operations: list[Operation], connections: list[int], *, count: int, tries: int
) -> Iterator[tuple[Row, Sample]]:
    """Yield every sample with the row it belongs to; the stores take turns, so that a slow minute hits both."""
    for operation in operations:
        for number in connections:
            for target in targets:
                row = Row(store=target.store, fill=target.fill, workers=target.workers, connections=number, operation=operation.name)
                yield row, undisturbed(target, operation, number, count, tries)
