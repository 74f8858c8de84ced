"""What the jobs of a whole house do by the clock, and that they leave it where the clock is wrong, on both engines."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from gatewright.app import SKEW_STOPS_MS
from gatewright.jobs.runner import JOBS, Job, Jobs
from tests.http.talk import exchange
from tests.support.approving import authorized, sign_in
from tests.support.house import ENVIRON, Node, NodeClock, Time, basic

HALF_A_DAY: Final = 12 * 3600
EVENTS_API: Final = basic("https://events.acme.test", ENVIRON["EVENTS_SECRET"])


def named(name: str) -> Job:
    return next(job for job in JOBS if job.name == name)


def jobs_of(node: Node) -> Jobs:
    """The jobs of a node as a process runs them, so with the limit of its clock."""
    return Jobs(replace(node.house, jobs_skew_ms=SKEW_STOPS_MS))


def put(node: Node, seconds: int) -> int:
    """Put the clock of one node so far off this machine's, which is the database's too; return where it stands."""
    clock = node.house.clock
    assert isinstance(clock, NodeClock)
    node.time = clock._time = Time(int(time.time()) + seconds)
    return node.time.now


async def lease(node: Node, job: str) -> int | None:
    return await node.number("SELECT until FROM deployment WHERE name = :name", name=f"job {job}")


def told(node: Node, event: str) -> list[dict[str, object]]:
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in node.lines]
    return [line for line in lines if line["event"] == event]


# ---------------------------------------------------------------- a clock that is wrong


async def test_a_node_whose_clock_is_wrong_deletes_nothing_of_the_others(pair: list[Node]) -> None:
    good, bad = pair
    put(good, 0)
    put(bad, HALF_A_DAY)
    cookie = await sign_in(good, "ann@acme.test")
    code = (await authorized(good, cookie, "budget-buddy", "openid view:events", account="acme-dev"))["code"]
    token = (await good.post("/token", exchange(code, "budget-buddy"), basic("budget-buddy"))).json["access_token"]
    await good.post("/revoke", {"token": token}, basic("budget-buddy"))
    marks = await good.number("SELECT COUNT(*) FROM mark")
    assert marks

    assert not await jobs_of(bad).once(named("sweep"))
    assert await good.number("SELECT COUNT(*) FROM mark") == marks
    assert (await good.post("/introspect", {"token": token}, EVENTS_API)).json == {"active": False}
    assert await lease(good, "sweep") is None

    now = put(bad, 0)
    assert await jobs_of(bad).once(named("sweep"))
    assert await good.number("SELECT COUNT(*) FROM mark") == marks
    assert await lease(good, "sweep") == now + 2 * named("sweep").every


async def test_it_does_not_take_what_another_node_has(pair: list[Node]) -> None:
    good, bad = pair
    put(good, 0)
    put(bad, HALF_A_DAY)
    owner = jobs_of(good)
    assert await owner.once(named("sweep"))
    until = await lease(good, "sweep")
    assert not await jobs_of(bad).once(named("sweep"))
    assert await lease(good, "sweep") == until
    put(good, 0)
    assert await owner.once(named("sweep"))


@pytest.mark.parametrize("off", [HALF_A_DAY, -HALF_A_DAY], ids=["ahead", "behind"])
async def test_nothing_that_goes_by_the_clock_is_done_by_a_wrong_one(pair: list[Node], off: int) -> None:
    node, _ = pair
    put(node, off)
    jobs = jobs_of(node)
    assert [job.name for job in JOBS if await jobs.once(job)] == ["usage"]
    put(node, 0)
    assert [job.name for job in JOBS if await jobs.once(job)] == [job.name for job in JOBS]


async def test_what_was_counted_is_written_whatever_the_clock_says(pair: list[Node]) -> None:
    node, _ = pair
    put(node, HALF_A_DAY)
    node.house.usage.count("verified", await node.tenant(), 7)
    assert await jobs_of(node).once(named("usage"))
    assert await node.number("SELECT total FROM usage_count WHERE event = 'verified' AND subject = 7") == 1


async def test_that_a_clock_is_wrong_is_told_once_until_it_is_right_again(pair: list[Node]) -> None:
    node, _ = pair
    jobs = jobs_of(node)
    for time_ in (1, 2):
        put(node, HALF_A_DAY)
        await jobs.once(named("sweep"))
        await jobs.once(named("tell"))
        lines = told(node, "clock.off")
        assert len(lines) == time_
        assert abs(int(str(lines[-1]["milliseconds"])) - HALF_A_DAY * 1000) < 60_000
        put(node, 0)
        await jobs.once(named("tell"))
        assert len(told(node, "clock.off")) == time_
