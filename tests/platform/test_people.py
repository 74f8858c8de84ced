"""What the acts on users, accounts and clients end, on both engines."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from gatewright.accounts import book as accounts
from gatewright.accounts.records import AccountRow, MembershipRow
from gatewright.apis import book as apis
from gatewright.audit.book import Act, entries
from gatewright.audit.deed import Deed, Refused
from gatewright.clients import book as clients
from gatewright.store import Query, Tx
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential
from gatewright.users import book as users
from gatewright.users.records import NewUser, UserRow
from tests.platform.played import SMALL, Played

T = TypeVar("T")

GRANT = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at, changed_at)
       VALUES (:id, :tenant, :client, :account, :person, 0, '1', '', '', 'user', 0, 0)""",
)
AUTHORIZATION = Query(
    None,
    """INSERT INTO authorization_row (id, tenant, issuer, opened_by, consent_grant, client, person, account, membership, session,
           client_epoch, person_epoch, account_epoch, epoch, scopes, resources, claims, access_secret, generation, session_bound,
           opened_at, sweep_at)
       VALUES (:id, :tenant, 'https://id.acme.test', 'authorization_code', :grant, :client, :person, :account, 0, 0,
               0, 0, 0, 0, '1', '', '', 'x', 0, 0, 0, 0)""",
)
SESSION = Query(
    None,
    """INSERT INTO session (id, tenant, issuer, person, person_epoch, digest, auth_time, acr, amr, agent, address, created_at, seen_at,
                            idle_until, until, lasting)
       VALUES (:id, :tenant, 'https://id.acme.test', :person, 0, '', 0, '1', 'pwd', '', '', 0, 0, 9, 9, 0)""",
)
ENDED = {
    name: Query(str, f"SELECT coalesce(ended_because, '') FROM {name} ORDER BY id")  # noqa: S608 - our own names
    for name in ("consent_grant", "authorization_row", "session")
}


class Place(Played):
    """The small platform with one user who has a session, and a grant with an authorization for the client."""

    async def settle(self) -> None:
        await self.apply(SMALL)
        tenant, user, account = await self.tenant(), await self.user(), await self.account()
        client = await self.client()
        parties = {"tenant": tenant, "client": client.id, "person": user.id, "account": account.id}
        await self.store.verb(GRANT, id=70, **parties)
        await self.store.verb(AUTHORIZATION, id=80, grant=70, **parties)
        await self.store.verb(SESSION, id=90, tenant=tenant, person=user.id)

    async def user(self) -> UserRow:
        row = await users.user_by_email(self.store, await self.tenant(), "u@acme.test")
        assert row is not None
        return row

    async def account(self) -> AccountRow:
        row = await accounts.account_named(self.store, await self.tenant(), "one")
        assert row is not None
        return row

    async def membership(self) -> MembershipRow | None:
        user, account = await self.user(), await self.account()
        return await self.store.one(accounts.MEMBERSHIP, person=user.id, account=account.id, tenant=await self.tenant())

    async def act(self, unit: Callable[[Deed], Awaitable[T]]) -> T:
        tenant, at = await self.tenant(), self.clock.moment()

        async def in_transaction(tx: Tx) -> T:
            return await unit(Deed(tx, at, tenant, "os:tester"))

        return await self.store.run(in_transaction)

    async def ended(self) -> tuple[str, ...]:
        return tuple([(await self.store.all(query))[0] for query in ENDED.values()])

    async def acts(self) -> list[str]:
        return [entry.act for entry in await entries(self.store, await self.tenant(), count=3)]


@pytest.fixture
async def place(played: Played) -> Place:
    settled = Place(played.store, played.file.parent)
    await settled.settle()
    return settled


async def test_disabling_a_user_ends_sessions_and_authorizations_and_enabling_revives_nothing(place: Place) -> None:
    user = await place.user()
    assert await place.act(lambda deed: users.disable_user(deed, user))
    assert await place.ended() == ("", "user_disabled", "user_disabled")
    assert ((await place.user()).status, (await place.user()).epoch) == ("disabled", 1)
    assert not await place.act(lambda deed: users.disable_user(deed, user))
    assert await place.act(lambda deed: users.enable_user(deed, user))
    assert not await place.act(lambda deed: users.enable_user(deed, user))
    assert ((await place.user()).status, (await place.user()).epoch) == ("active", 1)
    assert await place.ended() == ("", "user_disabled", "user_disabled")
    assert (await place.acts())[:2] == [Act.USER_ENABLED, Act.USER_DISABLED]


async def test_deleting_a_user_takes_everything_away_and_frees_the_address(place: Place) -> None:
    user = await place.user()
    assert await place.act(lambda deed: users.delete_user(deed, user))
    assert await place.ended() == ("user_deleted", "user_deleted", "user_deleted")
    assert await users.user_by_email(place.store, await place.tenant(), "u@acme.test") is None
    assert not await place.act(lambda deed: users.enable_user(deed, user))
    again = await place.act(lambda deed: users.make_user(deed, NewUser(email="U@acme.test")))
    assert again != user.id
    row = await place.store.one(users.BY_ID, id=user.id, tenant=await place.tenant())
    assert row is not None
    assert row.status == "deleted"
    assert row.profile == "{}"


async def test_an_address_has_one_user_however_it_is_spelled(place: Place) -> None:
    with pytest.raises(Refused, match=r"there is a user U@ACME\.test already"):
        await place.act(lambda deed: users.make_user(deed, NewUser(email="U@ACME.test")))


async def test_another_password_signs_out_whoever_knew_the_old_one(place: Place) -> None:
    user = await place.user()
    await place.act(lambda deed: users.set_password(deed, user, "a digest"))
    assert await place.ended() == ("", "by_admin", "by_admin")
    assert (await place.user()).epoch == 1


async def test_an_ended_membership_ends_what_was_given_through_it(place: Place) -> None:
    membership = await place.membership()
    assert membership is not None
    assert await place.act(lambda deed: accounts.end_membership(deed, membership))
    assert await place.ended() == ("membership_ended", "membership_ended", "")
    assert await place.membership() is None
    assert not await place.act(lambda deed: accounts.end_membership(deed, membership))
    user, account = await place.user(), await place.account()
    await place.act(lambda deed: accounts.join(deed, person=user.id, account=account.id, roles=frozenset()))
    again = await place.membership()
    assert again is not None
    assert again.id != membership.id


async def test_disabling_an_account_or_a_client_raises_its_epoch_once(place: Place) -> None:
    account = await place.account()
    assert await place.act(lambda deed: accounts.disable_account(deed, account))
    assert not await place.act(lambda deed: accounts.disable_account(deed, account))
    assert ((await place.account()).status, (await place.account()).epoch) == ("disabled", 1)
    assert await place.act(lambda deed: accounts.enable_account(deed, account))
    assert (await place.account()).epoch == 1
    row = await clients.client_named(place.store, await place.tenant(), "web")
    assert row is not None
    assert await place.act(lambda deed: clients.disable_client(deed, row))
    assert not await place.act(lambda deed: clients.disable_client(deed, row))
    assert await place.act(lambda deed: clients.enable_client(deed, row))
    client = await place.client()
    assert (client.disabled, client.epoch) == (False, 1)


async def test_deleting_an_account_ends_its_memberships_and_frees_the_slug(place: Place) -> None:
    account = await place.account()
    assert await place.act(lambda deed: accounts.delete_account(deed, account))
    assert await accounts.account_named(place.store, await place.tenant(), "one") is None
    assert not await place.act(lambda deed: accounts.delete_account(deed, account))
    held = await place.store.all(accounts.MEMBERSHIPS_OF, person=(await place.user()).id, tenant=await place.tenant())
    assert held == []
    assert await place.act(lambda deed: accounts.make_account(deed, "one", "One again")) != account.id
    with pytest.raises(Refused, match="there is an account one already"):
        await place.act(lambda deed: accounts.make_account(deed, "one", "Once more"))


async def test_roles_are_set_and_the_audit_says_what_was_gained_and_lost(place: Place) -> None:
    membership = await place.membership()
    assert membership is not None
    await place.act(lambda deed: accounts.set_roles(deed, membership, frozenset()))
    after = await place.membership()
    assert after is not None
    assert after.role_ids == frozenset()
    entry = (await entries(place.store, await place.tenant(), act=Act.MEMBERSHIP_ROLES_SET))[0]
    assert '"gained":[]' in entry.detail
    assert '"lost":["ro_' in entry.detail


async def test_a_retired_role_is_taken_from_everybody_and_comes_back_to_nobody(place: Place) -> None:
    tenant = await place.tenant()
    second = await place.act(lambda deed: apis.make_role(deed, "Second", frozenset()))
    third = await place.act(lambda deed: apis.make_role(deed, "Third", frozenset()))
    membership = await place.membership()
    assert membership is not None
    everything = membership.role_ids | {second, third}
    await place.act(lambda deed: accounts.set_roles(deed, membership, everything))
    row = next(role for role in await apis.roles_of(place.store, tenant) if role.id == second)
    assert await place.act(lambda deed: apis.retire_role(deed, row))
    assert not await place.act(lambda deed: apis.retire_role(deed, row))
    after = await place.membership()
    assert after is not None
    assert after.role_ids == everything - {second}
    retired = next(role for role in await apis.roles_of(place.store, tenant) if role.id == second)
    await place.act(lambda deed: apis.change_role(deed, retired, frozenset()))
    back = await place.membership()
    assert back is not None
    assert back.role_ids == everything - {second}


async def test_a_secret_is_added_beside_others_and_ends_alone(place: Place) -> None:
    tenant, client = await place.tenant(), await place.client()
    number = await place.act(lambda deed: credentials.add(deed, "client", client.id, "web", NewCredential(method="sha256", digest="d")))
    now = place.clock.now
    assert len(await credentials.live(place.store, tenant, client.id, now)) == 2
    assert await place.act(lambda deed: credentials.end(deed, "client", client.id, "web", number))
    assert not await place.act(lambda deed: credentials.end(deed, "client", client.id, "web", number))
    assert not await place.act(lambda deed: credentials.end(deed, "client", client.id + 1, "web", client.secrets[0].id))
    assert [row.id for row in await credentials.live(place.store, tenant, client.id, now)] == [client.secrets[0].id]


async def test_acts_of_another_tenant_do_nothing(place: Place) -> None:
    user, account = await place.user(), await place.account()
    row = await clients.client_named(place.store, await place.tenant(), "web")
    membership = await place.membership()
    assert row is not None
    assert membership is not None
    at = place.clock.moment()

    async def foreign(tx: Tx) -> list[bool]:
        deed = Deed(tx, at, 4711, "os:tester")
        return [
            await users.disable_user(deed, user),
            await users.delete_user(deed, user),
            await accounts.disable_account(deed, account),
            await accounts.delete_account(deed, account),
            await accounts.end_membership(deed, membership),
            await clients.disable_client(deed, row),
        ]

    assert not any(await place.store.run(foreign))
    assert await place.ended() == ("", "", "")


async def test_the_audit_log_lists_by_act_actor_and_subject(place: Place) -> None:
    tenant = await place.tenant()
    everything = await entries(place.store, tenant, count=1000)
    assert [entry.id for entry in everything] == sorted((entry.id for entry in everything), reverse=True)
    made = await entries(place.store, tenant, act=Act.SCOPE_MADE)
    assert len(made) == 2
    assert await entries(place.store, tenant, actor="os:nobody") == []
    one = await entries(place.store, tenant, subject="web", act=Act.CLIENT_MADE)
    assert len(one) == 1
    older = await entries(place.store, tenant, before=everything[0].id, count=1)
    assert older == everything[1:2]
    assert await entries(place.store, tenant + 1) == []
