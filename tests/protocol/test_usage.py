"""What APIs report of the use of scopes: counted for the API's own scopes under its own tenant's grants, and for nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.ledger.scope_use import FRESH, reporting, uses_of
from gatewright.oauth.catalogue import OPENID, Catalogue
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from gatewright.oauth.scope_use import DAY, GAP, Reporting
from gatewright.oauth.usage import OLDEST, usage
from gatewright_guard.report import MOST
from tests.protocol.asking import as_api, basic, members
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.world import Playground

READ, SEND = b.READ_BALANCE.id, b.TRANSFER.id
TODAY = NOON // DAY


@pytest.fixture(autouse=True)
def reports(ground: Playground) -> None:
    """The bank's API reports; the others do not."""
    known = b.CATALOGUE
    apis = [replace(api, usage=True) if api.id == b.BANK.id else api for api in known.apis.values() if api.id >= 100]
    scopes = [scope for scope in known.scopes.values() if scope.id >= 100]
    ground.directory.catalogues[b.TENANT] = Catalogue(apis, scopes, list(known.roles.values()))


async def report(ground: Playground, header: str | None = None, *, raw: str | None = None, **changed: object) -> dict[str, Any]:
    """What the bank's API is told of its report."""
    document = {"day": day(ground.clock.moment().now), "uses": {}} | changed
    text = msgspec.json.encode(document).decode() if raw is None else raw
    return await members(ground, usage, header or as_api(ground), {"report": text})


async def an_authorization(ground: Playground, *scopes: int) -> str:
    client = ground.directory.clients.get((b.TENANT, "budget-buddy")) or await ground.add()
    await ground.code(client, *(scopes or (OPENID, READ, SEND)))
    return ids.show(ids.AUTHORIZATION, (await ground.row()).id)


async def used(ground: Playground) -> dict[int, int]:
    """The last day of each scope of the only grant."""
    grant = await ground.number("SELECT id FROM consent_grant")
    assert grant is not None
    return dict((await uses_of(ground.store, b.TENANT, [grant])).get(grant, {}))


async def since(ground: Playground) -> Reporting | None:
    return (await reporting(ground.store, b.TENANT, ground.directory.catalogues[b.TENANT])).get(b.BANK.id)


async def test_a_use_is_kept_by_grant_scope_and_day(ground: Playground) -> None:
    shown = await an_authorization(ground)
    assert await report(ground, uses={shown: ["read:balance"]}) == {"reporting": True}
    assert await used(ground) == {READ: TODAY}
    assert await since(ground) == Reporting(b.BANK.id, NOON, NOON)
    ground.clock.pass_(2 * DAY)
    await report(ground, uses={shown: ["transfer:funds"]})
    assert await used(ground) == {READ: TODAY, SEND: TODAY + 2}


async def test_devices_of_one_grant_are_one(ground: Playground) -> None:
    first, second = await an_authorization(ground), await an_authorization(ground)
    await report(ground, uses={first: ["read:balance"], second: ["read:balance", "transfer:funds"]})
    assert await used(ground) == {READ: TODAY, SEND: TODAY}


async def test_a_report_that_comes_twice_or_late_changes_nothing(ground: Playground) -> None:
    shown = await an_authorization(ground)
    for days in (0, 0, 1, 1, -1, 0):
        await report(ground, uses={shown: ["read:balance"]}, day=day(NOON + days * DAY))
        ground.clock.pass_(DAY if days == 0 and await ground.number("SELECT count(*) FROM scope_use WHERE days = 1") else 0)
    assert await ground.number("SELECT days FROM scope_use") == 2


async def test_a_grant_that_was_used_today_is_told_as_used(ground: Playground) -> None:
    shown = await an_authorization(ground)
    await ground.uses.flush(ground.store)
    await ground.sql("UPDATE consent_grant SET used_at = NULL")
    ground.clock.pass_(2 * DAY)
    await report(ground, uses={shown: ["read:balance"]}, day=day(NOON))
    assert await ground.uses.flush(ground.store) == 0, "when it was used yesterday is not known to the hour"
    await report(ground, uses={shown: ["read:balance"]})
    assert await ground.uses.flush(ground.store) == 1


async def test_another_name_of_a_scope_is_the_same_scope(ground: Playground) -> None:
    shown = await an_authorization(ground)
    known = ground.directory.catalogues[b.TENANT]
    renamed = [replace(b.READ_BALANCE, aliases=("balance.read",)), b.TRANSFER]
    ground.directory.catalogues[b.TENANT] = Catalogue([known.apis[b.BANK.id]], renamed, [])
    await report(ground, uses={shown: ["balance.read"]})
    assert await used(ground) == {READ: TODAY}


# ---------------------------------------------------------------- whose it is not


async def test_an_api_that_is_not_to_report_changes_nothing_and_is_told(ground: Playground) -> None:
    shown = await an_authorization(ground, OPENID, b.CREATE_EVENTS.id)
    answer = await report(ground, as_api(ground, b.EVENTS), uses={shown: ["create:events"]})
    assert answer == {"reporting": False}
    assert await used(ground) == {}
    assert await ground.number("SELECT count(*) FROM usage_report") == 0


async def test_only_the_apis_own_scopes_under_live_grants_that_hold_them_are_counted(ground: Playground) -> None:
    shown = await an_authorization(ground, OPENID, READ, b.CREATE_EVENTS.id)
    known = await report(ground, uses={shown: ["read:balance"]})
    await ground.sql("DELETE FROM scope_use")
    strange = {
        shown: ["transfer:funds", "create:events", "openid", "gw:users:read", "nothing"],
        "az_0000000000000": ["read:balance"],
        "az_nonsense": ["read:balance"],
    }
    assert await report(ground, uses=strange) == known, "nobody learns which of them there are"
    assert await used(ground) == {}
    assert ground.usage.events["usage_ignored"] == 7
    await ground.sql("UPDATE consent_grant SET ended_at = :now", now=NOON)
    assert await report(ground, uses={shown: ["read:balance"]}) == known
    assert await used(ground) == {}
    assert ground.usage.events["usage_ignored"] == 8


async def test_another_tenants_authorizations_are_nobodys(ground: Playground) -> None:
    shown = await an_authorization(ground)
    await ground.sql("UPDATE authorization_row SET tenant = tenant + 1")
    assert await report(ground, uses={shown: ["read:balance"]}) == {"reporting": True}
    assert await ground.number("SELECT count(*) FROM scope_use") == 0


async def test_strangers_learn_nothing(ground: Playground) -> None:
    shown = await an_authorization(ground)
    as_api(ground)
    text = msgspec.json.encode({"day": day(NOON), "uses": {shown: ["read:balance"]}}).decode()
    for header in (None, basic("budget-buddy", "gws_x"), as_api(ground, secret="gwp_wrong"), basic("ap_0000000000000", "gwp_x")):
        ground.authorization = header
        with pytest.raises(InvalidClient):
            await usage(ground.ask({"report": text}), ground.world)
    ground.authorization = None
    assert await ground.number("SELECT count(*) FROM scope_use") == 0


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"day": "2027-02-30"}',
        '{"day": "2027-01-15", "url": "/accounts/7"}',
        '{"day": "2027-01-15", "uses": {"us_1": ["read:balance"]}}',
        '{"day": "2027-01-15", "uses": {"az_1": ["read balance"]}}',
        '{"day": "2027-01-15", "uses": {"az_1": "read:balance"}}',
        '{"day": "2027-01-15", "lost": 1}',
        '{"day": "2027-01-15", "uses": {' + ", ".join([f'"az_{number}": []' for number in range(MOST + 1)]) + "}}",
        '{"day": "2027-01-15", "uses": {"az_1": [' + ", ".join(['"a"'] * 101) + "]}}",
        '{"day": "2027-01-15", "uses": {"az_1": ["' + "a" * 201 + '"]}}',
    ],
)
async def test_what_is_no_report_is_refused(ground: Playground, raw: str) -> None:
    with pytest.raises(InvalidRequest, match="'report'"):
        await report(ground, raw=raw)
    assert await since(ground) is None


async def test_what_is_wrong_with_a_report_is_said_where_it_is(ground: Playground) -> None:
    for document, said in (
        ({"uses": {"us_1": ["a"]}}, "`key` in `$.uses`"),
        ({"uses": {"az_1": [1]}}, "`$.uses[...][0]`"),
        ({"x" * 5000: 1}, "unknown field"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await report(ground, **document)
        assert said in refused.value.description
        assert len(refused.value.description) < 300


@pytest.mark.parametrize(("days", "good"), [(-OLDEST, True), (-OLDEST - 1, False), (1, True), (2, False)])
async def test_a_day_is_reported_within_a_week(ground: Playground, days: int, good: bool) -> None:
    shown = await an_authorization(ground)
    if good:
        await report(ground, uses={shown: ["read:balance"]}, day=day(NOON + days * DAY))
        assert await used(ground) == {READ: TODAY + min(days, 0)}, "a day that has not begun here is today"
        return
    with pytest.raises(InvalidRequest):
        await report(ground, uses={shown: ["read:balance"]}, day=day(NOON + days * DAY))


async def test_a_report_costs_one_listing_and_one_unit_of_two_statements_however_much_is_in_it(ground: Playground) -> None:
    shown = [await an_authorization(ground) for _ in range(3)]
    many = {f"az_{number:013d}": ["read:balance"] for number in range(MOST - 3)}
    for document in ({}, {shown[0]: ["read:balance"]}, {one: ["read:balance", "transfer:funds"] for one in shown} | many):
        counts = ground.store.counts
        before = (counts.reads, counts.listings, counts.verbs, counts.units, counts.statements)
        await report(ground, uses=document)
        after = (counts.reads, counts.listings, counts.verbs, counts.units, counts.statements)
        spent = tuple(now - then for now, then in zip(after, before, strict=True))
        assert spent == (0, int(bool(document)), 0, 1, 2 if document else 1)


# ---------------------------------------------------------------- since when it is known


async def test_an_hour_of_reports_is_written_once(ground: Playground) -> None:
    await report(ground)
    ground.clock.pass_(FRESH)
    await report(ground)
    assert await since(ground) == Reporting(b.BANK.id, NOON, NOON)
    ground.clock.pass_(1)
    await report(ground)
    assert await since(ground) == Reporting(b.BANK.id, NOON, NOON + FRESH + 1)


@pytest.mark.parametrize(("silence", "anew"), [(GAP, False), (GAP + 1, True)])
async def test_a_long_silence_begins_it_anew(ground: Playground, silence: int, anew: bool) -> None:
    await report(ground)
    ground.clock.pass_(silence)
    await report(ground)
    assert await since(ground) == Reporting(b.BANK.id, NOON + silence * anew, NOON + silence)


async def test_a_loss_begins_it_anew(ground: Playground) -> None:
    shown = await an_authorization(ground)
    await report(ground, uses={shown: ["read:balance"]})
    ground.clock.pass_(60)
    await report(ground, lost=True)
    assert await since(ground) == Reporting(b.BANK.id, NOON + 60, NOON + 60)
    assert await used(ground) == {READ: TODAY}, "what was used was used"
