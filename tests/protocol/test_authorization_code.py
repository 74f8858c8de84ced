"""The authorization code grant at the token endpoint: what a code buys, once."""

import asyncio
from base64 import b64encode

import pytest

from gatewright.base import ids
from gatewright.base.digest import b64
from gatewright.oauth import handle
from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import OFFLINE_ACCESS, OPENID, Catalogue
from gatewright.oauth.errors import InvalidGrant
from gatewright.oauth.mint import at_hash
from gatewright.oauth.ports import Redemption
from gatewright_guard.verify import verify_access_token
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.signer import key_set
from tests.support.world import REDIRECT, SECRET, Playground, claims_of

OPENID_AND_BALANCE = (OPENID, b.READ_BALANCE.id)


def opened(ground: Playground, token: str, row: Standing) -> handle.Handle:
    found = handle.open_handle(token, ground.issuer, ground.sealer, ground.clock.now)
    assert found is not None
    assert handle.authentic(found, row)
    return found


@pytest.mark.proves("RFC 6749", "5.1")
async def test_a_code_buys_an_access_token_a_refresh_token_and_an_id_token(ground: Playground) -> None:
    client = await ground.add()
    reply = await ground.exchange(await ground.code(client, *OPENID_AND_BALANCE))
    assert reply["token_type"] == "Bearer"
    assert reply["expires_in"] == b.BANK.token_lifetime
    assert reply["scope"] == "openid read:balance"
    assert reply["refresh_token"].startswith("gwr_")
    assert reply["account"] == "acme-dev"
    assert reply["account_id"] == ids.show(ids.ACCOUNT, b.ACCOUNT)
    assert set(reply) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token", "account", "account_id"}


async def test_an_opaque_access_token_is_a_handle_on_the_authorization(ground: Playground) -> None:
    client = await ground.add()
    reply = await ground.exchange(await ground.code(client, *OPENID_AND_BALANCE))
    row = await ground.row(reply["refresh_token"])
    found = opened(ground, reply["access_token"], row)
    assert (found.authorization, found.api, found.named) == (row.id, b.BANK.id, handle.ALL)
    assert (found.iat, found.exp) == (NOON, NOON + 7200)
    assert len(reply["access_token"]) <= 200


@pytest.mark.proves("RFC 9068", "2")
async def test_a_jwt_access_token_says_what_the_rfc_wants(ground: Playground) -> None:
    client = await ground.add()
    reply = await ground.exchange(await ground.code(client, b.CREATE_EVENTS.id))
    claims = verify_access_token(reply["access_token"], key_set("ES256"), issuer=b.URL, audience=b.EVENTS.audience, now=ground.clock.now)
    row = await ground.row()
    assert claims.members == {
        "iss": b.URL,
        "sub": ids.show(ids.USER, b.PERSON),
        "aud": b.EVENTS.audience,
        "client_id": "budget-buddy",
        "iat": NOON,
        "exp": NOON + 900,
        "jti": claims.jti,
        "scope": "create:events",
        "account_id": ids.show(ids.ACCOUNT, b.ACCOUNT),
        "account": "acme-dev",
        "auth_time": NOON - 60,
        "acr": "pwd",
        "gw_az": ids.show(ids.AUTHORIZATION, row.id),
    }


@pytest.mark.proves("OpenID Connect Core", "3.1.3.3")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_an_id_token_tells_of_the_sign_in_with_the_clients_algorithm(ground: Playground, alg: str) -> None:
    client = await ground.add(id_token_signed_response_alg=alg)
    reply = await ground.exchange(await ground.code(client, *OPENID_AND_BALANCE))
    claims = await ground.signer.verify(b.TENANT, reply["id_token"])
    assert claims == {
        "iss": b.URL,
        "sub": ids.show(ids.USER, b.PERSON),
        "aud": "budget-buddy",
        "iat": NOON,
        "exp": NOON + 3600,
        "auth_time": NOON - 60,
        "nonce": "n-0S6_WzA2Mj",
        "acr": "pwd",
        "amr": ["pwd"],
        "at_hash": at_hash(reply["access_token"], alg),
        "sid": ids.show(ids.SESSION, b.SESSION),
    }
    assert await ground.signer.typ(reply["id_token"]) == "JWT"
    assert ground.signer.used == {alg}


def test_at_hash_is_the_left_half_of_the_digest() -> None:
    # OpenID Connect Core, appendix A.3 (the access token and at_hash of its example).
    assert at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert len(at_hash("x", "EdDSA")) == len(b64(bytes(32)))


async def test_without_openid_there_is_no_id_token(ground: Playground) -> None:
    client = await ground.add()
    assert "id_token" not in await ground.exchange(await ground.code(client, b.READ_BALANCE.id))


async def test_openid_alone_buys_an_opaque_token_for_the_issuer(ground: Playground) -> None:
    client = await ground.add()
    reply = await ground.exchange(await ground.code(client, OPENID))
    assert opened(ground, reply["access_token"], await ground.row()).api == 0
    assert reply["expires_in"] == ground.issuer.policy.openid_token_lifetime


@pytest.mark.proves("RFC 8707", "2.2")
async def test_a_resource_picks_the_api_of_the_token(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.READ_BALANCE.id, b.CREATE_EVENTS.id)
    reply = await ground.exchange(code, resource=b.EVENTS.audience)
    assert claims_of(reply["access_token"])["aud"] == b.EVENTS.audience
    assert reply["scope"] == "openid create:events"


async def test_the_audience_is_as_the_api_has_it_however_a_client_writes_its_address(ground: Playground) -> None:
    code = await ground.code(await ground.add(), b.CREATE_EVENTS.id, resources=(b.EVENTS.audience,))
    reply = await ground.exchange(code, resource=b.EVENTS.audience.upper().replace("HTTPS", "https") + "/")
    assert claims_of(reply["access_token"])["aud"] == b.EVENTS.audience


async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(ground: Playground) -> None:
    client = await ground.add(grant_types=("authorization_code",))
    assert "refresh_token" not in await ground.exchange(await ground.code(client, b.READ_BALANCE.id))


@pytest.mark.parametrize(("scopes", "bound"), [((OPENID,), 1), ((OPENID, OFFLINE_ACCESS), 0)])
async def test_without_offline_access_the_refresh_token_is_bound_to_the_session(
    ground: Playground, scopes: tuple[int, ...], bound: int
) -> None:
    client = await ground.add(refresh="offline")
    reply = await ground.exchange(await ground.code(client, *scopes))
    assert (await ground.row(reply["refresh_token"])).session_bound == bound


async def test_a_role_lost_between_consent_and_exchange_drops_its_scope(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    assert (await ground.exchange(code))["scope"] == "openid"


async def test_a_code_asked_for_without_pkce_needs_no_verifier(ground: Playground) -> None:
    client = await ground.add(pkce="optional")
    code = await ground.code(client, OPENID, terms={"challenge": None})
    assert await ground.exchange(code, code_verifier=None)


@pytest.mark.proves("OAuth 2.1", "4.1.3")
async def test_with_pkce_the_redirect_uri_need_not_be_sent_again(ground: Playground) -> None:
    client = await ground.add()
    assert await ground.exchange(await ground.code(client, OPENID), redirect_uri=None)


async def test_a_redirect_uri_left_out_before_may_be_named_now(ground: Playground) -> None:
    client = await ground.add()
    assert await ground.exchange(await ground.code(client, OPENID, terms={"redirect_uri": None}), redirect_uri=REDIRECT)


async def test_a_public_client_exchanges_with_its_verifier_alone(ground: Playground) -> None:
    client = await ground.add(b.a_client(token_endpoint_auth_method="none", type="spa"))
    assert await ground.exchange(await ground.code(client, OPENID), client_secret=None)


async def test_a_token_until_revoked_is_kept_by_its_row_as_a_digest(ground: Playground) -> None:
    client = await ground.add(scopes=(b.USE_APP.id,))
    reply = await ground.exchange(await ground.code(client, b.USE_APP.id))
    row = await ground.row()
    assert reply["access_token"].startswith("gwt_")
    assert "expires_in" not in reply
    assert handle.is_standing_token(reply["access_token"], row)
    assert reply["access_token"] not in str(row)


async def test_an_approved_end_date_shortens_the_token(ground: Playground) -> None:
    client = await ground.add()
    await ground.grant(client, OPENID, b.READ_BALANCE.id)
    code = await ground.code(client, OPENID, b.READ_BALANCE.id)
    await ground.sql("UPDATE consent_grant SET expires_at = :then", then=NOON + 100)
    assert (await ground.exchange(code))["expires_in"] == 100


@pytest.mark.proves("RFC 9700", "2.1.1")
async def test_of_fifty_at_once_one_gets_tokens_and_the_authorization_ends(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, *OPENID_AND_BALANCE)
    answers = await asyncio.gather(*[ground.exchange(code) for _ in range(50)], return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, dict)]) == 1
    assert len([answer for answer in answers if isinstance(answer, InvalidGrant)]) == 49
    row = await ground.row()
    assert row.ended_because == "replay"
    assert (await ground.audited()).count("code.replayed") == 1


async def test_an_attempt_that_is_repeated_after_a_lost_answer_is_first_again(ground: Playground) -> None:
    client = await ground.add()
    await ground.code(client, OPENID)
    number = (await ground.row()).id
    for _ in range(2):
        assert await ground.ledger.redeem(number, attempt="mine", now=NOON) is Redemption.FIRST
    assert await ground.ledger.redeem(number, attempt="another's", now=NOON) is Redemption.USED


async def test_a_client_secret_in_the_header_is_as_good(ground: Playground) -> None:
    client = await ground.add()
    ground.authorization = "Basic " + b64encode(f"budget-buddy:{SECRET}".encode()).decode()
    assert await ground.exchange(await ground.code(client, OPENID))


async def test_what_is_issued_is_counted(ground: Playground) -> None:
    client = await ground.add()
    await ground.exchange(await ground.code(client, OPENID))
    assert ground.usage.events == {"authorization_code": 1}


async def test_a_scope_that_was_deleted_meanwhile_is_gone(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, b.READ_BALANCE.id)
    ground.directory.catalogues[b.TENANT] = Catalogue([b.BANK], [b.TRANSFER], [])
    assert (await ground.exchange(code))["scope"] == "openid"
