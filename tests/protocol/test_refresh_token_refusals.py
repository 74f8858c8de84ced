"""Every way in which a refresh token renews nothing, and which of them end the authorization: a proved reuse, and nothing else."""

import asyncio

import msgspec
import pytest

from gatewright.base.digest import Kind, b64, unb64
from gatewright.oauth import refresh
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from tests.protocol.test_authorization_code_refusals import ENDINGS
from tests.protocol.test_refresh_token import DAY, chain, public_chain
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import Param, Playground, secret_of


async def untouched(ground: Playground, token: str) -> bool:
    """Was nothing written, and does the owner's token still work?"""
    row = await ground.row(token)
    return (row.generation, row.ended_at) == (0, None) and "access_token" in await ground.renew(token, resource=b.BANK.audience)


# ---------------------------------------------------------------- not this token, client or issuer


def changed(token: str, place: int) -> str:
    """The token with one byte of its inside changed."""
    raw = bytearray(unb64(token[4:]) or b"")
    raw[place] ^= 1
    return Kind.REFRESH + b64(bytes(raw))


@pytest.mark.parametrize("place", [7, 11, 13, 14, 45])
async def test_a_guessed_token_is_unknown_and_signs_nobody_out(ground: Playground, place: int) -> None:
    token = await chain(ground)
    with pytest.raises(InvalidGrant, match="unknown"):
        await ground.renew(changed(token, place))
    assert await untouched(ground, token)


@pytest.mark.parametrize("text", ["x", "gwr_", "gwr_" + "A" * 62, "gwa_" + "A" * 62, "é", "gwr_" + "A" * 4000])
async def test_what_is_no_refresh_token_is_unknown(ground: Playground, text: str) -> None:
    await ground.add()
    with pytest.raises(InvalidGrant, match="unknown"):
        await ground.renew(text)


async def test_a_code_an_access_token_and_an_id_token_are_no_refresh_tokens(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID)
    reply = await ground.exchange(code)
    for other in (code, reply["access_token"], reply["id_token"]):
        with pytest.raises(InvalidGrant, match="unknown"):
            await ground.renew(other)


@pytest.mark.proves("RFC 6749", "6")
@pytest.mark.parametrize("rotations", [0, 2])
async def test_another_client_is_refused_and_nobody_is_punished(ground: Playground, rotations: int) -> None:
    first = token = await chain(ground)
    for _ in range(rotations):
        token = (await ground.renew(token))["refresh_token"]
    await ground.add(msgspec.structs.replace(b.a_client(b.CLIENT + 1, secrets=(secret_of(2),)), client_id="stranger"))
    for stolen in (first, token):
        with pytest.raises(InvalidGrant, match="another client"):
            await ground.renew(stolen, client_id="stranger")
    assert (await ground.row(token)).ended_at is None
    assert await ground.renew(token)


async def test_without_client_authentication_nothing_happens(ground: Playground) -> None:
    token = await chain(ground)
    for wrong in (None, "wrong"):
        with pytest.raises(InvalidClient):
            await ground.renew(token, client_secret=wrong)
    assert await untouched(ground, token)


async def test_a_token_is_good_at_its_own_issuer_only(ground: Playground) -> None:
    token = await chain(ground)
    home, ground.issuer = ground.issuer, b.an_issuer("https://login.acme.test")
    with pytest.raises(InvalidGrant, match="another issuer"):
        await ground.renew(token)
    ground.issuer = home
    assert await untouched(ground, token)


async def test_a_token_of_one_tenant_is_unknown_in_another(ground: Playground) -> None:
    token = await chain(ground)
    home, ground.issuer = ground.issuer, b.an_issuer(tenant=b.TENANT + 1)
    there = msgspec.structs.replace(b.a_client(b.CLIENT + 1, secrets=(secret_of(2, tenant=b.TENANT + 1),)), tenant=b.TENANT + 1)
    await ground.add(there)
    with pytest.raises(InvalidGrant, match="unknown"):
        await ground.renew(token)
    ground.issuer = home
    assert await untouched(ground, token)


async def test_a_row_without_a_chain_has_no_refresh_token(ground: Playground) -> None:
    client = await ground.add(grant_types=("authorization_code",))
    await ground.exchange(await ground.code(client, OPENID))
    forged = refresh.make(await ground.row(), 0, ground.sealer)
    await ground.add()
    with pytest.raises(InvalidGrant, match="unknown"):
        await ground.renew(forged)


async def test_a_client_that_lost_the_grant_type_may_not_use_it(ground: Playground) -> None:
    token = await chain(ground)
    await ground.add(grant_types=("authorization_code",))
    with pytest.raises(UnauthorizedClient):
        await ground.renew(token)


# ---------------------------------------------------------------- reuse


@pytest.mark.proves("RFC 9700", "4.14.2")
@pytest.mark.parametrize("old", [0, 1, 2])
async def test_an_older_token_ends_the_authorization(ground: Playground, old: int) -> None:
    seen = [await chain(ground)]
    for _ in range(4):
        seen.append((await ground.renew(seen[-1]))["refresh_token"])
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.renew(seen[old])
    row = await ground.row(seen[0])
    assert (row.ended_because, row.ended_at) == ("replay", NOON)
    assert "refresh.replayed" in await ground.audited()
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(seen[-1])


async def test_a_thief_who_rotates_twice_is_found_when_the_owner_returns(ground: Playground) -> None:
    owners = await chain(ground)
    thiefs = owners
    for _ in range(2):
        thiefs = (await ground.renew(thiefs))["refresh_token"]
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.renew(owners)
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(thiefs)


async def test_the_predecessor_is_reuse_once_its_successor_was_used(ground: Playground) -> None:
    first = await chain(ground)
    second = (await ground.renew(first))["refresh_token"]
    await ground.renew(second)
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.renew(first)


@pytest.mark.parametrize(("public", "later"), [(True, 11), (False, 601)])
async def test_the_predecessor_is_reuse_after_the_overlap(ground: Playground, public: object, later: int) -> None:
    token = await public_chain(ground) if public else await chain(ground)
    secret: dict[str, Param] = {"client_secret": None} if public else {}
    await ground.renew(token, **secret)
    ground.clock.pass_(later)
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.renew(token, **secret)
    assert (await ground.row(token)).ended_because == "replay"


async def test_with_the_overlap_switched_off_the_predecessor_is_reuse_at_once(ground: Playground) -> None:
    token = await public_chain(ground)
    ground.issuer = b.an_issuer(overlap_public=0)
    await ground.renew(token, client_secret=None)
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.renew(token, client_secret=None)


async def test_a_reuse_is_found_however_often_it_is_tried_at_once(ground: Playground) -> None:
    first = await chain(ground)
    await ground.renew((await ground.renew(first))["refresh_token"])
    answers = await asyncio.gather(*[ground.renew(first) for _ in range(10)], return_exceptions=True)
    assert all(isinstance(answer, InvalidGrant) for answer in answers)
    assert (await ground.audited()).count("refresh.replayed") == 1


# ---------------------------------------------------------------- refused before the generation is looked at


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"scope": "openid read:balance create:events"}, InvalidScope),
        ({"scope": "transfer:funds"}, InvalidScope),
        ({"scope": "no:such"}, InvalidScope),
        ({"scope": "openid  read:balance"}, InvalidScope),
        ({"resource": b.EVENTS.audience}, InvalidTarget),
        ({"resource": "https://nowhere.test"}, InvalidTarget),
        ({"resource": (b.BANK.audience, b.EVENTS.audience)}, InvalidTarget),
        ({"refresh_token": ("a", "b")}, InvalidRequest),
        ({"scope": ("openid", "openid")}, InvalidRequest),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["current", "reused"])
async def test_a_request_for_too_much_is_refused_and_writes_nothing(
    ground: Playground, params: dict[str, Param], error: type[OAuthError], old: object
) -> None:
    token = shown = await chain(ground)
    if old:
        token = (await ground.renew((await ground.renew(shown))["refresh_token"]))["refresh_token"]
    before = await ground.row(token)
    with pytest.raises(error):
        await ground.post(**({"grant_type": "refresh_token", "refresh_token": shown} | params))
    assert await ground.row(token) == before
    assert await ground.renew(token)


async def test_where_nothing_is_left_today_the_answer_is_invalid_scope_and_nothing_is_written(ground: Playground) -> None:
    token = await chain(ground, b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    with pytest.raises(InvalidScope):
        await ground.renew(token)
    assert (await ground.row(token)).generation == 0


# ---------------------------------------------------------------- what has ended


@pytest.mark.parametrize("ending", ENDINGS)
async def test_nothing_is_renewed_after_an_end(ground: Playground, ending: str) -> None:
    token = await chain(ground)
    await ground.sql(ENDINGS[ending])
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(token)
    assert (await ground.row(token)).generation == 0


async def test_an_old_token_changes_nothing_about_the_cause_of_an_end(ground: Playground) -> None:
    first = await chain(ground)
    await ground.renew((await ground.renew(first))["refresh_token"])
    await ground.ledger.end(await ground.row(first), because="withdrawn", now=NOON)
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(first)
    assert (await ground.row(first)).ended_because == "withdrawn"


async def test_a_session_bound_chain_ends_with_the_session(ground: Playground) -> None:
    token = await chain(ground, refresh="offline")
    await ground.sql("UPDATE session SET ended_at = 1")
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(token)


async def test_any_other_chain_survives_the_session(ground: Playground) -> None:
    token = await chain(ground)
    await ground.sql("UPDATE session SET ended_at = 1")
    assert await ground.renew(token)


@pytest.mark.parametrize(
    ("settings", "days"), [({}, 30), ({"refresh_idle": DAY}, 1), ({"refresh_idle": 90 * DAY, "refresh_absolute": 60 * DAY}, 60)]
)
async def test_a_chain_ends_by_idleness_or_by_age(ground: Playground, settings: dict[str, object], days: int) -> None:
    token = await chain(ground, **settings)
    ground.clock.pass_(days * DAY)
    with pytest.raises(InvalidGrant, match="expired"):
        await ground.renew(token)
    ground.clock.pass_(-1)
    assert await ground.renew(token)


async def test_use_does_not_move_the_absolute_end(ground: Playground) -> None:
    token = await chain(ground, refresh_absolute=40 * DAY)
    ground.clock.pass_(25 * DAY)
    token = (await ground.renew(token))["refresh_token"]
    ground.clock.pass_(15 * DAY)
    with pytest.raises(InvalidGrant, match="expired"):
        await ground.renew(token)
