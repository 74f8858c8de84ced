"""UserInfo (OpenID Connect Core §5.3): what the holder of a token learns of the person, and how a token is presented."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import EMAIL, OPENID, PROFILE
from gatewright.oauth.claims import parse_claims
from gatewright.oauth.errors import InsufficientScope, InvalidRequest, InvalidToken
from gatewright.oauth.userinfo import userinfo
from tests.protocol.asking import a_pair, members, revoked, who
from tests.support import builders as b
from tests.support.world import Param, Playground, claims_of

SUBJECT = ids.show(ids.USER, b.PERSON)
ACCOUNT = {"account_id": ids.show(ids.ACCOUNT, b.ACCOUNT), "account": "acme-dev"}


@pytest.mark.proves("OpenID Connect Core", "5.3.2")
async def test_the_scopes_open_the_claims(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID, PROFILE, EMAIL)
    assert await who(ground, pair["access_token"]) == {
        "sub": SUBJECT,
        "name": "An organizer",
        "email": "organizer@acme.test",
        "email_verified": True,
        **ACCOUNT,
    }


async def test_openid_alone_tells_the_subject(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    assert await who(ground, pair["access_token"]) == {"sub": SUBJECT, **ACCOUNT}


async def test_a_token_for_an_api_opens_userinfo_where_openid_was_granted(ground: Playground) -> None:
    for scope in (b.READ_BALANCE.id, b.CREATE_EVENTS.id):
        pair = await a_pair(ground, OPENID, scope)
        assert (await who(ground, pair["access_token"]))["sub"] == SUBJECT


async def test_the_subject_is_that_of_the_id_token(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    assert claims_of(pair["id_token"])["sub"] == (await who(ground, pair["access_token"]))["sub"]


async def test_a_claim_asked_for_by_name_is_told(ground: Playground) -> None:
    client = await ground.add()
    kept = parse_claims('{"userinfo":{"email":null}}').kept(frozenset([EMAIL]))
    code = await ground.code(client, OPENID, claims=kept)
    await ground.grant(client, OPENID, EMAIL)
    pair = await ground.exchange(code)
    assert (await who(ground, pair["access_token"]))["email"] == "organizer@acme.test"


async def test_a_token_may_come_in_the_form_of_a_post(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    assert (await members(ground, userinfo, None, {"access_token": pair["access_token"]}))["sub"] == SUBJECT


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(ground: Playground, scheme: str) -> None:
    pair = await a_pair(ground, OPENID)
    assert (await members(ground, userinfo, f"{scheme} {pair['access_token']}", {}))["sub"] == SUBJECT


@pytest.mark.parametrize("scope", [PROFILE, b.READ_BALANCE.id, b.CREATE_EVENTS.id])
async def test_userinfo_is_one_statement(ground: Playground, scope: int) -> None:
    pair = await a_pair(ground, OPENID, scope)
    before = replace(ground.store.counts)
    await who(ground, pair["access_token"])
    assert ground.store.counts == replace(before, reads=before.reads + 1)


async def refused(ground: Playground, header: str | None, params: dict[str, Param] | None = None) -> InvalidToken:
    with pytest.raises(InvalidToken) as refusal:
        await members(ground, userinfo, header, params or {})
    return refusal.value


@pytest.mark.proves("RFC 6750", "2")
async def test_two_tokens_are_one_too_many(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    with pytest.raises(InvalidRequest):
        await members(ground, userinfo, f"Bearer {pair['access_token']}", {"access_token": pair["access_token"]})


@pytest.mark.proves("RFC 6750", "3.1")
async def test_who_shows_no_token_is_told_nothing_but_how(ground: Playground) -> None:
    for header in (None, "Basic YTpi", "DPoP x", "Bearer"):
        assert (await refused(ground, header)).description == ""


async def test_an_unknown_token_is_told_nothing(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    for text in ("x", "", pair["refresh_token"], pair["id_token"], pair["access_token"] + "A", "gwa_" + "A" * 150):
        assert (await refused(ground, f"Bearer {text}")).description == "The access token is not valid here."


async def test_a_token_without_openid_is_not_enough(ground: Playground) -> None:
    pair = await a_pair(ground, b.READ_BALANCE.id, PROFILE)
    with pytest.raises(InsufficientScope) as refusal:
        await who(ground, pair["access_token"])
    assert refusal.value.scope == "openid"


async def test_a_service_is_nobody(ground: Playground) -> None:
    await ground.add(grant_types=("client_credentials",), type="service", scopes=(b.READ_IMAGES.id,))
    token = (await ground.serve(scope="read:images"))["access_token"]
    with pytest.raises(InsufficientScope):
        await who(ground, token)


async def test_a_service_is_nobody_even_with_openid_in_its_row(ground: Playground) -> None:
    await ground.add(grant_types=("client_credentials",), type="service", scopes=(OPENID, b.READ_IMAGES.id))
    claims = claims_of((await ground.serve(scope="read:images"))["access_token"])
    ids_ = f"{OPENID} {b.READ_IMAGES.id}"
    await ground.sql("UPDATE authorization_row SET scopes = :ids", ids=ids_)
    await ground.sql("UPDATE consent_grant SET granted = :ids", ids=ids_)
    token = await ground.signer.sign(b.TENANT, "ES256", "at+jwt", msgspec.json.encode(claims | {"scope": "openid read:images"}))
    with pytest.raises(InsufficientScope):
        await who(ground, token)


async def test_the_holder_of_an_authentic_token_learns_why_it_is_over(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    header = f"Bearer {pair['access_token']}"
    ground.clock.pass_(3600)
    assert "has expired" in (await refused(ground, header)).description
    await ground.sql("UPDATE person SET disabled_at = 1")
    assert "user is disabled" in (await refused(ground, header)).description
    await ground.sql("UPDATE consent_grant SET ended_at = 1")
    assert "access was ended" in (await refused(ground, header)).description


async def test_a_revoked_token_says_that_it_was(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID)
    await revoked(ground, pair["access_token"])
    assert "was revoked" in (await refused(ground, f"Bearer {pair['access_token']}")).description


@pytest.mark.proves("RFC 6749", "4.1.2")
async def test_a_replayed_code_ends_jwts_too(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.CREATE_EVENTS.id)
    pair = await ground.exchange(code)
    assert pair["access_token"].count(".") == 2
    await who(ground, pair["access_token"])
    with pytest.raises(Exception, match="already used"):
        await ground.exchange(code)
    await refused(ground, f"Bearer {pair['access_token']}")


async def test_a_client_that_may_no_longer_have_a_scope_learns_no_more_of_it(ground: Playground) -> None:
    pair = await a_pair(ground, OPENID, EMAIL)
    await ground.add(scopes=(OPENID,))
    assert "email" not in await who(ground, pair["access_token"])


async def test_a_client_kept_to_its_networks_is_kept_to_them_here(ground: Playground) -> None:
    await ground.add(allowed_ips=("127.0.0.0/8",))
    pair = await a_pair(ground, OPENID)
    await who(ground, pair["access_token"])
    ground.address = "192.0.2.7"
    with pytest.raises(InsufficientScope, match="from this address"):
        await who(ground, pair["access_token"])
