"""The refresh grant: a chain that moves on with each use, and forgives an answer that was lost."""

import asyncio

import pytest

from gatewright.base import ids
from gatewright.oauth import handle, places
from gatewright.oauth.catalogue import EMAIL, OPENID
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import SECRET, Playground, claims_of

DAY = 86400


OPENID_AND_BALANCE = (OPENID, b.READ_BALANCE.id)


async def chain(ground: Playground, *scopes: int, **settings: object) -> str:
    """The first refresh token of an authorization."""
    wanted = scopes or OPENID_AND_BALANCE
    client = await ground.add(**settings)
    resource = b.BANK.audience if b.READ_BALANCE.id in wanted else None
    token: str = (await ground.exchange(await ground.code(client, *wanted), resource=resource))["refresh_token"]
    return token


async def public_chain(ground: Playground) -> str:
    """The same of a public client."""
    client = await ground.add(b.a_client(token_endpoint_auth_method="none", type="spa"))
    token: str = (await ground.exchange(await ground.code(client, *OPENID_AND_BALANCE), client_secret=None))["refresh_token"]
    return token


@pytest.mark.proves("RFC 9700", "4.14.2")
async def test_each_use_gives_the_next_token_and_moves_the_row_on(ground: Playground) -> None:
    seen = [await chain(ground)]
    for generation in range(1, 6):
        ground.clock.pass_(DAY)
        reply = await ground.renew(seen[-1])
        seen.append(reply["refresh_token"])
        row = await ground.row(seen[-1])
        assert (row.generation, row.rotated_at) == (generation, ground.clock.now)
    assert len(set(seen)) == 6


async def test_the_reply_has_what_the_first_had(ground: Playground) -> None:
    reply = await ground.renew(await chain(ground))
    assert set(reply) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token", "account", "account_id"}
    assert (reply["scope"], reply["expires_in"]) == ("openid read:balance", 7200)


@pytest.mark.proves("OpenID Connect Core", "12.2")
async def test_an_id_token_on_refresh_has_the_same_subject_and_sign_in_and_no_nonce(ground: Playground) -> None:
    token = await chain(ground)
    ground.clock.pass_(DAY)
    claims = claims_of((await ground.renew(token))["id_token"])
    assert claims["sub"] == ids.show(ids.USER, b.PERSON)
    assert (claims["auth_time"], claims["iat"]) == (NOON - 60, NOON + DAY)
    assert (claims["iss"], claims["aud"]) == (b.URL, "budget-buddy")
    assert "nonce" not in claims


async def test_an_unused_token_is_kept_alive_by_its_use(ground: Playground) -> None:
    token = await chain(ground)
    for _ in range(4):
        ground.clock.pass_(29 * DAY)
        token = (await ground.renew(token))["refresh_token"]
    assert (await ground.row(token)).refresh_idle_until == ground.clock.now + 30 * DAY


@pytest.mark.proves("RFC 6749", "6")
async def test_fewer_scopes_narrow_this_access_token_only(ground: Playground) -> None:
    token = await chain(ground, OPENID, b.READ_BALANCE.id, b.TRANSFER.id)
    narrow = await ground.renew(token, scope="read:balance")
    assert narrow["scope"] == "read:balance"
    assert "id_token" not in narrow
    found = handle.open_handle(narrow["access_token"], ground.issuer, ground.sealer, NOON)
    assert found is not None
    assert places.names(found.named, b.CATALOGUE.scopes, b.BANK.id, b.CATALOGUE) == ["read:balance"]
    whole = await ground.renew(narrow["refresh_token"])
    assert whole["scope"] == "openid read:balance transfer:funds"
    found = handle.open_handle(whole["access_token"], ground.issuer, ground.sealer, NOON)
    assert found is not None
    assert found.named == handle.ALL


async def test_a_narrowed_jwt_just_says_fewer_scopes(ground: Playground) -> None:
    roles = f"{b.ORGANIZER.id} {b.PARTICIPANT.id}"
    await ground.sql("UPDATE membership SET roles = :roles", roles=roles)
    token = await chain(ground, b.CREATE_EVENTS.id, b.VIEW_EVENTS.id)
    assert claims_of((await ground.renew(token, scope="view:events"))["access_token"])["scope"] == "view:events"


@pytest.mark.proves("RFC 8707", "2.2")
async def test_each_refresh_may_name_another_api_of_the_grant(ground: Playground) -> None:
    token = await chain(ground, OPENID, b.READ_BALANCE.id, b.CREATE_EVENTS.id)
    reply = await ground.renew(token, resource=b.EVENTS.audience)
    assert claims_of(reply["access_token"])["aud"] == b.EVENTS.audience
    assert (await ground.renew(reply["refresh_token"], resource=b.BANK.audience))["scope"] == "openid read:balance"


async def test_scopes_of_one_api_name_it_without_a_resource(ground: Playground) -> None:
    token = await chain(ground, OPENID, b.READ_BALANCE.id, b.CREATE_EVENTS.id)
    assert claims_of((await ground.renew(token, scope="openid create:events"))["access_token"])["aud"] == b.EVENTS.audience


# ---------------------------------------------------------------- the decision of today


async def test_a_role_that_was_taken_away_takes_its_scope_along_and_brings_it_back(ground: Playground) -> None:
    token = await chain(ground, OPENID, b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    reply = await ground.renew(token)
    assert reply["scope"] == "openid"
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.ORGANIZER.id))
    assert (await ground.renew(reply["refresh_token"]))["scope"] == "openid create:events"


async def test_a_scope_taken_from_the_client_is_gone(ground: Playground) -> None:
    token = await chain(ground)
    await ground.add(scopes=(OPENID,))
    assert (await ground.renew(token))["scope"] == "openid"


async def test_a_scope_given_later_does_not_widen_an_authorization(ground: Playground) -> None:
    token = await chain(ground)
    await ground.grant(await ground.add(), b.TRANSFER.id)
    assert (await ground.renew(token))["scope"] == "openid read:balance"


async def test_a_scope_taken_from_the_grant_is_gone_everywhere(ground: Playground) -> None:
    token = await chain(ground)
    await ground.grant(await ground.add(), declined=frozenset({b.READ_BALANCE.id}))
    assert (await ground.renew(token))["scope"] == "openid"


async def test_an_email_scope_needs_no_role(ground: Playground) -> None:
    token = await chain(ground, OPENID, EMAIL)
    await ground.sql("UPDATE membership SET roles = ''")
    assert (await ground.renew(token))["scope"] == "openid email"


# ---------------------------------------------------------------- the overlap


@pytest.mark.parametrize(("secret", "later"), [(None, 0), (None, 10), (SECRET, 11), (SECRET, 600)])
async def test_a_lost_answer_is_given_again_with_the_same_refresh_token(ground: Playground, secret: str | None, later: int) -> None:
    token = await chain(ground) if secret else await public_chain(ground)
    first = await ground.renew(token, client_secret=secret)
    ground.clock.pass_(later)
    again = await ground.renew(token, client_secret=secret)
    assert again["refresh_token"] == first["refresh_token"]
    assert again["access_token"] != first["access_token"]
    assert again["expires_in"] == first["expires_in"] - later
    assert ground.usage.events["refresh_repeated"] == 1


async def test_a_repeated_access_token_lives_no_longer_than_the_first(ground: Playground) -> None:
    token = await chain(ground)
    first = handle.open_handle((await ground.renew(token))["access_token"], ground.issuer, ground.sealer, NOON)
    ground.clock.pass_(300)
    again = handle.open_handle((await ground.renew(token))["access_token"], ground.issuer, ground.sealer, NOON)
    assert first is not None
    assert again is not None
    assert (again.exp, again.iat) == (first.exp, NOON + 300)
    assert again.jti != first.jti


async def test_a_repeat_does_not_renew_the_overlap_and_writes_nothing(ground: Playground) -> None:
    token = await chain(ground)
    await ground.renew(token)
    ground.clock.pass_(400)
    await ground.renew(token)
    row = await ground.row(token)
    assert (row.generation, row.rotated_at, row.refresh_idle_until) == (1, NOON, NOON + 30 * DAY)


async def test_two_workers_refreshing_at_once_both_get_the_same_refresh_token(ground: Playground) -> None:
    token = await chain(ground)
    answers = await asyncio.gather(*[ground.renew(token) for _ in range(20)])
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({answer["access_token"] for answer in answers}) == 20
    row = await ground.row(token)
    assert (row.generation, row.ended_at) == (1, None)


async def test_a_rotation_that_is_tried_again_after_a_lost_answer_is_first_again(ground: Playground) -> None:
    number = (await ground.row(await chain(ground))).id

    async def rotated(attempt: str) -> bool:
        return await ground.ledger.rotate(number, generation=0, attempt=attempt, now=NOON, idle_until=NOON + DAY)

    assert [await rotated("mine"), await rotated("mine"), await rotated("another's")] == [True, True, False]
    assert (await ground.row(number)).generation == 1


async def test_phone_and_laptop_are_two_chains_under_one_grant(ground: Playground) -> None:
    phone, laptop = await chain(ground), await chain(ground)
    assert (await ground.row(phone)).grant == (await ground.row(laptop)).grant
    for _ in range(3):
        phone = (await ground.renew(phone))["refresh_token"]
    assert await ground.renew(laptop)


async def test_a_session_bound_chain_goes_on_while_the_session_does(ground: Playground) -> None:
    token = await chain(ground, refresh="offline")
    assert await ground.renew(token)


async def test_renewals_are_counted_and_not_audited(ground: Playground) -> None:
    token = await chain(ground)
    before = await ground.audited()
    await ground.renew(token)
    assert ground.usage.events["refresh_token"] == 1
    assert await ground.audited() == before
