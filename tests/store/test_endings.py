"""Endings on each engine: written with what ends or not at all, told in an order in which nothing is overtaken, by whichever node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any, cast

import asyncpg
import pytest
from msgspec.structs import replace

from gatewright.base import ids
from gatewright.endings import book
from gatewright.endings.feed import OF_API, REMEMBERED, Feeds
from gatewright.endings.records import MARGIN, Ended, Ending, Lost, Narrowing, ToldLess
from gatewright.ledger import grants
from gatewright.ledger.book import Book
from gatewright.oauth.catalogue import OPENID, Api
from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.store import SCHEMA, Query, Store, Tx
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes
from tests.support.world import Playground

TOLD = Query(str, "SELECT authorizations || '|' || jti || '|' || client || '|' || person || '|' || account FROM ending ORDER BY id")
ENDED = Query(int, "SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NOT NULL")
COLUMNS = "id, tenant, at, until, authorizations, jti, api, client, person, account, upto, scopes, resources"
SEQS = Query(int, "SELECT COUNT(*) FROM ending WHERE seq IS NULL")


@pytest.fixture
def schema() -> Path:
    return SCHEMA


@pytest.fixture
async def ground(store: Store) -> Playground:
    """A tenant over the engine's store."""
    return await Playground(store).furnish()


@pytest.fixture
async def feeds(store: Store, ground: Playground) -> AsyncIterator[Feeds]:
    """The feeds of one node."""
    opened = Feeds(store, ground.clock)
    yield opened
    await opened.close()


async def end(tx: Tx, ground: Playground, number: int, tenant: int = b.TENANT) -> None:
    await book.ended(tx, ground.clock.moment(), Ending(tenant=tenant, authorizations=(number,)))


async def heard(feeds: Feeds, count: int, seq: int = 0, tenant: int = b.TENANT) -> list[Ended]:
    """Everything after a number, once it is so many."""
    found: list[Ended] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            news = feeds.news()
            more, seq = await feeds.after(tenant, seq)
            found += more
            if not more and len(found) < count:
                await news
    return found


def rows(found: list[Ended]) -> list[int]:
    return [int(one.authorizations) for one in found]


async def test_a_verb_that_ends_writes_its_ending_and_its_entry_once(ground: Playground, store: Store) -> None:
    ledger = Book(store, ground.clock)
    await ground.code(await ground.add(), OPENID)
    row = await ground.row()
    for _ in range(2):
        await ledger.end(row, because="revoked", now=NOON)
    assert await store.all(TOLD) == [f"{row.id}||0|0|0"]
    assert (await ground.audited()).count("authorization.ended") == 1
    await asyncio.gather(*[ledger.revoke(row, f"jti{n}", until=NOON + 60, attempt=f"a{n}", api=7) for n in range(20)])
    assert sorted(await store.all(TOLD)) == sorted([f"{row.id}||0|0|0", *(f"|jti{n}|0|0|0" for n in range(20))])
    await ledger.revoke(row, "opaque", until=NOON + 60, attempt="b", api=None)
    assert not [text for text in await store.all(TOLD) if "opaque" in text]


class Waiting:
    """A transaction that waits 50 s for each lock that it takes."""

    def __init__(self, tx: Tx, ground: Playground) -> None:
        self._tx = tx
        self._ground = ground

    async def one(self, query: Query[Any], **args: Any) -> Any:  # noqa: ANN401 - as the port has it
        self._ground.clock.pass_(50)
        return await self._tx.one(query, **args)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else
        return getattr(self._tx, name)


async def test_a_number_has_the_time_at_which_it_is_given_however_long_its_lock_was_waited_for(ground: Playground, store: Store) -> None:
    async def number(tx: Tx) -> int:
        return await book._number(cast("Tx", Waiting(tx, ground)), ground.clock)

    await store.run(end, ground, 7)
    assert await store.run(number) == 1
    (row,) = await store.all(book.AFTER, seq=0)
    assert (row.at, row.numbered_at) == (NOON, NOON + 50)
    assert row.issued_until == NOON + 50 + MARGIN


async def test_a_crash_anywhere_leaves_a_grant_that_lives_and_nothing_told(ground: Playground, store: Store) -> None:
    await ground.code(await ground.add(), OPENID)
    row = await ground.row()

    async def act(broken: Store) -> bool:
        at = ground.clock.moment()
        return await broken.run(grants.end, at, tenant=b.TENANT, number=row.grant, because="withdrawn", actor="us_x")

    async def as_before(_: int) -> None:
        assert (await store.all(TOLD), await store.one(ENDED)) == ([], 0)

    done, crashes = await crash_everywhere(store, act, as_before)
    assert done
    assert crashes > 3
    assert (await store.all(TOLD), await store.one(ENDED)) == ([f"{row.id}||0|0|0"], 1)


async def test_a_grant_with_more_sign_ins_than_are_named_is_told_by_its_parties(
    ground: Playground, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewright.ledger.dying.MOST", 1)
    client = await ground.add()
    await ground.code(client, OPENID)
    first = await ground.row()
    await ground.code(client, OPENID)
    at = ground.clock.moment()
    await store.run(grants.end, at, tenant=b.TENANT, number=first.grant, because="withdrawn", actor="us_x")
    assert await store.all(TOLD) == [f"||{first.client}|{first.person}|{first.account}"]


async def test_parties_are_told_with_the_last_authorization_that_there_is_whatever_the_clocks_say(ground: Playground, store: Store) -> None:
    await ground.code(await ground.add(), OPENID)
    late = (1 << 62) + 5
    await store.verb(Query(None, "UPDATE authorization_row SET id = :id"), id=late)
    await store.run(book.ended, ground.clock.moment(), Ending(tenant=b.TENANT, person=b.PERSON))
    assert await store.one(Query(int, "SELECT upto FROM ending")) == late


async def test_many_authorizations_are_named_in_several_rows(ground: Playground, store: Store) -> None:
    members = list(range(1, 2 * book.LISTED + 2))
    await store.run(book.all_ended, ground.clock.moment(), b.TENANT, members)
    texts = [text.partition("|")[0].split() for text in await store.all(TOLD)]
    assert [len(text) for text in texts] == [book.LISTED, book.LISTED, 1]
    assert [int(one) for text in texts for one in text] == members


async def test_every_node_hears_everything_once_and_in_the_same_order(ground: Playground, store: Store, nodes: Nodes) -> None:
    other = await nodes()
    all_feeds = [Feeds(store, ground.clock), Feeds(other, ground.clock)]
    with all_feeds[0].listening(1), all_feeds[1].listening(1):
        await asyncio.gather(*[(store, other)[n % 2].run(end, ground, n) for n in range(10, 60)])
        first, second = [await heard(feeds, 50) for feeds in all_feeds]
    assert sorted(rows(first)) == list(range(10, 60))
    assert rows(first) == rows(second)
    assert [one.seq for one in first] == list(range(1, 51))
    for feeds in all_feeds:
        await feeds.close()


async def test_what_was_numbered_after_the_last_look_is_read_once(ground: Playground, store: Store, feeds: Feeds) -> None:
    for number in range(10, 15):
        await store.run(end, ground, number)
    await book.number(store, ground.clock)
    feeds._head = feeds._before = 2  # as if the other three had come between the look and the question
    found, seq = await feeds.after(b.TENANT, 0)
    assert rows(found) == [10, 11, 12, 13, 14]
    assert await feeds.after(b.TENANT, seq) == ([], 5), "nobody is told of them again"


async def test_a_tenant_hears_its_own(ground: Playground, store: Store, feeds: Feeds) -> None:
    with feeds.listening(1):
        for number in range(10, 20):
            await store.run(end, ground, number, b.TENANT + number % 2)
        assert rows(await heard(feeds, 5)) == [10, 12, 14, 16, 18]
        assert rows(await heard(feeds, 5, tenant=b.TENANT + 1)) == [11, 13, 15, 17, 19]


async def test_who_comes_later_reads_what_this_process_never_saw(ground: Playground, store: Store, feeds: Feeds) -> None:
    for number in range(10, 15):
        await store.run(end, ground, number)
    with feeds.listening(1):
        found = await heard(feeds, 5)
        assert rows(found) == [10, 11, 12, 13, 14]
        assert await feeds.start_of(b.TENANT, found[2].id) == found[2].seq
        assert await feeds.start_of(b.TENANT + 1, found[2].id) is None, "another tenant's"
        assert await feeds.start_of(b.TENANT, None) == 0
        assert rows(await heard(feeds, 2, seq=found[2].seq)) == [13, 14]


async def test_more_than_is_remembered_is_read_from_the_store(
    ground: Playground, store: Store, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert REMEMBERED > book.PAGE
    monkeypatch.setattr(feeds, "_recent", type(feeds._recent)(maxlen=10))
    monkeypatch.setattr("gatewright.endings.feed.REMEMBERED", 10)

    async def flood(tx: Tx) -> None:
        for number in range(1, 1201):
            await end(tx, ground, number)

    with feeds.listening(1):
        await store.run(flood)
        assert rows(await heard(feeds, 1200)) == list(range(1, 1201))
    assert await store.one(SEQS) == 0


async def test_a_database_that_went_back_in_time_ends_every_feed(ground: Playground, store: Store, feeds: Feeds) -> None:
    with feeds.listening(1):
        for number in range(10, 15):
            await store.run(end, ground, number)
        await heard(feeds, 5)
        turn, news = feeds.turn, feeds.news()
        await store.verb(Query(None, "DELETE FROM ending WHERE seq > 2"))
        await store.verb(Query(None, "UPDATE ending_head SET head = 2 WHERE id = 1"))
        async with asyncio.timeout(10):
            await news
        assert feeds.turn == turn + 1
        assert feeds.head == 2


async def test_a_store_that_does_not_answer_is_not_said_to_be_heard(ground: Playground, nodes: Nodes) -> None:
    other = await nodes()
    feeds = Feeds(other, ground.clock)

    def fresh() -> bool:
        return feeds.fresh

    with feeds.listening(1):
        async with asyncio.timeout(10):
            while not fresh():  # noqa: ASYNC110 - it looks by itself
                await asyncio.sleep(0)
            await other.close()
            while feeds.fault is None or fresh():  # noqa: ASYNC110
                await asyncio.sleep(0)
    await feeds.close()


async def test_nothing_is_asked_while_nobody_listens(store: Store, ground: Playground, feeds: Feeds) -> None:
    with feeds.listening(1):
        await heard(feeds, 0)
    async with asyncio.timeout(10):
        while feeds._task is not None:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(0)
    await store.run(end, ground, 10)
    assert await store.one(SEQS) == 1, "numbers are for whoever listens"
    with feeds.listening(1):
        assert rows(await heard(feeds, 1)) == [10]


async def test_one_api_does_not_take_every_place(feeds: Feeds) -> None:
    places = [feeds.listening(1) for _ in range(OF_API)]
    for place in places:
        place.__enter__()
    with pytest.raises(TemporarilyUnavailable), feeds.listening(1):
        pass
    with feeds.listening(2):
        pass
    for place in places:
        place.__exit__(None, None, None)


@pytest.mark.parametrize("engine", ["postgres"])
async def test_what_is_committed_late_with_a_lower_id_is_not_lost(ground: Playground, store: Store, url: str, feeds: Feeds) -> None:
    slow = await asyncpg.connect(url)
    row = f"(5, {b.TENANT}, 1, 2, '10', '', 0, 0, 0, 0, 0, '', '')"
    with feeds.listening(1):
        try:
            await slow.execute(f"BEGIN; INSERT INTO ending ({COLUMNS}) VALUES {row}")  # noqa: S608 - our own words
            await store.run(end, ground, 11)
            found = await heard(feeds, 1)
            assert rows(found) == [11]
            await slow.execute("COMMIT")
            assert rows(await heard(feeds, 1, seq=found[-1].seq)) == [10]
        finally:
            await slow.close()


@pytest.mark.parametrize("engine", ["postgres"])
async def test_numbers_are_given_one_node_after_the_other(ground: Playground, store: Store, url: str, feeds: Feeds) -> None:
    slow = await asyncpg.connect(url)
    try:
        await slow.execute("BEGIN; UPDATE ending_head SET head = head + 1 WHERE id = 1")
        row = f"(1, 5, {b.TENANT}, 1, 2, '10', '', 0, 0, 0, 0, 0, '', '')"
        await slow.execute(f"INSERT INTO ending (seq, {COLUMNS}) VALUES {row}")  # noqa: S608 - our own words
        with feeds.listening(1):
            await store.run(end, ground, 11)
            await asyncio.sleep(0)
            assert await feeds.after(b.TENANT, 0) == ([], 0)
            await slow.execute("COMMIT")
            assert rows(await heard(feeds, 2)) == [10, 11]
    finally:
        await slow.close()


@pytest.mark.parametrize("engine", ["postgres"])
async def test_the_line_that_listens_may_be_cut(ground: Playground, store: Store, url: str, nodes: Nodes) -> None:
    feeds, loop, seq = Feeds(await nodes(), ground.clock), asyncio.get_running_loop(), 0
    cutter = await asyncpg.connect(url)
    cut = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name LIKE '% listen'"""
    try:
        with feeds.listening(1):
            await heard(feeds, 0)
            waits = []
            for number in range(10, 15):
                await cutter.fetchval(cut)
                before = loop.time()
                await store.run(end, ground, number)
                found = await heard(feeds, 1, seq=seq)
                seq = found[-1].seq
                assert rows(found) == [number]
                waits.append(loop.time() - before)
            assert median(waits) < 1
    finally:
        await cutter.close()
        await feeds.close()


# ---------------------------------------------------------------- what becomes less

LOST = Query(str, "SELECT lost || '|' || authorizations || '|' || client || '|' || person || '|' || account FROM ending ORDER BY id")


async def less(tx: Tx, /, ground: Playground, **of: Any) -> None:  # noqa: ANN401 - whose
    await book.narrowed(tx, ground.clock.moment(), Narrowing(tenant=b.TENANT, **of))


SCOPE = Query(
    None,
    """INSERT INTO scope (id, tenant, api, name, text, risk, reach, implies, demo, created_at, place)
       VALUES (:id, :tenant, :api, :name, '', 'normal', 'account', '', 0, 0, :place)""",
)
NAME = Query(None, "INSERT INTO scope_naming (id, tenant, scope, name, made_at) VALUES (:id, :tenant, :id, :name, 0)")


async def named(store: Store) -> None:
    """Have the store know the scopes by the names that tokens carry."""
    for scope in (b.READ_BALANCE, b.TRANSFER):
        await store.verb(SCOPE, id=scope.id, tenant=b.TENANT, api=scope.api, name=scope.name, place=scope.place)
        await store.verb(NAME, id=scope.id, tenant=b.TENANT, name=scope.name)


async def test_a_narrowing_is_in_the_order_of_endings_and_says_what_was_lost(ground: Playground, store: Store, feeds: Feeds) -> None:
    await store.run(end, ground, 10)
    await store.run(less, ground, person=b.PERSON, lost=Lost(scopes=("read:balance",), iss="https://x.test"))
    await store.run(less, ground)
    with feeds.listening(1):
        found = await heard(feeds, 3)
    assert [bool(one.lost) for one in found] == [False, True, True]
    told = found[1].told(NOON, None)
    assert isinstance(told, ToldLess)
    assert (told.scopes, told.iss, told.sub) == (("read:balance",), "https://x.test", ids.show(ids.USER, b.PERSON))
    assert found[2].told(NOON, None) == ToldLess(at=NOON, until=NOON, issued_until=NOON + MARGIN)


async def test_the_bound_lies_behind_the_commit_however_long_the_act_took(ground: Playground, store: Store, feeds: Feeds) -> None:
    async def slow(tx: Tx) -> None:
        await less(tx, ground, person=b.PERSON)
        ground.clock.pass_(500)  # it began at NOON, and tokens were decided by the old roles all the while

    await store.run(slow)
    with feeds.listening(1):
        (found,) = await heard(feeds, 1)
    assert found.at == NOON
    assert found.issued_until == NOON + 500 + MARGIN
    jwt = Api(id=7, audience="https://api.test", name="An API", token_lifetime=900)
    assert found.lives_until(jwt) == NOON + 500 + MARGIN + 900
    assert found.lives_until(replace(jwt, token_format="opaque")) == 0
    assert found.lives_until(replace(jwt, token_format="opaque", jwt_until=NOON + 700)) == NOON + 700
    ground.clock.pass_(1000)
    other = Feeds(store, ground.clock)
    with other.listening(1):
        assert (await heard(other, 1))[0].issued_until == found.issued_until, "whoever reads it later"
    await other.close()


async def test_a_crash_anywhere_leaves_a_grant_as_it_was_and_nothing_told(ground: Playground, store: Store) -> None:
    client = await ground.add()
    await named(store)
    await ground.code(client, OPENID, b.READ_BALANCE.id)
    await ground.code(client, OPENID, b.READ_BALANCE.id)
    row = await ground.row()
    grant = await store.one(grants.OF_ID, id=row.grant, tenant=b.TENANT)
    assert grant is not None
    assert b.READ_BALANCE.id in grant.scopes

    async def act(broken: Store) -> grants.Grant:
        return await broken.run(grants.narrow, ground.clock.moment(), grant, frozenset([OPENID]), "us_x")

    async def as_before(_: int) -> None:
        assert await store.all(LOST) == []
        assert await store.one(grants.OF_ID, id=row.grant, tenant=b.TENANT) == grant

    _, crashes = await crash_everywhere(store, act, as_before)
    assert crashes > 3
    (told,) = await store.all(LOST)
    lost, _, of = told.partition("|")
    assert lost == '{"scopes":["read:balance"]}'
    assert len(of.partition("|")[0].split()) == 2, "both approvals under it"


async def test_of_two_that_narrow_a_grant_at_once_both_are_told(ground: Playground, store: Store, nodes: Nodes) -> None:
    await named(store)
    await ground.code(await ground.add(), OPENID, b.READ_BALANCE.id, b.TRANSFER.id)
    row = await ground.row()
    other = await nodes()

    async def take(on: Store, scope: int) -> None:
        async def unit(tx: Tx) -> None:
            grant = await tx.one(grants.OF_ID, id=row.grant, tenant=b.TENANT)
            assert grant is not None
            await grants.narrow(tx, ground.clock.moment(), grant, grant.scopes - {scope}, "us_x")

        await on.run(unit)

    await asyncio.gather(take(store, b.READ_BALANCE.id), take(other, b.TRANSFER.id))
    told = " ".join(await store.all(LOST))
    assert "read:balance" in told
    assert "transfer:funds" in told
    grant = await store.one(grants.OF_ID, id=row.grant, tenant=b.TENANT)
    assert grant is not None


async def test_what_is_issued_or_renewed_tells_nobody_anything(ground: Playground, store: Store) -> None:
    client = await ground.add()
    for _ in range(2):
        await ground.code(client, OPENID, b.READ_BALANCE.id)
    assert await store.one(Query(int, "SELECT COUNT(*) FROM ending")) == 0


def test_ids_of_authorizations_sort_as_they_were_opened() -> None:
    numbers = [1, 31, 32, 1 << 40, (1 << 40) + 1, (1 << 63) - 1]
    assert sorted(ids.show(ids.AUTHORIZATION, number) for number in numbers) == [ids.show(ids.AUTHORIZATION, number) for number in numbers]
