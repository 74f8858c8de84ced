"""Introspection (RFC 7662): what an API learns of a token, as of this very moment."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import OPENID, PROFILE, Catalogue
from gatewright.oauth.introspect import introspect
from tests.protocol.asking import API_SECRET, a_pair, as_api, basic, introspected, revoked
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import SECRET, Playground, secret_of

INACTIVE = {"active": False}


@pytest.mark.proves("RFC 7662", "2.2")
async def test_an_api_learns_all_of_a_good_token(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID, b.READ_BALANCE.id)
    row = await ground.row(pair["refresh_token"])
    found = await introspected(ground, pair["access_token"])
    assert len(found.pop("jti")) == 16
    assert found == {
        "active": True,
        "scope": "read:balance",
        "client_id": "budget-buddy",
        "username": "organizer@acme.test",
        "token_type": "Bearer",
        "exp": NOON + 7200,
        "iat": NOON,
        "sub": ids.show(ids.USER, b.PERSON),
        "aud": "https://bank.acme.test",
        "iss": b.URL,
        "account_id": ids.show(ids.ACCOUNT, b.ACCOUNT),
        "account": "acme-dev",
        "auth_time": NOON - 60,
        "acr": "pwd",
        "gw_az": ids.show(ids.AUTHORIZATION, row.id),
    }


async def test_a_jwt_is_introspected_like_a_handle(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    assert pair["access_token"].count(".") == 2
    found = await introspected(ground, pair["access_token"], as_api(ground, b.EVENTS))
    assert (found["active"], found["scope"], found["aud"]) == (True, "create:events", b.EVENTS.audience)


async def test_an_api_may_use_its_audience_as_its_name(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    as_api(ground)
    found = await introspected(ground, pair["access_token"], basic(b.BANK.audience, API_SECRET))
    assert found["active"]


async def test_an_api_may_send_its_credentials_in_the_body(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    as_api(ground)
    params = {"token": pair["access_token"], "client_id": ids.show(ids.API, b.BANK.id), "client_secret": API_SECRET}
    reply = await introspect(ground.ask(params), ground.world)
    assert msgspec.json.decode(msgspec.json.encode(reply.body))["active"]


async def test_a_wrong_hint_changes_nothing(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    for hint in ("refresh_token", "access_token", "id_token", "nonsense"):
        assert (await introspected(ground, pair["access_token"], token_type_hint=hint))["active"]


async def test_a_narrowed_token_is_introspected_as_narrow(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id, b.TRANSFER.id)
    narrowed = await ground.renew(pair["refresh_token"], scope="read:balance")
    assert (await introspected(ground, narrowed["access_token"]))["scope"] == "read:balance"
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance transfer:funds"


async def test_a_service_is_its_own_subject_and_says_which_scopes_need_no_account(ground: Playground) -> None:
    shelf = ground.directory
    imaging = msgspec.structs.replace(b.IMAGING, token_format="opaque")
    shelf.catalogues[b.TENANT] = Catalogue([imaging], [b.READ_IMAGES, b.DELETE_IMAGES], [])
    await ground.add(grant_types=("client_credentials",), type="service", scopes=(b.READ_IMAGES.id, b.DELETE_IMAGES.id))
    token = (await ground.serve(scope="read:images"))["access_token"]
    found = await introspected(ground, token, as_api(ground, imaging))
    assert (found["sub"], found["client_id"], found["scope"], found["gw_reach"]) == ("budget-buddy", "budget-buddy", *["read:images"] * 2)
    assert not {"username", "account", "account_id", "auth_time", "acr"} & set(found)


async def test_a_token_that_lives_until_revoked_has_no_end(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    found = await introspected(ground, pair["access_token"], as_api(ground, b.APPS))
    assert (found["active"], found["scope"], found["iat"]) == (True, "use:app", NOON)
    assert not {"exp", "jti"} & set(found)
    ground.clock.pass_(400 * 86400)
    assert (await introspected(ground, pair["access_token"], as_api(ground, b.APPS)))["active"]


async def test_introspection_is_one_statement(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    header, counts = as_api(ground), ground.store.counts
    before = replace(counts)
    await introspected(ground, pair["access_token"], header)
    assert counts == replace(before, reads=before.reads + 1)


async def test_a_lost_role_shows_at_the_next_call(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    header = as_api(ground, b.EVENTS)
    assert (await introspected(ground, pair["access_token"], header))["scope"] == "create:events"
    await ground.sql("UPDATE membership SET roles = ''")
    lost = await introspected(ground, pair["access_token"], header)
    assert (lost["active"], lost["scope"]) == (True, "")
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.ORGANIZER.id))
    assert (await introspected(ground, pair["access_token"], header))["scope"] == "create:events"


@pytest.mark.parametrize(
    "ending",
    [
        "UPDATE authorization_row SET ended_at = 1, ended_because = 'withdrawn'",
        "UPDATE consent_grant SET ended_at = 1, ended_because = 'withdrawn'",
        "UPDATE consent_grant SET expires_at = 1",
        "UPDATE person SET disabled_at = 1, epoch = epoch + 1",
        "UPDATE person SET epoch = epoch + 1",
        "UPDATE person SET deleted_at = 1",
        "UPDATE account SET disabled_at = 1",
        "UPDATE account SET epoch = epoch + 1",
        "UPDATE membership SET ended_at = 1",
        "UPDATE client SET disabled_at = 1",
        "UPDATE client SET epoch = epoch + 1",
        "UPDATE authorization_row SET epoch = epoch + 1",
        "DELETE FROM person",
        "DELETE FROM client",
        "DELETE FROM consent_grant",
        "DELETE FROM membership",
        "DELETE FROM account",
        "DELETE FROM authorization_row",
    ],
)
async def test_whatever_ends_shows_at_the_next_call(ground: Playground, ending: str) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    events = await a_pair(ground, b.CREATE_EVENTS.id)
    # Both are known by now: what is remembered of a token says nothing of whether it stands.
    assert (await introspected(ground, pair["access_token"]))["active"] is True
    assert (await introspected(ground, events["access_token"], as_api(ground, b.EVENTS)))["active"] is True
    await ground.sql(ending)
    assert await introspected(ground, pair["access_token"]) == INACTIVE
    assert await introspected(ground, events["access_token"], as_api(ground, b.EVENTS)) == INACTIVE


async def test_a_handle_is_held_against_its_rows_own_secret_each_time(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    assert (await introspected(ground, pair["access_token"]))["active"] is True
    await ground.sql("UPDATE authorization_row SET access_secret = 'another'")
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_a_session_bound_token_ends_with_its_session(ground: Playground) -> None:
    await ground.add(refresh="offline")
    pair = await a_pair(ground, b.READ_BALANCE.id)
    assert (await introspected(ground, pair["access_token"]))["active"]
    await ground.sql("UPDATE session SET ended_at = 1")
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_a_token_is_inactive_from_its_last_second(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    ground.clock.pass_(7199)
    assert (await introspected(ground, pair["access_token"]))["active"]
    ground.clock.pass_(1)
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_a_revoked_token_is_inactive_and_its_sibling_is_not(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    sibling = await ground.renew(pair["refresh_token"])
    await revoked(ground, pair["access_token"])
    assert await introspected(ground, pair["access_token"]) == INACTIVE
    assert (await introspected(ground, sibling["access_token"]))["active"]


async def test_a_replayed_code_ends_the_tokens_that_it_bought(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, b.READ_BALANCE.id)
    pair = await ground.exchange(code)
    with pytest.raises(Exception, match="already used"):
        await ground.exchange(code)
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_a_client_set_to_introspect_learns_of_its_own_tokens(ground: Playground) -> None:
    await ground.add(introspects=True)
    pair = await a_pair(ground, OPENID, PROFILE, b.READ_BALANCE.id)
    header = basic("budget-buddy", SECRET)
    found = await introspected(ground, pair["access_token"], header)
    assert found["scope"] == "openid profile read:balance"
    renewal = await introspected(ground, pair["refresh_token"], header)
    assert (renewal["active"], renewal["exp"], renewal["scope"]) == (True, NOON + 30 * 86400, "openid profile read:balance")
    assert "token_type" not in renewal
    fresh = await ground.renew(pair["refresh_token"])
    assert await introspected(ground, pair["refresh_token"], header) == INACTIVE
    assert (await introspected(ground, fresh["refresh_token"], header))["active"]
    # To ask about a token is not to use it: the old one was not taken for a replay.
    assert (await ground.row(fresh["refresh_token"])).ended_at is None


async def test_a_token_for_userinfo_alone_is_of_the_issuer(ground: Playground) -> None:
    await ground.add(introspects=True)
    pair = await a_pair(ground, OPENID)
    assert (await introspected(ground, pair["access_token"], basic("budget-buddy", SECRET)))["aud"] == b.URL
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_another_clients_token_is_nobodys(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    other = msgspec.structs.replace(b.a_client(2002, secrets=(secret_of(2),), introspects=True), client_id="other")
    await ground.add(other)
    assert await introspected(ground, pair["access_token"], basic("other", SECRET)) == INACTIVE
    assert await introspected(ground, pair["refresh_token"], basic("other", SECRET)) == INACTIVE
