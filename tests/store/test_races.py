"""Who was first, who crashed, who was killed: one winner, nothing by half, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from gatewright.store import Query, Store, Tx
from tests.store.things import ADD_ALONE, COUNT, LIST, ONCE, TAKE, TAKE_ALONE, Thing, add, move
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("take", [TAKE, TAKE_ALONE], ids=["batched", "alone"])
async def test_of_fifty_that_redeem_at_once_on_two_nodes_one_is_first(store: Store, nodes: Nodes, take: Query[Thing]) -> None:
    both = (store, await nodes())
    answers = await asyncio.gather(*[both[n % 2].verb(take, id=1, attempt=f"a{n}", now=n) for n in range(50)])
    won = [n for n, answer in enumerate(answers) if answer is not None and answer.taken_by == f"a{n}"]
    assert len(won) == 1
    assert [answer for answer in answers if answer is not None] == [answers[won[0]]]
    again = await both[1].verb(take, id=1, attempt=f"a{won[0]}", now=99)
    assert again == answers[won[0]]


async def test_each_of_many_rows_has_one_winner_on_two_nodes(store: Store, nodes: Nodes) -> None:
    await store.run(add, 10, 100)
    both = (store, await nodes())
    calls = [both[n % 2].verb(TAKE, id=number, attempt=f"a{n}", now=1) for n in range(4) for number in range(109, 9, -1)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.id for answer in answers if answer) == list(range(10, 110))


async def test_a_mark_is_set_first_by_one_of_many(store: Store, nodes: Nodes) -> None:
    both = (store, await nodes())
    answers = await asyncio.gather(*[both[n % 2].verb(ONCE, tenant=1, name="jti", attempt=f"a{n}") for n in range(40)])
    assert sum(answer is not None and answer.taken_by == f"a{n}" for n, answer in enumerate(answers)) == 1
    assert sorted(answer.n for answer in answers if answer) == list(range(1, 41))


async def test_a_unit_that_crashes_anywhere_leaves_nothing(store: Store) -> None:
    await store.run(add, 2)
    before = await store.all(LIST)

    async def unchanged(_statement: int) -> None:
        assert await store.all(LIST) == before

    async def act(broken: Store) -> None:
        await broken.run(move, 1, 2, 5)

    _, crashes = await crash_everywhere(store, act, unchanged)
    assert crashes == 5
    assert [thing.n for thing in await store.all(LIST)] == [-5, 5]


async def test_a_crash_in_one_unit_does_not_touch_its_neighbours(store: Store) -> None:
    async def stumble(tx: Tx, number: int) -> None:
        await tx.do(ADD_ALONE, id=number, name="x", n=0)
        raise KeyError(number)

    calls = [store.run(stumble if number % 3 == 0 else add, number) for number in range(10, 70)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, KeyError) for answer in answers) == 20
    assert await store.one(COUNT) == 41


async def writer(url: str, first: int, count: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.writing", url, str(first), str(count)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'guard' / 'src'}"},
        stdout=PIPE,
    )


async def test_several_processes_write_to_one_store(store: Store, url: str) -> None:
    processes = [await writer(url, first, 150) for first in (1_000, 2_000, 3_000)]
    for process in processes:
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert len(out.split()) == 150
    assert await store.one(COUNT) == 451
    assert (await store.all(LIST))[0].n == 450


async def test_what_a_killed_process_had_acknowledged_is_there(store: Store, url: str) -> None:
    process = await writer(url, 1_000, 0)
    assert process.stdout is not None
    acknowledged = [int(await process.stdout.readline()) for _ in range(100)]
    process.kill()
    rest, _ = await process.communicate()
    # The last line may be cut.
    acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    await store.run(add, 2)
    things = await store.all(LIST)
    assert {thing.id for thing in things} >= set(acknowledged)
    assert len(acknowledged) <= things[0].n <= len(things) - 2
