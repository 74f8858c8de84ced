"""An event is there if and only if what it tells of was committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from gatewright.accounts import book as accounts
from gatewright.accounts.book import MEMBERSHIPS_OF
from gatewright.accounts.records import AccountRow
from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.ledger import grants
from gatewright.ledger.grants import Giving
from gatewright.ledger.managing import narrow_grants
from gatewright.ledger.target import Target
from gatewright.ledger.telling import BATCH, fan_out
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.client import Client
from gatewright.store import Query, Store, Tx
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential
from gatewright.users import book as users
from gatewright.users.records import UserRow
from gatewright.webhooks import book
from gatewright.webhooks.outbox import record_event
from gatewright.webhooks.records import EventType
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes
from tests.support.world import Playground
from tests.webhooks.conftest import listening
from tests.webhooks.recorded import recorded, rows

T = TypeVar("T")

USER, ACCOUNT = ids.show(ids.USER, b.PERSON), ids.show(ids.ACCOUNT, b.ACCOUNT)
GRANTS = Query(int, "SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NULL")
AUDIT = Query(int, "SELECT COUNT(*) FROM audit")
_ADD_GRANT = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at, changed_at)
       VALUES (:id, :tenant, :client, :account, :person, 0, '1', '', '', 'user', :now, :now)""",
)
_ADD_SCOPE = Query(
    None,
    """INSERT INTO scope (id, tenant, api, name, text, risk, reach, implies, cleanup, created_at, place)
       VALUES (:id, :tenant, 101, :name, :name, 'normal', 'account', '', 0, 0, :id)""",
)


async def manage(ground: Playground, act: Callable[[Deed], Awaitable[T]], store: Store | None = None) -> T:
    at = ground.clock.moment()

    async def unit(tx: Tx) -> T:
        return await act(Deed(tx, at, b.TENANT, "os:test"))

    return await (store or ground.store).run(unit)


async def the_user(store: Store) -> UserRow:
    found = await store.one(users.BY_ID, id=b.PERSON, tenant=b.TENANT)
    assert found is not None
    return found


async def the_account(store: Store) -> AccountRow:
    found = await store.one(accounts.BY_ID, id=b.ACCOUNT, tenant=b.TENANT)
    assert found is not None
    return found


async def many_grants(ground: Playground, client: int, count: int, *, person: int = b.PERSON) -> None:
    """Grants of one person to one client in as many accounts."""

    async def put(tx: Tx) -> None:
        for number in range(count):
            account = b.ACCOUNT + 10 * number
            await tx.do(_ADD_GRANT, id=90_000 + number, tenant=b.TENANT, client=client, account=account, person=person, now=NOON)

    await ground.store.run(put)


# ---------------------------------------------------------------- who is told


async def test_a_client_without_an_address_is_told_nothing(ground: Playground) -> None:
    client = await ground.add()
    granted = await ground.grant(client, OPENID)
    await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=granted.id, because="withdrawn", actor=USER)
    await manage(ground, lambda deed: _disable(deed, ground.store))
    assert await fan_out(ground.store, ground.clock) == 0
    assert await recorded(ground.store) == []
    assert await ground.number("SELECT COUNT(*) FROM webhook_fan_out") == 0


async def _disable(deed: Deed, store: Store) -> bool:
    found = await deed.tx.one(users.BY_ID, id=b.PERSON, tenant=b.TENANT)
    assert found is not None
    return await users.disable_user(deed, found)


async def test_a_withdrawn_grant_is_told_with_ids_alone(ground: Playground, app: Client) -> None:
    granted = await ground.grant(app, OPENID)
    await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=granted.id, because="withdrawn", actor=USER)
    told = {"grant_id": ids.show(ids.GRANT, granted.id), "account_id": ACCOUNT, "user_id": USER, "because": "withdrawn"}
    assert await recorded(ground.store) == [("grant.revoked", told)]
    (row,) = await rows(ground.store)
    assert (row.at, row.state, row.tries, row.next_at) == (NOON, "waiting", 0, NOON)


async def test_a_grant_that_is_over_already_is_not_told_again(ground: Playground, app: Client) -> None:
    granted = await ground.grant(app, OPENID)
    for _ in range(2):
        await ground.grants.end(ground.clock.moment(), tenant=b.TENANT, number=granted.id, because="by_admin", actor="os:test")
    assert len(await recorded(ground.store)) == 1


async def test_a_further_consent_is_told_and_the_first_or_a_repeated_one_is_not(ground: Playground, app: Client) -> None:
    await ground.write(_ADD_SCOPE, id=b.READ_BALANCE.id, tenant=b.TENANT, name="read:balance")
    await ground.write(_ADD_SCOPE, id=b.TRANSFER.id, tenant=b.TENANT, name="transfer:funds")
    granted = await ground.grant(app, OPENID)
    await ground.grant(app, OPENID)
    assert await recorded(ground.store) == []
    await ground.grant(app, b.READ_BALANCE.id, declined=frozenset({b.TRANSFER.id}))
    told = {
        "grant_id": ids.show(ids.GRANT, granted.id),
        "account_id": ACCOUNT,
        "user_id": USER,
        "scopes": ["openid", "read:balance"],
        "declined_scopes": ["transfer:funds"],
    }
    assert await recorded(ground.store) == [("grant.updated", told)]


@pytest.mark.parametrize("party", ["grant", "client", "person", "account"])
async def test_what_is_narrowed_at_once_is_told_grant_by_grant_and_once(ground: Playground, app: Client, party: str) -> None:
    await ground.write(_ADD_SCOPE, id=b.READ_BALANCE.id, tenant=b.TENANT, name="read:balance")
    kept = await ground.grant(app, OPENID, b.READ_BALANCE.id)
    named = {"grant": kept.id, "client": app.id, "person": b.PERSON, "account": b.ACCOUNT}
    target = Target(tenant=b.TENANT, **{party: named[party]})
    taken = frozenset({b.READ_BALANCE.id})
    done = await narrow_grants(ground.store, ground.clock.moment(), target, taken, actor="os:test")
    assert (done.grants, done.ended) == (1, 0)
    for _ in range(2):
        await fan_out(ground.store, ground.clock)
    ((type, told),) = await recorded(ground.store)
    assert (type, told["grant_id"], told["scopes"]) == ("grant.updated", ids.show(ids.GRANT, kept.id), ["openid"])


async def test_what_is_narrowed_to_nothing_is_told_to_have_ended(ground: Playground, app: Client) -> None:
    await many_grants(ground, app.id, BATCH + 3)
    target = Target(tenant=b.TENANT, client=app.id)
    done = await narrow_grants(ground.store, ground.clock.moment(), target, frozenset({OPENID}), actor="os:test")
    assert (done.grants, done.ended) == (BATCH + 3, BATCH + 3)
    await fan_out(ground.store, ground.clock)
    told = await recorded(ground.store)
    assert [type for type, _ in told] == ["grant.revoked"] * (BATCH + 3)
    assert {data["because"] for _, data in told} == {"by_admin"}


async def test_secrets_that_come_and_go_are_told_without_themselves(ground: Playground, app: Client) -> None:
    number = await manage(
        ground,
        lambda deed: credentials.add(
            deed, "client", app.id, app.client_id, NewCredential(method="sha256", digest="a digest of it", label="x")
        ),
    )
    await manage(ground, lambda deed: credentials.end(deed, "client", app.id, app.client_id, number))
    await manage(ground, lambda deed: credentials.add(deed, "api", app.id, "an API", NewCredential(method="sha256", digest="another")))
    shown = {"secret_id": ids.show(ids.SECRET, number)}
    assert await recorded(ground.store) == [("secret.added", shown), ("secret.ended", shown)]


async def test_another_tenants_client_is_told_nothing(ground: Playground, app: Client) -> None:
    async def elsewhere(tx: Tx) -> bool:
        return await record_event(tx, ground.clock.moment(), tenant=b.TENANT + 1, client=app.id, type=EventType.TEST, data={})

    assert not await ground.store.run(elsewhere)
    assert await recorded(ground.store) == []


async def test_a_disabled_client_is_told_nothing_until_it_is_enabled(ground: Playground, app: Client) -> None:
    await manage(ground, lambda deed: book.block(deed, app.id))
    assert not await manage(ground, lambda deed: _test(deed, app.id))
    await manage(ground, lambda deed: book.unblock(deed, app.id))
    assert await manage(ground, lambda deed: _test(deed, app.id))


async def test_a_client_that_names_no_address_any_more_is_told_nothing(ground: Playground, app: Client) -> None:
    await manage(ground, lambda deed: book.follow(deed, app.id, app.client_id, "https://app.example/events", None))
    assert not await manage(ground, lambda deed: _test(deed, app.id))
    await manage(ground, lambda deed: book.follow(deed, app.id, app.client_id, None, "https://app.example/again"))
    assert await manage(ground, lambda deed: _test(deed, app.id))


async def _test(deed: Deed, client: int) -> bool:
    return await record_event(deed.tx, deed.at, tenant=b.TENANT, client=client, type=EventType.TEST, data={})


async def test_an_event_with_other_members_than_its_type_has_is_our_mistake(ground: Playground, app: Client) -> None:
    async def wrong(tx: Tx) -> bool:
        return await record_event(
            tx, ground.clock.moment(), tenant=b.TENANT, client=app.id, type=EventType.USER_DISABLED, data={"email": "x@y.z"}
        )

    with pytest.raises(ValueError, match="has the members user_id"):
        await ground.store.run(wrong)


# ---------------------------------------------------------------- one act, many grants


async def test_a_user_with_many_grants_is_disabled_by_as_many_statements_as_one_with_one(ground: Playground, app: Client) -> None:
    user = await the_user(ground.store)
    await many_grants(ground, app.id, 3 * BATCH)
    before = ground.store.counts.statements
    await manage(ground, lambda deed: users.disable_user(deed, user))
    assert ground.store.counts.statements - before <= 8
    assert await recorded(ground.store) == []


async def test_each_client_is_told_once_that_a_user_was_disabled(ground: Playground, app: Client) -> None:
    other = await listening(ground, number=b.CLIENT + 1, name="other")
    user = await the_user(ground.store)
    await many_grants(ground, app.id, 2 * BATCH + 7)
    await ground.grants.give(
        ground.clock.moment(), Giving(tenant=b.TENANT, client=other.id, source="user", actor="x", person=b.PERSON, granted=frozenset({1}))
    )
    await manage(ground, lambda deed: users.disable_user(deed, user))
    ground.clock.pass_(30)
    assert await fan_out(ground.store, ground.clock) == 2 * BATCH + 8
    assert await recorded(ground.store) == [("user.disabled", {"user_id": USER})] * 2
    assert {row.client for row in await rows(ground.store)} == {app.id, other.id}
    assert {(row.at, row.since) for row in await rows(ground.store)} == {(NOON, NOON + 30)}
    assert await ground.number("SELECT COUNT(*) FROM webhook_fan_out") == 0


async def test_a_grant_made_after_the_user_was_disabled_is_not_concerned(ground: Playground, app: Client) -> None:
    user = await the_user(ground.store)
    await manage(ground, lambda deed: users.disable_user(deed, user))
    ground.clock.pass_(1)
    await ground.grant(app, OPENID)
    await fan_out(ground.store, ground.clock)
    assert await recorded(ground.store) == []


async def test_the_deletion_of_a_user_is_told_once_and_not_grant_by_grant(ground: Playground, app: Client) -> None:
    user = await the_user(ground.store)
    await many_grants(ground, app.id, 5)
    await manage(ground, lambda deed: users.delete_user(deed, user))
    await fan_out(ground.store, ground.clock)
    assert await recorded(ground.store) == [("user.deleted", {"user_id": USER})]


@pytest.mark.parametrize(("act", "type"), [(accounts.disable_account, "account.disabled"), (accounts.delete_account, "account.deleted")])
async def test_an_account_that_is_closed_is_told_to_each_app_in_it(
    ground: Playground, app: Client, act: Callable[[Deed, AccountRow], Awaitable[bool]], type: str
) -> None:
    await ground.grant(app, OPENID)
    account = await the_account(ground.store)
    await manage(ground, lambda deed: act(deed, account))
    await fan_out(ground.store, ground.clock)
    assert await recorded(ground.store) == [(type, {"account_id": ACCOUNT})]


async def test_what_a_member_gave_is_told_when_the_membership_ends(ground: Playground, app: Client) -> None:
    granted = await ground.grant(app, OPENID)
    elsewhere = await ground.grant(app, OPENID, account=0)
    (membership,) = await ground.store.all(MEMBERSHIPS_OF, person=b.PERSON, tenant=b.TENANT)
    await manage(ground, lambda deed: accounts.end_membership(deed, membership))
    await fan_out(ground.store, ground.clock)
    told = {"grant_id": ids.show(ids.GRANT, granted.id), "account_id": ACCOUNT, "user_id": USER, "because": "membership_ended"}
    assert await recorded(ground.store) == [("grant.revoked", told)]
    assert elsewhere.id != granted.id


@pytest.mark.parametrize(("party", "number"), [("person", b.PERSON), ("account", b.ACCOUNT), ("client", b.CLIENT)])
async def test_every_grant_of_a_party_that_is_ended_at_once_is_told(
    ground: Playground, app: Client, party: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "BATCH", BATCH // 2)  # they end in several parts, and are told by one row
    count = BATCH + 3 if party != "account" else 1
    await many_grants(ground, app.id, count)

    async def all_of(tx: Tx) -> int:
        at = ground.clock.moment()
        return await grants.end_matching(tx, at, tenant=b.TENANT, **{party: number}, because="by_admin", actor="os:test")

    assert await ground.store.run(all_of) == count
    assert await ground.number("SELECT COUNT(*) FROM webhook_fan_out") == 1
    await fan_out(ground.store, ground.clock)
    told = await recorded(ground.store)
    assert [type for type, _ in told] == ["grant.revoked"] * count
    assert len({data["grant_id"] for _, data in told}) == count


async def test_a_grant_that_ended_singly_in_the_same_second_is_told_once(ground: Playground, app: Client) -> None:
    await many_grants(ground, app.id, 3)
    at = ground.clock.moment()
    await ground.grants.end(at, tenant=b.TENANT, number=90_001, because="by_admin", actor="os:test")

    async def all_of(tx: Tx) -> int:
        return await grants.end_matching(tx, at, tenant=b.TENANT, person=b.PERSON, because="by_admin", actor="os:test")

    assert await ground.store.run(all_of) == 2
    await fan_out(ground.store, ground.clock)
    assert len(await recorded(ground.store)) == 3


async def test_two_nodes_that_tell_at_once_tell_each_client_once(ground: Playground, app: Client, nodes: Nodes) -> None:
    await many_grants(ground, app.id, 2 * BATCH)
    at = ground.clock.moment()

    async def all_of(tx: Tx) -> int:
        return await grants.end_matching(tx, at, tenant=b.TENANT, person=b.PERSON, because="by_admin", actor="os:test")

    await ground.store.run(all_of)
    second = await nodes()
    await asyncio.gather(fan_out(ground.store, ground.clock), fan_out(second, ground.clock))
    await fan_out(second, ground.clock)
    assert len(await recorded(ground.store)) == 2 * BATCH


# ---------------------------------------------------------------- crashes


Act = Callable[[Any, Playground, Client], Awaitable[object]]


async def _end_grant(store: Store, ground: Playground, app: Client) -> object:
    number = await ground.number("SELECT id FROM consent_grant")
    assert number is not None
    at = ground.clock.moment()
    return await store.run(grants.end, at, tenant=b.TENANT, number=number, because="withdrawn", actor=USER)


async def _give_more(store: Store, ground: Playground, app: Client) -> object:
    giving = Giving(tenant=b.TENANT, client=app.id, source="user", actor=USER, person=b.PERSON, account=b.ACCOUNT, granted=frozenset({2}))
    return await store.run(grants.give, ground.clock.moment(), giving)


async def _disable_user(store: Store, ground: Playground, app: Client) -> object:
    user = await the_user(ground.store)
    return await manage(ground, lambda deed: users.disable_user(deed, user), store)


async def _delete_user(store: Store, ground: Playground, app: Client) -> object:
    user = await the_user(ground.store)
    return await manage(ground, lambda deed: users.delete_user(deed, user), store)


async def _disable_account(store: Store, ground: Playground, app: Client) -> object:
    account = await the_account(ground.store)
    return await manage(ground, lambda deed: accounts.disable_account(deed, account), store)


async def _end_membership(store: Store, ground: Playground, app: Client) -> object:
    (membership,) = await ground.store.all(MEMBERSHIPS_OF, person=b.PERSON, tenant=b.TENANT)
    return await manage(ground, lambda deed: accounts.end_membership(deed, membership), store)


async def _add_secret(store: Store, ground: Playground, app: Client) -> object:
    return await manage(
        ground, lambda deed: credentials.add(deed, "client", app.id, app.client_id, NewCredential(method="sha256", digest="d")), store
    )


async def _narrow_all(store: Store, ground: Playground, app: Client) -> object:
    target = Target(tenant=b.TENANT, client=app.id)
    return await narrow_grants(store, ground.clock.moment(), target, frozenset({OPENID}), actor="os:test")


ACTS: list[tuple[Act, str]] = [
    (_narrow_all, "grant.revoked"),
    (_end_grant, "grant.revoked"),
    (_give_more, "grant.updated"),
    (_disable_user, "user.disabled"),
    (_delete_user, "user.deleted"),
    (_disable_account, "account.disabled"),
    (_end_membership, "grant.revoked"),
    (_add_secret, "secret.added"),
]


@pytest.mark.parametrize(("act", "type"), ACTS, ids=[act.__name__ for act, _ in ACTS])
async def test_a_crash_anywhere_leaves_neither_the_change_nor_its_event(ground: Playground, app: Client, act: Act, type: str) -> None:
    await ground.grant(app, OPENID)
    audited = await ground.store.one(AUDIT)

    async def nothing(n: int) -> None:
        await fan_out(ground.store, ground.clock)
        assert await recorded(ground.store) == [], f"after a crash at statement {n}"
        assert await ground.store.one(AUDIT) == audited
        assert await ground.store.one(GRANTS) == 1

    _, crashes = await crash_everywhere(ground.store, lambda broken: act(broken, ground, app), nothing)
    assert crashes > 1
    await fan_out(ground.store, ground.clock)
    assert [told for told, _ in await recorded(ground.store)] == [type]


async def test_a_crash_while_many_are_told_loses_nobody_and_tells_nobody_twice(ground: Playground, app: Client) -> None:
    await many_grants(ground, app.id, 5)
    at = ground.clock.moment()

    async def all_of(tx: Tx) -> int:
        return await grants.end_matching(tx, at, tenant=b.TENANT, person=b.PERSON, because="by_admin", actor="os:test")

    await ground.store.run(all_of)

    async def still_pending(n: int) -> None:
        assert await recorded(ground.store) == []
        assert await ground.number("SELECT COUNT(*) FROM webhook_fan_out") == 1

    await crash_everywhere(ground.store, lambda broken: fan_out(broken, ground.clock), still_pending)
    assert len(await recorded(ground.store)) == 5
