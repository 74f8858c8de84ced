"""A client's secret that somebody chose is a password: guessing it is slowed before anything is hashed (`security-rules` 64)."""

from __future__ import annotations

import dataclasses

import pytest

from gatewright.oauth.client import ClientSecret
from gatewright.oauth.errors import InvalidClient, TemporarilyUnavailable
from gatewright.signin.throttle import PAIR
from tests.support import builders as b
from tests.support.world import Playground

SHORT = "chosen by a person"


async def a_client_with_a_short_secret(ground: Playground) -> None:
    # Each digest is new, so no test finds what another one proved.
    secret = ClientSecret(7, "argon2id", ground.passwords.make(SHORT))
    await ground.add(b.a_client(secrets=(secret,), type="service", grant_types=("client_credentials",), scopes=(b.READ_IMAGES.id,)))


async def guess(ground: Playground, times: int) -> None:
    for number in range(times):
        with pytest.raises(InvalidClient):
            await ground.serve(scope="read:images", client_secret=f"wrong {number}")


async def test_wrong_secrets_are_slowed_and_then_cost_no_hash(ground: Playground) -> None:
    await a_client_with_a_short_secret(ground)
    await guess(ground, PAIR.free)
    hashed = ground.passwords.asked
    with pytest.raises(TemporarilyUnavailable) as slowed:
        await ground.serve(scope="read:images", client_secret="wrong again")
    assert slowed.value.retry_after == 1
    assert ground.passwords.asked == hashed
    ground.clock.pass_(1)
    await guess(ground, 1)


async def test_guesses_from_elsewhere_do_not_stop_the_owner(ground: Playground) -> None:
    await a_client_with_a_short_secret(ground)
    ground.address = "203.0.113.9"
    await guess(ground, PAIR.free)
    ground.address = "198.51.100.1"
    assert await ground.serve(scope="read:images", client_secret=SHORT)


async def test_who_proved_the_secret_once_is_not_slowed(ground: Playground) -> None:
    await a_client_with_a_short_secret(ground)
    assert await ground.serve(scope="read:images", client_secret=SHORT)
    await guess(ground, PAIR.free)
    assert await ground.serve(scope="read:images", client_secret=SHORT)


async def test_the_right_secret_wipes_out_what_was_mistyped(ground: Playground) -> None:
    await a_client_with_a_short_secret(ground)
    await guess(ground, PAIR.free - 1)
    assert await ground.serve(scope="read:images", client_secret=SHORT)
    await guess(ground, PAIR.free)


async def test_attempts_that_found_no_room_are_not_counted(ground: Playground) -> None:
    await a_client_with_a_short_secret(ground)

    class Full:
        async def verify(self, digest: str, secret: str) -> bool:
            raise TemporarilyUnavailable("full")

    ground.world = dataclasses.replace(ground.world, passwords=Full())
    for _ in range(3 * PAIR.free):
        with pytest.raises(TemporarilyUnavailable, match="full"):
            await ground.serve(scope="read:images", client_secret="wrong")
