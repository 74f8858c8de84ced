"""What a narrowed grant means for the tokens under it."""

import pytest

from gatewright.ledger.managing import end_grants, narrow_grants
from gatewright.ledger.target import Target
from gatewright.oauth.errors import InvalidGrant, InvalidScope
from tests.protocol.asking import a_pair, introspected
from tests.support import builders as b
from tests.support.world import Playground, secret_of

READ, SEND = b.READ_BALANCE.id, b.TRANSFER.id
OF_USER = Target(tenant=b.TENANT, person=b.PERSON)


async def narrowed(ground: Playground, *scopes: int) -> None:
    await narrow_grants(ground.store, ground.clock.moment(), OF_USER, frozenset(scopes), actor="os:tester")


async def test_a_scope_that_is_taken_from_a_grant_is_gone_at_the_next_look(ground: Playground) -> None:
    pair = await a_pair(ground, READ, SEND)
    await narrowed(ground, SEND)
    assert (await introspected(ground, pair["access_token"]))["scope"] == "read:balance"
    assert (await ground.renew(pair["refresh_token"]))["scope"] == "read:balance"
    await narrowed(ground, READ)
    assert not (await introspected(ground, pair["access_token"]))["active"], "a grant with nothing left has ended"


async def test_a_refresh_that_asks_for_what_was_taken_gets_nothing_and_uses_nothing_up(ground: Playground) -> None:
    pair = await a_pair(ground, READ, SEND)
    await narrowed(ground, SEND)
    with pytest.raises(InvalidScope):
        await ground.renew(pair["refresh_token"], scope="transfer:funds")
    assert (await ground.renew(pair["refresh_token"]))["scope"] == "read:balance"


async def test_what_was_ended_with_others_is_refused_like_what_was_ended_alone(ground: Playground) -> None:
    pair = await a_pair(ground, READ)
    assert await end_grants(ground.store, ground.clock.moment(), OF_USER, because="by_admin", actor="os:tester") == 1
    assert await introspected(ground, pair["access_token"]) == {"active": False}
    with pytest.raises(InvalidGrant):
        await ground.renew(pair["refresh_token"])


async def test_the_grant_of_a_back_end_service_is_not_narrowed_since_it_would_come_back(ground: Playground) -> None:
    images = (b.READ_IMAGES.id, b.DELETE_IMAGES.id)
    client = await ground.add(b.a_client(secrets=(secret_of(1),), type="service", grant_types=("client_credentials",), scopes=images))
    await ground.serve(scope="read:images")
    target = Target(tenant=b.TENANT, client=client.id)
    done = await narrow_grants(ground.store, ground.clock.moment(), target, frozenset(images), actor="os:tester")
    assert done.grants == 0
    assert (await ground.serve(scope="read:images delete:images"))["scope"] == "read:images delete:images"
