"""What the jobs of a whole house do by the clock, and that they leave it where the clock is wrong, on both engines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from gatewright.app import SKEW_STOPS_MS
from gatewright.audit.usage import BATCH
from gatewright.jobs.runner import JOBS, Job, Jobs
from gatewright.ledger.telling import ROUNDS
from gatewright.store import Query, Tx, Unstorable
from tests.http.talk import exchange
from tests.support.approving import authorized, sign_in
from tests.support.house import ENVIRON, Node, NodeClock, Time, basic, open_nodes

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


# ---------------------------------------------------------------- one piece of work that fails


async def put_rows(node: Node, *texts: str) -> None:
    """Write rows of which a test says all but the tenant, and the moment that is a little over."""
    tenant, now = await node.tenant(), node.time.now

    async def unit(tx: Tx) -> None:
        for text in texts:
            await tx.do(Query(None, text), tenant=tenant, now=now)

    await node.house.store.run(unit)


def an_act(number: int, type: str) -> str:
    return f"""INSERT INTO webhook_fan_out (id, tenant, type, because, person, account, client, at, seen)
                    VALUES ({number}, :tenant, '{type}', '', 0, 7, 0, :now, 0)"""  # noqa: S608 - the test's own words


A_CLEAN_UP: Final = """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at,
                                                  changed_at, expires_at)
                            VALUES (99, :tenant, 5, 6, 0, 8, '1', '', '', 'cleanup', 1, 1, :now - 1)"""
A_GRANT: Final = """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at,
                                              changed_at)
                        VALUES (99, :tenant, 5, 99, 0, 0, '1', '', '', 'operator', :now, :now)"""
A_LAST_DAY: Final = "UPDATE scope SET retires_at = :now - 10 WHERE id = (SELECT MAX(id) FROM scope WHERE tenant = :tenant)"
UNTOLD: Final = Query(int, "SELECT id FROM webhook_fan_out ORDER BY id")


async def test_an_act_that_cannot_be_told_keeps_nothing_else_from_its_turn(pair: list[Node]) -> None:
    node, _ = pair
    await put_rows(node, an_act(1, "invoice.made"), an_act(2, "account.disabled"), A_CLEAN_UP, A_LAST_DAY)
    with pytest.raises(KeyError, match=r"invoice\.made"):
        await Jobs(node.house).once(named("tell"))
    assert await node.house.store.all(UNTOLD) == [1]
    assert await node.number("SELECT COUNT(*) FROM consent_grant WHERE source = 'cleanup' AND ended_at IS NULL") == 0
    assert await node.number("SELECT COUNT(*) FROM mark WHERE name LIKE '%:retired:%'") == 1


async def test_it_is_tried_again_and_so_is_what_came_since(pair: list[Node]) -> None:
    node, _ = pair
    jobs = Jobs(node.house)
    await put_rows(node, an_act(1, "invoice.made"), an_act(2, "account.disabled"), an_act(3, "invoice.paid"))
    with pytest.raises(ExceptionGroup) as met:
        await jobs.once(named("tell"))
    assert [str(fault) for fault in met.value.exceptions] == ["'invoice.made'", "'invoice.paid'"]
    await put_rows(
        node,
        an_act(4, "account.disabled"),
        "UPDATE webhook_fan_out SET type = 'account.deleted' WHERE id = 1 AND tenant = :tenant AND at <= :now",
        "DELETE FROM webhook_fan_out WHERE id = 3 AND tenant = :tenant AND at <= :now",
    )
    assert await jobs.once(named("tell"))
    assert await node.house.store.all(UNTOLD) == []


async def test_more_acts_that_cannot_be_told_than_a_round_has_are_stepped_over_too(pair: list[Node]) -> None:
    node, _ = pair
    await put_rows(node, *[an_act(number, "invoice.made") for number in range(1, ROUNDS + 2)], an_act(ROUNDS + 2, "account.disabled"))
    with pytest.raises(ExceptionGroup):
        await Jobs(node.house).once(named("tell"))
    assert await node.house.store.all(UNTOLD) == list(range(1, ROUNDS + 2))


async def test_each_fault_of_a_job_is_told_with_what_it_was_about(node: Node) -> None:
    await put_rows(node, an_act(1, "invoice.made"), an_act(2, "invoice.paid"))
    jobs = Jobs(node.house)
    await jobs.round(named("tell"))
    lines = told(node, "job.failed")
    assert [line["job"] for line in lines] == ["tell", "tell"]
    assert "the act 1, invoice.made" in str(lines[0]["traceback"])
    assert "the act 2, invoice.paid" in str(lines[1]["traceback"])


# ---------------------------------------------------------------- an orderly stop


def always(node: Node) -> Jobs:
    """Jobs of a node that flush without a pause."""
    return Jobs(node.house, (replace(named("usage"), every=0),))


async def taken(waiting: Callable[[], bool]) -> None:
    """Wait until a flush has taken what waits, which is then in the flush alone."""
    async with asyncio.timeout(30):
        while waiting():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


async def test_a_flush_that_runs_at_a_stop_is_let_end(pair: list[Node]) -> None:
    node, _ = pair
    for subject in range(5 * BATCH):
        node.house.usage.count("verified", 1, subject)
    jobs = always(node)
    jobs.start()
    await taken(lambda: bool(node.house.usage._counts))
    node.house.usage.count("verified", 1, 0)
    await jobs.stop()
    assert await node.number("SELECT CAST(SUM(total) AS BIGINT) FROM usage_count WHERE event = 'verified'") == 5 * BATCH + 1
    assert await node.number("SELECT total FROM usage_count WHERE event = 'verified' AND subject = 0") == 2
    assert told(node, "job.failed") == []


async def test_so_is_one_of_when_grants_were_used(pair: list[Node]) -> None:
    node, _ = pair
    numbers = range(1_000, 1_000 + 2 * BATCH + 1)
    await put_rows(node, *[A_GRANT.replace("99", str(number)) for number in numbers])
    for number in numbers:
        node.house.uses.used(number, node.time.now)
    jobs = always(node)
    jobs.start()
    await taken(lambda: bool(node.house.uses._waiting))
    await jobs.stop()
    assert await node.number("SELECT COUNT(*) FROM consent_grant WHERE used_at IS NOT NULL") == len(numbers)


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_a_flush_that_does_not_end_holds_up_a_stop_for_some_seconds_only(place: str) -> None:
    async with open_nodes(place, 2) as (node, other):
        node.house.usage.count("verified", 1, 7)
        jobs, locked, enough = always(node), asyncio.Event(), asyncio.Event()
        # A unit may await nothing but its transaction, so the lock is held by statements that go on until it is enough.

        async def hold(tx: Tx) -> None:
            await tx.do(Query(None, "LOCK TABLE usage_count IN EXCLUSIVE MODE"))
            locked.set()
            while not enough.is_set():
                await tx.one(Query(int, "SELECT 1"))

        holding = asyncio.create_task(other.house.store.run(hold))
        await locked.wait()
        jobs.start()
        await taken(lambda: bool(node.house.usage._counts))
        async with asyncio.timeout(30):
            await jobs.stop(within=0.1)
        assert [line["why"] for line in told(node, "job.failed")] == ["what was counted could not be written in time"]
        enough.set()
        await holding
        node.house.usage.count("verified", 1, 8)
        assert await jobs.once(named("usage")), "the store is well"


async def test_what_cannot_be_written_of_one_kind_keeps_no_other_from_being_written(node: Node) -> None:
    tenant = await node.tenant()
    await put_rows(node, A_GRANT)
    node.house.usage.count("\0", tenant, 7)  # which no store keeps
    node.house.uses.used(99, node.time.now)
    with pytest.raises(Unstorable):
        await Jobs(node.house).once(named("usage"))
    assert await node.number("SELECT COUNT(*) FROM consent_grant WHERE used_at IS NOT NULL") == 1
