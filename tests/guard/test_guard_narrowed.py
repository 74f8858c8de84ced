"""A guard that hears of less: it asks the server about the tokens that may say too much, once in a while, and believes all others."""

import asyncio
import json
from typing import Any

import pytest

from gatewright_guard.decide import Allowed, Refusal, Requirement, needs
from gatewright_guard.guard import Request
from gatewright_guard.heard import Heard
from gatewright_guard.jose import KeySet
from gatewright_guard.keys import KEY_TERMS
from gatewright_guard.narrowed import SETTLED
from gatewright_guard.reasons import Reason
from tests.guard.makers import NOW, a_jwk, a_token, keys_of, some_claims
from tests.guard.test_feed import CURRENT, ended
from tests.guard.test_guard_follow import Bank

OLD = a_token(jti="old", iat=NOW - 1)


def narrowed(number: int = 1, **named: object) -> str:
    data = {"at": NOW, "until": NOW + 960, "issued_until": NOW + 60} | named
    return f"event: narrowed\nid: ev_{number}\ndata: {json.dumps(data)}\n\n"


def withdrawn(kid: str) -> str:
    return f'event: key_withdrawn\nid: ev_1\ndata: {{"at":{NOW},"until":{NOW + 86460},"kid":"{kid}"}}\n\n'


class Told(Bank):
    """A bank whose guard heard what was said."""

    async def hears_of_less(self, count: int = 1) -> None:
        """Return once the guard remembers so many narrowings."""
        follower = self.guard._follower
        assert follower is not None
        async with asyncio.timeout(5):
            while len(follower._memory) < count:  # noqa: ASYNC110 - the follower tells only of being current
                await asyncio.sleep(0)

    def says(self, token: str, scope: str) -> None:
        """Have the server say this of a token."""
        self.server.tokens[token] = some_claims(jti="old", iat=NOW - 1, scope=scope)

    async def may(self, requirement: Requirement, token: str = OLD) -> Allowed | Refusal:
        return await self.guard.check(Request(authorization=(f"Bearer {token}",)), requirement)

    @property
    def asked_server(self) -> int:
        return self.server.asked["/introspect"]


async def told(*said: str, **settings: Any) -> Told:  # noqa: ANN401 - the guard's own
    bank = Told(CURRENT, *said, **settings)
    bank.guard.start()
    await bank.hears_of_less(len(said))
    return bank


async def test_a_jwt_that_may_say_too_much_is_asked_about_and_all_others_are_verified_here() -> None:
    bank = await told(narrowed(scopes=["read:balance"]), max_away=100)
    bank.says(OLD, "openid")
    refusal = await bank.may(needs("read:balance"))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.error, refusal.missing) == (403, "insufficient_scope", ("read:balance",))
    assert bank.asked_server == 1
    fresh = a_token(jti="new", iat=NOW + 61)
    bank.clock.now += 61
    assert isinstance(await bank.may(needs("read:balance"), fresh), Allowed)
    assert isinstance(await bank.may(needs(), a_token(jti="other", iat=NOW - 1, scope="openid")), Allowed)
    assert bank.asked_server == 1
    await bank.close()


async def test_what_it_still_has_it_still_has() -> None:
    bank = await told(narrowed(sub=str(some_claims()["sub"])))
    bank.says(OLD, "read:balance")
    assert isinstance(await bank.may(needs("read:balance")), Allowed)
    await bank.close()


async def test_the_server_tells_why_a_scope_is_gone() -> None:
    bank = await told(narrowed(scopes=["read:balance"]))
    bank.says(OLD, "openid")
    bank.server.whys[OLD] = {"cause": "role_lacks_scope", "detail": "", "decision": "de_1"}
    refusal = await bank.may(needs("read:balance"))
    assert isinstance(refusal, Refusal)
    assert json.loads(refusal.body())["cause"] == "role_lacks_scope"
    await bank.close()


async def test_one_that_is_good_no_more_at_all_is_refused() -> None:
    bank = await told(narrowed())
    refusal = await bank.may(needs("read:balance"))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (401, Reason.INVALID_TOKEN)
    await bank.close()


async def test_it_is_asked_about_once_in_max_stale() -> None:
    bank = await told(narrowed(), max_stale=5)
    bank.says(OLD, "read:balance")
    bank.clock.now += SETTLED
    for _ in range(5):
        await bank.may(needs("read:balance"))
    assert bank.asked_server == 1
    bank.clock.now += 5
    bank.line.say(CURRENT)
    await bank.may(needs("read:balance"))
    assert bank.asked_server == 2
    await bank.close()


async def test_what_was_said_while_another_process_might_not_know_is_not_believed_for_longer() -> None:
    bank = await told(narrowed(), max_stale=60)
    bank.says(OLD, "read:balance")
    assert isinstance(await bank.may(needs("read:balance")), Allowed)
    bank.says(OLD, "openid")
    bank.clock.now += SETTLED - 1
    assert isinstance(await bank.may(needs("read:balance")), Allowed), "once is enough for now"
    bank.clock.now += 1
    assert isinstance(await bank.may(needs("read:balance")), Refusal)
    assert bank.asked_server == 2
    await bank.close()


async def test_what_was_introspected_before_is_asked_about_again() -> None:
    bank = Told(CURRENT)
    assert isinstance(await bank.may(needs("read:balance"), "gwa_good"), Allowed)
    bank.server.tokens["gwa_good"] = some_claims(scope="openid")
    bank.clock.now += 1
    bank.line.say(narrowed(scopes=["read:balance"]))
    await bank.hears_of_less()
    assert isinstance(await bank.may(needs("read:balance"), "gwa_good"), Refusal)
    await bank.close()


@pytest.mark.parametrize("when_away", ["introspect", "refuse"])
async def test_where_the_server_cannot_be_asked_nobody_is_let_in_by_it(when_away: str) -> None:
    bank = await told(narrowed(), when_away=when_away)
    bank.server.status = 503
    refusal = await bank.may(needs("read:balance"))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 503
    await bank.close()


async def test_an_event_of_another_form_is_relied_on_no_more_than_silence() -> None:
    bank = Told(CURRENT, "event: narrowed\nid: ev_1\ndata: {}\n\n", when_away="refuse")
    bank.guard.start()
    follower = bank.guard._follower
    assert follower is not None
    async with asyncio.timeout(5):
        while follower._memory.whole(bank.clock.now):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    assert not follower.is_current(bank.clock.now)
    await bank.close()


async def asking(bank: Told, token: str) -> asyncio.Task[Allowed | Refusal]:
    """A request that waits for the server, which has not answered yet."""
    bank.server.hold = asyncio.Event()
    bank.server.reached.clear()
    task = asyncio.create_task(bank.may(needs("read:balance"), token))
    await bank.server.reached.wait()
    return task


async def test_who_asks_after_a_change_gets_no_answer_that_was_asked_for_before_it() -> None:
    bank = await told(narrowed(scopes=["read:balance"]))
    bank.says(OLD, "read:balance")
    assert isinstance(await bank.may(needs("read:balance")), Allowed)
    bank.clock.now += 5
    early = await asking(bank, OLD)
    bank.clock.now += 1
    bank.line.say(narrowed(2, sub=str(some_claims()["sub"])))
    await bank.hears_of_less(2)
    late = asyncio.create_task(bank.may(needs("read:balance")))
    await asyncio.sleep(0)
    assert bank.server.hold is not None
    bank.server.hold.set()
    for answer in await asyncio.gather(early, late):
        assert isinstance(answer, Allowed)
    assert bank.asked_server == 3, "one of them for both, after the change"
    await bank.close()


async def test_what_ends_while_the_server_is_asked_is_over() -> None:
    bank = await told()
    opaque = "gwat_opaque"
    bank.server.tokens[opaque] = some_claims(jti="old", iat=NOW - 1)
    early = await asking(bank, opaque)
    bank.line.say(ended(1, "old"))
    await bank.hears("old")
    assert bank.server.hold is not None
    bank.server.hold.set()
    answer = await early
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.error) == (401, "invalid_token")
    await bank.close()


async def test_what_a_withdrawn_key_signed_is_nobodys_however_fresh_the_keys_are() -> None:
    bank, forged = Told(CURRENT), a_token(jti="forged")
    assert isinstance(await bank.may(needs("read:balance"), forged), Allowed)
    bank.line.say(withdrawn("k1"))
    await bank.hears_of_less()
    bank.server.jwks.append(a_jwk(kid="k2"))
    refusal = await bank.may(needs("read:balance"), forged)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.error) == (401, "invalid_token")
    # The keys were fetched a moment ago: the server vouches for what its next key signed.
    fresh = a_token(jti="fresh", kid="k2")
    bank.says(fresh, "read:balance")
    assert isinstance(await bank.may(needs("read:balance"), fresh), Allowed)
    await bank.close()


async def test_it_stays_withdrawn_if_a_cache_gives_the_old_keys_again() -> None:
    bank = await told(withdrawn("k1"), max_away=1000)
    for _ in range(3):
        assert isinstance(await bank.may(needs("read:balance"), a_token()), Refusal)
        bank.clock.now += KEY_TERMS.fresh_for
    assert isinstance(await bank.may(needs("read:balance"), a_token(kid="stranger")), Refusal)
    assert bank.server.asked["/jwks"] > 1
    assert isinstance(await bank.may(needs("read:balance"), a_token()), Refusal)
    await bank.close()


async def test_a_process_that_just_began_hears_of_withdrawn_keys_before_it_believes_one() -> None:
    bank = Told()
    first = asyncio.create_task(bank.may(needs("read:balance"), a_token(jti="forged")))
    for _ in range(100):  # whatever can be done without the feed is done
        await asyncio.sleep(0)
    bank.line.say(withdrawn("k1"), CURRENT)
    answer = await first
    assert isinstance(answer, Refusal)
    assert answer.status == 401
    await bank.close()


async def test_nobody_is_asked_about_what_a_withdrawn_key_signed_however_much_it_is() -> None:
    bank = await told(withdrawn("k1"))
    assert isinstance(await bank.may(needs("read:balance"), a_token(jti="first")), Refusal)
    fetched = bank.server.asked["/jwks"]
    for number in range(20):
        forged = a_token(jti=f"forged{number}")
        # Another of the server's processes, that has not heard of it yet.
        bank.says(forged, "read:balance")
        refusal = await bank.may(needs("read:balance"), forged)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.error) == (401, "invalid_token")
    assert (bank.asked_server, bank.server.asked["/jwks"]) == (0, fetched)
    await bank.close()


def test_a_key_that_is_withdrawn_while_another_thread_looks_is_withdrawn() -> None:
    memory = Heard()
    memory.take("key_withdrawn", f'{{"at":{NOW},"until":{NOW + 60},"kid":"k9"}}', NOW)

    class Looked(KeySet):
        """Keys of which one is withdrawn while they are looked through."""

        def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any member
            if name == "keys" and not memory.withdrew("k1"):
                memory.take("key_withdrawn", f'{{"at":{NOW},"until":{NOW + 60},"kid":"k1"}}', NOW)
            return super().__getattribute__(name)

    keys = Looked(keys_of("k1", "k2").keys)
    memory.trusted(keys)
    assert [key.kid for key in memory.trusted(keys).keys] == ["k2"]
    assert memory.trusted(keys) is memory.trusted(keys)
    memory.expire(NOW + 60)
    assert memory.trusted(keys) is keys
