"""The password grant, for clients that an admin excepted: as seeds 001 and 002 print it, and no more than the exception says."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gatewright.audit.weaknesses import uses
from gatewright.base import ids
from gatewright.oauth.catalogue import EMAIL, OFFLINE_ACCESS, OPENID, ids_of
from gatewright.oauth.client import Client
from gatewright.oauth.userinfo import userinfo
from gatewright.signin import throttle as rules
from gatewright.store import Query
from tests.protocol.asking import members
from tests.support import builders as b
from tests.support.browser import DIGEST, PASSWORD
from tests.support.browser import EMAIL as ANNS
from tests.support.clock import NOON
from tests.support.world import Param, Playground, claims_of, secret_of

ROBOT, ROBOTS = 9001, "9001@service"
EXCEPTION = {"until": NOON + 90 * 86_400, "reason": "the connector is being rewritten"}
TWO = 6002


def an_old_client(**settings: object) -> Client:
    """Somebody else's integration, as seed 002 has it: a secret, the password grant, refresh tokens."""
    ordinary: dict[str, object] = {
        "grant_types": ("password", "refresh_token"),
        "redirect_uris": (),
        "scopes": (b.READ_BALANCE.id,),
        "scopes_policy": "all_allowed",
        "password_grant": EXCEPTION,
    }
    return b.a_client(secrets=(secret_of(1),), **(ordinary | settings))


def internal(**settings: object) -> Client:
    """The platform's own front end, as seed 001 has it: people type their passwords into it."""
    scopes = (OPENID, EMAIL, OFFLINE_ACCESS, b.READ_BALANCE.id, b.TRANSFER.id, b.CREATE_EVENTS.id, b.VIEW_EVENTS.id)
    return an_old_client(**({"party": "first", "internal": True, "scopes": scopes} | settings))


async def with_passwords(ground: Playground) -> None:
    """Give the person and a service user a password."""
    await ground.add_service_user(ROBOT, b.ACCOUNT, b.ORGANIZER.id)
    await ground.sql("UPDATE person SET password = :digest", digest=DIGEST)


async def another_account(ground: Playground, person: int = b.PERSON) -> None:
    """Make a user a member of a second account, as a participant."""
    await ground.sql(
        "INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (:id, :tenant, 'acme-prod', 'Prod', 0, 0)",
        id=TWO,
        tenant=b.TENANT,
    )
    await ground.sql(
        "INSERT INTO membership (id, tenant, person, account, roles, created_at) VALUES (1, :tenant, :person, :account, :roles, 0)",
        tenant=b.TENANT,
        person=person,
        account=TWO,
        roles=str(b.PARTICIPANT.id),
    )


async def shown(ground: Playground, username: str = ROBOTS, password: str = PASSWORD, **params: Param) -> dict[str, object]:
    """Show a name and a password."""
    return await ground.post(grant_type="password", username=username, password=password, **params)


@pytest.mark.proves("RFC 6749", "4.3.3")
async def test_a_service_users_password_buys_what_seed_002_prints(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    reply = await shown(ground)
    assert set(reply) >= {"access_token", "refresh_token", "expires_in", "token_type"}
    assert (reply["expires_in"], reply["token_type"], reply["scope"], reply["account"]) == (7200, "Bearer", "read:balance", "acme-dev")
    assert "id_token" not in reply


async def test_its_tokens_are_the_service_users_in_its_account_with_its_roles(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client(scopes=(b.CREATE_EVENTS.id, b.VIEW_EVENTS.id)))
    reply = await shown(ground, scope="create:events view:events")
    assert reply["scope"] == "create:events"
    claims = claims_of(str(reply["access_token"]))
    assert (claims["sub"], claims["client_id"], claims["account"]) == (ids.show(ids.USER, ROBOT), "budget-buddy", "acme-dev")


async def test_a_person_signs_in_at_the_platforms_own_front_end(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal(scopes=(OPENID, EMAIL, b.READ_BALANCE.id)))
    reply = await shown(ground, ANNS, scope="openid email read:balance")
    who = await members(ground, userinfo, f"Bearer {reply['access_token']}", {})
    assert who["email"] == ANNS
    said = claims_of(str(reply["id_token"]))
    assert (said["auth_time"], said["amr"]) == (NOON, ["pwd"])
    assert "sid" not in said


async def test_a_front_end_without_a_secret_is_known_by_its_client_id(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal(type="spa", token_endpoint_auth_method="none"))
    assert await shown(ground, ANNS, scope="read:balance", client_secret=None)


@pytest.mark.parametrize("spelling", ["Organizer@Acme.Test", "  organizer@acme.test "])
async def test_a_name_is_found_however_it_is_spelled(ground: Playground, spelling: str) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    assert await shown(ground, spelling, scope="read:balance")


async def test_what_it_bought_is_renewed_like_anything_else(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    reply = await shown(ground)
    again = await ground.renew(str(reply["refresh_token"]))
    assert (again["scope"], again["account"]) == (reply["scope"], "acme-dev")
    assert again["refresh_token"] != reply["refresh_token"]


async def test_a_refresh_token_outlives_the_exception(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client(refresh_idle=200 * 86_400))
    reply = await shown(ground)
    ground.clock.pass_(100 * 86_400)
    assert await ground.renew(str(reply["refresh_token"]))


async def test_without_the_grant_type_there_is_no_refresh_token(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client(grant_types=("password",)))
    assert "refresh_token" not in await shown(ground)


async def test_where_a_session_would_bound_it_there_is_none_without_offline_access(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal(refresh="offline"))
    assert "refresh_token" not in await shown(ground, ANNS, scope="read:balance")
    reply = await shown(ground, ANNS, scope="read:balance offline_access")
    assert await ground.renew(str(reply["refresh_token"]))
    assert OFFLINE_ACCESS in ids_of((await ground.row()).scopes)


@pytest.mark.parametrize("named", ["acme-prod", ids.show(ids.ACCOUNT, TWO)])
async def test_a_user_of_several_accounts_names_one(ground: Playground, named: str) -> None:
    await with_passwords(ground)
    await another_account(ground)
    await ground.add(internal())
    reply = await shown(ground, ANNS, scope="view:events create:events", account=named)
    assert (reply["account"], reply["scope"]) == ("acme-prod", "view:events")
    assert (await ground.renew(str(reply["refresh_token"])))["account"] == "acme-prod"


async def test_who_asks_for_nothing_in_an_account_names_none(ground: Playground) -> None:
    await with_passwords(ground)
    await another_account(ground)
    await ground.add(internal(scopes=(OPENID, EMAIL)))
    assert "account" not in await shown(ground, ANNS, scope="openid email")


async def test_all_allowed_leaves_out_what_is_dangerous_or_lasts(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal(scopes=(OPENID, OFFLINE_ACCESS, b.READ_BALANCE.id, b.TRANSFER.id), audience="first"))
    assert (await shown(ground, ANNS))["scope"] == "openid read:balance"
    assert (await shown(ground, ANNS, scope="transfer:funds"))["scope"] == "transfer:funds"


async def test_what_a_user_declined_stays_declined(ground: Playground) -> None:
    await with_passwords(ground)
    client = await ground.add(internal())
    await ground.grant(client, b.READ_BALANCE.id, declined=frozenset({b.TRANSFER.id}))
    assert (await shown(ground, ANNS, scope="read:balance transfer:funds"))["scope"] == "read:balance"


async def test_resource_picks_the_api(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    reply = await shown(ground, ANNS, scope="read:balance create:events", resource=b.EVENTS.audience)
    assert reply["scope"] == "create:events"
    again = await ground.renew(str(reply["refresh_token"]), resource=b.EVENTS.audience)
    assert again["scope"] == "create:events"


async def test_a_resource_is_kept_as_the_api_has_it(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    reply = await shown(ground, ANNS, scope="read:balance create:events", resource=b.EVENTS.audience + "/")
    assert (await ground.row()).resources == b.EVENTS.audience
    assert reply["scope"] == "create:events"


async def test_one_grant_is_made_and_each_sign_in_is_a_row_of_its_own(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    for _ in range(3):
        await shown(ground)
        ground.clock.pass_(60)
    assert await ground.number("SELECT COUNT(*) FROM consent_grant") == 1
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 3
    assert await ground.audited() == ["grant.made", "weakness.used", "weakness.used", "weakness.used"]


@pytest.mark.parametrize(("username", "source"), [(ROBOTS, "account_admin"), (ANNS, "first_party")])
async def test_the_grant_says_by_whose_word_it_was_made(ground: Playground, username: str, source: str) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    await shown(ground, username, scope="read:balance")
    assert await ground.store.one(Query(str, "SELECT source FROM consent_grant")) == source


async def test_each_use_is_in_the_audit_log_with_who_and_from_where(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    await shown(ground)
    text = await ground.store.one(Query(str, "SELECT detail FROM audit WHERE act = 'weakness.used'"))
    assert text is not None
    detail = msgspec.json.decode(text)
    assert detail == {
        "weakness": "password_grant",
        "user": ids.show(ids.USER, ROBOT),
        "account": ids.show(ids.ACCOUNT, b.ACCOUNT),
        "network": "127.0.0.0/24",
    }
    assert PASSWORD not in text


async def test_the_list_says_who_still_uses_it_and_when_last(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    await shown(ground, scope="read:balance")
    ground.clock.pass_(60)
    await shown(ground, ANNS, scope="read:balance")
    ground.clock.pass_(60)
    await shown(ground, ANNS, scope="read:balance")
    found = await uses(ground.store, b.TENANT, "password_grant")
    assert [(use.client, use.person, use.total, use.first_at, use.last_at) for use in found] == [
        (b.CLIENT, b.PERSON, 2, NOON + 60, NOON + 120),
        (b.CLIENT, ROBOT, 1, NOON, NOON),
    ]
    first = await uses(ground.store, b.TENANT, count=1)
    assert await uses(ground.store, b.TENANT, after=first[0].place) == found[1:]
    assert await uses(ground.store, b.TENANT, "out_of_band") == []
    assert await uses(ground.store, b.TENANT + 1) == []


async def test_many_at_once_are_all_served_and_all_counted(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    ground.pool.patience = 60
    assert len(await asyncio.gather(*[shown(ground) for _ in range(5)])) == 5
    assert [use.total for use in await uses(ground.store, b.TENANT)] == [5]
    assert await ground.number("SELECT COUNT(*) FROM consent_grant") == 1


async def test_a_right_password_is_no_failure(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(an_old_client())
    for _ in range(rules.PAIR.free + 3):
        await shown(ground)
    assert not await ground.number("SELECT SUM(failures) FROM throttle")


async def test_deactivating_a_person_ends_their_tokens_and_a_service_users_go_on(ground: Playground) -> None:
    await with_passwords(ground)
    await ground.add(internal())
    hers, its = [await shown(ground, name, scope="openid read:balance") for name in (ANNS, ROBOTS)]
    await ground.sql("UPDATE person SET disabled_at = :now, epoch = epoch + 1 WHERE id = :id", now=NOON, id=b.PERSON)
    assert (await ground.row(str(hers["refresh_token"]))).fault(NOON) is not None
    assert await members(ground, userinfo, f"Bearer {its['access_token']}", {})
    assert await ground.renew(str(its["refresh_token"]))
