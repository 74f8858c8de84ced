"""Signing in with a password: one answer for every wrong try, a delay and never a lock, a new session each time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import pytest

from gatewright.base.digest import Kind, with_id
from gatewright.base.log import Log
from gatewright.base.networks import network_of
from gatewright.base.secret import Secret
from gatewright.oauth.visit import Visitor
from gatewright.signin import throttle as rules
from gatewright.signin.browsers import browser_of
from gatewright.signin.by_password import Attempt, Mismatch, PasswordDoor, SignedIn, Wait
from gatewright.signin.pool import PasswordPool
from gatewright.signin.sessions import SEEN_EVERY, Sessions
from gatewright.signin.throttle import DEVICE, NAME, NETWORK, PAIR, WINDOW, Rule, Slowed, Throttle
from gatewright.store import Query
from gatewright.users.passwords import digest_of
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import Playground

RIGHT, WRONG = "correct horse", "battery staple"
DIGEST = digest_of(RIGHT, bytes(16))
EMAIL = "organizer@acme.test"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.7"


@dataclass
class Hall:
    """A playground with a door to come in by."""

    ground: Playground
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = PasswordPool(patience=60)
        self.sessions = Sessions(self.ground.store)
        self.throttle = Throttle(self.ground.store, self.ground.sealer)
        self.door = PasswordDoor(self.ground.store, self.pool, self.throttle, Log(self.ground.clock, write=self.lines.append))

    async def enter(self, password: str = RIGHT, **said: object) -> SignedIn | Mismatch | Wait:
        """Try to sign in."""
        ordinary: dict[str, object] = {
            "username": EMAIL,
            "password": Secret(password),
            "address": HERE,
            "agent": "Mozilla/5.0 Firefox/140.0",
        }
        attempt = msgspec.structs.replace(Attempt(issuer=self.ground.issuer, username="", password=Secret("")), **(ordinary | said))
        return await self.door.enter(attempt, self.ground.clock.moment())

    async def signed_in(self, **said: object) -> SignedIn:
        """Sign in."""
        found = await self.enter(**said)  # type: ignore[arg-type] # whatever an attempt has
        assert isinstance(found, SignedIn)
        return found

    async def visitor(self, cookie: str) -> Visitor | None:
        """Whose session a cookie is."""
        return await self.sessions.find(self.ground.issuer, cookie, self.ground.clock.moment())

    async def fail(self, times: int, **said: object) -> None:
        """Fail so many times, waiting as long as one is told to."""
        for _ in range(times):
            while isinstance(found := await self.enter(WRONG, **said), Wait):
                self.ground.clock.pass_(found.seconds)
            assert isinstance(found, Mismatch)


@pytest.fixture
async def hall(ground: Playground) -> AsyncIterator[Hall]:
    await ground.sql("UPDATE person SET password = :digest WHERE id = :id", digest=DIGEST, id=b.PERSON)
    made = Hall(ground)
    yield made
    made.pool.close()


# ---------------------------------------------------------------- coming in


async def test_name_and_password_make_a_session(hall: Hall) -> None:
    found = await hall.signed_in()
    visitor = await hall.visitor(found.session.cookie)
    assert visitor is not None
    assert (visitor.person, visitor.auth_time, visitor.amr) == (b.PERSON, NOON, "pwd")
    assert await hall.ground.audited() == ["sign_in.done"]


async def test_a_name_may_be_written_in_capitals(hall: Hall) -> None:
    found = await hall.signed_in(username="  Organizer@ACME.test ")
    assert await hall.visitor(found.session.cookie) is not None


@pytest.mark.parametrize(
    "said",
    [
        {"password": WRONG},
        {"username": "nobody@acme.test"},
        {"username": "nobody@acme.test", "password": WRONG},
        {"username": ""},
        {"username": "a" * 5000},
        {"password": ""},
        {"password": RIGHT + "\0"},
        {"password": "a" * 5000},
    ],
)
async def test_whatever_does_not_match_is_answered_alike(hall: Hall, said: dict[str, object]) -> None:
    assert await hall.enter(**said) == Mismatch()  # type: ignore[arg-type] # whatever an attempt has
    assert await hall.ground.audited() == ["sign_in.failed"]
    assert await hall.ground.number("SELECT count(*) FROM session") == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE person SET disabled_at = 1",
        "UPDATE person SET deleted_at = 1",
        "UPDATE person SET kind = 'service'",
        "UPDATE person SET password = NULL",
        "UPDATE person SET tenant = 1002",
    ],
)
async def test_who_may_not_sign_in_here_is_answered_alike(hall: Hall, change: str) -> None:
    await hall.ground.sql(change)
    assert await hall.enter() == Mismatch()


async def test_what_was_typed_as_a_name_is_written_down_nowhere(hall: Hall) -> None:
    await hall.enter(username="my-password-by-mistake")
    told = await hall.ground.store.all(Query(str, "SELECT actor || subject || detail FROM audit"))
    kept = await hall.ground.store.all(Query(str, "SELECT name FROM throttle"))
    assert not [text for text in (*told, *kept, *hall.lines) if "mistake" in text or "203.0.113.7" in text]
    assert len(kept) == 3


async def test_a_digest_with_older_parameters_is_renewed_by_the_sign_in(hall: Hall) -> None:
    from argon2.low_level import Type, hash_secret

    older = hash_secret(RIGHT.encode(), bytes(16), 1, 64, 1, 32, Type.ID).decode()
    await hall.ground.sql("UPDATE person SET password = :older WHERE id = :id", older=older, id=b.PERSON)
    await hall.signed_in()
    kept = await hall.ground.store.one(Query(str, "SELECT password FROM person WHERE id = :id"), id=b.PERSON)
    assert kept is not None
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await hall.signed_in()


async def test_a_full_queue_is_said_and_counts_as_no_failure(hall: Hall) -> None:
    hall.pool.close()
    found = await hall.enter(WRONG)
    assert isinstance(found, Wait)
    assert found.busy
    assert await hall.ground.number("SELECT max(failures) FROM throttle") == 0


# ---------------------------------------------------------------- sessions


async def test_each_sign_in_makes_a_session_anew_and_ends_the_one_before(hall: Hall) -> None:
    first = await hall.signed_in()
    previous = await hall.visitor(first.session.cookie)
    second = await hall.signed_in(previous=previous)
    assert first.session.cookie != second.session.cookie
    assert await hall.visitor(first.session.cookie) is None
    assert await hall.visitor(second.session.cookie) is not None
    assert await hall.ground.audited() == ["sign_in.done", "session.ended", "sign_in.done"]


async def test_what_is_bound_to_a_session_goes_on_when_its_user_confirms_the_sign_in(hall: Hall) -> None:
    client = await hall.ground.add(refresh="offline")
    first = await hall.signed_in()
    await hall.ground.code(client, 1, b.READ_BALANCE.id, session=first.session.id, session_bound=True)
    second = await hall.signed_in(previous=await hall.visitor(first.session.cookie))
    row = await hall.ground.row()
    assert (row.session, row.fault(hall.ground.clock.now)) == (second.session.id, None)


async def test_what_is_bound_to_a_session_ends_when_somebody_else_signs_in(hall: Hall) -> None:
    client = await hall.ground.add(refresh="offline")
    first = await hall.signed_in()
    await hall.ground.code(client, 1, session=first.session.id, session_bound=True)
    other = msgspec.structs.replace(await hall.visitor(first.session.cookie), person=b.PERSON + 1)  # type: ignore[type-var] # it is there
    await hall.ground.sql("UPDATE session SET person = person + 1 WHERE id = :id", id=first.session.id)
    await hall.signed_in(previous=other)
    assert (await hall.ground.row()).ended_because == "signed_out"


@pytest.mark.parametrize("cookie", ["", "x", "gwb_", "gwb_AAAA", with_id(Kind.SESSION, b.SESSION, bytes(32)), "gwr_" + "A" * 54])
async def test_a_cookie_that_nobody_was_given_is_nobodys(hall: Hall, cookie: str) -> None:
    assert await hall.visitor(cookie) is None


async def test_a_cookie_is_good_at_its_own_issuer_and_tenant_alone(hall: Hall) -> None:
    cookie = (await hall.signed_in()).session.cookie
    at = hall.ground.clock.moment()
    assert await hall.sessions.find(b.an_issuer("https://other.acme.test"), cookie, at) is None
    assert await hall.sessions.find(b.an_issuer(tenant=1002), cookie, at) is None
    assert await hall.sessions.find(b.an_issuer(), cookie, at) is not None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE person SET epoch = epoch + 1",
        "UPDATE person SET disabled_at = 1",
        "UPDATE person SET deleted_at = 1",
        "UPDATE session SET ended_at = 1",
        "UPDATE session SET digest = 'x'",
    ],
)
async def test_a_session_ends_with_whatever_it_rests_on(hall: Hall, change: str) -> None:
    cookie = (await hall.signed_in()).session.cookie
    await hall.ground.sql(change)
    assert await hall.visitor(cookie) is None


async def test_a_session_ends_when_it_lies_idle_and_after_its_longest_time(hall: Hall) -> None:
    cookie = (await hall.signed_in()).session.cookie
    for _ in range(13):
        hall.ground.clock.pass_(12 * 3600 - 1)
        assert await hall.visitor(cookie) is not None
    hall.ground.clock.pass_(12 * 3600)
    assert await hall.visitor(cookie) is None
    idle = (await hall.signed_in()).session.cookie
    hall.ground.clock.pass_(12 * 3600)
    assert await hall.visitor(idle) is None


async def test_who_asks_to_be_kept_signed_in_stays_for_thirty_days_however_idle(hall: Hall) -> None:
    cookie = (await hall.signed_in(lasting=True)).session.cookie
    hall.ground.clock.pass_(30 * 86400 - 1)
    assert await hall.visitor(cookie) is not None
    hall.ground.clock.pass_(1)
    assert await hall.visitor(cookie) is None


async def test_when_a_session_was_seen_is_written_once_a_minute(hall: Hall) -> None:
    cookie = (await hall.signed_in()).session.cookie
    counts = hall.ground.store.counts
    before = counts.verbs
    for _ in range(5):
        await hall.visitor(cookie)
    assert counts.verbs == before
    hall.ground.clock.pass_(SEEN_EVERY)
    for _ in range(5):
        await hall.visitor(cookie)
    assert counts.verbs == before + 1


async def test_a_user_signs_one_browser_out_or_all_others(hall: Hall) -> None:
    mine, second, third = [(await hall.signed_in()).session for _ in range(3)]
    at = hall.ground.clock.moment()
    assert await hall.sessions.end(at, b.TENANT, b.PERSON, second.id)
    assert not await hall.sessions.end(at, b.TENANT, b.PERSON, second.id)
    assert await hall.visitor(second.cookie) is None
    listed = [row.id for row in await hall.sessions.of_person(b.TENANT, b.PERSON, NOON)]
    assert set(listed) == {mine.id, third.id, b.SESSION}
    assert await hall.sessions.end_others(at, b.TENANT, b.PERSON, mine.id) == 2
    assert await hall.visitor(third.cookie) is None
    assert await hall.visitor(mine.cookie) is not None


async def test_nobody_ends_the_session_of_another(hall: Hall) -> None:
    session = (await hall.signed_in()).session
    at = hall.ground.clock.moment()
    assert not await hall.sessions.end(at, b.TENANT, b.PERSON + 1, session.id)
    assert not await hall.sessions.end(at, b.TENANT + 1, b.PERSON, session.id)
    assert await hall.visitor(session.cookie) is not None


# ---------------------------------------------------------------- slowed down


async def test_failures_of_one_name_from_one_network_are_answered_later_and_later(hall: Hall) -> None:
    await hall.fail(PAIR.free)
    waits = []
    for _ in range(12):
        found = await hall.enter(WRONG)
        assert isinstance(found, Wait)
        waits.append(found.seconds)
        hall.ground.clock.pass_(found.seconds)
        assert await hall.enter(WRONG) == Mismatch()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_the_right_password_waits_too_and_wipes_the_failures_out(hall: Hall) -> None:
    await hall.fail(PAIR.free + 2)
    found = await hall.enter()
    assert isinstance(found, Wait)
    hall.ground.clock.pass_(found.seconds)
    await hall.signed_in()
    await hall.fail(PAIR.free)


async def test_asking_again_while_one_must_wait_writes_nothing_and_hashes_nothing(hall: Hall) -> None:
    await hall.fail(PAIR.free)
    counts = hall.ground.store.counts
    before = (counts.commits, counts.units, counts.verbs)
    hall.pool.close()
    assert {type(await hall.enter()) for _ in range(10)} == {Wait}
    assert (counts.commits, counts.units, counts.verbs) == before


async def test_a_stranger_elsewhere_does_not_keep_the_owner_out(hall: Hall) -> None:
    await hall.fail(PAIR.free + 4, address=ELSEWHERE)
    await hall.signed_in()


async def test_a_browser_that_signed_in_before_is_slowed_down_by_nobody_else(hall: Hall) -> None:
    device = (await hall.signed_in()).device
    for number in range(NAME.free + 1):
        await hall.fail(1, address=f"10.{number}.0.1")
    assert isinstance(await hall.enter(address="10.99.0.1"), Wait)
    await hall.signed_in(device=device, address="10.99.0.1")


async def test_a_browser_that_signed_in_before_is_slowed_down_by_its_own_failures(hall: Hall) -> None:
    device = (await hall.signed_in()).device
    await hall.fail(DEVICE.free, device=device)
    assert isinstance(await hall.enter(device=device), Wait)


async def test_a_browser_is_known_for_the_names_that_signed_in_there_alone(hall: Hall) -> None:
    device = (await hall.signed_in()).device
    await hall.fail(PAIR.free, username="other@acme.test", device=device)
    assert isinstance(await hall.enter(WRONG, username="other@acme.test", device=device), Wait)


@pytest.mark.parametrize("device", ["x", "AAAA.BBBB", "A" * 32, ".".join(["A" * 32] * 9)])
async def test_a_device_that_somebody_made_up_is_unknown(hall: Hall, device: str) -> None:
    await hall.fail(PAIR.free, device=device)
    assert isinstance(await hall.enter(device=device), Wait)


async def test_many_names_from_one_network_are_slowed_down_together(hall: Hall) -> None:
    for number in range(NETWORK.free):
        await hall.fail(1, username=f"user{number}@acme.test", address=f"203.0.113.{number}")
    assert isinstance(await hall.enter(address="203.0.113.200"), Wait)
    await hall.signed_in(address=ELSEWHERE)


async def test_a_success_of_ones_own_does_not_free_a_network_for_guessing(hall: Hall) -> None:
    for number in range(NETWORK.free):
        await hall.fail(1, username=f"user{number}@acme.test")
    hall.ground.clock.pass_(1)
    await hall.signed_in()
    await hall.fail(1, username="victim@acme.test")
    assert isinstance(await hall.enter(WRONG, username="victim2@acme.test"), Wait)


async def test_a_hundred_attempts_at_once_are_counted_as_a_hundred(hall: Hall) -> None:
    counters = hall.throttle.counters(b.TENANT, EMAIL, "203.0.113.0/24", "")

    async def enter() -> bool:
        try:
            await hall.throttle.enter(b.TENANT, counters, hall.ground.clock.moment())
        except Slowed:
            return False
        return True

    assert sum(await asyncio.gather(*(enter() for _ in range(100)))) == PAIR.free


async def test_who_loses_the_race_is_told_to_wait(hall: Hall) -> None:
    network = hall.throttle.counters(b.TENANT, EMAIL, "203.0.113.0/24", "")
    for _ in range(PAIR.free):
        await hall.throttle.enter(b.TENANT, network, hall.ground.clock.moment())
    with pytest.raises(Slowed) as slowed:
        await hall.ground.store.run(rules._enter, hall.ground.clock.moment(), b.TENANT, network)
    assert slowed.value.seconds == 1


async def test_failures_are_forgotten_after_an_hour_without_any(hall: Hall) -> None:
    await hall.fail(PAIR.free + 3)
    hall.ground.clock.pass_(WINDOW + 1)
    await hall.fail(PAIR.free)


async def test_tenants_do_not_slow_each_other_down(hall: Hall) -> None:
    await hall.fail(PAIR.free)
    assert await hall.enter(issuer=b.an_issuer(tenant=1002)) == Mismatch()


async def test_it_is_audited_when_the_slowing_down_begins(hall: Hall) -> None:
    await hall.fail(PAIR.free + 2)
    assert (await hall.ground.audited()).count("sign_in.throttled") == 1


@pytest.mark.parametrize("rule", [PAIR, DEVICE, NAME, NETWORK, Rule(free=0, longest=7)])
async def test_the_statement_and_the_rule_agree_on_every_delay(ground: Playground, rule: Rule) -> None:
    counter = rules.Counter("x", rule)
    for failures in range(1, 25):
        delay = rule.delay(failures)
        for age in sorted({0, max(0, delay - 1), delay, delay + 1}):
            await ground.sql("DELETE FROM throttle")
            await ground.sql(
                "INSERT INTO throttle (name, tenant, failures, last_at, until) VALUES ('x', 1, :failures, :last, :until)",
                failures=failures,
                last=NOON - age,
                until=NOON + 1,
            )
            assert await entered(ground, counter) is (age >= delay), (failures, age)


async def entered(ground: Playground, counter: rules.Counter) -> bool:
    """Whether an attempt may begin, as the statement alone has it."""
    try:
        await ground.store.run(rules._enter, ground.clock.moment(), 1, (counter,))
    except Slowed:
        return False
    return True


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix", "unknown"),
    ],
)
def test_a_network_is_what_one_household_has(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_named_in_words(agent: str, words: str) -> None:
    assert browser_of(agent) == words
