"""What every engine promises: the same answers and the same errors."""

from __future__ import annotations

import asyncio

import pytest

from gatewright.store import (
    BadQuery,
    ConstraintBroken,
    NotUnique,
    Query,
    Store,
    StoreBusy,
    StoreUnavailable,
    Tx,
    UnitMisbehaved,
    Unstorable,
    open_store,
)
from tests.store.things import (
    ADD,
    ADD_ALONE,
    ALONE,
    BUMP,
    COUNT,
    DROP,
    LIST,
    NAME,
    ONCE,
    ORPHAN,
    RAISE_ALL,
    READ,
    SET,
    SET_EACH,
    TAKE,
    Thing,
    add,
    move,
)
from tests.support.engines import Nodes

BIG = (1 << 63) - 1


async def test_a_read_sees_what_was_committed_a_moment_ago(store: Store) -> None:
    for number in range(10, 30):
        assert await store.verb(ADD, id=number, name="x", n=number) == number
        assert await store.one(READ, id=number) == Thing(number, "x", number)
        assert await store.one(ALONE, id=number) == Thing(number, "x", number)
        assert (await store.all(LIST))[-1].id == number


async def test_another_node_sees_it_too(store: Store, nodes: Nodes) -> None:
    other = await nodes()
    assert await other.one(READ, id=10) is None
    await store.verb(ADD, id=10, name="x", n=1)
    assert await other.one(READ, id=10) == Thing(10, "x", 1)


async def test_each_of_many_readers_gets_its_own_row(store: Store) -> None:
    await store.run(add, 10, 150)
    rows = await asyncio.gather(*[store.one(READ, id=number) for number in (*range(10, 160), 10, 10, 999)])
    assert [row.id if row else None for row in rows] == [*range(10, 160), 10, 10, None]


async def test_each_of_many_writers_gets_its_own_answer(store: Store) -> None:
    added = await asyncio.gather(*[store.verb(ADD, id=number, name=str(number), n=number) for number in range(300, 10, -1)])
    assert added == list(range(300, 10, -1))
    taken = await asyncio.gather(*[store.verb(TAKE, id=number, attempt=f"a{number}", now=5) for number in range(11, 302)])
    assert [row.taken_by if row else None for row in taken] == [*[f"a{number}" for number in range(11, 301)], None]
    dropped = await asyncio.gather(*[store.verb(DROP, id=number) for number in range(200, 400)])
    assert dropped == [*range(200, 301), *[None] * 99]
    await store.verb(SET_EACH, id=11, n=7)
    await store.verb(SET, id=12, n=8)
    assert [row.n for row in (await store.all(LIST))[1:3]] == [7, 8]


async def test_an_upsert_of_many_callers_answers_each_by_its_key(store: Store) -> None:
    calls = [(tenant, name) for tenant in (1, 2) for name in ("x", "y", "x")]
    rows = await asyncio.gather(*[store.verb(ONCE, tenant=tenant, name=name, attempt=f"{n}") for n, (tenant, name) in enumerate(calls)])
    assert [(row.id, row.name, row.n) for row in rows if row] == [
        (1, "x", 1),
        (1, "y", 1),
        (1, "x", 2),
        (2, "x", 1),
        (2, "y", 1),
        (2, "x", 2),
    ]
    assert [row.taken_by for row in rows if row] == ["0", "1", "0", "3", "4", "3"]


async def test_records_of_one_column_come_bare(store: Store) -> None:
    assert await store.one(COUNT) == 1
    assert await store.one(NAME, id=1) == "ID; not a type"
    assert await store.all(COUNT) == [1]


@pytest.mark.parametrize("text", ["", "'; DROP TABLE thing; --", "Zoë 🦊 \u202e", "\x01\x7f\u2028", "x" * 100_000, ":id $1 ?1 {each}"])
async def test_text_comes_back_as_it_went_in(store: Store, text: str) -> None:
    await store.verb(ADD, id=10, name=text, n=0)
    assert await store.one(NAME, id=10) == text
    read = await store.one(READ, id=10)
    assert read is not None
    assert read.name == text


@pytest.mark.parametrize("number", [BIG, -BIG - 1, 0, 1 << 31, -1])
async def test_integers_of_63_bits_come_back(store: Store, number: int) -> None:
    await store.verb(ADD, id=number, name=None, n=number)
    assert await store.one(READ, id=number) == Thing(number, None, number)
    assert await store.verb(DROP, id=number) == number


@pytest.mark.parametrize("text", ["a\0b", "\udc00"])
async def test_text_that_one_engine_would_refuse_is_refused_by_both(store: Store, text: str) -> None:
    with pytest.raises(Unstorable):
        await store.verb(ADD, id=10, name=text, n=0)

    async def unit(tx: Tx) -> None:
        await tx.do(ADD_ALONE, id=10, name=text, n=0)

    with pytest.raises(Unstorable):
        await store.run(unit)
    assert await store.one(COUNT) == 1


async def test_a_statement_that_writes_is_not_taken_for_a_read(store: Store) -> None:
    for read in (store.one, store.all):
        with pytest.raises(BadQuery, match="writes"):
            await read(SET, id=1, n=5)


async def test_a_key_that_is_there_already_is_not_unique(store: Store) -> None:
    with pytest.raises(NotUnique):
        await store.verb(ADD, id=1, name="again", n=0)
    with pytest.raises(NotUnique):
        await store.verb(ADD_ALONE, id=1, name="again", n=0)
    with pytest.raises(NotUnique):
        await store.run(add, 1)


async def test_a_missing_value_breaks_a_constraint(store: Store) -> None:
    with pytest.raises(ConstraintBroken) as caught:
        await store.verb(ADD, id=10, name="x", n=None)
    assert not isinstance(caught.value, NotUnique)


async def test_one_bad_write_fails_alone(store: Store) -> None:
    calls = [store.verb(ADD, id=number, name="x", n=None if number == 33 else number) for number in range(20, 80)]
    answers = await asyncio.gather(*calls, store.verb(ADD, id=1, name="twice", n=1), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [ConstraintBroken, NotUnique]
    assert [answer for answer in answers if isinstance(answer, int)] == [number for number in range(20, 80) if number != 33]
    assert await store.one(COUNT) == 60


async def test_what_fails_only_at_commit_fails_alone(store: Store) -> None:
    async def orphan(tx: Tx, number: int) -> None:
        await tx.do(ORPHAN, id=number, thing=number)

    units = [store.run(orphan, 1), store.run(orphan, 404), store.run(add, 50)]
    verbs = [store.verb(ADD, id=number, name="x", n=0) for number in range(20, 40)]
    answers = await asyncio.gather(*units, *verbs, return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [ConstraintBroken]
    assert await store.one(COUNT) == 22


async def test_a_unit_returns_what_it_returns_and_counts_what_it_touched(store: Store) -> None:
    async def unit(tx: Tx, *, extra: int) -> tuple[int, ...]:
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        bumped = await tx.one(BUMP, id=10)
        assert await tx.one(ALONE, id=99) is None
        assert [thing.id for thing in await tx.all(LIST)] == [1, 10]
        assert await tx.one(READ, id=10) == Thing(10, "x", 1)
        return (
            extra,
            bumped or 0,
            await tx.do(RAISE_ALL),
            await tx.do(SET, id=99, n=0),
            await tx.do(LIST),
            await tx.do(TAKE, id=10, attempt="a", now=1),
            await tx.do(ADD, id=11, name="y", n=0),
        )

    assert await store.run(unit, extra=5) == (5, 1, 2, 0, 0, 1, 1)


class Stumble(Exception):
    pass


async def test_a_unit_that_raises_leaves_nothing(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        await tx.do(RAISE_ALL)
        raise Stumble

    with pytest.raises(Stumble):
        await store.run(unit)
    assert await store.all(LIST) == [Thing(1, "ID; not a type", 0)]


async def test_a_unit_whose_statement_failed_fails_even_if_it_catches_the_error(store: Store) -> None:
    async def unit(tx: Tx) -> str:
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        with pytest.raises(NotUnique):
            await tx.do(ADD_ALONE, id=1, name="x", n=0)
        with pytest.raises(NotUnique):
            await tx.one(COUNT)
        return "all is well"

    with pytest.raises(NotUnique):
        await store.run(unit)
    assert await store.one(COUNT) == 1


async def test_a_bad_argument_in_a_unit_is_the_units_own_affair(store: Store) -> None:
    async def unit(tx: Tx) -> int | None:
        with pytest.raises(BadQuery):
            await tx.one(ALONE, ident=1)
        return await tx.one(COUNT)

    assert await store.run(unit) == 1


MISDEEDS = ["clock", "pause", "future", "read", "list", "write", "unit"]


@pytest.mark.parametrize("deed", MISDEEDS)
async def test_a_unit_that_awaits_something_else_is_stopped_and_leaves_nothing(store: Store, deed: str) -> None:
    async def unit(tx: Tx) -> None:
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        match deed:
            case "clock":
                async with asyncio.timeout(1):
                    await asyncio.Event().wait()
            case "pause":
                await asyncio.sleep(0)
            case "future":
                await asyncio.get_running_loop().create_future()
            case "read":
                await store.one(READ, id=1)
            case "list":
                await store.all(LIST)
            case "write":
                await store.verb(ADD, id=11, name="x", n=0)
            case _:
                await store.run(add, 12)

    with pytest.raises(UnitMisbehaved):
        await store.run(unit)
    assert await store.one(COUNT) == 1
    await store.run(add, 10)  # and the engine works on


async def test_a_transaction_is_of_no_use_after_its_unit(store: Store) -> None:
    async def unit(tx: Tx) -> Tx:
        return tx

    tx = await store.run(unit)
    with pytest.raises(UnitMisbehaved):
        await tx.do(ADD_ALONE, id=10, name="x", n=0)


async def test_a_caller_that_goes_does_not_take_its_write_along(store: Store) -> None:
    calls = [asyncio.create_task(store.verb(ADD, id=number, name="x", n=0)) for number in range(10, 60)]
    calls += [asyncio.create_task(store.run(add, number)) for number in range(60, 70)]
    await asyncio.sleep(0)  # they are handed over, and no more
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 30
    await asyncio.gather(*[store.verb(SET_EACH, id=number, n=1) for number in range(10, 70)])
    await store.run(add, 70)
    assert await store.one(COUNT) == 62


async def test_units_that_collide_are_run_again_until_each_is_done(store: Store, nodes: Nodes) -> None:
    other = await nodes()
    await store.run(add, 2)
    await asyncio.gather(*[(store, other)[n % 2].run(move, 1, 2, 1) for n in range(24)])
    assert [thing.n for thing in await store.all(LIST)] == [-24, 24]


async def test_too_much_waiting_is_refused_with_a_time_to_come_back(url: str) -> None:
    store = await open_store(url, folder=None, limit=5)
    try:
        for kind in ("verbs", "units"):
            calls = [store.run(add, n) if kind == "units" else store.verb(ADD, id=n, name="x", n=0) for n in range(100, 140)]
            refused = [answer for answer in await asyncio.gather(*calls, return_exceptions=True) if isinstance(answer, StoreBusy)]
            assert len(refused) >= 29
            assert refused[0].retry_after >= 1
            assert await store.one(COUNT) == 1 + 40 - len(refused)
            await store.run(drop_all)
    finally:
        await store.close()


async def drop_all(tx: Tx) -> None:
    for thing in await tx.all(LIST):
        if thing.id != 1:
            await tx.do(DROP, id=thing.id)


async def test_closing_finishes_what_was_handed_over_and_takes_no_more(store: Store, nodes: Nodes) -> None:
    other = await nodes()
    calls = [asyncio.create_task(other.verb(ADD, id=number, name="x", n=0)) for number in range(10, 60)]
    calls.append(asyncio.create_task(other.run(add, 60)))
    await asyncio.sleep(0)
    await other.close()
    await other.close()
    await asyncio.gather(*calls)
    for call in (other.one(READ, id=1), other.all(LIST), other.verb(ADD, id=1, name="", n=0), other.run(add, 1), other.ready()):
        with pytest.raises(StoreUnavailable):
            await call
    assert await store.one(COUNT) == 52


async def test_the_engine_says_its_version_and_clock(store: Store, engine: str) -> None:
    ready = await store.ready()
    assert store.engine == engine
    assert {"sqlite": "SQLite 3.", "postgres": "PostgreSQL "}[engine] in ready.version
    assert ready.skew_ms(ready.clock_ms - 7) == 7
    assert ready.warnings == ()


async def test_what_does_not_fit_is_found_before_it_runs(store: Store, engine: str) -> None:
    assert await store.faults(READ) == []
    assert await store.faults(TAKE) == []
    assert await store.faults(ONCE) == []
    assert await store.faults(SET_EACH) == []
    assert "2 columns for a record of 4" in (await store.faults(Query(Thing, "SELECT id, n FROM thing")))[0]
    assert engine.title()[:4] in (await store.faults(Query(int, "SELECT nonsense FROM thing")))[0].replace("SQLite", "Sqlite").title()
    if engine == "postgres":
        assert "CAST(:x AS BIGINT)" in (await store.faults(Query(int, "SELECT n FROM thing WHERE n < :x + 1.5")))[0]
        assert "numeric" in (await store.faults(Query(int, "SELECT sum(n) FROM thing")))[0]


async def test_a_mistake_in_a_statement_is_named(store: Store) -> None:
    for call in (store.one(Query(int, "SELECT nonsense FROM thing")), store.all(Query(int, "SELECT nonsense FROM thing"))):
        with pytest.raises(BadQuery, match="nonsense"):
            await call
    with pytest.raises(BadQuery, match="nonsense"):
        await store.verb(Query(None, "UPDATE thing SET nonsense = 1"))


async def test_what_was_asked_is_counted(store: Store) -> None:
    before = store.counts.commits
    await store.one(READ, id=1)
    await store.all(LIST)
    await store.verb(SET_EACH, id=1, n=1)
    await store.run(move, 1, 1, 1)
    counts = store.counts
    assert (counts.reads, counts.verbs, counts.units, counts.statements) == (1, 1, 1, 4)
    assert counts.commits - before == 2
    calls = [asyncio.create_task(store.verb(SET_EACH, id=1, n=n)) for n in range(5)]
    await asyncio.sleep(0)
    assert counts.waiting == 5
    await asyncio.gather(*calls)
    assert counts.waiting == 0
