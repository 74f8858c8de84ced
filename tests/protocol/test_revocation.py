"""Revocation (RFC 7009): a client gives back what is its own, and learns nothing of anything else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from gatewright.base import ids
from gatewright.base.digest import Kind, b64, unb64
from gatewright.oauth import handle
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import InvalidClient, InvalidGrant, InvalidRequest
from gatewright.oauth.revoke import revoke
from gatewright.store import Query
from tests.protocol.asking import a_pair, as_api, basic, introspected, members, revoked
from tests.support import builders as b
from tests.support.world import SECRET, Playground, secret_of


async def active(ground: Playground, token: str, header: str | None = None) -> bool:
    return bool((await introspected(ground, token, header))["active"])


@pytest.mark.proves("RFC 7009", "2.1")
async def test_a_revoked_access_token_is_over_and_the_rest_goes_on(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"])
    assert not await active(ground, pair["access_token"])
    assert await active(ground, (await ground.renew(pair["refresh_token"]))["access_token"])


async def test_a_jwt_is_revoked_like_a_handle(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    await revoked(ground, pair["access_token"])
    assert not await active(ground, pair["access_token"], as_api(ground, b.EVENTS))


async def test_the_mark_of_a_revoked_token_lasts_until_the_token_would_have_ended(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"])
    assert await ground.number("SELECT until FROM mark") == ground.clock.now + 7200
    assert await ground.number("SELECT COUNT(*) FROM mark") == 1
    ground.clock.pass_(10)
    await revoked(ground, pair["access_token"])
    assert await ground.number("SELECT COUNT(*) FROM mark") == 1


@pytest.mark.proves("RFC 7009", "2.1")
async def test_a_token_that_its_row_did_not_make_revokes_nothing(ground: Playground) -> None:
    # Whoever has the sealing key alone could otherwise mark the tokens of others, or end what lives until it is revoked.
    pair = await a_pair(ground, b.READ_BALANCE.id)
    real = handle.open_handle(pair["access_token"], ground.issuer, ground.sealer, ground.clock.now)
    assert real is not None
    forged = handle.seal(real, "not the row's secret", ground.issuer, ground.sealer, ground.clock.moment())
    await revoked(ground, forged)
    standing = handle.new_standing_token(real.authorization, b.TENANT, ground.clock.moment())[0]
    await revoked(ground, standing)
    assert await ground.number("SELECT COUNT(*) FROM mark") == 0
    assert await active(ground, pair["access_token"])


@pytest.mark.proves("RFC 7009", "2.1")
async def test_a_revoked_refresh_token_ends_all_that_came_of_it(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["refresh_token"])
    assert not await active(ground, pair["access_token"])
    with pytest.raises(InvalidGrant):
        await ground.renew(pair["refresh_token"])
    row = await ground.row(pair["refresh_token"])
    assert (row.ended_at, row.ended_because) == (ground.clock.now, "revoked")


async def test_another_authorization_of_the_same_grant_goes_on(ground: Playground) -> None:
    phone, laptop = await a_pair(ground, b.READ_BALANCE.id), await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, phone["refresh_token"])
    assert await active(ground, laptop["access_token"])


async def test_any_link_of_the_chain_gives_it_back(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    fresh = await ground.renew(pair["refresh_token"])
    await revoked(ground, pair["refresh_token"])
    assert not await active(ground, fresh["access_token"])


async def test_the_first_cause_wins(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.sql("UPDATE authorization_row SET ended_at = 5, ended_because = 'uninstalled'")
    await revoked(ground, pair["refresh_token"])
    row = await ground.row(pair["refresh_token"])
    assert (row.ended_at, row.ended_because) == (5, "uninstalled")


async def test_what_is_over_already_is_not_written_again(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"])
    before = replace(ground.store.counts)
    await revoked(ground, pair["access_token"])
    assert (ground.store.counts.verbs, ground.store.counts.units) == (before.verbs, before.units)
    await revoked(ground, pair["refresh_token"])
    before = replace(ground.store.counts)
    await revoked(ground, pair["refresh_token"])
    assert (ground.store.counts.verbs, ground.store.counts.units) == (before.verbs, before.units)


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "id_token", "nonsense"])
async def test_a_wrong_hint_misleads_nobody(ground: Playground, hint: str) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"], token_type_hint=hint)
    assert not await active(ground, pair["access_token"])
    assert (await ground.row(pair["refresh_token"])).ended_at is None
    await revoked(ground, pair["refresh_token"], token_type_hint=hint)
    assert (await ground.row(pair["refresh_token"])).ended_at is not None


async def test_a_token_that_lives_until_revoked_is_revoked_with_its_authorization(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    await revoked(ground, pair["access_token"])
    assert not await active(ground, pair["access_token"], as_api(ground, b.APPS))
    assert (await ground.row()).ended_because == "revoked"


async def test_a_public_client_gives_back_by_its_name(ground: Playground) -> None:
    await ground.add(b.a_client(token_endpoint_auth_method="none", type="spa"))
    pair = await ground.exchange(
        await ground.code(ground.directory.clients[b.TENANT, "budget-buddy"], b.READ_BALANCE.id), client_secret=None
    )
    await revoked(ground, pair["refresh_token"], client_secret=None)
    assert (await ground.row(pair["refresh_token"])).ended_because == "revoked"


async def test_a_services_token_is_marked_and_its_siblings_go_on(ground: Playground) -> None:
    await ground.add(grant_types=("client_credentials",), type="service", scopes=(b.READ_IMAGES.id,))
    one, sibling = (await ground.serve(scope="read:images"), await ground.serve(scope="read:images"))
    await revoked(ground, one["access_token"])
    header = as_api(ground, b.IMAGING)
    assert not await active(ground, one["access_token"], header)
    assert await active(ground, sibling["access_token"], header)


async def test_unknown_tokens_are_answered_like_known_ones_and_nothing_is_written(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID)
    pair = await ground.exchange(await ground.code(client, OPENID))
    before = replace(ground.store.counts)
    for text in ("x", "gwr_AAAA", "gwa_AAAA", "gwt_" + "A" * 54, "a.b.c", code, pair["id_token"], SECRET, pair["access_token"] + "A"):
        await revoked(ground, text)
    assert (ground.store.counts.verbs, ground.store.counts.units) == (before.verbs, before.units)


async def test_a_refresh_token_that_somebody_guessed_ends_nothing(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    raw = unb64(pair["refresh_token"][len(Kind.REFRESH) :])
    assert raw is not None
    await revoked(ground, Kind.REFRESH + b64(raw[:-1] + bytes([raw[-1] ^ 1])))
    assert (await ground.row(pair["refresh_token"])).ended_at is None


@pytest.mark.proves("RFC 7009", "2.1")
async def test_another_clients_tokens_are_left_alone(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await ground.add(msgspec.structs.replace(b.a_client(2002, secrets=(secret_of(2),)), client_id="other"))
    for token in (pair["access_token"], pair["refresh_token"]):
        await revoked(ground, token, client_id="other")
    assert await active(ground, pair["access_token"])
    assert (await ground.row(pair["refresh_token"])).ended_at is None


async def test_tokens_of_another_issuer_are_left_alone(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    here = ground.issuer
    ground.issuer = b.an_issuer("https://login.acme.test")
    for token in (pair["access_token"], pair["refresh_token"]):
        await revoked(ground, token)
    ground.issuer = here
    assert await active(ground, pair["access_token"])


async def test_an_expired_access_token_needs_no_mark(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    ground.clock.pass_(7200)
    await revoked(ground, pair["access_token"])
    assert await ground.number("SELECT COUNT(*) FROM mark") == 0


async def test_a_client_must_prove_itself_first(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    for header in (basic("budget-buddy", "wrong"), basic("nobody", SECRET), None):
        with pytest.raises(InvalidClient):
            await members(ground, revoke, header, {"token": pair["refresh_token"]})
    # An API may ask about tokens, not end them.
    with pytest.raises(InvalidClient):
        await members(ground, revoke, as_api(ground), {"token": pair["refresh_token"]})
    assert (await ground.row(pair["refresh_token"])).ended_at is None


async def test_a_request_without_a_token_is_a_mistake(ground: Playground) -> None:
    await ground.add()
    with pytest.raises(InvalidRequest, match="'token' is missing"):
        await members(ground, revoke, basic("budget-buddy", SECRET), {})


async def test_what_was_given_back_is_audited(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await revoked(ground, pair["access_token"])
    await revoked(ground, pair["access_token"])
    await revoked(ground, pair["refresh_token"])
    assert (await ground.audited())[-2:] == ["token.revoked", "authorization.ended"]
    row = await ground.row(pair["refresh_token"])
    told = await ground.store.all(Query(str, "SELECT actor || ' ' || subject FROM audit ORDER BY id"))
    assert told[-2:] == [f"{ids.show(ids.CLIENT, b.CLIENT)} {ids.show(ids.AUTHORIZATION, row.id)}"] * 2


async def test_of_many_revocations_at_once_one_is_audited(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    await asyncio.gather(*(revoked(ground, pair["access_token"]) for _ in range(5)))
    assert (await ground.audited()).count("token.revoked") == 1
    assert not await active(ground, pair["access_token"])
