"""Every way in which a code buys nothing; and none of them, but a replay, does any harm to its owner."""

import msgspec
import pytest

from gatewright.base.digest import Kind, with_id
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import REDIRECT, SECRET, VERIFIER, Param, Playground, secret_of

OTHER = "https://budget.example/other"


async def still_good(ground: Playground, code: str, **params: Param) -> bool:
    """Does the owner get tokens now?"""
    return "access_token" in await ground.exchange(code, **params)


# ---------------------------------------------------------------- what the code is bound to


@pytest.mark.proves("RFC 7636", "4.6")
@pytest.mark.parametrize("verifier", [None, "w" * 43, "v" * 42, "v" * 44, VERIFIER + " "])
async def test_a_wrong_verifier_is_refused_and_burns_nothing(ground: Playground, verifier: str | None) -> None:
    code = await ground.code(await ground.add(), OPENID)
    with pytest.raises(InvalidGrant, match="code_verifier"):
        await ground.exchange(code, code_verifier=verifier)
    assert await still_good(ground, code)


@pytest.mark.proves("RFC 9700", "4.8.2")
async def test_a_verifier_for_a_code_without_challenge_is_a_downgrade(ground: Playground) -> None:
    code = await ground.code(await ground.add(pkce="optional"), OPENID, terms={"challenge": None})
    with pytest.raises(InvalidGrant, match="without a code_challenge"):
        await ground.exchange(code)
    assert await still_good(ground, code, code_verifier=None)


@pytest.mark.proves("RFC 6749", "4.1.3")
@pytest.mark.parametrize(
    "shown",
    [
        OTHER,
        REDIRECT + "/",
        REDIRECT + "?a=b",
        REDIRECT.upper(),
        "https://budget.example:443/callback",
        "https://budget.example/x/../callback",
    ],
)
async def test_another_redirect_uri_is_refused_and_burns_nothing(ground: Playground, shown: str) -> None:
    code = await ground.code(await ground.add(), OPENID)
    with pytest.raises(InvalidGrant, match="redirect_uri"):
        await ground.exchange(code, redirect_uri=shown)
    assert await still_good(ground, code)


async def test_another_redirect_uri_is_refused_also_if_none_was_asked_for(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID, terms={"redirect_uri": None})
    with pytest.raises(InvalidGrant, match="redirect_uri"):
        await ground.exchange(code, redirect_uri=OTHER)
    assert await still_good(ground, code, redirect_uri=None)


async def test_without_pkce_the_redirect_uri_must_come_again(ground: Playground) -> None:
    code = await ground.code(await ground.add(pkce="optional"), OPENID, terms={"challenge": None})
    with pytest.raises(InvalidGrant, match="redirect_uri"):
        await ground.exchange(code, redirect_uri=None, code_verifier=None)


@pytest.mark.proves("RFC 6749", "5.2")
async def test_another_client_cannot_exchange_or_burn_a_code(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    stranger = msgspec.structs.replace(b.a_client(b.CLIENT + 1, secrets=(secret_of(2),)), client_id="stranger")
    await ground.add(stranger)
    with pytest.raises(InvalidGrant, match="another client"):
        await ground.exchange(code, client_id="stranger")
    assert await still_good(ground, code)


async def test_another_client_cannot_punish_by_showing_a_used_code(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    await ground.exchange(code)
    await ground.add(msgspec.structs.replace(b.a_client(b.CLIENT + 1, secrets=(secret_of(2),)), client_id="stranger"))
    for stolen in ({"client_id": "stranger"}, {"code_verifier": "w" * 43}, {"redirect_uri": OTHER}):
        with pytest.raises(InvalidGrant):
            await ground.exchange(code, **stolen)
    assert (await ground.row()).ended_at is None


@pytest.mark.parametrize("issuer", [b.an_issuer("https://login.acme.test"), b.an_issuer(tenant=b.TENANT + 1)])
async def test_a_code_is_good_at_its_own_issuer_only(ground: Playground, issuer: object) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID)
    home = ground.issuer
    assert isinstance(issuer, type(home))
    ground.issuer = issuer
    ground.directory.catalogues[issuer.tenant] = b.CATALOGUE
    there = msgspec.structs.replace(client, id=b.CLIENT + 9, tenant=issuer.tenant, secrets=(secret_of(3, tenant=issuer.tenant),))
    if issuer.tenant != home.tenant:
        await ground.add(there)
    with pytest.raises(InvalidGrant):
        await ground.exchange(code)
    ground.issuer = home
    assert await still_good(ground, code)


# ---------------------------------------------------------------- codes that are none


@pytest.mark.parametrize(
    "code",
    ["x", "gwc_", "gwc_AAAA", "gwc_" + "A" * 54, "gwr_" + "A" * 54, with_id(Kind.CODE, 12345, bytes(32)), "\U0001f600", "gwc_\u00e9"],
)
async def test_what_is_no_code_is_unknown(ground: Playground, code: str) -> None:
    await ground.add()
    with pytest.raises(InvalidGrant, match="the code is unknown"):
        await ground.exchange(code)


async def test_a_guessed_code_for_a_known_authorization_is_unknown_and_burns_nothing(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    number = (await ground.row()).id
    with pytest.raises(InvalidGrant, match="the code is unknown"):
        await ground.exchange(with_id(Kind.CODE, number, bytes(32)))
    assert await still_good(ground, code)


async def test_the_id_of_a_row_that_never_had_a_code_is_unknown(ground: Playground) -> None:
    await ground.add()
    await ground.add(
        msgspec.structs.replace(b.a_client(b.CLIENT + 1, grant_types=("client_credentials",), secrets=(secret_of(2),)), client_id="robot")
    )
    await ground.serve(client_id="robot", scope="read:balance")
    with pytest.raises(InvalidGrant, match="the code is unknown"):
        await ground.exchange(with_id(Kind.CODE, (await ground.row()).id, bytes(32)))


# ---------------------------------------------------------------- late and twice


async def test_an_unused_code_that_is_late_is_refused_without_punishment(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    ground.clock.pass_(ground.issuer.policy.code_lifetime)
    with pytest.raises(InvalidGrant, match="expired"):
        await ground.exchange(code)
    row = await ground.row()
    assert (row.ended_at, row.code_used_by) == (None, None)


@pytest.mark.proves("RFC 6749", "4.1.2")
@pytest.mark.parametrize("later", [0, 59, 60, 86400])
async def test_a_used_code_ends_the_authorization_however_late(ground: Playground, later: int) -> None:
    code = await ground.code(await ground.add(), OPENID)
    reply = await ground.exchange(code)
    ground.clock.pass_(later)
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.exchange(code)
    row = await ground.row()
    assert (row.ended_because, row.ended_at) == ("replay", NOON + later)
    assert "code.replayed" in await ground.audited()
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.renew(reply["refresh_token"])


async def test_a_replay_is_punished_even_if_it_asks_for_something_impossible(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    await ground.exchange(code)
    with pytest.raises(InvalidGrant, match="already used"):
        await ground.exchange(code, resource="https://nowhere.test")
    assert (await ground.row()).ended_because == "replay"


async def test_the_first_cause_of_an_end_stands(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    await ground.exchange(code)
    await ground.ledger.end(await ground.row(), because="uninstalled", now=NOON)
    for _ in range(2):
        with pytest.raises(InvalidGrant, match="already used"):
            await ground.exchange(code)
    assert (await ground.row()).ended_because == "uninstalled"
    assert "code.replayed" not in await ground.audited()


# ---------------------------------------------------------------- what has ended meanwhile

ENDINGS = {
    "the authorization": "UPDATE authorization_row SET ended_at = 1, ended_because = 'withdrawn'",
    "the grant": "UPDATE consent_grant SET ended_at = 1, ended_because = 'withdrawn'",
    "the grant, by its date": "UPDATE consent_grant SET expires_at = 1",
    "the user": "UPDATE person SET disabled_at = 1, epoch = epoch + 1",
    "the user, though enabled again": "UPDATE person SET epoch = epoch + 1",
    "the user, deleted": "UPDATE person SET deleted_at = 1",
    "the account": "UPDATE account SET disabled_at = 1",
    "the account, though enabled again": "UPDATE account SET epoch = epoch + 1",
    "the membership": "UPDATE membership SET ended_at = 1",
    "the client": "UPDATE client SET disabled_at = 1",
    "the client, though enabled again": "UPDATE client SET epoch = epoch + 1",
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_code_buys_nothing_after_an_end(ground: Playground, ending: str) -> None:
    code = await ground.code(await ground.add(), OPENID)
    await ground.sql(ENDINGS[ending])
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.exchange(code)
    assert (await ground.row()).code_used_by is None


async def test_a_session_bound_code_buys_nothing_after_sign_out(ground: Playground) -> None:
    code = await ground.code(await ground.add(refresh="offline"), OPENID)
    await ground.sql("UPDATE session SET ended_at = 1")
    with pytest.raises(InvalidGrant, match="has ended"):
        await ground.exchange(code)


# ---------------------------------------------------------------- refused before anything is used up


@pytest.mark.proves("RFC 8707", "2.2")
@pytest.mark.parametrize(
    ("scopes", "approved", "resource"),
    [
        ((b.READ_BALANCE.id, b.CREATE_EVENTS.id), (), None),
        ((b.READ_BALANCE.id,), (), "https://nowhere.test"),
        ((b.READ_BALANCE.id,), (), b.EVENTS.audience),
        ((b.READ_BALANCE.id, b.CREATE_EVENTS.id), (b.BANK.audience,), b.EVENTS.audience),
        ((b.READ_BALANCE.id, b.CREATE_EVENTS.id), (), (b.BANK.audience, b.EVENTS.audience)),
    ],
)
async def test_a_wrong_or_missing_resource_is_refused_and_burns_nothing(
    ground: Playground, scopes: tuple[int, ...], approved: tuple[str, ...], resource: Param
) -> None:
    code = await ground.code(await ground.add(), *scopes, resources=approved)
    with pytest.raises(InvalidTarget):
        await ground.exchange(code, resource=resource)
    assert await still_good(ground, code, resource=b.BANK.audience)


async def test_a_code_for_which_nothing_is_left_today_is_refused_and_burns_nothing(ground: Playground) -> None:
    code = await ground.code(await ground.add(), b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    with pytest.raises(InvalidScope):
        await ground.exchange(code)
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.ORGANIZER.id))
    assert await still_good(ground, code)


async def test_a_scope_lost_since_the_approval_refuses_the_code_where_it_is_all_or_nothing_and_burns_nothing(ground: Playground) -> None:
    code = await ground.code(await ground.add(denied="refuse"), OPENID, b.CREATE_EVENTS.id)
    await ground.sql("UPDATE membership SET roles = ''")
    with pytest.raises(InvalidScope, match="create:events: role_lacks_scope"):
        await ground.exchange(code)
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.ORGANIZER.id))
    reply = await ground.exchange(code)
    assert reply["scope"] == "openid create:events"
    # Whoever has access already keeps what is left of it: a refresh is no new demand.
    await ground.sql("UPDATE membership SET roles = ''")
    with pytest.raises(InvalidScope):
        await ground.renew(reply["refresh_token"], scope="create:events")
    assert (await ground.renew(reply["refresh_token"]))["scope"] == "openid"


# ---------------------------------------------------------------- the request itself


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"grant_type": None}, InvalidRequest),
        ({"grant_type": ""}, InvalidRequest),
        ({"grant_type": "implicit"}, UnsupportedGrantType),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, UnsupportedGrantType),
        ({"grant_type": "Authorization_Code"}, UnsupportedGrantType),
        ({"grant_type": ("authorization_code", "authorization_code")}, InvalidRequest),
        ({"grant_type": "authorization_code"}, InvalidRequest),
        ({"grant_type": "authorization_code", "code": ""}, InvalidRequest),
        ({"grant_type": "authorization_code", "code": ("x", "x")}, InvalidRequest),
        ({"grant_type": "refresh_token"}, InvalidRequest),
        ({"grant_type": "client_credentials"}, UnauthorizedClient),
    ],
)
async def test_a_malformed_request_has_its_own_error(ground: Playground, params: dict[str, Param], error: type[OAuthError]) -> None:
    await ground.add()
    with pytest.raises(error):
        await ground.post(**params)


async def test_a_client_without_the_grant_type_may_not_use_it_and_burns_nothing(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID)
    await ground.add(grant_types=("client_credentials",))
    with pytest.raises(UnauthorizedClient):
        await ground.exchange(code)
    await ground.add(client)
    assert await still_good(ground, code)


async def test_parameters_that_nobody_knows_are_ignored_even_twice(ground: Playground) -> None:
    code = await ground.code(await ground.add(), OPENID)
    assert await still_good(ground, code, fancy=("a", "b"))


async def test_the_same_words_meet_an_unknown_client_and_a_wrong_secret(ground: Playground) -> None:
    await ground.add()
    said = []
    for who in ({"client_id": "nobody"}, {"client_secret": SECRET + "x"}):
        with pytest.raises(InvalidClient) as refusal:
            await ground.exchange("gwc_x", **who)
        said.append((refusal.value.description, refusal.value.challenge))
    assert said[0] == said[1] == ("client authentication failed", False)
