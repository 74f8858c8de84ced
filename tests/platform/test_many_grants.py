"""Grants listed, counted, narrowed and ended by the thousand: in bounded parts, never half of one, the same when done again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import pytest

from gatewright.audit.book import entries
from gatewright.base import ids
from gatewright.ledger import grants, managing
from gatewright.ledger.grants import CHANGE
from gatewright.ledger.listing import grants_of
from gatewright.ledger.managing import Narrowed, Survey, end_grants, narrow_grants, survey
from gatewright.ledger.target import Target
from gatewright.store import Query, Store, Tx, Value
from tests.platform.many import ACCOUNT, CLIENT, OTHER_ACCOUNT, OTHER_CLIENT, TENANT, add_grants, state
from tests.support.clock import TestClock
from tests.support.crash import crash_everywhere

ME = "os:tester"
OF_CLIENT = Target(tenant=TENANT, client=CLIENT)
READ, SEND = 201, 202
ENDINGS = Query(int, "SELECT COUNT(*) FROM ending")
Nodes = Callable[[], Awaitable[Store]]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of counts small enough that a test has several; parts stay as they are."""
    monkeypatch.setattr(managing, "PAGE", 4)


def live(found: dict[int, tuple[str, str]]) -> list[int]:
    return [number for number, (_, because) in found.items() if not because]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"client": CLIENT}, [1, 2, 3, 4, 5, 6]),
        ({"client": OTHER_CLIENT}, [7, 8]),
        ({"account": OTHER_ACCOUNT}, [4, 5, 6]),
        ({"client": CLIENT, "account": ACCOUNT}, [1, 2, 3]),
        ({"person": 50_005}, [5]),
        ({"person": 50_005, "client": OTHER_CLIENT}, []),
        ({"grant": 7}, [7]),
        ({"grant": 7, "client": CLIENT}, []),
        ({"grant": 9}, []),
    ],
)
async def test_the_grants_that_are_named_are_listed_counted_and_ended_and_no_other(
    store: Store, target: dict[str, int], expected: list[int]
) -> None:
    await add_grants(store, 3)
    await add_grants(store, 3, first=4, account=OTHER_ACCOUNT)
    await add_grants(store, 2, first=7, client=OTHER_CLIENT)
    await add_grants(store, 1, first=9, tenant=2)
    meant = Target(tenant=TENANT, **target)
    if "grant" not in target:
        assert [grant.id for grant in await grants_of(store, TENANT, **target)] == expected[::-1]
    assert (await survey(store, meant)).grants == len(expected)
    assert await end_grants(store, TestClock().moment(), meant, because="by_admin", actor=ME) == len(expected)
    assert live(await state(store)) == [number for number in range(1, 10) if number not in expected]
    assert (await survey(store, meant)).grants == 0


async def test_everybody_is_never_meant_by_leaving_something_out(store: Store) -> None:
    await add_grants(store, 2)
    at, everybody = TestClock().moment(), Target(tenant=TENANT)
    with pytest.raises(ValueError, match="not said"):
        await end_grants(store, at, everybody, because="by_admin", actor=ME)
    with pytest.raises(ValueError, match="not said"):
        await narrow_grants(store, at, everybody, frozenset({READ}), actor=ME)
    assert len(live(await state(store))) == 2


async def test_a_list_is_paged_from_the_latest_on(store: Store) -> None:
    await add_grants(store, 7)
    first = await grants_of(store, TENANT, client=CLIENT, count=3)
    second = await grants_of(store, TENANT, client=CLIENT, count=3, before=first[-1].id)
    assert [grant.id for grant in (*first, *second)] == [7, 6, 5, 4, 3, 2]
    assert [grant.id for grant in await grants_of(store, TENANT)] == [7, 6, 5, 4, 3, 2, 1]


async def test_a_count_stops_and_says_at_least(store: Store) -> None:
    await add_grants(store, 12)
    await add_grants(store, 1, first=20, source="operator")
    assert await survey(store, OF_CLIENT, most=12) == Survey(grants=12, users=12, clients=1, more=True)
    assert await survey(store, OF_CLIENT, most=13) == Survey(grants=13, users=12, clients=1)
    assert await survey(store, OF_CLIENT, losing=frozenset({READ})) == Survey(grants=12, users=12, clients=1, kept=1)
    assert await survey(store, OF_CLIENT, losing=frozenset({999})) == Survey()


async def test_narrowing_takes_the_named_scopes_and_leaves_the_rest(store: Store) -> None:
    await add_grants(store, 2, granted="1 201 202 2020")
    await add_grants(store, 1, first=3, granted="202")
    await add_grants(store, 1, first=4, granted="1 203")
    await add_grants(store, 1, first=5, granted="201 202", source="operator")
    done = await narrow_grants(store, TestClock().moment(), OF_CLIENT, frozenset({SEND}), actor=ME)
    assert done == Narrowed(grants=3, ended=1)
    assert await state(store) == {
        1: ("1 201 2020", ""),
        2: ("1 201 2020", ""),
        3: ("", "by_admin"),
        4: ("1 203", ""),
        5: ("201 202", ""),
    }
    assert await narrow_grants(store, TestClock().moment(), OF_CLIENT, frozenset({SEND}), actor=ME) == Narrowed()


async def test_what_was_done_is_in_the_audit_log_with_who_and_whom(store: Store) -> None:
    await add_grants(store, 3)
    await narrow_grants(store, TestClock().moment(), OF_CLIENT, frozenset({READ, SEND}), actor=ME)
    await end_grants(store, TestClock(seed="b").moment(), OF_CLIENT, because="by_admin", actor=ME)
    found = {entry.act: entry for entry in await entries(store, TENANT)}
    assert set(found) == {"grant.narrowed", "grant.ended"}
    for entry in found.values():
        detail = msgspec.json.decode(entry.detail)
        assert (entry.actor, entry.subject) == (ME, ids.show(ids.CLIENT, CLIENT))
        assert detail["grants"] == 3
    narrowed = msgspec.json.decode(found["grant.narrowed"].detail)
    assert (narrowed["first"], narrowed["last"]) == (ids.show(ids.GRANT, 1), ids.show(ids.GRANT, 3))
    assert msgspec.json.decode(found["grant.narrowed"].detail)["scopes"] == [ids.show(ids.SCOPE, READ), ids.show(ids.SCOPE, SEND)]


async def test_nothing_to_do_writes_nothing(store: Store) -> None:
    await add_grants(store, 2)
    assert await narrow_grants(store, TestClock().moment(), OF_CLIENT, frozenset({999}), actor=ME) == Narrowed()
    nobody = Target(tenant=TENANT, client=OTHER_CLIENT)
    assert await end_grants(store, TestClock().moment(), nobody, because="by_admin", actor=ME) == 0
    assert await entries(store, TENANT) == []


class Counting:
    """A store that counts units."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.units = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def run(self, unit: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it comes
        self.units += 1
        return await self._store.run(unit, *args, **kwargs)


async def test_ten_thousand_grants_are_a_few_statements(store: Store) -> None:
    await add_grants(store, 10_000)
    narrowing, ending = Counting(store), Counting(store)
    counting: Any = narrowing
    assert (await narrow_grants(counting, TestClock().moment(), OF_CLIENT, frozenset({SEND}), actor=ME)).grants == 10_000
    counting = ending
    assert await end_grants(counting, TestClock(seed="b").moment(), OF_CLIENT, because="by_admin", actor=ME) == 10_000
    assert (narrowing.units, ending.units) == (6, 1), "2,000 at a time, and a last look; all end in one unit"


class Noting:
    """A transaction that notes how many rows each statement wrote."""

    def __init__(self, tx: Tx, written: list[int]) -> None:
        self._tx = tx
        self._written = written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transaction has
        return getattr(self._tx, name)

    async def do(self, query: Query[Any], **args: Value) -> int:
        done = await self._tx.do(query, **args)
        self._written.append(done)
        return done


@pytest.mark.parametrize("way", ["client", "account", "person"])
async def test_all_end_in_one_unit_by_statements_of_which_none_takes_long(
    store: Store, way: Literal["client", "account", "person"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "BATCH", 4)
    for number in range(1, 10):  # one user's, in as many accounts; or one account's
        if way == "person":
            await add_grants(store, 1, first=number, account=ACCOUNT + number, person=50_000 - number)
        else:
            await add_grants(store, 1, first=number)
    await add_grants(store, 1, first=20, client=OTHER_CLIENT, account=OTHER_ACCOUNT)
    written: list[int] = []

    async def unit(tx: Tx) -> int:
        noting: Any = Noting(tx, written)
        party = {"client": 0, "account": 0, "person": 0} | {way: {"client": CLIENT, "account": ACCOUNT, "person": 50_000}[way]}
        return await grants.end_matching(noting, TestClock().moment(), tenant=TENANT, because="by_admin", actor=ME, **party)

    assert await store.run(unit) == 9
    assert written[:3] == [4, 4, 1], "PostgreSQL's patience is with a statement, and a million rows in one exhaust it"
    assert live(await state(store)) == [20]
    assert [msgspec.json.decode(entry.detail)["grants"] for entry in await entries(store, TENANT)] == [9]
    assert await store.one(ENDINGS) == 1, "feeds are told once"


@pytest.mark.parametrize("act", ["narrow", "end"])
async def test_a_crash_anywhere_leaves_each_grant_whole_and_doing_it_again_finishes(
    store: Store, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "BATCH", 2)
    await add_grants(store, 5)
    before, done = ("1 201 202", ""), ("1", "") if act == "narrow" else ("1 201 202", "by_admin")
    moments = iter(range(10_000))

    async def acted(crashing: Any) -> object:  # noqa: ANN401 - a store that crashes
        at = TestClock(seed=str(next(moments))).moment()
        if act == "narrow":
            return await narrow_grants(crashing, at, OF_CLIENT, frozenset({READ, SEND}), actor=ME)
        return await end_grants(crashing, at, OF_CLIENT, because="by_admin", actor=ME)

    async def check(_: int) -> None:
        found = await state(store)
        assert set(found.values()) <= {before, done}
        assert act == "narrow" or len(set(found.values())) == 1, "all or none"
        told = sum(msgspec.json.decode(entry.detail)["grants"] for entry in await entries(store, TENANT))
        assert told == sum(one == done for one in found.values()), "what was done was told, and nothing else"

    _, crashes = await crash_everywhere(store, acted, check)
    assert crashes >= 2
    assert set((await state(store)).values()) == {done}


async def test_a_consent_in_the_same_moment_is_not_lost_and_no_scope_comes_back(store: Store, nodes: Nodes) -> None:
    await add_grants(store, 50)
    other = await nodes()

    async def one(tx: Tx, number: int) -> int:
        old: dict[str, Value] = {"old_granted": "1 201 202", "old_declined": "", "old_claims": ""}
        new: dict[str, Value] = {"granted": "1 201 202 203", "declined": "", "claims": "", "source": "user", "now": 2, "expires_at": None}
        return await tx.do(CHANGE, id=number, **new, **old)

    async def consents() -> int:
        return sum([await other.run(one, number) for number in range(1, 51)])

    _, changed = await asyncio.gather(narrow_grants(store, TestClock().moment(), OF_CLIENT, frozenset({SEND}), actor=ME), consents())
    found = [granted for granted, _ in (await state(store)).values()]
    # A consent that came first was narrowed with the rest; one that came later found another grant than it had read, and is tried again.
    assert set(found) <= {"1 201", "1 201 203"}
    assert found.count("1 201 203") == changed
