"""What only PostgreSQL can do wrong: connections that are lost, servers that are killed, rows that are locked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from gatewright.store import (
    NotUnique,
    OutcomeUnknown,
    Query,
    Store,
    StoreBusy,
    StoreError,
    StoreUnavailable,
    Tx,
    backup,
    migrate,
    open_store,
)
from gatewright.store.postgres import PostgresTx, _unknown, _verdict
from gatewright.store.postgres_batch import _after_loss
from gatewright.store.postgres_line import Dial, Line, Lost, Refusing
from gatewright.store.postgres_watch import CHANNEL
from tests.store.things import ADD, ADD_ALONE, ALONE, COUNT, LIST, READ, SET, SET_EACH, TAKE, TAKE_ALONE, Thing, add
from tests.support.engines import NOW
from tests.support.postgres import Cluster, own_cluster

Aside: TypeAlias = Any  # a connection of the driver's, which has no types

# Whoever comes to the gate waits there for as long as somebody beside holds it.
GATE = """
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NEW; END $$;
"""
GATE_AT_COMMIT = (
    GATE + "CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON thing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate()"
)
GATE_AT_UPDATE = GATE + "CREATE TRIGGER gate AFTER UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION gate()"
CLOSE, OPEN = "SELECT pg_advisory_lock(77)", "SELECT pg_advisory_unlock(77)"
CUT_AT_GATE = """WITH found AS MATERIALIZED (SELECT pid FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event = 'advisory' AND pid <> $1)
                 SELECT pid FROM found WHERE pg_terminate_backend(pid)"""
CUT_MYSELF = Query(int, "SELECT 1 FROM (SELECT pg_terminate_backend(pg_backend_pid())) AS x")
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% listen'"
CUT_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name LIKE 'gatewright test%'"""


@pytest.fixture(params=["postgres"])
def engine() -> str:
    return "postgres"


@pytest.fixture
async def aside(url: str) -> AsyncIterator[Any]:
    """A connection beside the store's."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@asynccontextmanager
async def opened(url: str, *, patience: float = 5.0) -> AsyncIterator[Store]:
    store = await open_store(url, folder=None, patience=patience)
    try:
        yield store
    finally:
        await store.close()


async def cut(aside: Aside, before: int = 0) -> int:
    """Ends the connection that stands at the gate, once there is one (another than before), and returns its number."""
    async with asyncio.timeout(10):
        while True:
            pid: int | None = await aside.fetchval(CUT_AT_GATE, before)
            if pid is not None:
                return pid


async def test_a_line_that_was_cut_while_idle_is_made_again_unseen(store: Store, aside: Aside) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.one(READ, id=1),
        lambda: store.one(ALONE, id=1),
        lambda: store.all(LIST),
        lambda: store.verb(SET_EACH, id=1, n=1),
        lambda: store.verb(SET, id=1, n=1),
        lambda: store.run(add, 10),
    ]
    for call in calls:
        await store.one(READ, id=1)
        await store.verb(SET_EACH, id=1, n=0)
        await aside.execute(CUT_ALL)
        await call()
    assert await store.one(COUNT) == 2


@pytest.mark.parametrize("kind", ["batched", "alone"])
async def test_a_write_that_lost_its_connection_is_sent_again_as_the_same_attempt(store: Store, aside: Aside, kind: str) -> None:
    await aside.execute(GATE_AT_UPDATE)
    await aside.execute(CLOSE)
    call = asyncio.create_task(take(store, kind))
    await cut(aside)
    await aside.execute(OPEN)
    assert await call == Thing(1, "ID; not a type", 0, "a")


@pytest.mark.parametrize("kind", ["batched", "alone"])
async def test_a_write_whose_connection_is_lost_twice_is_of_unknown_outcome(store: Store, aside: Aside, kind: str) -> None:
    await aside.execute(GATE_AT_UPDATE)
    await aside.execute(CLOSE)
    call = asyncio.create_task(take(store, kind))
    await cut(aside, before=await cut(aside))
    with pytest.raises(OutcomeUnknown):
        await call
    await aside.execute(OPEN)
    assert await take(store, kind) == Thing(1, "ID; not a type", 0, "a")


async def refuse_writes(aside: Aside, so: str) -> None:
    """Has connections that are made from now on refuse writes ("on"), as those to a primary that is none any more do, or take them."""
    name = await aside.fetchval("SELECT current_database()")
    await aside.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {so}')


WRITES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "batched": lambda store: store.verb(SET_EACH, id=1, n=5),
    "alone": lambda store: store.verb(SET, id=1, n=5),
    "unit": lambda store: store.run(add, 10),
}


@pytest.mark.parametrize("kind", WRITES)
async def test_a_connection_that_refuses_writes_is_not_kept(url: str, aside: Aside, kind: str) -> None:
    await refuse_writes(aside, "on")
    async with opened(url) as store:
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="takes no writes"):
                await WRITES[kind](store)
        assert await store.one(READ, id=1) == Thing(1, "ID; not a type", 0, None)  # whoever reads still may
        await refuse_writes(aside, "off")
        await WRITES[kind](store)
        assert await store.one(COUNT) == (2 if kind == "unit" else 1)


async def test_whoever_writes_does_not_see_that_every_line_refused(url: str, aside: Aside) -> None:
    await refuse_writes(aside, "on")
    async with opened(url) as store:
        await asyncio.gather(*[store.all(LIST) for _ in range(6)])
        await asyncio.gather(store.verb(SET_EACH, id=9, n=7), take(store, "batched"), return_exceptions=True)
        await refuse_writes(aside, "off")
        await asyncio.gather(*[store.run(add, number) for number in range(10, 16)], store.verb(SET_EACH, id=1, n=7), take(store, "batched"))
        assert await store.one(COUNT) == 7


@pytest.mark.parametrize(
    "fault", [asyncpg.InternalClientError("of the driver"), RuntimeError("of nobody's thinking")], ids=["known", "other"]
)
async def test_who_listens_goes_on_whatever_dialling_fails_at(
    store: Store, aside: Aside, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled, heard = asyncio.Event(), asyncio.Event()

    async def refused(*_args: object, **_more: object) -> None:
        dialled.set()
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(asyncpg, "connect", refused)
        watch = store.watch(heard.set)
        await asyncio.wait_for(dialled.wait(), 10)
    try:
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()
        await aside.execute(f"NOTIFY {CHANNEL}")
        await asyncio.wait_for(heard.wait(), 10)
    finally:
        await watch.close()


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (Refusing("no"), Refusing("no"), StoreUnavailable),
        (Refusing("no"), StoreBusy("no"), StoreUnavailable),
        (Refusing("no"), Lost("away"), OutcomeUnknown),
        (Lost("away"), Refusing("no"), OutcomeUnknown),
    ],
)
def test_only_what_was_refused_twice_is_known_not_to_be_written(first: Lost, then: StoreError, told: type[StoreError]) -> None:
    with pytest.raises(StoreError) as alone:
        _verdict(then, first, late=False)
    assert isinstance(alone.value, Lost)
    assert isinstance(_unknown(SET, alone.value), told)
    assert isinstance(_after_loss(SET_EACH, first, then), told)


async def test_a_line_that_only_reads_stays_when_something_wants_to_write_on_it(url: str) -> None:
    line = Line(Dial(url, "gatewright test", 5.0, (("default_transaction_read_only", "on"),)))
    try:
        before = await line.rows("SELECT pg_backend_pid()", ())
        with pytest.raises(StoreUnavailable, match="refused: cannot execute UPDATE") as caught:
            await line.rows("UPDATE thing SET n = 1", ())
        assert type(caught.value) is StoreUnavailable
        assert await line.rows("SELECT pg_backend_pid()", ()) == before
    finally:
        await line.close()


async def take(store: Store, kind: str) -> Thing | None:
    return await store.verb(TAKE if kind == "batched" else TAKE_ALONE, id=1, attempt="a", now=1)


async def test_a_unit_whose_connection_is_lost_at_commit_is_of_unknown_outcome(store: Store, aside: Aside) -> None:
    await aside.execute(GATE_AT_COMMIT)
    await aside.execute(CLOSE)
    call = asyncio.create_task(store.run(add, 10))
    await cut(aside)
    with pytest.raises(OutcomeUnknown):
        await call
    assert await store.one(COUNT) == 1


async def test_a_unit_whose_connection_is_lost_before_commit_is_run_again(store: Store, aside: Aside) -> None:
    cuts = 1

    async def unit(tx: Tx) -> int:
        nonlocal cuts
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        if cuts:
            cuts -= 1
            await tx.all(CUT_MYSELF)
        return await tx.do(ADD_ALONE, id=11, name="x", n=0)

    assert await store.run(unit) == 1
    assert await store.one(COUNT) == 3


async def test_a_transaction_is_not_continued_on_another_connection(store: Store) -> None:
    runs = 0

    async def unit(tx: Tx) -> int:
        nonlocal runs
        runs += 1
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        if runs == 1:
            assert isinstance(tx, PostgresTx)
            tx._line.drop()  # lost while nobody was looking
        await tx.do(ADD_ALONE, id=11, name="x", n=0)
        if runs == 2:
            raise KeyError
        return runs

    with pytest.raises(KeyError):
        await store.run(unit)
    assert runs == 2
    assert await store.one(COUNT) == 1
    assert await store.run(unit) == 3


async def test_a_connection_that_is_lost_just_before_commit_is_no_riddle(store: Store) -> None:
    runs = 0

    async def unit(tx: Tx) -> int:
        nonlocal runs
        runs += 1
        await tx.do(ADD_ALONE, id=10, name="x", n=0)
        if runs == 1:
            assert isinstance(tx, PostgresTx)
            tx._line.drop()
        return runs

    assert await store.run(unit) == 2
    assert await store.one(COUNT) == 2
    assert [await store.run(add, number) for number in range(20, 30)] == [1] * 10


async def test_a_locked_row_holds_up_nobody_but_those_who_want_it(url: str, aside: Aside) -> None:
    async with opened(url, patience=2) as store:
        await store.run(add, 10, 20)
        async with aside.transaction():
            await aside.execute("UPDATE thing SET n = 7 WHERE id = 15")
            calls = [store.verb(SET_EACH, id=number, n=1) for number in range(10, 30)]
            answers = await asyncio.gather(*calls, store.verb(SET, id=15, n=1), store.verb(SET, id=16, n=2), return_exceptions=True)
        assert [type(answer) for answer in answers if answer is not None] == [StoreBusy, StoreBusy]
        assert [thing.n for thing in await store.all(LIST)][5:7] == [1, 7]


async def test_more_units_than_lines_wait_but_not_for_ever(store: Store, url: str, aside: Aside) -> None:
    async with opened(url, patience=0.3) as hasty:
        async with aside.transaction():
            await aside.execute("LOCK TABLE thing IN ACCESS EXCLUSIVE MODE")
            answers = await asyncio.gather(*[hasty.run(add, number) for number in range(10, 40)], return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreBusy}
    assert await store.run(add, 10) == 1


async def test_a_schema_that_moves_on_beneath_prepared_statements_is_noticed(store: Store, aside: Aside) -> None:
    await store.run(add, 10)
    calls: list[Callable[[], Awaitable[Thing | None]]] = [
        lambda: store.one(READ, id=10),
        lambda: store.one(ALONE, id=10),
        lambda: store.verb(TAKE, id=10, attempt="a", now=1),
    ]
    for call in calls:
        await call()
        await aside.execute("ALTER TABLE thing ALTER COLUMN name TYPE varchar")
        found = await call()
        assert found is not None
        assert found.name == "thing 10"
        await aside.execute("ALTER TABLE thing ALTER COLUMN name TYPE text")
    await store.run(touch)
    await aside.execute("ALTER TABLE thing ALTER COLUMN name TYPE varchar")
    await store.run(touch)


async def touch(tx: Tx) -> None:
    assert await tx.one(ALONE, id=10) is not None


async def test_two_nodes_whose_batches_overlap_do_not_block_each_other(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        await one.run(add, 10, 100)
        for turn in range(5):
            calls = [node.verb(SET_EACH, id=number, n=turn) for number in (*range(10, 110), *range(109, 9, -1)) for node in (one, other)]
            await asyncio.gather(*calls)
        assert {thing.n for thing in await one.all(LIST)} == {0, 4}


async def test_less_safety_is_said(url: str, aside: Aside) -> None:
    await aside.execute(f'ALTER DATABASE "{await aside.fetchval("SELECT current_database()")}" SET synchronous_commit = off')
    async with opened(url) as store:
        assert "synchronous_commit is off" in (await store.ready()).warnings[0]


async def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        await open_store(f"postgres://me:geheim@/x?host={tmp_path}")
    assert "geheim" not in str(caught.value)


async def test_a_batch_that_cannot_be_run_as_one_is_run_one_by_one(store: Store) -> None:
    answers = await asyncio.gather(*[store.verb(ADD, id=1 + number % 2, name="x", n=0) for number in range(2)], return_exceptions=True)
    assert [type(answer) for answer in answers] == [NotUnique, int]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Cluster]:
    with own_cluster() as cluster:
        yield cluster


class Load:
    """Writers that go on whatever happens, and remember what they were told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.longest = 0.0
        self.refused = 0
        self.stopping = False
        self.news = asyncio.Event()

    async def run(self, first: int) -> None:
        """Adds things with rising numbers."""
        number = first
        while not self.stopping:
            begun = asyncio.get_running_loop().time()
            try:
                if number % 4 == 0:
                    await self.store.run(add, number)
                else:
                    await self.store.verb(ADD, id=number, name="x", n=0)
                self.acknowledged.add(number)
            except OutcomeUnknown:
                self.unknown.add(number)
            except NotUnique:
                # The first try of a plain INSERT was committed after all, and the second met it.
                self.unknown.add(number)
            except StoreError:
                self.refused += 1
            self.news.set()
            self.longest = max(self.longest, asyncio.get_running_loop().time() - begun)
            number += 1

    async def more(self, *, acknowledged: int = 0, refused: int = 0) -> None:
        """Waits until so many more writes had this end."""
        acknowledged += len(self.acknowledged)
        refused += self.refused
        async with asyncio.timeout(60):
            while len(self.acknowledged) < acknowledged or self.refused < refused:
                self.news.clear()
                await self.news.wait()


async def test_killed_and_started_again_the_server_keeps_what_was_acknowledged(mortal: Cluster, schema: Path) -> None:
    await migrate(mortal.url, now=NOW, folder=schema)
    # Whoever hangs waits for all of this patience.
    async with opened(mortal.url, patience=20) as store:
        load = Load(store)
        writers = [asyncio.create_task(load.run(1_000 + 100_000 * n)) for n in range(16)]
        loop = asyncio.get_running_loop()
        for _ in range(2):
            await load.more(acknowledged=500)
            await loop.run_in_executor(None, mortal.kill)
            await load.more(refused=50)
            begun = loop.time()
            with pytest.raises(StoreUnavailable):
                await store.one(READ, id=1)
            assert loop.time() - begun < 10
            await loop.run_in_executor(None, mortal.start)
        await load.more(acknowledged=500)
        load.stopping = True
        await asyncio.gather(*writers)
        there = [thing.id for thing in await store.all(LIST)]
    assert len(there) == len(set(there))
    assert load.acknowledged <= set(there)
    assert set(there) - {1} <= load.acknowledged | load.unknown
    assert load.longest < 15


@pytest.fixture
def fallen() -> Iterator[Cluster]:
    """A server for one test, which ends as another than it was."""
    with own_cluster() as cluster:
        yield cluster


async def test_a_standby_is_not_kept_and_takes_over_when_it_is_promoted(fallen: Cluster, schema: Path, tmp_path: Path) -> None:
    await migrate(fallen.url, now=NOW, folder=schema)
    loop = asyncio.get_running_loop()
    async with opened(f"{fallen.url}&target_session_attrs=read-write") as store:
        heard = asyncio.Event()
        watch = store.watch(heard.set)
        try:
            await asyncio.wait_for(heard.wait(), 10)
            await store.run(add, 5)
            await loop.run_in_executor(None, fallen.kill)
            fallen.demote()
            await loop.run_in_executor(None, fallen.start)
            # What a standby says may be old: a token that was revoked would be good again.
            for call in (lambda: store.one(READ, id=1), lambda: store.verb(SET_EACH, id=1, n=1), lambda: store.run(add, 6)):
                with pytest.raises(StoreUnavailable, match="match the target"):
                    await call()
            assert (await backup(fallen.url, tmp_path / "backup.gz", now=NOW, folder=schema))["thing"] == 2  # what only reads may be there
            aside = await asyncpg.connect(fallen.url)
            heard.clear()
            assert await aside.fetchval("SELECT pg_promote()")
            await asyncio.wait_for(heard.wait(), 10)
            assert await store.run(add, 6) == 1
            await store.verb(SET_EACH, id=1, n=1)
            heard.clear()
            await aside.execute(f"NOTIFY {CHANNEL}")
            await asyncio.wait_for(heard.wait(), 10)
            await aside.close()
        finally:
            await watch.close()
