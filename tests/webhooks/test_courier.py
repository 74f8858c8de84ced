"""Delivery over a real connection: at least once, signed, with patience, and without one address holding up another."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.base.log import Level, Log
from gatewright.jobs.sweep import sweep
from gatewright.keys.fetch import Names, WebFetch
from gatewright.keys.reach import Network
from gatewright.keys.sealer import Wrapper
from gatewright.oauth.client import Client
from gatewright.store import Query, Store, Tx
from gatewright.webhooks import book
from gatewright.webhooks.courier import LEASE, Courier
from gatewright.webhooks.outbox import record_event
from gatewright.webhooks.records import AttemptRow, EndpointRow, EventRow, EventType
from gatewright.webhooks.rules import GIVE_UP_AFTER
from tests.support import builders as b
from tests.support.clock import NOON, TestClock
from tests.support.engines import Nodes
from tests.support.world import ROOT, Playground
from tests.webhooks.conftest import listening
from tests.webhooks.receiver import Receiver, Reply, receiver, status
from tests.webhooks.recorded import rows

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"),)
ATTEMPTS = Query(AttemptRow, "SELECT id, at, outcome, status, milliseconds FROM webhook_attempt ORDER BY id")


class Post:
    """A post office of one node: its courier, and what it logs."""

    def __init__(self, store: Store, clock: TestClock, *, private: tuple[Network, ...] = LOOPBACK, seconds: float = 10.0) -> None:
        self.lines: list[str] = []
        log = Log(clock, level=Level.DEBUG, write=self.lines.append)
        self.wraps = Wrapper(ROOT)
        self.names = Names(4)
        self.courier = Courier(store, clock, WebFetch(resolve=self.names, private=private, post_seconds=seconds), self.wraps, log)

    async def close(self) -> None:
        """Send nothing more."""
        await self.courier.close()
        self.names.close()

    async def deliver(self) -> int:
        """One round, waited for."""
        begun = await self.courier.round()
        await self.courier.settled()
        return begun


@pytest.fixture
async def inbox() -> AsyncIterator[Receiver]:
    async with receiver() as opened:
        yield opened


@pytest.fixture
async def client(ground: Playground, inbox: Receiver) -> Client:
    """An app whose events go to the receiver."""
    return await listening(ground, inbox.url())


@pytest.fixture
async def post(ground: Playground) -> AsyncIterator[Post]:
    opened = Post(ground.store, ground.clock)
    yield opened
    await opened.close()
    assert not [line for line in opened.lines if "job.failed" in line]


async def tell(ground: Playground, client: Client, count: int = 1) -> None:
    """Record events for a client."""

    async def unit(tx: Tx) -> None:
        for _ in range(count):
            at = ground.clock.moment()
            await record_event(tx, at, tenant=b.TENANT, client=client.id, type=EventType.USER_DISABLED, data={"user_id": "us_x"})

    await ground.store.run(unit)


async def the_event(ground: Playground) -> EventRow:
    (row,) = await rows(ground.store)
    return row


async def endpoint(ground: Playground, client: Client) -> EndpointRow:
    return await book.endpoint_of(ground.store, b.TENANT, client.id, client.client_id)


async def secrets_of(ground: Playground, client: Client, post: Post) -> list[str]:
    found = await book.live_secrets(ground.store, post.wraps, b.TENANT, client.id, ground.clock.now)
    return [secret.reveal() for _, secret in found]


# ---------------------------------------------------------------- what arrives


async def test_an_event_arrives_once_signed_and_is_done(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    ground.clock.now = int(time.time())  # the library that verifies has a clock of its own
    await tell(ground, client)
    assert await post.deliver() == 1
    assert await post.deliver() == 0
    (came,) = inbox.came
    (secret,) = await secrets_of(ground, client, post)
    told = Webhook(secret).verify(came.body, came.headers)
    assert told["type"] == "user.disabled"
    assert told["data"] == {"client_id": "budget-buddy", "user_id": "us_x"}
    assert set(told) == {"type", "timestamp", "data"}
    assert came.headers["content-type"] == "application/json"
    row = await the_event(ground)
    assert (row.state, row.tries, row.next_at, row.last_outcome, row.last_status) == ("delivered", 1, None, "delivered", 200)


async def test_while_a_secret_is_replaced_both_sign_and_then_the_new_one_alone(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    ground.clock.now = int(time.time())
    await tell(ground, client)
    await post.deliver()
    (old,) = await secrets_of(ground, client, post)
    at, where = ground.clock.moment(), await endpoint(ground, client)
    await ground.store.run(book.rotate_secret, at, post.wraps, where, actor="os:test")
    new, still = await secrets_of(ground, client, post)
    assert still == old != new
    await tell(ground, client)
    await post.deliver()
    for secret in (old, new):
        Webhook(secret).verify(inbox.came[-1].body, inbox.came[-1].headers)
    ground.clock.pass_(book.ROTATION)
    assert await secrets_of(ground, client, post) == [new]


async def test_nothing_in_the_store_shows_a_secret(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    await tell(ground, client)
    await post.deliver()
    (secret,) = await secrets_of(ground, client, post)
    (wrapped,) = await ground.store.all(Query(str, "SELECT wrapped FROM webhook_secret"))
    assert secret not in wrapped
    assert secret.removeprefix("whsec_") not in wrapped
    assert not any(secret in line for line in post.lines)


async def test_a_secret_does_not_open_for_another_client(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    from gatewright.keys.root import KeyFault

    await tell(ground, client)
    await post.deliver()
    await ground.sql("UPDATE webhook_secret SET client = :other", other=client.id + 1)
    with pytest.raises(KeyFault):
        await book.live_secrets(ground.store, post.wraps, b.TENANT, client.id + 1, ground.clock.now)


# ---------------------------------------------------------------- patience


async def test_what_is_refused_is_tried_again_until_it_is_taken(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    inbox.answers = lambda _: status(500) if len(inbox.came) < 3 else status(204)
    await tell(ground, client)
    await post.deliver()
    row = await the_event(ground)
    assert (row.state, row.tries, row.last_outcome, row.last_status) == ("waiting", 1, "refused", 500)
    assert row.next_at is not None
    assert 9 <= row.next_at - NOON <= 12
    ground.clock.pass_(8)
    assert await post.deliver() == 0
    for _ in range(2):
        ground.clock.pass_(60)
        assert await post.deliver() == 1
    row = await the_event(ground)
    assert (row.state, row.tries, row.last_status) == ("delivered", 3, 204)
    assert [came.headers["webhook-id"] for came in inbox.came] == [ids.show(ids.EVENT, row.id)] * 3
    assert len({came.body for came in inbox.came}) == 1
    attempts = await ground.store.all(ATTEMPTS)
    assert [(one.outcome, one.status) for one in attempts] == [("refused", 500), ("refused", 500), ("delivered", 204)]


async def test_after_three_days_an_event_is_given_up_and_can_be_replayed(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    inbox.answers = lambda _: status(503)
    await tell(ground, client)
    while (row := await the_event(ground)).state == "waiting":
        assert row.next_at is not None
        ground.clock.now = max(row.next_at, (await endpoint(ground, client)).quiet_until)
        await post.deliver()
    assert 10 <= row.tries <= 15
    assert GIVE_UP_AFTER - 45_000 <= ground.clock.now - NOON <= GIVE_UP_AFTER
    ground.clock.pass_(86_400)
    assert await post.deliver() == 0
    inbox.answers = lambda _: status(200)
    count = await _manage(ground, client, given_up=True)
    assert count == 1
    assert await post.deliver() == 1
    row = await the_event(ground)
    assert (row.state, row.tries) == ("delivered", 1)


async def _manage(ground: Playground, client: Client, *, given_up: bool, number: int = 0) -> int:
    async def unit(tx: Tx) -> int:
        deed = Deed(tx, ground.clock.moment(), b.TENANT, "os:test")
        if given_up:
            return await book.replay_given_up(deed, client.id, client.client_id)
        return int(await book.replay(deed, client.id, client.client_id, number))

    return await ground.store.run(unit)


async def test_a_delivered_event_can_be_replayed_under_its_own_name(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    await tell(ground, client)
    await post.deliver()
    row = await the_event(ground)
    assert await _manage(ground, client, given_up=False, number=row.id) == 1
    await post.deliver()
    assert len({came.headers["webhook-id"] for came in inbox.came}) == 1
    assert len(inbox.came) == 2
    assert "events.replayed" in await ground.audited()


async def test_nobody_replays_an_event_of_another_client(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    other = await listening(ground, inbox.url("/other"), number=b.CLIENT + 1, name="other")
    await tell(ground, client)
    await post.deliver()
    row = await the_event(ground)
    assert await _manage(ground, other, given_up=False, number=row.id) == 0
    assert await post.deliver() == 0


@pytest.mark.parametrize("host", ["hooks..example", "a" * 64 + ".example"])
async def test_an_address_whose_host_is_none_is_tried_like_one_that_may_not_be_called(ground: Playground, post: Post, host: str) -> None:
    client = await listening(ground, f"https://{host}/x")
    await tell(ground, client)
    assert await post.deliver() == 1
    assert (await the_event(ground)).tries == 1
    assert [one.outcome for one in await ground.store.all(ATTEMPTS)] == ["not_allowed"]


@pytest.mark.parametrize("code", [429, 503])
async def test_an_address_that_asks_for_time_gets_it_for_all_its_events(
    ground: Playground, client: Client, inbox: Receiver, post: Post, code: int
) -> None:
    inbox.answers = lambda _: status(code, "Retry-After: 600")
    await tell(ground, client)
    await post.deliver()
    row = await the_event(ground)
    assert row.next_at == NOON + 600
    await tell(ground, client)
    inbox.answers = lambda _: status(200)
    ground.clock.pass_(599)
    assert await post.deliver() == 0
    ground.clock.pass_(1)
    assert await post.deliver() == 1
    assert {one.state for one in await rows(ground.store)} == {"delivered"}


async def test_an_address_that_asks_for_a_month_gets_a_day(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    inbox.answers = lambda _: status(503, "Retry-After: 2592000")
    await tell(ground, client)
    await post.deliver()
    assert (await the_event(ground)).next_at == NOON + 86_400


async def test_an_address_that_is_gone_gets_nothing_more_until_it_is_enabled(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    inbox.answers = lambda _: status(410)
    await tell(ground, client)
    await post.deliver()
    where = await endpoint(ground, client)
    assert (where.disabled_because, where.open) == ("gone", False)
    assert "events.disabled" in await ground.audited()
    await tell(ground, client)  # nobody to tell it to
    assert len(await rows(ground.store)) == 1
    ground.clock.pass_(7200)
    assert await post.deliver() == 0
    inbox.answers = lambda _: status(200)

    async def enable(tx: Tx) -> bool:
        return await book.enable(Deed(tx, ground.clock.moment(), b.TENANT, "os:test"), client.id, client.client_id)

    assert await ground.store.run(enable)
    assert not await ground.store.run(enable)
    assert await post.deliver() == 1
    assert (await the_event(ground)).state == "delivered"


async def test_a_redirect_is_not_followed(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    inbox.answers = lambda came: status(307, f"Location: {inbox.url('/elsewhere')}")
    await tell(ground, client)
    await post.deliver()
    assert [came.path for came in inbox.came] == ["/events"]
    assert (await the_event(ground)).last_outcome == "redirected"


async def test_nothing_of_an_answer_but_its_status_is_kept(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    inbox.answers = lambda _: status(500, "X-Inside: 10.0.0.7")
    await tell(ground, client)
    await post.deliver()
    kept = [*(str(row) for row in await rows(ground.store)), *(str(one) for one in await ground.store.all(ATTEMPTS)), *post.lines]
    assert not any("insides" in text or "10.0.0.7" in text for text in kept)


async def test_an_address_that_does_not_answer_in_time_is_one_failure(ground: Playground, client: Client, inbox: Receiver) -> None:
    inbox.answers = lambda _: None
    hasty = Post(ground.store, ground.clock, seconds=0.05)
    await tell(ground, client)
    await hasty.deliver()
    assert (await the_event(ground)).last_outcome == "timed_out"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200"])
async def test_what_is_no_answer_is_a_failure(ground: Playground, client: Client, inbox: Receiver, post: Post, answer: bytes) -> None:
    inbox.answers = lambda _: answer
    await tell(ground, client)
    await post.deliver()
    assert (await the_event(ground)).last_outcome == "unreachable"


async def test_without_the_operators_leave_nothing_inside_is_called(ground: Playground, client: Client, inbox: Receiver) -> None:
    strict = Post(ground.store, ground.clock, private=())
    await tell(ground, client)
    await strict.deliver()
    assert (await the_event(ground)).last_outcome == "not_allowed"
    assert inbox.came == []


async def test_what_waited_for_a_disabled_client_is_given_up_in_the_end(ground: Playground, client: Client, post: Post) -> None:
    await tell(ground, client)

    async def block(tx: Tx) -> None:
        await book.block(Deed(tx, ground.clock.moment(), b.TENANT, "os:test"), client.id)

    await ground.store.run(block)
    assert await post.deliver() == 0
    await sweep(ground.store, NOON + GIVE_UP_AFTER)
    assert (await the_event(ground)).state == "waiting"
    await sweep(ground.store, NOON + GIVE_UP_AFTER + 1)
    assert (await the_event(ground)).state == "given_up"
    await sweep(ground.store, NOON + 31 * 86_400)
    assert await rows(ground.store) == []


# ---------------------------------------------------------------- one does not hold up another


async def test_of_a_thousand_addresses_one_hangs_and_the_others_do_not_notice(ground: Playground, inbox: Receiver, post: Post) -> None:
    def answers(came: object) -> Reply:
        return None if getattr(came, "path", "") == "/0" else status(200)

    inbox.answers = answers

    async def put(tx: Tx) -> None:
        at = ground.clock.moment()
        for number in range(1000):
            deed = Deed(tx, at, b.TENANT, "os:test")
            await book.follow(deed, 50_000 + number, f"app-{number}", None, inbox.url(f"/{number}"))
            await record_event(tx, at, tenant=b.TENANT, client=50_000 + number, type=EventType.TEST, data={})

    await ground.store.run(put)
    others = Query(int, "SELECT COUNT(*) FROM webhook_event WHERE state = 'delivered'")
    async with asyncio.timeout(60):
        while (await ground.store.one(others) or 0) < 999:
            await post.courier.round()
            await asyncio.sleep(0)
    assert {row.client for row in await rows(ground.store) if row.state != "delivered"} == {50_000}
    assert inbox.most <= 65  # as many places as there are, and what the receiver had not closed yet


async def test_a_dead_address_with_a_long_queue_is_asked_now_and_then(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    inbox.answers = lambda _: status(500)
    await tell(ground, client, 500)
    for _ in range(120):
        ground.clock.pass_(30)
        await post.deliver()
    assert len(inbox.came) < 60  # an hour of failing: eight pauses, each after four tries at most


async def test_one_event_that_is_never_taken_does_not_hold_up_the_others(
    ground: Playground, client: Client, inbox: Receiver, post: Post
) -> None:
    await tell(ground, client, 9)
    poison = ids.show(ids.EVENT, (await rows(ground.store))[2].id)
    inbox.answers = lambda came: status(500) if came.headers["webhook-id"] == poison else status(200)
    assert await post.deliver() == 1
    states = [row.state for row in await rows(ground.store)]
    assert states.count("delivered") == 8
    assert (await endpoint(ground, client)).failures == 0


async def test_events_of_two_tenants_go_to_their_own_addresses(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    async def put(tx: Tx) -> None:
        at = ground.clock.moment()
        await book.follow(Deed(tx, at, b.TENANT + 1, "os:test"), 60_000, "elsewhere", None, inbox.url("/elsewhere"))
        await record_event(tx, at, tenant=b.TENANT + 1, client=60_000, type=EventType.TEST, data={})

    await ground.store.run(put)
    await tell(ground, client)
    assert await post.deliver() == 2
    assert sorted((came.path, came.event["data"]["client_id"]) for came in inbox.came) == [
        ("/elsewhere", "elsewhere"),
        ("/events", "budget-buddy"),
    ]


# ---------------------------------------------------------------- several nodes, and dead ones


async def test_two_nodes_deliver_each_event_once(ground: Playground, client: Client, inbox: Receiver, post: Post, nodes: Nodes) -> None:
    second = Post(await nodes(), ground.clock)
    await tell(ground, client, 40)
    await asyncio.gather(post.deliver(), second.deliver(), post.deliver(), second.deliver())
    assert len({came.headers["webhook-id"] for came in inbox.came}) == len(inbox.came) == 40


async def test_what_a_node_had_taken_is_delivered_by_another_when_the_lease_is_over(
    ground: Playground, client: Client, inbox: Receiver, post: Post, nodes: Nodes
) -> None:
    inbox.answers = lambda _: None
    dying = Post(await nodes(), ground.clock)
    await tell(ground, client)
    assert await dying.courier.round() == 1
    await inbox.until(1)
    await dying.close()  # as good as dead: nothing is written down
    inbox.answers = lambda _: status(200)
    assert await post.deliver() == 0
    ground.clock.pass_(LEASE)
    assert await post.deliver() == 1
    assert (await the_event(ground)).state == "delivered"
    assert len({came.headers["webhook-id"] for came in inbox.came}) == 1


async def test_a_killed_process_loses_nothing(ground: Playground, client: Client, inbox: Receiver, post: Post, url: str) -> None:
    inbox.answers = lambda _: None
    await tell(ground, client, 6)
    script = Path(__file__).with_name("deliverer.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), url, str(ground.clock.now))
    try:
        await inbox.until(4)  # as many as are on their way at once
    finally:
        process.kill()
        await process.wait()
    inbox.answers = lambda _: status(200)
    ground.clock.pass_(LEASE)
    assert await post.deliver() == 1
    assert {row.state for row in await rows(ground.store)} == {"delivered"}
    names = [came.headers["webhook-id"] for came in inbox.came]
    assert len(set(names)) == 6
    assert len(names) == 10  # four came twice: at least once is what was promised


async def test_a_late_result_does_not_undo_what_another_node_did(ground: Playground, client: Client, inbox: Receiver, post: Post) -> None:
    from gatewright.webhooks.courier import Result, settle
    from gatewright.webhooks.records import Outcome

    await tell(ground, client)
    stale = await the_event(ground)
    await post.deliver()
    await settle(ground.store, ground.clock.moment(), b.TENANT, stale, Result(Outcome.TIMED_OUT))
    assert (await the_event(ground)).state == "delivered"
    assert len(await ground.store.all(ATTEMPTS)) == 1
