"""What is written beside a verb: with it and after it was first, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from gatewright.store import BadQuery, NotUnique, Query, Store, Then, Value
from gatewright.store.following import joined
from tests.store.things import ADD_ALONE, BUMP, COUNT, LIST, ONCE, READ, SET, SET_EACH, TAKE, Thing, add
from tests.support.engines import Nodes

NOTE = Query(
    None, "INSERT INTO thing (id, name, n) SELECT :id, :name, :n {each} WHERE true", each={"id": int, "name": str, "n": int}
)  # fmt: skip
MARK = Query(
    Thing,
    """INSERT INTO once (tenant, name, attempt, n) SELECT :tenant, :name, :attempt, 1 {each} WHERE true
    ON CONFLICT (tenant, name) DO UPDATE SET attempt = excluded.attempt WHERE once.attempt = excluded.attempt
    RETURNING tenant, name, n, attempt""",
    each={"tenant": int, "name": str, "attempt": str},
    key=("tenant", "name"),
)
NOTES = Query(int, "SELECT id FROM thing WHERE name = 'note' ORDER BY id")


def note(number: int) -> Then:
    args: dict[str, Value] = {"id": number, "name": "note", "n": 0}
    return Then(NOTE, args)


async def test_who_was_first_leaves_a_note_and_nobody_else(store: Store, nodes: Nodes) -> None:
    both = (store, await nodes())
    answers = await asyncio.gather(*[both[n % 2].verb(TAKE, note(100 + n), id=1, attempt=f"a{n}", now=n) for n in range(40)])
    won = [n for n, answer in enumerate(answers) if answer is not None]
    assert len(won) == 1
    assert await store.all(NOTES) == [100 + won[0]]


async def test_a_mark_leaves_a_note_for_the_first_that_set_it(store: Store, nodes: Nodes) -> None:
    both = (store, await nodes())
    calls = [both[n % 2].verb(MARK, note(100 + n), tenant=n % 4, name="jti", attempt=f"a{n}") for n in range(40)]
    won = [n for n, answer in enumerate(await asyncio.gather(*calls)) if answer is not None]
    assert sorted(n % 4 for n in won) == [0, 1, 2, 3]
    assert await store.all(NOTES) == sorted(100 + n for n in won)


async def test_each_of_many_rows_leaves_its_own_note(store: Store) -> None:
    await store.run(add, 10, 50)
    answers = await asyncio.gather(*[store.verb(TAKE, note(100 + n), id=n, attempt="a", now=1) for n in range(5, 60)])
    assert [answer.id for answer in answers if answer] == list(range(10, 60))
    assert await store.all(NOTES) == list(range(110, 160))


async def test_a_note_that_cannot_be_written_undoes_its_own_verb_alone(store: Store) -> None:
    await store.run(add, 10, 20)
    # 13 wants to leave a note where a thing is already.
    calls = [store.verb(TAKE, note(10 if n == 13 else 100 + n), id=n, attempt="a", now=1) for n in range(10, 30)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [n for n, answer in enumerate(answers, 10) if isinstance(answer, NotUnique)] == [13]
    assert [thing.id for thing in await store.all(LIST) if thing.taken_by] == [n for n in range(10, 30) if n != 13]
    assert await store.all(NOTES) == [100 + n for n in range(10, 30) if n != 13]
    spoilt = await store.one(READ, id=13)
    assert spoilt is not None
    assert spoilt.taken_by is None


async def test_verbs_with_and_without_a_note_go_side_by_side(store: Store) -> None:
    await store.run(add, 10, 20)
    calls = [store.verb(TAKE, note(100 + n) if n % 2 else None, id=n, attempt="a", now=1) for n in range(10, 30)]
    assert None not in await asyncio.gather(*calls)
    assert await store.all(NOTES) == [100 + n for n in range(11, 30, 2)]


async def test_a_caller_who_goes_away_takes_neither_back(store: Store) -> None:
    call = asyncio.create_task(store.verb(TAKE, note(100), id=1, attempt="a", now=1))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await store.verb(SET_EACH, id=1, n=5)
    for _ in range(1000):
        if await store.one(COUNT) == 2:
            break
        await asyncio.sleep(0)
    assert await store.all(NOTES) == [100]


async def test_several_are_written_beside_one_verb_or_none_of_them(store: Store) -> None:
    def two(number: int, other: int) -> Then:
        return Then(NOTE, note(number).args, also=note(other))

    answers = await asyncio.gather(*[store.verb(TAKE, two(100 + n, 200 + n), id=1, attempt=f"a{n}", now=n) for n in range(20)])
    won = next(n for n, answer in enumerate(answers) if answer is not None)
    assert await store.all(NOTES) == [100 + won, 200 + won]
    with pytest.raises(NotUnique):
        await store.verb(MARK, two(300, 200 + won), tenant=1, name="jti", attempt="mine")
    assert await store.all(NOTES) == [100 + won, 200 + won]
    assert (await store.verb(MARK, two(300, 301), tenant=1, name="jti", attempt="mine")) is not None
    assert await store.all(NOTES) == [100 + won, 200 + won, 300, 301]


@pytest.mark.parametrize(
    ("verb", "then"),
    [(BUMP, NOTE), (READ, NOTE), (SET_EACH, NOTE), (TAKE, ADD_ALONE), (TAKE, SET), (TAKE, SET_EACH), (TAKE, ONCE), (TAKE, MARK)],
)
def test_what_does_not_fit_together_is_refused_with_a_sentence(verb: Query[Thing], then: Query[None]) -> None:
    with pytest.raises(BadQuery, match=r"things:\d+|test_following:\d+"):
        joined(verb, then)
