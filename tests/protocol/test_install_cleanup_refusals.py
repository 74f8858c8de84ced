"""Who asks for a clean-up token and gets none: one answer for whatever the reason, so that nobody learns of another's installation."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.errors import InvalidClient, InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient
from gatewright.oauth.grant_types.install_cleanup import NAME, NOTHING
from tests.protocol.cleaning import cleanup, listening_app, uninstalled
from tests.support import builders as b
from tests.support.world import SECRET, Playground, secret_of


@pytest.mark.parametrize("text", ["in_0000000000000", "us_0000000000001", "880001", "in_!", ids.show(ids.INSTALL, 880_002), "", " "])
async def test_an_installation_that_is_not_being_cleaned_up(ground: Playground, text: str) -> None:
    await uninstalled(ground, await listening_app(ground))
    with pytest.raises((InvalidGrant, InvalidRequest)) as refusal:
        await cleanup(ground, install_id=text or None)
    if text:
        assert refusal.value.description == NOTHING


async def test_an_installation_that_is_still_there(ground: Playground) -> None:
    await listening_app(ground)
    with pytest.raises(InvalidGrant) as refusal:
        await cleanup(ground)
    assert refusal.value.description == NOTHING


async def test_another_apps_installation_is_as_one_that_does_not_exist(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    other = b.a_client(b.CLIENT + 1, secrets=(secret_of(2),))
    await ground.add(msgspec.structs.replace(other, client_id="other-app"))
    with pytest.raises(InvalidGrant) as refusal:
        await cleanup(ground, client_id="other-app")
    assert refusal.value.description == NOTHING


async def test_the_same_app_of_another_tenant(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    await ground.sql("UPDATE consent_grant SET tenant = tenant + 1")
    with pytest.raises(InvalidGrant):
        await cleanup(ground)


async def test_an_app_that_does_not_prove_who_it_is(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    with pytest.raises(InvalidClient):
        await cleanup(ground, client_secret=SECRET + "x")
    with pytest.raises(InvalidClient):
        await cleanup(ground, client_secret=None)


async def test_a_public_client_cannot_prove_it(ground: Playground) -> None:
    client = await listening_app(ground)
    await uninstalled(ground, client)
    await ground.add(b.a_client(type="native", token_endpoint_auth_method="none", redirect_uris=("http://127.0.0.1/cb",)))
    with pytest.raises(UnauthorizedClient):
        await cleanup(ground, client_secret=None)


@pytest.mark.parametrize("scope", ["transfer:funds", "read:balance transfer:funds", "openid", "view:events", "nonsense"])
async def test_a_scope_that_is_not_marked_or_was_not_had(ground: Playground, scope: str) -> None:
    await uninstalled(ground, await listening_app(ground))
    with pytest.raises(InvalidScope):
        await cleanup(ground, scope=scope)


async def test_a_scope_that_the_client_may_not_have_any_more(ground: Playground) -> None:
    client = await listening_app(ground)
    await uninstalled(ground, client)
    await ground.add(b.a_client(secrets=client.secrets, scopes=(b.TRANSFER.id,)))
    with pytest.raises(InvalidScope):
        await cleanup(ground, scope="read:balance")


async def test_scopes_of_two_apis_at_once(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    with pytest.raises(InvalidTarget):
        await cleanup(ground)


async def test_a_request_without_an_installation(ground: Playground) -> None:
    await listening_app(ground)
    with pytest.raises(InvalidRequest):
        await ground.post(grant_type=NAME)
