"""A domain that a tenant gave up goes to no other tenant for 90 days, and back to it at once (`security-rules` 39)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gatewright.audit.deed import Deed, Refused
from gatewright.base.calendar import day
from gatewright.jobs.sweep import sweep
from gatewright.store import Query, Store, Tx
from gatewright.tenants.book import DOMAINS, RELEASED, add_domain, remove_domain
from gatewright.tenants.records import HOLD
from gatewright.tenants.rules import parse_origin
from tests.platform.played import Played
from tests.support.crash import crash_everywhere

OLD, NEW = "https://old.acme.test", "https://id.acme.test"
DAY = 86_400


def file(slug: str, *domains: str) -> str:
    named = ", ".join(f'"{domain}"' for domain in domains)
    return f'prune = true\n[tenant]\nslug = "{slug}"\nname = "{slug}"\ndomains = [{named}]\n'


async def given_up(played: Played, domain: str = OLD) -> None:
    """Acme had two domains and gave one up."""
    await played.apply(file("acme", NEW, domain))
    await played.apply(file("acme", NEW))


async def held(played: Played) -> list[str]:
    return await played.store.all(Query(str, "SELECT host FROM released_domain ORDER BY host"))


async def test_plan_and_apply_say_until_when_a_domain_is_kept(played: Played) -> None:
    await played.apply(file("acme", NEW, OLD))
    until = day(played.clock.moment().now + HOLD)
    said = f"domain {OLD}: this tenant may take it back at once, another one not before {until}"
    assert said in (await played.plan(file("acme", NEW))).notices
    assert await held(played) == [], "a plan changes nothing"
    assert said in (await played.apply(file("acme", NEW))).plan.notices
    assert await held(played) == ["old.acme.test"]


@pytest.mark.parametrize("domain", [OLD, "https://OLD.acme.test:443/"])
async def test_no_other_tenant_may_have_it(played: Played, domain: str) -> None:
    await given_up(played)
    today, until = played.clock.moment().now, day(played.clock.moment().now + HOLD)
    for wait in (HOLD - 1, 1):
        (fault,) = await played.faults(file("globex", domain))
        assert fault.startswith(f"line 5: tenant.domains[0]: this domain was another tenant's until {day(today)}, and people")
        assert fault.endswith(f"take another host, or wait until {until}; its former tenant may have it back at once")
        played.clock.pass_(wait)
    assert (await played.apply(file("globex", domain))).plan.changes != ()
    assert await held(played) == [], "what has a tenant again is no longer released"


async def test_its_former_tenant_takes_it_back_at_once(played: Played) -> None:
    await given_up(played)
    await played.apply(file("acme", NEW, OLD))
    assert await held(played) == []
    assert [row.origin for row in await played.store.all(DOMAINS, tenant=await played.tenant())] == [NEW, OLD]
    assert [said for said in await played.faults(file("globex", OLD)) if "taken already by the tenant acme" in said]


async def test_the_hold_begins_anew_with_each_release(played: Played) -> None:
    await given_up(played)
    played.clock.pass_(80 * DAY)
    await given_up(played)
    played.clock.pass_(80 * DAY)
    assert await played.faults(file("globex", OLD))


async def test_this_machine_is_nobodys(played: Played) -> None:
    for domain in ("http://127.0.0.1:8600", "http://localhost:8600", "http://[::1]:8600"):
        await given_up(played, domain)
        assert not [notice for notice in (await played.plan(file("acme", NEW))).notices if "take it back" in notice]
        await played.apply(file(f"globex-{len(domain)}", domain))
    assert await held(played) == []


async def test_the_port_is_part_of_the_name_and_of_nobody_else(played: Played) -> None:
    await given_up(played, OLD + ":8443")
    await played.apply(file("globex", OLD))
    assert await played.faults(file("initech", OLD + ":8443"))


async def test_whoever_comes_past_the_plan_is_refused_by_the_act_itself(played: Played) -> None:
    await given_up(played)
    await played.apply(file("globex", "https://id.globex.test"))
    globex = await played.store.one(Query(int, "SELECT id FROM tenant WHERE slug = 'globex'"))
    assert globex is not None

    async def take(tx: Tx) -> None:
        await add_domain(Deed(tx, played.clock.moment(), globex, "os:tester"), parse_origin(OLD), 1)

    with pytest.raises(Refused, match="was another tenant's until"):
        await played.store.run(take)


def _removal(played: Played, tenant: int) -> Callable[[Store], Awaitable[None]]:
    async def unit(tx: Tx) -> None:
        row = next(row for row in await tx.all(DOMAINS, tenant=tenant) if row.origin == OLD)
        await remove_domain(Deed(tx, played.clock.moment(), tenant, "os:tester"), row)

    async def act(store: Store) -> None:
        await store.run(unit)

    return act


async def test_a_crash_leaves_no_domain_between_two_tenants(played: Played) -> None:
    await played.apply(file("acme", NEW, OLD))
    tenant = await played.tenant()

    async def still_there(_: int) -> None:
        assert [row.origin for row in await played.store.all(DOMAINS, tenant=tenant)] == [NEW, OLD]
        assert await held(played) == []

    _, crashes = await crash_everywhere(played.store, _removal(played, tenant), still_there)
    assert crashes >= 4
    assert await played.store.one(RELEASED, host="old.acme.test") is not None


async def test_what_was_released_long_ago_is_swept(played: Played) -> None:
    await given_up(played)
    now = played.clock.moment().now
    assert "released_domain" not in await sweep(played.store, now + HOLD)
    assert (await sweep(played.store, now + HOLD + 1))["released_domain"] == 1
