"""A code shown with wrong proofs is slowed, and neither burned nor kept from its owner elsewhere (`security-rules` 22)."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import InvalidGrant, TemporarilyUnavailable
from gatewright.signin import guesses
from gatewright.signin.guesses import RoomGuesses
from gatewright.signin.throttle import CODE, Throttle
from gatewright.store import Query
from tests.support import builders as b
from tests.support.world import Param, Playground, secret_of

_NAMES = Query(str, "SELECT name FROM throttle")
HERE, ELSEWHERE = "203.0.113.9", "198.51.100.1"
WRONG_VERIFIER: dict[str, Param] = {"code_verifier": "w" * 43}
WRONG_ADDRESS: dict[str, Param] = {"redirect_uri": "https://budget.example/other"}
STRANGER: dict[str, Param] = {"client_id": "stranger"}


async def a_code(ground: Playground) -> str:
    await ground.add(msgspec.structs.replace(b.a_client(b.CLIENT + 1, secrets=(secret_of(2),)), client_id="stranger"))
    ground.address = HERE
    return await ground.code(await ground.add(), OPENID)


async def miss(ground: Playground, code: str, times: int, *proofs: dict[str, Param]) -> None:
    for number in range(times):
        with pytest.raises(InvalidGrant):
            await ground.exchange(code, **(proofs or (WRONG_VERIFIER,))[number % len(proofs or (WRONG_VERIFIER,))])


def spent(ground: Playground) -> dict[str, int]:
    counts = ground.store.counts
    return {name: getattr(counts, name) for name in ("reads", "verbs", "units", "commits")}


@pytest.mark.parametrize("proof", [WRONG_VERIFIER, WRONG_ADDRESS, STRANGER])
async def test_ten_wrong_proofs_are_looked_at_and_the_next_must_wait(ground: Playground, proof: dict[str, Param]) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free, proof)
    with pytest.raises(TemporarilyUnavailable, match="wrong proof") as slowed:
        await ground.exchange(code, **proof)
    assert slowed.value.retry_after == 1
    ground.clock.pass_(1)
    await miss(ground, code, 1, proof)
    with pytest.raises(TemporarilyUnavailable) as slowed:
        await ground.exchange(code, **proof)
    assert slowed.value.retry_after == 2


async def test_wrong_proofs_of_all_kinds_count_together(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free, WRONG_VERIFIER, WRONG_ADDRESS)
    with pytest.raises(TemporarilyUnavailable):
        await ground.exchange(code, **WRONG_ADDRESS)


async def test_who_must_wait_costs_no_statement(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free)
    before = spent(ground)
    for _ in range(20):
        with pytest.raises(TemporarilyUnavailable):
            await ground.exchange(code, **WRONG_VERIFIER)
    assert spent(ground) == before


async def test_whoever_waits_is_not_looked_at_even_if_right_and_the_code_is_not_burned(ground: Playground) -> None:
    # Otherwise this would slow nobody who guesses.
    code = await a_code(ground)
    await miss(ground, code, CODE.free)
    with pytest.raises(TemporarilyUnavailable):
        await ground.exchange(code)
    ground.clock.pass_(1)
    assert "access_token" in await ground.exchange(code)


async def test_a_stranger_elsewhere_keeps_no_owner_from_the_code(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free)
    ground.address = ELSEWHERE
    assert "access_token" in await ground.exchange(code)


async def test_another_client_keeps_no_owner_from_the_code_even_next_door(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free, STRANGER)
    with pytest.raises(TemporarilyUnavailable):
        await ground.exchange(code, **STRANGER)
    assert "access_token" in await ground.exchange(code)


async def test_other_codes_of_the_same_client_are_not_slowed(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free)
    assert "access_token" in await ground.exchange(await ground.code(await ground.add(), OPENID))


async def test_another_process_counts_on_and_looks_at_one_proof_more(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, CODE.free)
    ground.world = dataclasses.replace(ground.world, guesses=RoomGuesses(ground.store, Throttle(ground.store, ground.sealer)))
    for _ in range(2):
        with pytest.raises(TemporarilyUnavailable) as slowed:
            await ground.exchange(code, **WRONG_VERIFIER)
        assert slowed.value.retry_after == 1


@pytest.mark.parametrize("ending", ["late", "used", "ended"])
async def test_a_code_that_buys_nothing_any_more_counts_for_nothing(ground: Playground, ending: str) -> None:
    code = await a_code(ground)
    if ending == "late":
        ground.clock.pass_(ground.issuer.policy.code_lifetime)
    elif ending == "used":
        await ground.exchange(code)
    else:
        await ground.sql("UPDATE consent_grant SET ended_at = 1, ended_because = 'withdrawn'")
    await miss(ground, code, 3 * CODE.free)
    assert await ground.number("SELECT COUNT(*) FROM throttle") == 0


async def test_a_guess_at_a_code_itself_counts_for_nothing(ground: Playground) -> None:
    code = await a_code(ground)
    wrong = code[:-2] + ("AA" if code[-2:] != "AA" else "BA")
    for _ in range(3 * CODE.free):
        with pytest.raises(InvalidGrant, match="unknown"):
            await ground.exchange(wrong)
    assert await ground.number("SELECT COUNT(*) FROM throttle") == 0
    assert "access_token" in await ground.exchange(code)


async def test_what_is_remembered_of_who_waits_is_bounded(ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MOST_HELD", 3)
    room = ground.guesses
    at = ground.clock.moment()
    for number in range(5):
        for _ in range(CODE.free):
            assert await room.code_missed(b.TENANT, number, b.CLIENT, HERE, at) == 0
    assert len(room._held) <= 3
    assert room.code_wait(4, b.CLIENT, HERE, at.now) == 1
    # Forgotten here, known to the store.
    assert await room.code_missed(b.TENANT, 0, b.CLIENT, HERE, at) == 1


async def test_the_table_tells_nobody_whose_code_it_was(ground: Playground) -> None:
    code = await a_code(ground)
    await miss(ground, code, 1)
    name = await ground.store.all(_NAMES)
    assert len(name) == 1
    assert str((await ground.row()).id) not in name[0]
    assert HERE not in name[0]


async def test_the_wait_is_at_most_as_long_as_a_code_lives(ground: Playground) -> None:
    code = await a_code(ground)
    waits = []
    for _ in range(CODE.free + 12):
        number = (await ground.row()).id
        waits.append(await ground.guesses.code_missed(b.TENANT, number, b.CLIENT, HERE, ground.clock.moment()))
        wait = ground.guesses.code_wait(number, b.CLIENT, HERE, ground.clock.moment().now)
        waits.append(wait)
        ground.clock.pass_(wait)
    assert max(waits) == CODE.longest <= ground.issuer.policy.code_lifetime
    with pytest.raises(InvalidGrant, match="expired"):
        await ground.exchange(code)
