"""Leaving (OpenID Connect RP-Initiated Logout 1.0): who is asked, and where the browser may go."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.errors import PageError
from gatewright.oauth.logout import Leaving, after, leave, read_hint
from tests.protocol.asking import a_pair
from tests.support import builders as b
from tests.support.world import Param, Playground, claims_of

AFTER = "https://budget.example/bye"


async def leaving(ground: Playground, params: Mapping[str, Param], signed_in: int = b.PERSON) -> Leaving:
    return await leave(ground.ask(params).params, ground.issuer, ground.world, signed_in=signed_in)


async def a_hint(ground: Playground) -> str:
    await ground.add(post_logout_redirect_uris=(AFTER, "https://budget.example/bye?from=gw"))
    return str((await a_pair(ground, OPENID))["id_token"])


async def resigned(ground: Playground, token: str, typ: str = "JWT", **changed: object) -> str:
    payload = {name: value for name, value in (claims_of(token) | changed).items() if value is not None}
    return await ground.signer.sign(b.TENANT, "ES256", typ, msgspec.json.encode(payload))


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "3")
async def test_who_shows_the_id_token_of_this_user_is_not_asked(ground: Playground) -> None:
    hint = await a_hint(ground)
    found = await leaving(ground, {"id_token_hint": hint, "post_logout_redirect_uri": AFTER, "state": "a b&c"})
    assert (found.ask, found.redirect) == (False, f"{AFTER}?state=a%20b%26c")
    assert found.client is not None
    assert found.client.client_id == "budget-buddy"


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
async def test_a_hint_is_as_good_when_it_has_expired(ground: Playground) -> None:
    hint = await a_hint(ground)
    ground.clock.pass_(7 * 86400)
    assert not (await leaving(ground, {"id_token_hint": hint})).ask


async def test_a_hint_says_for_whom_and_in_which_session(ground: Playground) -> None:
    hint = await read_hint(await a_hint(ground), ground.issuer, ground.world)
    assert hint is not None
    assert (hint.client_id, hint.person, hint.session) == ("budget-buddy", b.PERSON, b.SESSION)


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
async def test_without_a_hint_the_user_is_asked(ground: Playground) -> None:
    await a_hint(ground)
    assert (await leaving(ground, {})).ask
    found = await leaving(ground, {"client_id": "budget-buddy", "post_logout_redirect_uri": AFTER})
    assert (found.ask, found.redirect) == (True, AFTER)


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
async def test_another_users_hint_is_no_reason_not_to_ask(ground: Playground) -> None:
    hint = await a_hint(ground)
    assert (await leaving(ground, {"id_token_hint": hint}, signed_in=b.PERSON + 1)).ask


async def test_where_nobody_is_signed_in_nobody_is_asked(ground: Playground) -> None:
    hint = await a_hint(ground)
    for params in ({}, {"id_token_hint": hint}, {"id_token_hint": "x"}):
        assert not (await leaving(ground, params, signed_in=0)).ask


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
async def test_what_is_no_id_token_of_ours_is_no_hint(ground: Playground) -> None:
    hint = await a_hint(ground)
    pair = await a_pair(ground, OPENID, b.CREATE_EVENTS.id)
    other_issuer = await resigned(ground, hint, iss="https://login.acme.test")
    worthless = [
        "x",
        hint[:-4] + "AAAA",
        pair["access_token"],
        pair["refresh_token"],
        other_issuer,
        await resigned(ground, hint, typ="at+jwt"),
        await resigned(ground, hint, typ="logout+jwt"),
        await resigned(ground, hint, aud=["budget-buddy", "other"]),
        await resigned(ground, hint, aud=None),
        await resigned(ground, hint, sub="budget-buddy"),
        await resigned(ground, hint, sub=None),
        await resigned(ground, hint, sub=7),
    ]
    for text in worthless:
        assert await read_hint(text, ground.issuer, ground.world) is None
        assert (await leaving(ground, {"id_token_hint": text})).ask
    assert await read_hint(await resigned(ground, hint, sid=None), ground.issuer, ground.world) is not None


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "3")
@pytest.mark.parametrize(
    "uri",
    [
        AFTER + "/",
        AFTER + "?x=1",
        AFTER + "#x",
        AFTER.upper(),
        "https://budget.example",
        "https://budget.example/bye/../bye",
        "https://budget.example:443/bye",
        "https://evil.test/",
        "//budget.example/bye",
        "javascript:alert(1)",
    ],
)
async def test_the_browser_goes_nowhere_that_is_not_registered(ground: Playground, uri: str) -> None:
    hint = await a_hint(ground)
    for params in ({"id_token_hint": hint}, {"client_id": "budget-buddy"}):
        with pytest.raises(PageError, match="post_logout_redirect_uri"):
            await leaving(ground, {**params, "post_logout_redirect_uri": uri})


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "3")
async def test_without_a_client_the_browser_goes_nowhere(ground: Playground) -> None:
    await a_hint(ground)
    for params in ({}, {"id_token_hint": "x"}):
        with pytest.raises(PageError, match="post_logout_redirect_uri"):
            await leaving(ground, {**params, "post_logout_redirect_uri": AFTER})


async def test_a_disabled_client_gets_nobody_back(ground: Playground) -> None:
    hint = await a_hint(ground)
    client = ground.directory.clients[b.TENANT, "budget-buddy"]
    await ground.add(msgspec.structs.replace(client, disabled=True))
    with pytest.raises(PageError):
        await leaving(ground, {"id_token_hint": hint, "post_logout_redirect_uri": AFTER})
    # To sign out is still everybody's right.
    assert not (await leaving(ground, {"id_token_hint": hint})).ask


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "2")
async def test_a_client_id_must_be_that_of_the_hint(ground: Playground) -> None:
    hint = await a_hint(ground)
    await leaving(ground, {"id_token_hint": hint, "client_id": "budget-buddy"})
    for name in ("other", ids.show(ids.USER, b.PERSON)):
        with pytest.raises(PageError, match="client_id"):
            await leaving(ground, {"id_token_hint": hint, "client_id": name})
        with pytest.raises(PageError, match="client_id"):
            await leaving(ground, {"client_id": name})


@pytest.mark.proves("OpenID Connect RP-Initiated Logout", "3")
def test_the_state_is_put_behind_what_an_address_already_has() -> None:
    client = b.a_client(post_logout_redirect_uris=("https://budget.example/bye?from=gw",))
    assert after("https://budget.example/bye?from=gw", "s", client) == "https://budget.example/bye?from=gw&state=s"
    assert after("https://budget.example/bye?from=gw", None, client) == "https://budget.example/bye?from=gw"
    assert after(None, "s", client) is None
    assert after(None, None, None) is None
