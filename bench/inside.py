"""What an operation costs inside the application alone: no HTTP server, no sockets, the cheapest of many short batches.

A batch of a few dozen requests is over before another process is scheduled in between, so the cheapest of a hundred says what the code
costs on a machine that is never quiet. It leaves out uvicorn and what PostgreSQL itself uses; `run` measures the whole.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import time
from statistics import median
from typing import Final

from msgspec import Struct

from bench.count import AT_ONCE, asked
from bench.load import Request
from bench.operations import Operation, Stage
from bench.server import Place
from gatewright.app import make_log, open_house
from gatewright.base.moment import SystemClock
from gatewright.settings import load
from gatewright.web.server import application

BATCH: Final = 2 * AT_ONCE
WARM: Final = 10  # batches


class Inside(Struct, frozen=True):
    """µs of CPU of one operation, all threads of the process: the cheapest batch and the median one."""

    best: float
    usual: float


def inside(
    place: Place, stage: Stage, operations: list[Operation], *, batches: int, profile: cProfile.Profile | None = None
) -> dict[str, Inside]:
    """Return what each operation costs. The deployment's own server must run while tokens are got from it, and be idle after that."""
    prepared = {operation.name: operation.prepare(stage, BATCH * (batches + WARM)) for operation in operations}
    return asyncio.run(_inside(place, prepared, profile))


async def _inside(place: Place, prepared: dict[str, list[Request]], profile: cProfile.Profile | None) -> dict[str, Inside]:
    environ = {name: value for name, value in place.environment.items() if name.startswith("GATEWRIGHT_")}
    loaded, clock = load(environ, options={"log.level": "warning"}), SystemClock()
    found = {}
    async with open_house(loaded, clock, make_log(loaded, clock), environ) as house:
        app = application(house)
        for name, requests in prepared.items():
            batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]
            for batch in batches[:WARM]:
                await asked(app, batch)
            spent = []
            for batch in batches[WARM:]:
                if profile is not None:
                    profile.enable()
                begun = time.process_time()
                await asked(app, batch)
                spent.append((time.process_time() - begun) / len(batch) * 1e6)
                if profile is not None:
                    profile.disable()
            found[name] = Inside(min(spent), median(spent))
    return found


def shown(profile: cProfile.Profile, rows: int) -> str:
    """Return the functions in which most of the time was spent; the profiler makes every call dearer, so only shares mean something."""
    import io

    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(rows)
    return text.getvalue()
