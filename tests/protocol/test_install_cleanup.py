"""What an app may do for fifteen minutes after it was uninstalled, and how such a token is judged (`security-rules` 47)."""

from __future__ import annotations

import pytest

from gatewright.base import ids
from gatewright.ledger.cleanup import SECONDS, CleanUps
from gatewright.oauth.catalogue import text_of
from gatewright.oauth.errors import InsufficientScope, InvalidGrant
from gatewright.store import Query
from gatewright_guard.decide import Allowed, decide, needs
from gatewright_guard.verify import verify_access_token
from tests.protocol.asking import explained, introspected, revoked, who
from tests.protocol.cleaning import HAD, IN, INSTALL, KEPT, MADE, cleanup, listening_app, uninstalled
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.signer import key_set
from tests.support.world import Playground, claims_of
from tests.webhooks.recorded import recorded

USER, ACCOUNT = ids.show(ids.USER, b.PERSON), ids.show(ids.ACCOUNT, b.ACCOUNT)
WHERE = {"install_id": IN, "account_id": ACCOUNT, "user_id": USER, "because": "uninstalled"}
GONE = {"active": False}


async def over(ground: Playground) -> int:
    """The job that ends what is past its minutes."""
    return await CleanUps(ground.store).end_due(ground.clock)


async def test_an_uninstalled_app_is_told_and_gets_a_token_for_its_marked_scopes_alone(ground: Playground) -> None:
    client = await listening_app(ground)
    assert await uninstalled(ground, client) == NOON + SECONDS
    told = WHERE | {"cleanup_scopes": ["read:balance", "create:events"], "cleanup_until": "2027-01-15T08:15:00Z"}
    assert await recorded(ground.store) == [("install.deleting", told)]
    reply = await cleanup(ground, resource=b.BANK.audience)
    assert (reply["scope"], reply["expires_in"], reply["account_id"]) == ("read:balance", SECONDS, ACCOUNT)
    assert {"refresh_token", "id_token"}.isdisjoint(reply)


async def test_its_subject_is_the_installation_and_never_the_user(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    reply = await cleanup(ground, scope="create:events")
    claims = claims_of(str(reply["access_token"]))
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (IN, "budget-buddy", "create:events")
    assert claims["exp"] == NOON + min(SECONDS, b.EVENTS.token_lifetime)
    assert (claims["account_id"], claims["account"]) == (ACCOUNT, "acme-dev")
    assert USER not in str(claims)
    assert "organizer" not in str(claims)
    verified = verify_access_token(str(reply["access_token"]), key_set("ES256"), issuer=b.URL, audience=b.EVENTS.audience, now=NOON)
    assert isinstance(decide(verified, needs("create:events"), account="acme-dev"), Allowed)
    assert not isinstance(decide(verified, needs("create:events"), account="acme-prod"), Allowed)
    assert not isinstance(decide(verified, needs("view:events")), Allowed)


async def test_introspection_knows_the_token_and_nothing_of_the_user(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    found = await introspected(ground, token)
    assert (found["active"], found["sub"], found["scope"], found["exp"]) == (True, IN, "read:balance", NOON + SECONDS)
    assert (found["account"], found["client_id"]) == ("acme-dev", "budget-buddy")
    assert "username" not in found
    assert "auth_time" not in found
    found = await explained(ground, token, scope="read:balance transfer:funds")
    assert found["scopes"] == {"read:balance": "granted", "transfer:funds": "scope_not_requested"}


async def test_nobody_signed_in_for_it_so_userinfo_tells_nothing(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    with pytest.raises(InsufficientScope):
        await who(ground, token)


async def test_a_token_asked_for_late_lives_no_longer_than_the_first(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    ground.clock.pass_(SECONDS - 20)
    reply = await cleanup(ground, scope="read:balance")
    assert reply["expires_in"] == 20
    jwt = claims_of(str((await cleanup(ground, scope="create:events"))["access_token"]))
    assert jwt["exp"] == NOON + SECONDS


async def test_at_its_end_the_token_is_dead_whether_or_not_a_job_has_been_there(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    ground.clock.pass_(SECONDS - 1)
    assert (await introspected(ground, token))["active"]
    ground.clock.pass_(1)
    assert await introspected(ground, token) == GONE
    assert (await explained(ground, token))["cause"] == "grant_ended"
    with pytest.raises(InvalidGrant):
        await cleanup(ground, scope="read:balance")
    assert await over(ground) == 1
    assert await over(ground) == 0
    assert await introspected(ground, token) == GONE
    assert (await explained(ground, token))["because"] == "uninstalled"
    assert [type for type, _ in await recorded(ground.store)] == ["install.deleting", "install.deleted"]
    assert (await recorded(ground.store))[1][1] == WHERE
    assert [act for act in await ground.audited() if act.startswith("install_")] == ["install_cleanup.opened", "install_cleanup.ended"]


async def test_the_row_of_the_token_is_one_however_often_it_is_asked_for(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    for _ in range(3):
        await cleanup(ground, scope="read:balance")
    assert await ground.number("SELECT COUNT(*) FROM authorization_row") == 1


async def test_an_admin_who_blocks_the_app_kills_the_token(ground: Playground) -> None:
    client = await listening_app(ground)
    await uninstalled(ground, client)
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    await ground.sql("UPDATE client SET disabled_at = 1, epoch = epoch + 1")
    assert await introspected(ground, token) == GONE
    with pytest.raises(InvalidGrant):
        await cleanup(ground, scope="read:balance")
    await ground.sql("UPDATE client SET disabled_at = NULL")  # letting it in again revives nothing
    assert await introspected(ground, token) == GONE


@pytest.mark.parametrize("act", ["disable_user", "delete_user"])
async def test_the_end_of_the_user_ends_the_cleaning(ground: Playground, act: str) -> None:
    from gatewright.audit.deed import Deed
    from gatewright.store import Tx
    from gatewright.users import book as users

    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])

    async def end(tx: Tx) -> None:
        row = await tx.one(users.BY_ID, id=b.PERSON, tenant=b.TENANT)
        assert row is not None
        await {"disable_user": users.disable_user, "delete_user": users.delete_user}[act](
            Deed(tx, ground.clock.moment(), b.TENANT, "os:test"), row
        )

    await ground.store.run(end)
    assert await introspected(ground, token) == GONE
    with pytest.raises(InvalidGrant):
        await cleanup(ground, scope="read:balance")
    await ground.sql("UPDATE person SET disabled_at = NULL, deleted_at = NULL")
    with pytest.raises(InvalidGrant):
        await cleanup(ground, scope="read:balance")
    assert await over(ground) == 1
    assert [type for type, _ in await recorded(ground.store)] == ["install.deleting", "install.deleted"]


async def test_a_closed_account_ends_the_cleaning(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    await ground.sql("UPDATE account SET disabled_at = 1, epoch = epoch + 1")
    assert await introspected(ground, token) == GONE
    with pytest.raises(InvalidGrant):
        await cleanup(ground, scope="read:balance")


async def test_the_app_may_give_its_token_back(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    await revoked(ground, token)
    assert await introspected(ground, token) == GONE


async def test_a_scope_that_is_no_longer_marked_is_no_longer_given(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    ground.directory.catalogues[b.TENANT] = b.CATALOGUE
    from gatewright.oauth.errors import InvalidScope

    with pytest.raises(InvalidScope):
        await cleanup(ground, scope="read:balance")


async def test_what_is_left_of_an_app_is_not_in_its_users_list(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    assert await ground.grants.of_person(b.TENANT, b.PERSON, NOON) == []


async def test_an_admin_can_end_the_cleaning_and_the_app_is_told(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    token = str((await cleanup(ground, scope="read:balance"))["access_token"])
    number = await ground.store.one(Query(int, "SELECT id FROM consent_grant WHERE source = 'cleanup'"))
    assert number is not None
    assert await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=number, because="by_admin", actor="os:test")
    assert await introspected(ground, token) == GONE
    assert [type for type, _ in await recorded(ground.store)] == ["install.deleting", "install.deleted"]


# ---------------------------------------------------------------- not offered


async def test_remove_now_leaves_nothing_to_clean_up_with(ground: Playground) -> None:
    client = await listening_app(ground)
    assert await uninstalled(ground, client, at_once=True) is None
    assert await recorded(ground.store) == [("install.deleted", WHERE)]
    with pytest.raises(InvalidGrant):
        await cleanup(ground)


async def test_an_app_that_had_nothing_marked_is_gone_at_once(ground: Playground) -> None:
    client = await listening_app(ground)
    assert await uninstalled(ground, client, had=frozenset({b.TRANSFER.id, b.VIEW_EVENTS.id})) is None
    assert [type for type, _ in await recorded(ground.store)] == ["install.deleted"]


async def test_an_app_gets_no_scope_that_it_never_had_though_it_is_marked(ground: Playground) -> None:
    client = await listening_app(ground)
    await uninstalled(ground, client, had=HAD - {MADE.id})
    assert (await cleanup(ground))["scope"] == "read:balance"
    granted = await ground.store.one(Query(str, "SELECT granted FROM consent_grant WHERE source = 'cleanup'"))
    assert granted == text_of((KEPT.id,))


async def test_an_app_that_is_told_nothing_has_nothing_to_wait_for(ground: Playground) -> None:
    client = await listening_app(ground)
    await ground.sql("UPDATE webhook_endpoint SET disabled_at = 1, disabled_because = 'removed'")
    assert await uninstalled(ground, client) is None
    assert await recorded(ground.store) == []


async def test_an_installation_is_cleaned_up_once(ground: Playground) -> None:
    client = await listening_app(ground)
    await uninstalled(ground, client)
    ground.clock.pass_(SECONDS)
    await over(ground)
    assert await ground.number("SELECT COUNT(*) FROM consent_grant WHERE acting = :install", install=INSTALL) == 1
