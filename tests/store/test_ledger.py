"""The ledger on each engine: races between nodes have one winner, and a crash anywhere leaves either all of an act or nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gatewright.audit.weaknesses import uses
from gatewright.ledger import grants
from gatewright.ledger.back_end import BackEnd
from gatewright.ledger.book import Book
from gatewright.ledger.grants import Giving, Grants
from gatewright.oauth.authorization import NewAuthorization
from gatewright.oauth.catalogue import EMAIL, OPENID, text_of
from gatewright.oauth.client import Client
from gatewright.oauth.errors import InvalidGrant
from gatewright.oauth.ports import Redemption
from gatewright.oauth.showing import Weakness
from gatewright.signin.by_password import Proof, Who, forgive_and_renew
from gatewright.signin.throttle import Throttle
from gatewright.store import SCHEMA, NotUnique, Query, Store, StoreBusy, StoreError, Tx, Value
from tests.protocol.test_client_credentials import a_service
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes
from tests.support.world import Playground

Act = Callable[[Any], Awaitable[object]]

# Everything that an act of the ledger could leave behind, as one text.
LEFT = Query(
    str,
    """SELECT 'grant ' || id || ' ' || granted || ' ' || COALESCE(ended_because, 'live') FROM consent_grant
       UNION ALL SELECT 'row ' || id || ' ' || scopes || ' ' || COALESCE(ended_because, 'live') FROM authorization_row
       UNION ALL SELECT 'use ' || name || ' ' || total FROM weakness_use
       UNION ALL SELECT 'audit ' || act || ' ' || subject FROM audit
        ORDER BY 1""",
)


@pytest.fixture
def schema() -> Path:
    return SCHEMA


@pytest.fixture
async def ground(store: Store) -> Playground:
    """A tenant over the engine's store."""
    return await Playground(store).furnish()


@pytest.fixture
async def books(store: Store, nodes: Nodes, ground: Playground) -> tuple[Book, Book]:
    """The ledgers of two nodes on the same data."""
    return Book(store, ground.clock), Book(await nodes(), ground.clock)


async def opened(ground: Playground, *scopes: int) -> int:
    """The id of an authorization with an unused code."""
    await ground.code(await ground.add(), *(scopes or (OPENID,)))
    return (await ground.row()).id


# ---------------------------------------------------------------- races


async def test_of_fifty_redeemers_on_two_nodes_one_is_first(ground: Playground, books: tuple[Book, Book]) -> None:
    number = await opened(ground)
    answers = await asyncio.gather(*[books[n % 2].redeem(number, attempt=f"attempt {n}", now=NOON) for n in range(50)])
    assert sorted(answer.value for answer in answers) == ["first"] + ["used"] * 49


async def test_a_redeemer_whose_answer_was_lost_is_first_again_on_another_node(ground: Playground, books: tuple[Book, Book]) -> None:
    number = await opened(ground)
    assert await books[0].redeem(number, attempt="mine", now=NOON) is Redemption.FIRST
    assert await books[1].redeem(number, attempt="mine", now=NOON) is Redemption.FIRST
    assert await books[1].redeem(number, attempt="another's", now=NOON) is Redemption.USED


async def test_nobody_redeems_what_has_ended(ground: Playground, books: tuple[Book, Book]) -> None:
    number = await opened(ground)
    await books[0].end(await ground.row(number), because="uninstalled", now=NOON)
    assert await books[1].redeem(number, attempt="mine", now=NOON, standing_digest="kept") is Redemption.ENDED
    assert await books[1].redeem(12345, attempt="mine", now=NOON) is Redemption.ENDED
    assert (await ground.row(number)).standing_digest is None


async def test_a_chain_moves_one_step_at_a_time_however_many_push(ground: Playground, books: tuple[Book, Book]) -> None:
    number = await opened(ground)
    for generation in range(5):
        pushes = [
            books[n % 2].rotate(number, generation=generation, attempt=f"{generation}/{n}", now=NOON, idle_until=NOON + 60)
            for n in range(20)
        ]
        assert sum(await asyncio.gather(*pushes)) == 1
        assert (await ground.row(number)).generation == generation + 1


async def test_many_chains_move_at_once_each_for_itself(ground: Playground, books: tuple[Book, Book]) -> None:
    numbers = [await opened(ground) for _ in range(20)]
    moved = await asyncio.gather(
        *[books[n % 2].rotate(number, generation=0, attempt=f"{n}", now=NOON, idle_until=None) for number in numbers for n in range(3)]
    )
    assert sum(moved) == 20
    assert {(await ground.row(number)).generation for number in numbers} == {1}


async def test_a_mark_is_set_by_one_of_two_nodes(books: tuple[Book, Book]) -> None:
    answers = await asyncio.gather(*[books[n % 2].first_time("jti", tenant=1, attempt=f"{n}", until=NOON) for n in range(30)])
    assert sum(answers) == 1
    assert await books[1].first_time("jti", tenant=2, attempt="x", until=NOON)


async def test_an_end_has_one_cause_and_one_entry_in_the_log(ground: Playground, books: tuple[Book, Book]) -> None:
    number = await opened(ground)
    row = await ground.row(number)
    await asyncio.gather(*[books[n % 2].end(row, because="replay", now=NOON, replayed="code") for n in range(10)])
    await books[0].end(row, because="withdrawn", now=NOON)
    assert (await ground.row(number)).ended_because == "replay"
    assert (await ground.audited()).count("code.replayed") == 1
    assert "authorization.ended" not in await ground.audited()


async def test_consents_given_on_two_nodes_at_once_are_all_kept(ground: Playground, store: Store, nodes: Nodes) -> None:
    rooms = (Grants(store), Grants(await nodes()))
    at = ground.clock.moment()

    def giving(number: int) -> Giving:
        return Giving(tenant=1, client=1, source="user", actor="us_x", person=1, granted=frozenset({number}))

    await asyncio.gather(*[rooms[n % 2].give(at, giving(n)) for n in range(1, 13)])
    found = await rooms[0].find(1, 1, 1, 0)
    assert found is not None
    assert found.granted == text_of(tuple(range(1, 13)))
    assert await ground.number("SELECT COUNT(*) FROM consent_grant") == 1


async def test_a_service_on_two_nodes_has_one_row(ground: Playground, books: tuple[Book, Book]) -> None:
    client = await ground.add(a_service())
    calls = [books[n % 2].back_end(client, b.URL, account=0, person=0, now=NOON) for n in range(20)]
    assert len({row.id for row in await asyncio.gather(*calls)}) == 1
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 1


async def test_a_code_shown_on_two_nodes_at_once_buys_tokens_once_and_then_nothing(ground: Playground, nodes: Nodes) -> None:
    code = await ground.code(await ground.add(), OPENID, b.READ_BALANCE.id)
    other = Playground(await nodes(), ground.clock)
    await other.add()
    answers = await asyncio.gather(*[(ground, other)[n % 2].exchange(code) for n in range(20)], return_exceptions=True)
    tokens = [answer for answer in answers if isinstance(answer, dict)]
    assert len(tokens) == 1
    assert all(isinstance(answer, dict | InvalidGrant) for answer in answers)
    with pytest.raises(InvalidGrant):
        await other.renew(tokens[0]["refresh_token"])


async def test_two_nodes_refreshing_at_once_get_the_same_refresh_token(ground: Playground, nodes: Nodes) -> None:
    token = (await ground.exchange(await ground.code(await ground.add(), OPENID)))["refresh_token"]
    other = Playground(await nodes(), ground.clock)
    await other.add()
    answers = await asyncio.gather(*[(ground, other)[n % 2].renew(token) for n in range(20)])
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert (await ground.row(token)).generation == 1


# ---------------------------------------------------------------- crashes


async def unharmed(store: Store, act: Act) -> int:
    """Crashes an act at each of its statements; nothing may be left. Returns how many there were."""
    before = await store.all(LEFT)

    async def nothing_is_left(_statement: int) -> None:
        assert await store.all(LEFT) == before

    _, crashes = await crash_everywhere(store, act, nothing_is_left)
    assert await store.all(LEFT) != before
    return crashes


async def test_a_consent_is_written_with_its_entry_or_not_at_all(ground: Playground, store: Store) -> None:
    at = ground.clock.moment()

    def given(scope: int) -> Act:
        giving = Giving(tenant=1, client=1, source="user", actor="us_x", person=1, granted=frozenset({scope}))
        return lambda broken: Grants(broken).give(at, giving)

    for scope in (OPENID, EMAIL):
        assert await unharmed(store, given(scope)) >= 3


async def test_a_grant_that_ran_out_is_replaced_whole(ground: Playground, store: Store) -> None:
    at = ground.clock.moment()
    giving = Giving(tenant=1, client=1, source="user", actor="us_x", person=1, granted=frozenset({OPENID}), expires_at=NOON)
    await ground.grants.give(at, giving)
    assert await unharmed(store, lambda broken: Grants(broken).give(at, giving)) >= 5


async def test_the_use_of_a_weakness_is_written_with_its_authorization_or_not_at_all(ground: Playground, store: Store) -> None:
    at = ground.clock.moment()
    for _ in range(2):
        new = NewAuthorization(
            id=at.id(), tenant=1, issuer=b.URL, opened_by="password", grant=1, client=1, client_epoch=0, person=1, access_secret="s",
            opened_at=NOON, sweep_at=NOON,
        )  # fmt: skip

        def opens(broken: Store, new: NewAuthorization = new) -> Awaitable[None]:
            return Book(broken, ground.clock).open(new, weakness=Weakness("password_grant", "192.0.2.1"))

        assert await unharmed(store, opens) >= 3
    assert [use.total for use in await uses(store, 1)] == [2]


async def test_a_right_password_is_forgiven_and_kept_anew_at_once_or_not_at_all(ground: Playground, store: Store) -> None:
    throttle = Throttle(store, ground.sealer)
    counters = throttle.counters(b.TENANT, "organizer@acme.test", "192.0.2.0/24", "")
    await throttle.enter(b.TENANT, counters, ground.clock.moment())
    await ground.sql("UPDATE person SET password = 'old' WHERE id = :id", id=b.PERSON)
    proof = Proof(Who(b.PERSON, "person", "old", 0, None, None), "new", counters, "192.0.2.0/24")
    left = Query(str, "SELECT password FROM person UNION ALL SELECT name || failures FROM throttle ORDER BY 1")
    before = await store.all(left)

    async def nothing_is_left(_statement: int) -> None:
        assert await store.all(left) == before

    await crash_everywhere(store, lambda broken: broken.run(forgive_and_renew, proof), nothing_is_left)
    assert await ground.number("SELECT SUM(failures) FROM throttle WHERE failures > 0") is None
    assert await store.one(Query(str, "SELECT password FROM person WHERE id = :id"), id=b.PERSON) == "new"


async def test_ends_are_written_with_their_entries_or_not_at_all(ground: Playground, store: Store) -> None:
    number = await opened(ground)
    grant = (await ground.row(number)).grant
    at = ground.clock.moment()
    ending = {"tenant": b.TENANT, "because": "withdrawn", "actor": "us_x"}
    assert await unharmed(store, lambda broken: broken.run(grants.end, at, number=grant, **ending)) >= 2
    await ground.grant(await ground.add(), OPENID)
    assert await unharmed(store, lambda broken: broken.run(grants.end_matching, at, person=b.PERSON, **ending)) >= 2


async def test_a_services_row_is_opened_changed_and_replaced_whole(ground: Playground, store: Store) -> None:
    def asked(client: Client) -> Act:
        return lambda broken: BackEnd(broken, ground.clock).standing(client, b.URL, account=b.ACCOUNT, person=0, now=NOON)

    client = await ground.add(a_service(account=b.ACCOUNT))
    assert await unharmed(store, asked(client)) >= 5
    narrower = await ground.add(a_service(account=b.ACCOUNT, scopes=(b.READ_IMAGES.id,)))
    assert await unharmed(store, asked(narrower)) >= 5
    await ground.sql("UPDATE account SET epoch = epoch + 1")
    assert await unharmed(store, asked(narrower)) >= 5
    assert await ground.number("SELECT COUNT(*) FROM authorization_row WHERE ended_at IS NULL") == 1


# ---------------------------------------------------------------- what hardly ever happens


class LosingTx:
    """A transaction in which somebody else is always faster."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def one(self, query: Query[Any], **args: Value) -> Any:  # noqa: ANN401 - whatever the statement yields
        return await self._tx.one(query, **args)

    async def do(self, query: Query[Any], **args: Value) -> int:
        return 0


class LosingStore:
    """A store in which every unit finds its row opened by somebody else."""

    def __init__(self, store: Store) -> None:
        self.one = store.one

    async def run(self, *_args: object) -> int:
        raise NotUnique("somebody else was faster")


async def test_whoever_is_always_too_late_is_told_to_come_back(ground: Playground, store: Store) -> None:
    at = ground.clock.moment()
    giving = Giving(tenant=1, client=1, source="user", actor="us_x", person=1, granted=frozenset({OPENID}))

    async def loses(tx: Tx) -> object:
        losing: Any = LosingTx(tx)
        return await grants.give(losing, at, giving)

    with pytest.raises(StoreBusy):
        await store.run(loses)
    losing: Any = LosingStore(store)
    with pytest.raises(StoreBusy):
        await BackEnd(losing, ground.clock).standing(await ground.add(a_service()), b.URL, account=0, person=0, now=NOON)


async def test_an_id_that_is_taken_opens_nothing(ground: Playground, store: Store) -> None:
    number = await opened(ground)
    new = NewAuthorization(
        id=number, tenant=1, issuer=b.URL, opened_by="authorization_code", grant=1, client=1, client_epoch=0, access_secret="mine",
        opened_at=1, sweep_at=1,
    )  # fmt: skip
    before = await ground.row(number)
    with pytest.raises(NotUnique):
        await ground.ledger.open(new)
    assert await ground.row(number) == before


async def test_a_client_whose_row_is_gone_gets_nothing(ground: Playground) -> None:
    client = await ground.add(a_service())
    await ground.sql("DELETE FROM client")
    with pytest.raises(StoreError):
        await ground.ledger.back_end(client, b.URL, account=0, person=0, now=NOON)


async def test_caches_are_bounded_and_right_all_the_same(ground: Playground, store: Store) -> None:
    small = Book(store, ground.clock, limit=2)
    client = await ground.add(a_service())
    issuers = [f"https://{n}.acme.test" for n in range(5)]
    rows = [await small.back_end(client, issuer, account=0, person=0, now=NOON) for issuer in issuers]
    assert [row.issuer for row in rows] == issuers
    assert [await small.back_end(client, issuer, account=0, person=0, now=NOON) for issuer in issuers] == rows
