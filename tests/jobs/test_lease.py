"""One node does a job for all."""

from __future__ import annotations

import asyncio

from gatewright.jobs.lease import take
from gatewright.store import Store
from tests.support.engines import Nodes

NOW = 1_900_000_000


async def test_a_lease_is_its_takers_until_it_runs_out(store: Store) -> None:
    assert await take(store, "sweep", "a", now=NOW, seconds=60)
    assert not await take(store, "sweep", "b", now=NOW + 59, seconds=60)
    assert await take(store, "sweep", "b", now=NOW + 60, seconds=60)
    assert not await take(store, "sweep", "a", now=NOW + 61, seconds=60)


async def test_who_has_a_lease_prolongs_it(store: Store) -> None:
    assert await take(store, "sweep", "a", now=NOW, seconds=60)
    assert await take(store, "sweep", "a", now=NOW + 50, seconds=60)
    assert not await take(store, "sweep", "b", now=NOW + 100, seconds=60)


async def test_leases_of_several_jobs_are_several(store: Store) -> None:
    assert await take(store, "sweep", "a", now=NOW, seconds=60)
    assert await take(store, "keys", "b", now=NOW, seconds=60)


async def test_of_nodes_that_want_a_lease_at_once_one_gets_it(nodes: Nodes) -> None:
    opened = [await nodes() for _ in range(3)]
    won = await asyncio.gather(*[take(node, "sweep", f"node {number}", now=NOW, seconds=60) for number, node in enumerate(opened)])
    assert sorted(won) == [False, False, True]
