"""Introspection: who learns nothing (RFC 7662 §2.1, §2.2, §4)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gatewright.base import ids
from gatewright.base.digest import Kind, b64, digest, unb64
from gatewright.oauth import handle
from gatewright.oauth.catalogue import OPENID, Api, ApiSecret, Catalogue, Scope
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from gatewright.oauth.introspect import introspect
from tests.protocol.asking import API_SECRET, a_pair, as_api, basic, introspected, members, revoked
from tests.support import builders as b
from tests.support.world import SECRET, Playground

INACTIVE = {"active": False}


async def test_nobody_asks_without_proof(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    as_api(ground)
    api = ids.show(ids.API, b.BANK.id)
    strangers = [
        basic(api, "wrong"),
        basic(api, API_SECRET + "x"),
        basic(api, API_SECRET + "x" * 2000),
        basic(ids.show(ids.API, b.EVENTS.id), API_SECRET),
        basic(ids.show(ids.API, 9999), API_SECRET),
        basic("https://nobody.test", API_SECRET),
        basic("budget-buddy", API_SECRET),
        f"Bearer {pair['access_token']}",
        "Basic !!!",
    ]
    for header in strangers:
        with pytest.raises(InvalidClient):
            await introspected(ground, pair["access_token"], header)
    for params in ({}, {"client_id": api}, {"client_id": "budget-buddy"}):
        with pytest.raises(InvalidClient):
            await members(ground, introspect, None, {"token": pair["access_token"], **params})


async def test_the_same_is_said_of_a_wrong_secret_and_of_an_unknown_api(ground: Playground) -> None:
    as_api(ground)
    said = []
    for header in (basic(ids.show(ids.API, b.BANK.id), "wrong"), basic(ids.show(ids.API, 9999), "wrong"), basic("budget-buddy", "wrong")):
        with pytest.raises(InvalidClient) as refusal:
            await introspected(ground, "x", header)
        said.append((refusal.value.description, refusal.value.challenge))
    assert len(set(said)) == 1


async def test_a_public_client_proves_nothing(ground: Playground) -> None:
    await ground.add(b.a_client(token_endpoint_auth_method="none", type="spa", introspects=True))
    with pytest.raises(InvalidClient):
        await members(ground, introspect, None, {"token": "x", "client_id": "budget-buddy"})


async def test_an_api_that_is_disabled_may_not_ask(ground: Playground) -> None:
    header = as_api(ground)
    bank = msgspec.structs.replace(b.BANK, disabled=True)
    ground.directory.catalogues[b.TENANT] = Catalogue([bank], [b.READ_BALANCE], [])
    with pytest.raises(InvalidClient, match="disabled"):
        await introspected(ground, "x", header)


async def test_two_ways_of_proof_are_one_too_many(ground: Playground) -> None:
    header = as_api(ground)
    with pytest.raises(InvalidRequest):
        await introspected(ground, "x", header, client_secret=API_SECRET)


async def test_a_request_without_a_token_is_refused(ground: Playground) -> None:
    with pytest.raises(InvalidRequest, match="'token' is missing"):
        await members(ground, introspect, as_api(ground), {})


async def test_an_api_learns_nothing_of_a_token_for_another(ground: Playground) -> None:
    pair = await a_pair(ground, b.CREATE_EVENTS.id)
    assert await introspected(ground, pair["access_token"]) == INACTIVE


async def test_a_client_not_set_to_introspect_learns_nothing(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    assert await introspected(ground, pair["access_token"], basic("budget-buddy", SECRET)) == INACTIVE
    assert await introspected(ground, pair["refresh_token"], basic("budget-buddy", SECRET)) == INACTIVE


async def test_an_api_learns_nothing_of_other_secrets_of_ours(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.READ_BALANCE.id)
    pair = await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id))
    for text in (code, pair["refresh_token"], pair["id_token"], SECRET, API_SECRET):
        assert await introspected(ground, text) == INACTIVE


async def test_an_id_token_of_an_api_with_the_clients_name_is_no_access_token(ground: Playground) -> None:
    # Alike in issuer and audience, but its header does not say at+jwt (RFC 9068 §4).
    payload = {
        "iss": b.URL,
        "aud": b.EVENTS.audience,
        "sub": "x",
        "iat": 1,
        "exp": ground.clock.now + 60,
        "jti": "j",
        "scope": "create:events",
    }
    client = await ground.add()
    await ground.exchange(await ground.code(client, b.CREATE_EVENTS.id))
    payload |= {"gw_az": ids.show(ids.AUTHORIZATION, (await ground.row()).id), "client_id": "budget-buddy"}
    header = as_api(ground, b.EVENTS)
    for typ, active in (("JWT", False), ("logout+jwt", False), ("at+jwt", True)):
        token = await ground.signer.sign(b.TENANT, "ES256", typ, msgspec.json.encode(payload))
        assert (await introspected(ground, token, header))["active"] is active


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.acme.test"},
        {"iss": None},
        {"aud": "https://nobody.test"},
        {"aud": ["https://events.acme.test"]},
        {"gw_az": "az_0000000000000"},
        {"gw_az": "7"},
        {"gw_az": None},
        {"gw_ep": 7},
        {"exp": 1},
        {"exp": "never"},
        {"exp": None},
        {"jti": 7},
        {"scope": None},
    ],
)
async def test_a_signed_token_that_says_something_else_is_inactive(ground: Playground, change: dict[str, object]) -> None:
    client = await ground.add()
    await ground.exchange(await ground.code(client, b.CREATE_EVENTS.id))
    number = ids.show(ids.AUTHORIZATION, (await ground.row()).id)
    payload: dict[str, object] = {"iss": b.URL, "aud": b.EVENTS.audience, "sub": "x", "iat": 1, "exp": ground.clock.now + 60}
    payload |= {"jti": "j", "scope": "create:events", "gw_az": number} | change
    payload = {name: value for name, value in payload.items() if value is not None}
    token = await ground.signer.sign(b.TENANT, "ES256", "at+jwt", msgspec.json.encode(payload))
    assert await introspected(ground, token, as_api(ground, b.EVENTS)) == INACTIVE


async def test_a_signed_token_gets_no_scope_beyond_its_row(ground: Playground) -> None:
    client = await ground.add()
    await ground.exchange(await ground.code(client, b.CREATE_EVENTS.id))
    number = ids.show(ids.AUTHORIZATION, (await ground.row()).id)
    payload = {"iss": b.URL, "aud": b.EVENTS.audience, "sub": "x", "iat": 1, "exp": ground.clock.now + 60, "jti": "j", "gw_az": number}
    payload["scope"] = "create:events view:events openid nonsense"
    token = await ground.signer.sign(b.TENANT, "ES256", "at+jwt", msgspec.json.encode(payload))
    assert (await introspected(ground, token, as_api(ground, b.EVENTS)))["scope"] == "create:events"


async def test_every_changed_character_of_a_handle_makes_it_unknown(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    token, header = pair["access_token"], as_api(ground)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert await introspected(ground, token[:place] + other + token[place + 1 :], header) == INACTIVE


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "gwa_",
        "gwa_AAAA",
        "gwt_",
        "gwt_" + "A" * 54,
        "gwr_AAAA",
        "a.b.c",
        "...",
        "eyJhbGciOiJub25lIn0.e30.",
        "ü",
        "gwa_" + "A" * 100_000,
        "\ud800",
    ],
)
async def test_nonsense_is_inactive(ground: Playground, text: str) -> None:
    assert await introspected(ground, text) == INACTIVE


async def a_forgery(ground: Playground, token: str) -> str:
    """A handle on the same row that lives longer, sealed with the right key by somebody who has not seen the row."""
    found = handle.open_handle(token, ground.issuer, ground.sealer, ground.clock.now)
    assert found is not None
    return handle.seal(msgspec.structs.replace(found, exp=found.exp + 60), "a guess", ground.issuer, ground.sealer, ground.clock.moment())


async def test_a_stranger_with_the_sealing_key_forges_nothing(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    forged = await a_forgery(ground, pair["access_token"])
    assert await introspected(ground, forged) == INACTIVE
    before = replace(ground.store.counts)
    await revoked(ground, forged)
    assert (ground.store.counts.verbs, ground.store.counts.units) == (before.verbs, before.units)


async def test_a_token_for_one_api_has_no_scope_of_another(ground: Playground) -> None:
    client = await ground.add(introspects=True)
    pair = await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id, b.CREATE_EVENTS.id), resource=b.BANK.audience)
    found = await introspected(ground, pair["access_token"], basic("budget-buddy", SECRET))
    assert (found["scope"], found["aud"]) == ("openid read:balance", b.BANK.audience)
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance"


async def test_a_refresh_token_that_would_not_be_accepted_is_inactive(ground: Playground) -> None:
    await ground.add(introspects=True)
    header = basic("budget-buddy", SECRET)
    pair = await a_pair(ground, b.READ_BALANCE.id)
    token, here = pair["refresh_token"], ground.issuer
    raw = unb64(token[len(Kind.REFRESH) :])
    assert raw is not None
    assert (await introspected(ground, token, header))["active"]
    assert await introspected(ground, Kind.REFRESH + b64(raw[:-1] + bytes([raw[-1] ^ 1])), header) == INACTIVE
    ground.issuer = b.an_issuer("https://login.acme.test")
    assert await introspected(ground, token, header) == INACTIVE
    ground.issuer = here
    ground.clock.pass_(30 * 86400)
    assert await introspected(ground, token, header) == INACTIVE
    ground.clock.pass_(-1)
    assert (await introspected(ground, token, header))["active"]
    await ground.sql("UPDATE consent_grant SET ended_at = 1")
    assert await introspected(ground, token, header) == INACTIVE


async def test_a_token_that_lives_until_revoked_is_for_the_api_that_was_named(ground: Playground) -> None:
    other = Api(id=105, audience="https://more.acme.test", name="More", roles="off", token_format="opaque", token_lifetime=0)
    use_other = Scope(208, "use:more", other.id, "Use more")
    ground.directory.catalogues[b.TENANT] = Catalogue([b.APPS, other], [b.USE_APP, use_other], [])
    client = await ground.add(scopes=(b.USE_APP.id, use_other.id))
    code = await ground.code(client, b.USE_APP.id, use_other.id, resources=(other.audience,))
    pair = await ground.exchange(code, resource=other.audience)
    assert await introspected(ground, pair["access_token"], as_api(ground, b.APPS)) == INACTIVE
    found = await introspected(ground, pair["access_token"], as_api(ground, other))
    assert (found["active"], found["scope"]) == (True, "use:more")


async def test_a_token_that_lives_until_revoked_is_nothing_at_another_issuer(ground: Playground) -> None:
    await ground.add(scopes=(b.USE_APP.id,))
    pair = await a_pair(ground, b.USE_APP.id)
    header = as_api(ground, b.APPS)
    wrong = pair["access_token"][:-2] + ("AA" if not pair["access_token"].endswith("AA") else "BB")
    assert await introspected(ground, wrong, header) == INACTIVE
    ground.issuer = b.an_issuer("https://login.acme.test")
    assert await introspected(ground, pair["access_token"], header) == INACTIVE


async def test_a_token_of_one_issuer_is_nothing_at_another_of_the_tenant(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id)
    events = await a_pair(ground, b.CREATE_EVENTS.id)
    ground.issuer = b.an_issuer("https://login.acme.test")
    assert await introspected(ground, pair["access_token"]) == INACTIVE
    assert await introspected(ground, events["access_token"], as_api(ground, b.EVENTS)) == INACTIVE


async def test_a_token_of_one_tenant_is_nothing_at_another(ground: Playground) -> None:
    await ground.add(introspects=True)
    pair = await a_pair(ground, b.READ_BALANCE.id)
    ground.directory.catalogues[1002] = b.CATALOGUE
    ground.issuer = b.an_issuer(tenant=1002)
    # Not even the API of the one is one of the other: its secret's digest is bound to its tenant.
    with pytest.raises(InvalidClient):
        await introspected(ground, pair["access_token"])
    ground.directory.api_secrets[b.BANK.id] = (ApiSecret(digest(Kind.API_SECRET, 1002, API_SECRET)),)
    assert await introspected(ground, pair["access_token"], basic(ids.show(ids.API, b.BANK.id), API_SECRET)) == INACTIVE


async def test_a_client_kept_to_its_networks_is_kept_to_them_by_the_apis_too(ground: Playground) -> None:
    await ground.add(allowed_ips=("127.0.0.0/8",))
    pair = await a_pair(ground, b.READ_BALANCE.id)
    assert (await introspected(ground, pair["access_token"], ip_address="127.0.0.9"))["active"]
    assert await introspected(ground, pair["access_token"], ip_address="192.0.2.7") == INACTIVE
    assert await introspected(ground, pair["access_token"], ip_address="nowhere") == INACTIVE
    # An API that does not tell where its caller is cannot be helped.
    assert (await introspected(ground, pair["access_token"]))["active"]
