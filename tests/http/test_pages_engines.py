"""The browser flow on every engine: each statement of it, and the races that two workers can run."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gatewright.base import ids
from gatewright.consents import front
from gatewright.oauth.visit import Consent, Given
from gatewright.signin import by_password, sessions, throttle
from gatewright.signin.throttle import DEVICE, PAIR, Slowed, Throttle
from gatewright.store import Query, Store
from tests.support import builders as b
from tests.support.browser import Browser, Rooms, open_rooms, tokens_of
from tests.support.engines import Nodes, engine, nodes, postgres_server, schema, store, templates, url
from tests.support.world import Playground

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]

OURS = [
    (module.__name__, name, query)
    for module in (front, sessions, throttle, by_password)
    for name, query in sorted(vars(module).items())
    if isinstance(query, Query)
]


@pytest.fixture
async def rooms(store: Store) -> AsyncIterator[Rooms]:
    """The rooms behind the pages, over each engine in turn."""
    ground = await Playground(store).furnish()
    await ground.add()
    made = await open_rooms(ground)
    yield made
    made.passwords.close()


async def test_every_statement_fits_its_record_and_its_arguments(store: Store) -> None:
    assert {(module, name): found for module, name, query in OURS if (found := await store.faults(query))} == {}
    assert len(OURS) > 10


async def test_the_whole_way_from_sign_in_to_taking_it_back(rooms: Rooms) -> None:
    browser, ground = Browser(rooms), rooms.ground
    await browser.authorize(scope="openid email read:balance transfer:funds")
    await browser.sign_in()
    bought = await tokens_of(ground, await browser.press("allow", without="transfer:funds"))
    assert bought["scope"] == "openid email read:balance"
    ground.clock.pass_(120)
    assert "code" in (await browser.authorize(prompt="none", account=ids.show(ids.ACCOUNT, b.ACCOUNT))).answer
    await browser.authorize(prompt="login")
    await browser.sign_in()
    page = await browser.get("/-/access")
    form = next(form for form in page.forms if form.action == "/-/access/remove")
    page = await browser.send("POST", form.action, form.fields)
    assert "No app has access" in page.text
    assert (await browser.send("POST", "/-/sign-out", page.forms[0].fields)).at == "/-/signed-out"
    wrong = await browser.authorize()
    for _ in range(DEVICE.free + 1):
        wrong = await browser.sign_in(password="wrong")
    assert wrong.status == 429


async def test_two_consents_at_once_are_one_grant(rooms: Rooms) -> None:
    consents = rooms.front.consents

    async def give(*scopes: int) -> Given:
        consent = Consent(tenant=b.TENANT, client=b.CLIENT, person=b.PERSON, account=b.ACCOUNT, granted=frozenset(scopes))
        return await consents.give(rooms.ground.clock.moment(), consent)

    given = await asyncio.gather(*(give(number) for number in (1, 2, 3, 6)))
    assert len({one.id for one in given}) == 1
    seats = await consents.seats(b.TENANT, b.CLIENT, b.PERSON, number=0, slug="", now=rooms.ground.clock.now)
    assert seats.seat is not None
    assert seats.seat.given is not None
    assert seats.seat.given.granted == {1, 2, 3, 6}


async def test_attempts_of_several_nodes_are_counted_together(nodes: Nodes, rooms: Rooms) -> None:
    ground = rooms.ground
    throttles = [Throttle(await nodes(), ground.sealer) for _ in range(3)]
    counters = throttles[0].counters(b.TENANT, "somebody", "203.0.113.0/24", "")

    async def enter(number: int) -> bool:
        try:
            await throttles[number % 3].enter(b.TENANT, counters, ground.clock.moment())
        except Slowed:
            return False
        return True

    assert sum(await asyncio.gather(*(enter(number) for number in range(30)))) == PAIR.free


async def test_of_two_who_end_a_session_one_did_it(rooms: Rooms) -> None:
    browser = await Browser(rooms).signed_in()
    visitor = await rooms.sessions.find(rooms.ground.issuer, browser.cookies["__Host-gw_session"], rooms.ground.clock.moment())
    assert visitor is not None
    at = rooms.ground.clock.moment()
    ended = await asyncio.gather(*(rooms.sessions.end(at, b.TENANT, b.PERSON, visitor.session) for _ in range(5)))
    assert sorted(ended) == [False] * 4 + [True]
    assert (await rooms.ground.audited()).count("session.ended") == 1
