"""A token whose key came a moment after the keys were fetched: after an emergency it is good, and a stranger's is not."""

import asyncio

import pytest

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Guard, Request
from gatewright_guard.keys import KEY_TERMS
from gatewright_guard.reasons import Reason
from tests.guard.makers import a_jwk, a_token, some_claims
from tests.guard.server import AClock, AServer

BALANCE = needs("read:balance")


async def asked(guard: Guard, token: str) -> Allowed | Refusal:
    return await guard.check(Request(authorization=(f"Bearer {token}",)), BALANCE)


async def refusal(guard: Guard, token: str) -> Refusal:
    answer = await asked(guard, token)
    assert isinstance(answer, Refusal)
    return answer


async def test_after_an_emergency_the_server_vouches_for_tokens_of_its_new_key() -> None:
    server, clock = AServer(), AClock()
    guard, new = server.guard(clock), a_token(kid="k2")
    assert isinstance(await asked(guard, a_token()), Allowed)
    server.jwks = [a_jwk(kid="k2")]
    server.tokens[new] = some_claims()
    assert isinstance(await asked(guard, new), Allowed)
    assert (server.asked["/jwks"], server.asked["/introspect"]) == (1, 1)
    clock.now += KEY_TERMS.asked_pause
    assert isinstance(await asked(guard, new), Allowed)
    assert (server.asked["/jwks"], server.asked["/introspect"]) == (2, 1)


async def test_a_strangers_key_is_unknown_to_the_server_too_and_nothing_is_explained() -> None:
    server = AServer()
    guard = server.guard()
    await asked(guard, a_token())
    answer = await refusal(guard, a_token(kid="stranger"))
    assert (answer.status, answer.error, answer.reason) == (401, "invalid_token", Reason.INVALID_TOKEN)
    assert server.asked["/-/why"] == 0


async def test_who_cannot_ask_says_that_it_does_not_know_yet() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock, credentials=None)
    await asked(guard, a_token())
    answer = await refusal(guard, a_token(kid="k2"))
    assert answer.status == 503
    assert ("retry-after", "2") in answer.headers()
    clock.now += KEY_TERMS.asked_pause
    assert (await refusal(guard, a_token(kid="stranger"))).status == 401, "the keys are of now"


@pytest.mark.parametrize("credentials", [True, False])
async def test_a_flood_of_inventions_is_no_flood_of_questions(credentials: bool) -> None:
    server = AServer()
    guard = server.guard() if credentials else server.guard(credentials=None)
    await asked(guard, a_token())
    server.hold = asyncio.Event()
    callers = [asyncio.ensure_future(asked(guard, a_token(kid=f"stranger{n}"))) for n in range(50)]
    if credentials:
        server.reached.clear()
        await server.reached.wait()
    server.hold.set()
    answers = await asyncio.gather(*callers)
    assert all(isinstance(answer, Refusal) for answer in answers)
    assert server.asked["/introspect"] == (8 if credentials else 0)
    assert server.asked["/jwks"] == 1
