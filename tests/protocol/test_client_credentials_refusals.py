"""What a service is not given, and why."""

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth.catalogue import EMAIL, OFFLINE_ACCESS, OPENID
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from tests.protocol.test_client_credentials import ROBOT, a_service
from tests.support import builders as b
from tests.support.world import Playground

PERSONAL = (OPENID, EMAIL, OFFLINE_ACCESS, b.READ_IMAGES.id)


@pytest.mark.parametrize("scope", ["openid", "offline_access", "email", "read:images openid", "offline_access read:images"])
async def test_a_scope_that_needs_a_user_is_refused(ground: Playground, scope: str) -> None:
    await ground.add(a_service(scopes=PERSONAL))
    with pytest.raises(InvalidScope, match="needs a user"):
        await ground.serve(scope=scope)


@pytest.mark.proves("RFC 6749", "3.3")
@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (None, "no scope was requested"),
        ("no:such", "unknown scope"),
        ("view:events", "scope_not_allowed_to_client"),
        ("openid no:such", "needs a user"),
    ],
)
async def test_scopes_that_cannot_be_given_are_refused(ground: Playground, scope: str | None, said: str) -> None:
    await ground.add(a_service())
    with pytest.raises(InvalidScope, match=said):
        await ground.serve(scope=scope)


@pytest.mark.proves("RFC 6749", "4.4")
async def test_a_public_client_has_no_credentials_to_be_granted_anything_for(ground: Playground) -> None:
    await ground.add(a_service(token_endpoint_auth_method="none"))
    with pytest.raises(UnauthorizedClient):
        await ground.serve(scope="read:images", client_secret=None)


async def test_scopes_of_several_apis_need_a_resource(ground: Playground) -> None:
    await ground.add(a_service(scopes=(b.READ_IMAGES.id, b.VIEW_EVENTS.id)))
    with pytest.raises(InvalidTarget, match=b.IMAGING.audience):
        await ground.serve(scope="read:images view:events")
    assert (await ground.serve(scope="read:images view:events", resource=b.EVENTS.audience))["scope"] == "view:events"


@pytest.mark.parametrize(("account", "said"), [(0, "not tied to an account"), (b.ACCOUNT, "not the account that this client is tied to")])
@pytest.mark.parametrize("named", ["acme-prod", "nowhere", ids.show(ids.ACCOUNT, 77), "ac_x"])
async def test_a_request_cannot_choose_the_account(ground: Playground, account: int, said: str, named: str) -> None:
    await ground.add(a_service(account=account))
    with pytest.raises(InvalidRequest, match=said):
        await ground.serve(scope="read:images", account=named)


@pytest.mark.parametrize(
    ("ending", "verdict"),
    [
        ("UPDATE person SET disabled_at = 1, epoch = epoch + 1 WHERE id = 9001", Verdict.USER_DISABLED),
        ("UPDATE person SET deleted_at = 1 WHERE id = 9001", Verdict.USER_DISABLED),
        ("UPDATE account SET disabled_at = 1, epoch = epoch + 1", Verdict.ACCOUNT_DISABLED),
    ],
)
async def test_a_service_user_that_is_not_active_gets_nothing_and_no_new_rows(ground: Playground, ending: str, verdict: Verdict) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id,)))
    await ground.serve(scope="view:events")
    await ground.sql(ending)
    for _ in range(3):
        ground.clock.pass_(1)
        with pytest.raises(InvalidGrant, match="not active") as refusal:
            await ground.serve(scope="view:events")
        assert refusal.value.why == verdict
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 1


async def test_a_service_user_without_a_membership_gets_nothing(ground: Playground) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id,)))
    await ground.serve(scope="view:events")
    await ground.sql("UPDATE membership SET ended_at = 1 WHERE person = 9001")
    for _ in range(3):
        ground.clock.pass_(1)
        with pytest.raises(OAuthError):
            await ground.serve(scope="view:events")
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 2


async def test_a_service_user_who_never_was_gets_nothing(ground: Playground) -> None:
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id,)))
    with pytest.raises(InvalidGrant):
        await ground.serve(scope="view:events")


async def test_the_account_of_another_tenant_is_none(ground: Playground) -> None:
    await ground.sql("UPDATE account SET tenant = tenant + 1")
    await ground.add(a_service(account=b.ACCOUNT, scopes=(b.VIEW_EVENTS.id,)))
    with pytest.raises(InvalidGrant):
        await ground.serve(scope="view:events")


async def test_a_disabled_client_gets_nothing(ground: Playground) -> None:
    client = await ground.add(a_service())
    await ground.serve(scope="read:images")
    await ground.add(msgspec.structs.replace(client, disabled=True, epoch=1))
    with pytest.raises(InvalidClient):
        await ground.serve(scope="read:images")


async def test_a_client_disabled_on_another_node_gets_nothing_within_a_second(ground: Playground) -> None:
    # Its cached record says nothing yet, but the row does.
    await ground.add(a_service())
    await ground.serve(scope="read:images")
    await ground.sql("UPDATE client SET disabled_at = 1, epoch = epoch + 1")
    ground.clock.pass_(1)
    with pytest.raises(InvalidGrant):
        await ground.serve(scope="read:images")


@pytest.mark.parametrize("scope", ["read:images view:events", "view:events read:images"])
async def test_a_service_that_wants_all_or_nothing_is_told_what_is_denied_and_gets_nothing(ground: Playground, scope: str) -> None:
    await ground.add(a_service())
    assert (await ground.serve(scope=scope))["scope"] == "read:images", "by default what is denied is left out"
    await ground.add(a_service(denied="refuse"))
    with pytest.raises(InvalidScope, match=r"view:events: scope_not_allowed_to_client"):
        await ground.serve(scope=scope)
    assert (await ground.serve(scope="read:images"))["scope"] == "read:images"


async def test_a_service_user_without_the_role_refuses_the_whole_request_where_it_is_all_or_nothing(ground: Playground) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id, b.CREATE_EVENTS.id), denied="refuse"))
    with pytest.raises(InvalidScope, match="create:events: role_lacks_scope"):
        await ground.serve(scope="view:events create:events")
