"""What a user takes back is told to nobody any more, whatever was asked for when (`security-rules` 29)."""

from __future__ import annotations

from gatewright.oauth.catalogue import EMAIL, OPENID, PROFILE
from gatewright.oauth.claims import ClaimsRequest
from tests.protocol.asking import who
from tests.support.world import Playground, claims_of

ASKED = ClaimsRequest(userinfo={"email": None, "name": None}, id_token={"email": None}).kept(frozenset({OPENID, EMAIL, PROFILE}))


async def test_a_claim_asked_for_by_name_is_told_while_its_scope_is_consented_to(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, claims=ASKED)
    await ground.grant(client, OPENID, EMAIL, PROFILE)
    pair = await ground.exchange(code)
    assert {"email", "name"} <= (await who(ground, pair["access_token"])).keys()
    assert "email" in claims_of(pair["id_token"])


async def test_a_claim_asked_for_by_name_is_not_told_once_its_scope_was_declined(ground: Playground) -> None:
    client = await ground.add()
    code = await ground.code(client, OPENID, claims=ASKED)
    await ground.grant(client, OPENID, EMAIL, PROFILE)
    pair = await ground.exchange(code)
    await ground.grant(client, OPENID, declined=frozenset({EMAIL}))
    told = await who(ground, pair["access_token"])
    assert "email" not in told
    assert "name" in told
    assert "email" not in claims_of((await ground.renew(pair["refresh_token"]))["id_token"])
