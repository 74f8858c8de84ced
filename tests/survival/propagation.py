"""How soon a change is acted on by every node: `python -m tests.survival.propagation` measures 200 changes, with and without LISTEN."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import httpx

from gatewright.base.moment import SystemClock
from gatewright.platform.apply import apply
from gatewright.platform.reading import read_text
from gatewright.store import Store, open_store
from tests.support.postgres import own_cluster
from tests.support.running import Deployment, Node, free_port
from tests.support.waiting import until
from tests.survival.platform import CLIENT_SECRET, PLATFORM, SECRETS

FULL = '"read:notes", "write:notes", "read:clock"'
SCOPES = ("read:notes", "read:notes write:notes")


def edited(deployment: Deployment, number: int) -> tuple[str, str]:
    """Return the platform with the service's scopes as the change of this number has them, and what its tokens then say."""
    wanted = SCOPES[number % 2]
    listed = ", ".join(f'"{name}"' for name in wanted.split())
    return PLATFORM.replace("{issuer}", deployment.issuer).replace(FULL, listed), wanted


def scope_now(http: httpx.Client) -> str:
    """Return what the service is given now."""
    answer = http.post("/token", data={"grant_type": "client_credentials"}, auth=("service", CLIENT_SECRET))
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.json()["scope"])


async def listening(url: str) -> set[int]:
    """The lines on which nodes are told of changes, each by its process at the database server."""
    return await _each_line(url, "pid")


async def cut_listening(url: str) -> set[int]:
    """Cut the lines on which nodes are told of changes; return which there were."""
    return await _each_line(url, "pid, pg_terminate_backend(pid)")


async def _each_line(url: str, wanted: str) -> set[int]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            f"SELECT {wanted} FROM pg_stat_activity WHERE application_name LIKE '%listen%' AND datname = current_database()"  # noqa: S608
        )
    finally:
        await connection.close()
    return {row["pid"] for row in rows}


async def measured(nodes: Sequence[Node], count: int, *, cut: bool) -> list[float]:
    """Change a client so many times; return for each the seconds from its commit until every node acts on it, the shortest first."""
    deployment = nodes[0].deployment
    store = await open_store(deployment.store_url or f"sqlite://{deployment.folder}/gatewright.sqlite3")
    took = []
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(nodes)))
        clients = [stack.enter_context(node.client()) for node in nodes]
        try:
            for number in range(count):
                if cut:
                    await cut_listening(deployment.store_url)
                took.append(await _one(store, deployment, number, clients, pool))
        finally:
            await store.close()
    return sorted(took)


async def _one(store: Store, deployment: Deployment, number: int, clients: list[httpx.Client], pool: ThreadPoolExecutor) -> float:
    text, wanted = edited(deployment, number)
    reading = read_text(text, deployment.folder / "platform.toml")
    applied = await apply(store, reading, SystemClock().moment(), SECRETS, "test")
    assert len(applied.plan.changes) == 1, applied.plan
    begun = time.perf_counter()

    def seen(http: httpx.Client) -> float:
        until(lambda: scope_now(http) == wanted, "the change to be seen", 10)
        return time.perf_counter() - begun

    return max(await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, seen, http) for http in clients)))


def quantile(times: list[float], share: float) -> float:
    """Return the time within which this share of sorted times lies."""
    return times[math.ceil(share * len(times)) - 1]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=200)
    count = parser.parse_args().changes
    slow = False
    with ExitStack() as stack:
        cluster = stack.enter_context(own_cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        deployment = Deployment(folder / "data", store_url=cluster.url, secrets=SECRETS).prepare(PLATFORM)
        nodes = [stack.enter_context(deployment.serve(port=port)) for port in (0, free_port())]
        for cut in (False, True):
            times = asyncio.run(measured(nodes, count, cut=cut))
            p50, p99, worst = (quantile(times, share) * 1000 for share in (0.5, 0.99, 1.0))
            how = "with the line cut before each" if cut else "notified"
            print(f"{count} changes, {how}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms")  # noqa: T201 - it is what was asked for
            slow |= p99 > 1000
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
