"""Runs the jobs of one process beside its requests: each at its interval, the shared ones on whichever node holds their lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gatewright.apis.retiring import retire_due
from gatewright.app import House
from gatewright.base.faults import each, raise_all
from gatewright.base.log import Event
from gatewright.jobs.domains import check_domains
from gatewright.jobs.lease import take
from gatewright.jobs.sweep import sweep
from gatewright.ledger.cleanup import CleanUps
from gatewright.ledger.telling import fan_out
from gatewright.market.settling import settle_all
from gatewright.store import StoreError

LAST: Final = 4  # seconds for the last writing: of the five that a process has when the drain's time is up


@dataclass(frozen=True, slots=True)
class Job:
    """One job: its name, its interval in seconds, whether one node does it for all, and what it does.

    `timed` where it deletes, ends, sends or leases by the time: a node whose clock is wrong leaves it to the others. One that is not
    only writes down what this process has in memory, and is let end at a stop.
    """

    name: str
    every: int
    shared: bool
    run: Callable[[House], Awaitable[object]]
    timed: bool = True


async def _in_turn(sentence: str, *parts: Callable[[], Awaitable[int]]) -> int:
    """Do several things of which none keeps another from its turn; what failed is raised at the end."""
    done, faults = 0, list[Exception]()
    for part in parts:
        try:
            done += await part()
        except Exception as fault:  # noqa: BLE001 - raised when all had their turn
            faults.append(fault)
    raise_all(faults, sentence)
    return done


async def _flush(house: House) -> object:
    """Write what was counted and noted in this process; what cannot be written stays for the next time."""
    store = house.store
    return await _in_turn(
        "what was counted could not be written",
        lambda: house.usage.flush(store, house.clock.moment().now),
        lambda: house.uses.flush(store),
        lambda: house.uses.scopes.flush(store),
        lambda: house.secret_uses.flush(store),
    )


async def _sweep(house: House) -> object:
    gone = await sweep(house.store, house.clock.moment().now)
    if gone:
        house.log.tell(Event.SWEPT, rows=gone)
    return gone


async def _rotate(house: House) -> object:
    return await house.rotate_due()


async def _domains(house: House) -> object:
    return await check_domains(house)


async def _settle(house: House) -> object:
    return await settle_all(house.store, house.clock)


async def _tell(house: House) -> object:
    """Write down what is still to be told: of acts that concerned many, of installations whose minutes are over, of scopes that went."""
    store, clock = house.store, house.clock
    return await _in_turn(
        "what could not be told",
        lambda: fan_out(store, clock),
        lambda: CleanUps(store).end_due(clock),
        lambda: retire_due(store, clock),
    )


async def _deliver(house: House) -> object:
    return await house.courier.round()


JOBS: Final = (
    # What was counted is in this process alone, so it goes on whatever the clock says.
    Job("usage", 10, shared=False, run=_flush, timed=False),
    Job("sweep", 300, shared=True, run=_sweep),
    Job("keys", 60, shared=True, run=_rotate),
    Job("domains", 60, shared=True, run=_domains),
    Job("installs", 300, shared=True, run=_settle),
    # Every process looks, at the price of a read or two; each piece of the work guards itself, and each address is leased by itself, so
    # that nodes share the work, none waits for another's lease, and an address that hangs holds up nobody.
    Job("tell", 2, shared=False, run=_tell),
    Job("deliver", 2, shared=False, run=_deliver),
)


class Jobs:
    """The jobs of one process, from `start` to `stop`."""

    def __init__(self, house: House, jobs: Sequence[Job] = JOBS) -> None:
        self._house = house
        self._jobs = jobs
        self._who = house.clock.moment().text(12)
        self._tasks: list[asyncio.Task[None]] = []
        self._flushes: set[asyncio.Future[object]] = set()
        self._clock_off = False

    def start(self) -> None:
        """Begin; the first round comes after the first interval, so that a start costs nothing."""
        self._tasks = [asyncio.create_task(self._repeat(job)) for job in self._jobs]

    async def stop(self, *, within: float = LAST) -> None:
        """End, after writing down what was counted; a flush that runs is let end, since what it took is in it alone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*self._flushes, return_exceptions=True)
                await _flush(self._house)
        except TimeoutError:
            self._house.log.tell(Event.JOB_FAILED, job="usage", why="what was counted could not be written in time")
        except Exception as met:  # noqa: BLE001 - a stop goes on
            self._failed("usage", met)

    async def _repeat(self, job: Job) -> None:
        while True:
            await asyncio.sleep(job.every)
            await self.round(job)

    async def round(self, job: Job) -> None:
        """Run a job now, if it is ours to run; the log hears each fault that it met."""
        try:
            await self.once(job)
        except Exception as met:  # noqa: BLE001 - a job that stumbles must not end for good
            self._failed(job.name, met)

    def _failed(self, job: str, met: Exception) -> None:
        for fault in each(met):
            if isinstance(fault, StoreError):
                self._house.log.tell(Event.JOB_FAILED, job=job, why="; ".join([str(fault), *getattr(fault, "__notes__", ())]))
            else:
                self._house.log.crashed(Event.JOB_FAILED, fault, job=job)

    async def once(self, job: Job) -> bool:
        """Run a job now, if it is ours to run; tell whether it was."""
        if job.timed and await self._off():
            return False
        now = self._house.clock.moment().now
        if job.shared and not await take(self._house.store, job.name, self._who, now=now, seconds=2 * job.every):
            return False
        if job.timed:
            await job.run(self._house)
            return True
        # A stop cancels who waits for it, and not the flush.
        flush = asyncio.ensure_future(job.run(self._house))
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)
        await asyncio.shield(flush)
        return True

    async def _off(self) -> bool:
        """Tell whether this node's clock is too wrong to judge by it what is over (`security-rules` 18); the log hears it once.

        Measured anew each time: one that is hours ahead would at once delete the marks of revoked tokens, retire keys that are in use,
        and take the leases of all jobs for as many hours.
        """
        skew = await self._house.skew_ms()
        off = skew > self._house.jobs_skew_ms
        if off and not self._clock_off:
            why = "the jobs that go by the clock wait until it is right, or another node does them"
            self._house.log.tell(Event.CLOCK_OFF, milliseconds=skew, why=why)
        self._clock_off = off
        return off
