"""The client credentials grant: a service acts for itself, or as the service user that it is tied to."""

import asyncio

import msgspec
import pytest

from gatewright.base import ids
from gatewright.oauth import handle, places
from gatewright.oauth.catalogue import OPENID, ids_of
from gatewright.oauth.client import Client
from gatewright_guard.decide import Allowed, decide, needs
from gatewright_guard.verify import verify_access_token
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.signer import key_set
from tests.support.world import Playground, claims_of, secret_of

ROBOT = 9001


def a_service(**settings: object) -> Client:
    """A back-end service that reads and deletes images, unless something else is named."""
    ordinary: dict[str, object] = {
        "type": "service",
        "grant_types": ("client_credentials",),
        "scopes": (b.READ_IMAGES.id, b.DELETE_IMAGES.id),
    }
    return b.a_client(secrets=(secret_of(1),), **(ordinary | settings))


@pytest.mark.proves("RFC 6749", "4.4.3")
async def test_a_service_gets_an_access_token_and_nothing_else(ground: Playground) -> None:
    await ground.add(a_service())
    reply = await ground.serve(scope="read:images delete:images")
    assert set(reply) == {"access_token", "token_type", "expires_in", "scope"}
    assert (reply["scope"], reply["expires_in"]) == ("read:images delete:images", 3600)


@pytest.mark.proves("RFC 9068", "2.2")
async def test_its_subject_is_the_client(ground: Playground) -> None:
    await ground.add(a_service())
    claims = claims_of((await ground.serve(scope="read:images"))["access_token"])
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("budget-buddy", "budget-buddy", "read:images")
    assert claims["gw_reach"] == "read:images"
    assert claims["gw_az"] == ids.show(ids.AUTHORIZATION, (await ground.row()).id)
    assert {"account", "account_id", "auth_time", "acr"}.isdisjoint(claims)


async def test_without_an_account_only_scopes_of_tenant_reach_open_account_bound_routes(ground: Playground) -> None:
    await ground.add(a_service(scopes=(b.READ_IMAGES.id, b.DELETE_IMAGES.id)))
    token = (await ground.serve(scope="read:images"))["access_token"]
    claims = verify_access_token(token, key_set("ES256"), issuer=b.URL, audience=b.IMAGING.audience, now=NOON)
    assert isinstance(decide(claims, needs("read:images"), account="acme-dev"), Allowed)
    await ground.add(a_service(scopes=(b.VIEW_EVENTS.id,)))
    token = (await ground.serve(scope="view:events"))["access_token"]
    claims = verify_access_token(token, key_set("ES256"), issuer=b.URL, audience=b.EVENTS.audience, now=NOON)
    assert isinstance(decide(claims, needs("view:events")), Allowed)
    assert not isinstance(decide(claims, needs("view:events"), account="acme-dev"), Allowed)


async def test_a_client_tied_to_an_account_acts_in_it_and_in_no_other(ground: Playground) -> None:
    await ground.add(a_service(account=b.ACCOUNT, scopes=(b.VIEW_EVENTS.id,)))
    reply = await ground.serve(scope="view:events")
    claims = claims_of(reply["access_token"])
    assert (claims["account"], claims["sub"]) == ("acme-dev", "budget-buddy")
    assert (reply["account"], reply["account_id"]) == ("acme-dev", ids.show(ids.ACCOUNT, b.ACCOUNT))
    assert "gw_reach" not in claims


@pytest.mark.parametrize("named", ["acme-dev", ids.show(ids.ACCOUNT, b.ACCOUNT)])
async def test_it_may_name_its_own_account(ground: Playground, named: str) -> None:
    await ground.add(a_service(account=b.ACCOUNT, scopes=(b.VIEW_EVENTS.id,)))
    assert await ground.serve(scope="view:events", account=named)


async def test_as_a_service_user_it_has_that_users_name_account_and_roles(ground: Playground) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id, b.CREATE_EVENTS.id)))
    reply = await ground.serve(scope="view:events create:events")
    claims = claims_of(reply["access_token"])
    assert (claims["sub"], claims["client_id"], claims["account"]) == (ids.show(ids.USER, ROBOT), "budget-buddy", "acme-dev")
    assert reply["scope"] == "view:events"


async def test_a_role_given_to_the_service_user_shows_within_a_second(ground: Playground) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id, b.CREATE_EVENTS.id)))
    await ground.serve(scope="view:events")
    await ground.sql("UPDATE membership SET roles = :roles", roles=f"{b.ORGANIZER.id} {b.PARTICIPANT.id}")
    ground.clock.pass_(1)
    assert (await ground.serve(scope="view:events create:events"))["scope"] == "view:events create:events"


async def test_an_opaque_token_is_a_handle_on_the_clients_own_row(ground: Playground) -> None:
    await ground.add(a_service(scopes=(b.READ_BALANCE.id, b.TRANSFER.id), account=b.ACCOUNT))
    reply = await ground.serve(scope="read:balance transfer:funds")
    found = handle.open_handle(reply["access_token"], ground.issuer, ground.sealer, NOON)
    assert found is not None
    row = await ground.row()
    assert (found.authorization, found.api, found.named) == (row.id, b.BANK.id, handle.ALL)
    assert handle.authentic(found, row)
    assert len(reply["access_token"]) <= 200


async def test_a_narrower_request_names_its_scopes_and_writes_nothing(ground: Playground) -> None:
    await ground.add(a_service(scopes=(b.READ_BALANCE.id, b.TRANSFER.id), account=b.ACCOUNT))
    await ground.serve(scope="read:balance transfer:funds")
    counts = ground.store.counts
    before = (counts.reads, counts.verbs, counts.units)
    found = handle.open_handle((await ground.serve(scope="read:balance"))["access_token"], ground.issuer, ground.sealer, NOON)
    assert found is not None
    assert (counts.reads, counts.verbs, counts.units) == before
    assert places.names(found.named, b.CATALOGUE.scopes, b.BANK.id, b.CATALOGUE) == ["read:balance"]


async def test_all_allowed_means_all_that_need_no_user_and_are_not_dangerous(ground: Playground) -> None:
    await ground.add(a_service(scopes=(OPENID, b.READ_IMAGES.id, b.DELETE_IMAGES.id), scopes_policy="all_allowed"))
    assert (await ground.serve())["scope"] == "read:images"
    assert (await ground.serve(scope="delete:images"))["scope"] == "delete:images"


async def test_there_is_one_row_whatever_is_asked_and_however_often(ground: Playground) -> None:
    await ground.add(a_service())
    for scope in ("read:images", "delete:images", "read:images delete:images", "read:images"):
        await ground.serve(scope=scope)
        ground.clock.pass_(5)
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 1
    assert await ground.number("SELECT COUNT(*) FROM consent_grant") == 1


async def test_many_first_requests_at_once_open_one_row(ground: Playground) -> None:
    await ground.add(a_service())
    assert len(await asyncio.gather(*[ground.serve(scope="read:images") for _ in range(30)])) == 30
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 1
    assert await ground.audited() == ["grant.made"]


async def test_each_issuer_has_a_row_of_its_own(ground: Playground) -> None:
    await ground.add(a_service())
    first = claims_of((await ground.serve(scope="read:images"))["access_token"])
    ground.issuer = b.an_issuer("https://login.acme.test")
    second = claims_of((await ground.serve(scope="read:images"))["access_token"])
    assert (first["iss"], second["iss"]) == (b.URL, "https://login.acme.test")
    assert first["gw_az"] != second["gw_az"]


async def test_what_the_admin_allows_later_is_given_by_a_recorded_change(ground: Playground) -> None:
    await ground.add(a_service(scopes=(b.READ_IMAGES.id,)))
    await ground.serve(scope="read:images")
    await ground.add(a_service(scopes=(b.READ_IMAGES.id, b.DELETE_IMAGES.id)))
    assert (await ground.serve(scope="read:images delete:images"))["scope"] == "read:images delete:images"
    row = await ground.row()
    assert ids_of(row.scopes) == ids_of(row.granted or "") == {b.READ_IMAGES.id, b.DELETE_IMAGES.id}
    assert await ground.audited() == ["grant.made", "grant.changed"]


async def test_what_the_admin_takes_away_is_gone_from_the_row(ground: Playground) -> None:
    await ground.add(a_service())
    await ground.serve(scope="read:images")
    await ground.add(a_service(scopes=(b.READ_IMAGES.id,)))
    assert (await ground.serve(scope="read:images delete:images"))["scope"] == "read:images"
    assert ids_of((await ground.row()).scopes) == {b.READ_IMAGES.id}


@pytest.mark.parametrize(
    "ending",
    [
        "UPDATE authorization_row SET ended_at = 1, ended_because = 'revoked'",
        "UPDATE consent_grant SET ended_at = 1, ended_because = 'by_admin'",
    ],
)
async def test_after_an_end_old_tokens_are_dead_and_new_ones_can_be_had(ground: Playground, ending: str) -> None:
    await ground.add(a_service())
    await ground.serve(scope="read:images")
    old = await ground.row()
    await ground.sql(ending)
    ground.clock.pass_(1)
    assert await ground.serve(scope="read:images")
    new = await ground.row()
    assert new.id != old.id
    assert new.fault(ground.clock.now) is None
    assert (await ground.row(old.id)).fault(ground.clock.now) is not None


async def test_a_client_that_was_disabled_and_enabled_gets_a_new_row(ground: Playground) -> None:
    client = await ground.add(a_service())
    await ground.serve(scope="read:images")
    old = await ground.row()
    await ground.add(msgspec.structs.replace(client, epoch=1))
    ground.clock.pass_(1)
    await ground.serve(scope="read:images")
    assert (await ground.row()).id != old.id
    assert (await ground.row(old.id)).ended_at is not None


async def test_a_service_user_that_moved_gets_a_new_row_in_its_new_account(ground: Playground) -> None:
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.PARTICIPANT.id)
    await ground.add(a_service(service_user=ROBOT, scopes=(b.VIEW_EVENTS.id,)))
    await ground.serve(scope="view:events")
    await ground.sql("UPDATE membership SET ended_at = 1 WHERE person = :robot", robot=ROBOT)
    await ground.sql(
        "INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (1, :tenant, 'new', 'New', 0, 0)", tenant=b.TENANT
    )
    await ground.sql(
        "INSERT INTO membership (id, tenant, person, account, roles, created_at) VALUES (99, :tenant, :robot, 1, :roles, 0)",
        tenant=b.TENANT,
        robot=ROBOT,
        roles=str(b.PARTICIPANT.id),
    )
    ground.clock.pass_(1)
    assert (await ground.serve(scope="view:events"))["account"] == "new"
