"""A client for users with certain roles is for nobody else, also when a role is taken away later (`decisions` §2)."""

from __future__ import annotations

import pytest

from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import InsufficientScope, InvalidScope
from tests.protocol.asking import introspected, who
from tests.support import builders as b
from tests.support.world import Playground


async def pair(ground: Playground) -> dict[str, str]:
    client = await ground.add(roles=(b.ORGANIZER.id,))
    return await ground.exchange(await ground.code(client, OPENID, b.READ_BALANCE.id))


async def test_a_user_with_the_role_has_scopes_that_no_role_need_hold(ground: Playground) -> None:
    assert (await introspected(ground, (await pair(ground))["access_token"]))["scope"] == "read:balance"


async def test_a_user_who_lost_the_role_has_nothing_at_the_client(ground: Playground) -> None:
    tokens = await pair(ground)
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.PARTICIPANT.id))
    assert (await introspected(ground, tokens["access_token"]))["scope"] == ""
    with pytest.raises(InsufficientScope):
        await who(ground, tokens["access_token"])
    ground.authorization = None
    with pytest.raises(InvalidScope):
        await ground.renew(tokens["refresh_token"])
    await ground.sql("UPDATE membership SET roles = :roles", roles=str(b.ORGANIZER.id))
    assert (await ground.renew(tokens["refresh_token"]))["scope"] == "openid read:balance"


def test_each_name_is_told_once() -> None:
    standing: Standing = b.a_standing(membership_roles="")
    decision = standing.today(("openid", "read:balance", "openid"), b.CATALOGUE, b.a_client(roles=(b.ORGANIZER.id,)))
    assert decision.refused == (("openid", Verdict.ROLE_LACKS_SCOPE), ("read:balance", Verdict.ROLE_LACKS_SCOPE))
