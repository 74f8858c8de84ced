"""Whole or not at all, where no operation leads: signing keys, what `gatewright init` makes, and a sign-in with a password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gatewright.base.secret import Secret
from gatewright.cli.setup import First, furnish
from gatewright.keys.book import NEWEST, NewKey, add, add_all, drop
from gatewright.keys.signing import make
from gatewright.signin.by_password import Attempt, PasswordDoor, Proof, SignedIn, _let_in, at_a_page
from gatewright.signin.pool import Lane
from gatewright.store import Query
from tests.management.test_whole import dump
from tests.support.crash import crash_everywhere
from tests.support.house import ACME, ENVIRON, PEER, Node

Act = Callable[[Any], Awaitable[object]]  # of a store that crashes

NEW_TENANT = 4711
KID = Query(str, "SELECT kid FROM signing_key WHERE id = :id")


async def newest(node: Node) -> int:
    """The key that signs for the tenant now."""
    found = await node.house.store.one(NEWEST, tenant=await node.tenant(), alg="ES256")
    assert found is not None
    return found


async def a_key_that_follows(node: Node) -> Act:
    """The old key gets its end with the new one, or keeps signing."""
    tenant, at = await node.tenant(), node.house.clock.moment()
    starts, over = at.now + 60, at.now + 120
    made = make("ES256")
    new = NewKey(tenant=tenant, made=made, wrapped="wrapped", signs_from=starts, follows=await newest(node), published_until=over)
    return lambda store: store.run(add, at, new)


async def the_keys_of_a_new_tenant(node: Node) -> Act:
    """Nobody sees the key of one algorithm without the other's."""
    at = node.house.clock.moment()
    several = [NewKey(tenant=NEW_TENANT, made=make(alg), wrapped="wrapped", signs_from=at.now) for alg in ("ES256", "EdDSA")]
    return lambda store: store.run(add_all, at, several)


async def a_key_that_is_taken_away(node: Node) -> Act:
    """It is gone, written down, announced and told to APIs, or still good."""
    tenant, at = await node.tenant(), node.house.clock.moment()
    kid = await node.house.store.one(KID, id=await newest(node))
    return lambda store: store.run(drop, at, tenant, kid, "os:tester")


async def an_empty_store(node: Node) -> Act:
    """Tenant, domains, account, role and administrator: all of them or none."""
    first = First("fresh", "Fresh", ("https://id.fresh.test", "https://login.fresh.test"), "admin@fresh.test")
    return lambda store: furnish(store, node.house.clock, first, "os:tester")


async def a_tenant_without_its_administrator(node: Node) -> Act:
    """What is missing is made as a whole."""
    first = First("acme", "Acme", ("https://id.acme.test",), "admin@acme.test")
    return lambda store: furnish(store, node.house.clock, first, "os:tester")


async def a_sign_in(node: Node) -> Act:
    """Where somebody was signed in before: the session ends with the new one, and the newer digest and the counters go with it."""
    house, at = node.house, node.house.clock.moment()
    issuer = await house.sites.find(ACME.encode())
    assert issuer is not None
    door = PasswordDoor(house.store, house.passwords, house.throttle, house.log)
    attempt = Attempt(issuer=issuer, username="ann@acme.test", password=Secret(ENVIRON["ANN_PASSWORD"]), address=PEER)
    before = await door.enter(attempt, at)
    assert isinstance(before, SignedIn)
    previous = await house.sessions.find(issuer, before.session.cookie, at)
    assert previous is not None
    proof = await door.prove(attempt, at, lane=Lane.PAGE, refusal=at_a_page)
    assert isinstance(proof, Proof)
    attempt, proof = replace(attempt, previous=previous), replace(proof, renewed="a newer digest")
    return lambda store: store.run(_let_in, at, attempt, proof)


TOLD = {"audit", "change", "change_head"}


@pytest.mark.parametrize(
    ("unit", "whole"),
    [
        (a_key_that_follows, {"signing_key", *TOLD}),
        (the_keys_of_a_new_tenant, {"signing_key", *TOLD}),
        (a_key_that_is_taken_away, {"signing_key", "ending", *TOLD}),
        (an_empty_store, {"tenant", "domain", "account", "role", "person", "membership", *TOLD}),
        (a_tenant_without_its_administrator, {"account", "role", "person", "membership", *TOLD}),
        (a_sign_in, {"session", "person", "throttle", "audit"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_crash_anywhere_leaves_nothing_and_without_one_everything_is_there(
    both: Node, unit: Callable[[Node], Awaitable[Act]], whole: set[str]
) -> None:
    act = await unit(both)
    before, units = await dump(both), both.counts["units"]

    async def check(n: int) -> None:
        assert await dump(both) == before, f"something was left behind by a crash at statement {n}"

    _, crashes = await crash_everywhere(both.house.store, act, check)
    assert crashes > 1
    assert both.counts["units"] == units + crashes + 1, "one unit of work each time, so that none can end between two"
    after = await dump(both)
    assert {table for table, rows in after.items() if rows != before[table]} == whole
