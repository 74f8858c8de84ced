"""A guard that follows the revocation feed: a JWT whose grant has ended is refused, and what happens where the feed is not heard."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from gatewright_guard import guard as guarding
from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Guard, Request
from gatewright_guard.reasons import Reason
from tests.guard.makers import AUDIENCE, ISSUER, a_token
from tests.guard.server import CREDENTIALS, AClock, AServer
from tests.guard.test_feed import CURRENT, Feed, Line, ended

BALANCE = needs("read:balance")


class Both(httpx.AsyncBaseTransport):
    """A server whose feed is a line that the test speaks."""

    def __init__(self, server: AServer, feed: Feed) -> None:
        self._rest = httpx.ASGITransport(server)
        self._feed = feed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await (self._feed if request.url.path == "/-/feed" else self._rest).handle_async_request(request)


class Bank:
    """An API whose guard follows the feed; it was current when the test begins, unless the line says nothing."""

    def __init__(self, *said: str, **settings: Any) -> None:  # noqa: ANN401 - the guard's own
        self.server, self.clock, self.line = AServer(), AClock(), Line(*said)
        self.http = httpx.AsyncClient(transport=Both(self.server, Feed(self.line)))
        self.guard = Guard(ISSUER, AUDIENCE, credentials=CREDENTIALS, follow=True, http=self.http, clock=self.clock, **settings)

    async def asked(self, token: str) -> Allowed | Refusal:
        return await self.guard.check(Request(authorization=(f"Bearer {token}",)), BALANCE)

    async def refusal(self, token: str) -> Refusal:
        answer = await self.asked(token)
        assert isinstance(answer, Refusal)
        return answer

    async def hears(self, jti: str) -> None:
        """Return once the guard knows that a token is over."""
        follower = self.guard._follower
        assert follower is not None
        async with asyncio.timeout(5):
            while jti not in follower._memory._ended._jtis:  # noqa: ASYNC110 - the follower tells only of being current
                await asyncio.sleep(0)

    async def close(self) -> None:
        await self.guard.aclose()
        await self.http.aclose()


async def test_a_jwt_that_was_revoked_is_refused_and_all_others_are_verified_here() -> None:
    bank = Bank(CURRENT)
    assert isinstance(await bank.asked(a_token()), Allowed)
    bank.line.say(ended(1))
    await bank.hears("j1")
    refusal = await bank.refusal(a_token())
    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_token", Reason.TOKEN_REVOKED)
    assert isinstance(await bank.asked(a_token(jti="j2")), Allowed)
    assert bank.server.asked["/introspect"] == 0
    await bank.close()


async def test_the_server_tells_why_it_was_revoked() -> None:
    bank, token = Bank(CURRENT, ended(1)), a_token()
    bank.server.whys[token] = {"cause": "grant_ended", "detail": "The user took the access back.", "decision": "de_1"}
    bank.guard.start()
    await bank.hears("j1")
    body = json.loads((await bank.refusal(token)).body())
    assert (body["cause"], body["detail"], body["decision"]) == ("grant_ended", "The user took the access back.", "de_1")
    await bank.close()


async def test_what_was_introspected_a_moment_before_is_over_as_soon() -> None:
    bank = Bank(CURRENT)
    assert isinstance(await bank.asked("gwa_good"), Allowed)
    bank.line.say(ended(1))
    await bank.hears("j1")
    assert (await bank.refusal("gwa_good")).reason is Reason.TOKEN_REVOKED
    assert bank.server.asked["/introspect"] == 1
    await bank.close()


async def test_after_a_silence_that_is_too_long_the_server_is_asked() -> None:
    bank, token = Bank(CURRENT), a_token()
    bank.server.tokens = {token: {**bank.server.tokens["gwa_good"]}}
    assert isinstance(await bank.asked(token), Allowed)
    bank.clock.now += 16
    assert isinstance(await bank.asked(token), Allowed)
    assert bank.server.asked["/introspect"] == 1
    bank.server.tokens = {}
    assert (await bank.refusal(a_token(jti="j2"))).reason is Reason.INVALID_TOKEN
    await bank.close()


async def test_or_nobody_is_let_in() -> None:
    bank = Bank(CURRENT, when_away="refuse")
    assert isinstance(await bank.asked(a_token()), Allowed)
    bank.clock.now += 16
    for _ in range(2):
        assert (await bank.refusal(a_token())).status == 503
    assert bank.server.asked["/introspect"] == 0
    await bank.close()


@pytest.mark.parametrize(("max_away", "local"), [(60.0, True), (5.0, False)])
async def test_how_long_a_silence_is_too_long_is_a_setting(max_away: float, local: bool) -> None:
    bank = Bank(CURRENT, max_away=max_away)
    assert isinstance(await bank.asked(a_token()), Allowed)
    bank.clock.now += 16
    await bank.asked(a_token())
    assert (bank.server.asked["/introspect"] == 0) is local
    await bank.close()


async def test_the_first_caller_waits_for_the_feed_and_nobody_waits_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "_CONNECTING", 0.05)
    bank = Bank(when_away="refuse")
    assert (await bank.refusal(a_token())).status == 503
    # From here on a wait would not end before the test does.
    monkeypatch.setattr(guarding, "_CONNECTING", 1000)
    assert (await bank.refusal(a_token())).status == 503
    bank.line.say(CURRENT)
    follower = bank.guard._follower
    assert follower is not None
    assert await follower.until_current(5)
    assert isinstance(await bank.asked(a_token()), Allowed)
    assert not bank.guard._gave_up, "another silence would be waited for again"
    await bank.close()


def test_it_needs_the_apis_credentials() -> None:
    with pytest.raises(ValueError, match="credentials"):
        Guard(ISSUER, AUDIENCE, follow=True)
