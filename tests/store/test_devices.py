"""Devices that wait, on each engine: of many answers on two nodes one counts, and a crash anywhere leaves all of it or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from gatewright.endings.book import ended
from gatewright.endings.records import Ending
from gatewright.ledger.devices import Devices
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.device import MOST_OF_NETWORK, Begun, NewDeviceRequest
from gatewright.oauth.errors import AccessDenied, InvalidGrant, TemporarilyUnavailable
from gatewright.store import SCHEMA, Query, Store
from tests.support import builders as b
from tests.support.crash import crash_everywhere
from tests.support.devices import a_device, approval, begin, number_of, poll, say_no, say_yes
from tests.support.engines import Nodes
from tests.support.world import Playground

# Everything that an answer to a device could leave behind, as one text.
LEFT = Query(
    str,
    """SELECT 'request ' || id || ' ' || COALESCE(answer, 'waits') FROM device_request
       UNION ALL SELECT 'grant ' || id || ' ' || granted FROM consent_grant
       UNION ALL SELECT 'row ' || id || ' ' || scopes FROM authorization_row
       UNION ALL SELECT 'audit ' || act || ' ' || subject FROM audit
        ORDER BY 1""",
)


@pytest.fixture
def schema() -> Path:
    return SCHEMA


@pytest.fixture
async def ground(store: Store) -> Playground:
    """A tenant with a device over the engine's store."""
    made = await Playground(store).furnish()
    await made.add(a_device())
    return made


@pytest.fixture
async def other(ground: Playground, nodes: Nodes) -> Playground:
    """Another node on the same data."""
    made = Playground(await nodes(), ground.clock)
    await made.add(a_device())
    return made


async def test_of_twenty_answers_on_two_nodes_one_counts(ground: Playground, other: Playground) -> None:
    for _ in range(3):
        begun = await begin(ground)
        answers = [say_yes((ground, other)[n % 2], begun, OPENID) if n % 3 else say_no((ground, other)[n % 2], begun) for n in range(20)]
        assert sum(await asyncio.gather(*answers)) == 1
        row = await other.devices.find(number_of(begun))
        assert row is not None
        opened = await ground.number("SELECT COUNT(*) FROM authorization_row WHERE id = :id", id=row.id)
        assert opened == (row.answer == "allowed")
    acts = await ground.audited()
    assert sum(act.startswith("device.") for act in acts) == 3


async def test_a_device_code_shown_on_two_nodes_at_once_buys_tokens_once_and_then_nothing(ground: Playground, other: Playground) -> None:
    begun = await begin(ground)
    await say_yes(ground, begun, OPENID, b.READ_BALANCE.id)
    answers = await asyncio.gather(*[poll((ground, other)[n % 2], begun) for n in range(20)], return_exceptions=True)
    tokens = [answer for answer in answers if isinstance(answer, dict)]
    assert len(tokens) == 1
    assert all(isinstance(answer, dict | InvalidGrant) for answer in answers)
    with pytest.raises(InvalidGrant):
        await other.renew(tokens[0]["refresh_token"], client_secret=None)


async def test_many_that_ask_at_once_are_all_remembered_and_no_two_have_one_code(ground: Playground, other: Playground) -> None:
    every = await asyncio.gather(*[begin((ground, other)[n % 2]) for n in range(30)])
    assert len({one["user_code"] for one in every}) == 30
    assert await ground.number("SELECT COUNT(*) FROM device_request") == 30


async def test_a_network_that_asks_too_often_is_told_so_on_every_node(ground: Playground, other: Playground) -> None:
    for n in range(MOST_OF_NETWORK):
        await begin((ground, other)[n % 2])
    for node in (ground, other):
        with pytest.raises(TemporarilyUnavailable):
            await begin(node)


async def test_a_request_is_remembered_again_by_the_same_attempt_and_its_code_by_no_other(ground: Playground) -> None:
    await begin(ground)
    row = await ground.store.one(Query(str, "SELECT user_digest FROM device_request"))
    assert row is not None
    new = NewDeviceRequest(
        id=1, tenant=b.TENANT, issuer=b.URL, client=2, device_digest="mine", user_digest="free", scopes="", resources="", account="",
        network="", asked_at=1, expires_at=2,
    )  # fmt: skip
    assert [await ground.devices.begin(new) for _ in range(2)] == [Begun.FRESH, Begun.FRESH]
    assert await ground.devices.begin(replace(new, id=3, device_digest="another's", user_digest=row)) is Begun.TAKEN
    # In another tenant the same letters are another code.
    assert await ground.devices.begin(replace(new, id=4, tenant=2, device_digest="another's", user_digest=row)) is Begun.FRESH


async def test_an_answer_is_written_with_its_grant_its_authorization_and_its_entry_or_not_at_all(ground: Playground, store: Store) -> None:
    yes, no = await begin(ground), await begin(ground)
    consent, new = await approval(ground, yes, OPENID)
    at = ground.clock.moment()
    before = await store.all(LEFT)

    async def nothing_is_left(_statement: int) -> None:
        assert await store.all(LEFT) == before

    allowed, crashes = await crash_everywhere(
        store, lambda broken: Devices(broken).allow(at, new.id, consent, new, address=""), nothing_is_left
    )
    assert (allowed, crashes >= 6) == (True, True)
    before = await store.all(LEFT)
    denied, _ = await crash_everywhere(
        store, lambda broken: Devices(broken).deny(at, number_of(no), b.TENANT, b.PERSON, address=""), nothing_is_left
    )
    assert denied
    assert (await poll(ground, yes))["scope"] == "openid"


async def test_a_device_waits_longer_and_never_shorter(ground: Playground) -> None:
    number = number_of(await begin(ground))
    for wanted, interval in ((20, 20), (10, 20), (60, 60)):
        await ground.devices.slow_down(number, wanted)
        row = await ground.devices.find(number)
        assert row is not None
        assert row.poll_interval == interval


async def test_an_answer_of_another_tenant_is_none(ground: Playground) -> None:
    begun = await begin(ground)
    at = ground.clock.moment()
    assert not await ground.devices.deny(at, number_of(begun), b.TENANT + 1, b.PERSON, address="")
    consent, new = await approval(ground, begun, OPENID, tenant=b.TENANT + 1)
    assert not await ground.devices.allow(at, new.id, consent, new, address="")
    assert await say_no(ground, begun)


@pytest.mark.parametrize(
    ("ending", "counts"),
    [
        (Ending(tenant=b.TENANT, person=b.PERSON), False),
        (Ending(tenant=b.TENANT, client=b.CLIENT), False),
        (Ending(tenant=b.TENANT, account=b.ACCOUNT), False),
        (Ending(tenant=b.TENANT, person=b.PERSON, account=b.ACCOUNT), False),
        (Ending(tenant=b.TENANT, person=b.PERSON + 1), True),
        (Ending(tenant=b.TENANT, person=b.PERSON, client=b.CLIENT + 1), True),
        (Ending(tenant=b.TENANT + 1, person=b.PERSON), True),
    ],
)
async def test_a_device_that_asked_before_its_parties_ended_is_not_let_in_after_it(
    ground: Playground, ending: Ending, counts: bool
) -> None:
    # Its id is older than that end, so the feeds have told everybody that it is over.
    before = await begin(ground)
    await ground.store.run(ended, ground.clock.moment(), ending)
    assert await say_yes(ground, before, OPENID) is counts
    if not counts:
        assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 0
        with pytest.raises(AccessDenied):
            await poll(ground, before)
        assert await ground.audited() == ["device.denied"]
    assert await say_yes(ground, await begin(ground), OPENID)
