"""What APIs report of the use of scopes, as those see it who manage a tenant; and taking from grants what nobody uses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.ledger import shrinking
from gatewright.ledger.scope_use import note
from gatewright.store import Query
from gatewright_guard.decide import needs
from gatewright_guard.introspect import Credentials
from gatewright_guard.usage import Usage
from gatewright_guard.verify import read_claims
from tests.guard.makers import AUDIENCE
from tests.http.talk import BANK_API, tokens
from tests.management.desk import Manager, at, managed, service
from tests.support.crash import crash_everywhere
from tests.support.house import ACME, ENVIRON, GLOBEX, Node, basic, open_nodes

DAY = 86_400
BANK = at(AUDIENCE)
JSON = ("content-type", "application/json")


async def switch(ops: Manager, *, on: bool = True) -> None:
    await ops.must("PATCH", f"/apis/{BANK}", {"usage": on}, {"if-match": "*"})


async def report(node: Node, uses: dict[str, list[str]] | None = None, *, lost: bool = False) -> dict[str, Any]:
    """Report as the bank's API."""
    document = {"day": day(node.time.now), "uses": uses or {}, "lost": lost}
    answer = await node.ask("POST", "/-/usage", headers=(BANK_API, JSON), body=msgspec.json.encode(document))
    assert answer.status == 200, answer
    return answer.json


async def authorization(node: Node) -> str:
    """The newest authorization."""
    number = await node.house.store.one(Query(int, "SELECT MAX(id) FROM authorization_row"))
    assert number is not None
    return ids.show(ids.AUTHORIZATION, number)


async def granted(node: Node, scope: str = "openid read:balance transfer:funds") -> str:
    """What Ann gave Budget Buddy; the authorization."""
    await tokens(node, scope)
    number = await node.house.store.one(Query(int, "SELECT MAX(id) FROM authorization_row WHERE code_used_by IS NOT NULL"))
    assert number is not None
    return ids.show(ids.AUTHORIZATION, number)


async def renewed(node: Node, got: dict[str, Any]) -> dict[str, Any]:
    """What the app gets for its refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    return (await node.post("/token", form, basic("budget-buddy"))).json


async def pass_days(node: Node, days: int, uses: dict[str, list[str]] | None = None) -> None:
    """Let days pass, on each of which the bank reports the same."""
    for _ in range(days):
        node.time.now += DAY
        await report(node, uses)


async def the_grant(ops: Manager) -> dict[str, Any]:
    (grant,) = (await ops.must("GET", "/grants?client=budget-buddy"))["items"]
    assert await ops.must("GET", f"/grants/{grant['id']}") == grant
    return dict(grant)


def use_of(grant: dict[str, Any]) -> dict[str, tuple[str, str | None, str | None]]:
    return {one["scope"]: (one["use"], one["last_used"], one["since"]) for one in grant["use"]}


async def test_a_grant_tells_of_each_scope_when_it_was_used_and_what_is_not_known(both: Node) -> None:
    ops, shown = await service(both), await granted(both)
    nothing = ("unknown", None, None)
    assert use_of(await the_grant(ops)) == {"openid": nothing, "read:balance": nothing, "transfer:funds": nothing}
    assert await report(both, {shown: ["read:balance"]}) == {"reporting": False}
    await switch(ops)
    assert await report(both, {shown: ["read:balance"]}) == {"reporting": True}
    began = day(both.time.now)
    told = use_of(await the_grant(ops))
    assert told == {"openid": nothing, "read:balance": ("used", began, began), "transfer:funds": ("unknown", None, began)}
    await pass_days(both, 91)
    told = use_of(await the_grant(await service(both)))
    assert told == {"openid": nothing, "read:balance": ("unused", began, began), "transfer:funds": ("never", None, began)}


async def test_switching_it_off_and_on_begins_anew(both: Node) -> None:
    ops, shown = await service(both), await granted(both)
    await switch(ops)
    await report(both, {shown: ["read:balance"]})
    both.time.now += DAY
    ops = await service(both)
    await switch(ops, on=False)
    assert [one["since"] for one in (await the_grant(ops))["use"]] == [None, None, None]
    await switch(ops)
    assert [one["since"] for one in (await the_grant(ops))["use"]] == [None, None, None], "it has not reported yet"
    await report(both)
    assert use_of(await the_grant(ops))["transfer:funds"] == ("unknown", None, day(both.time.now))


async def test_what_nobody_uses_is_taken_after_a_look_and_its_client_is_told(both: Node) -> None:
    ops, shown = await service(both), await granted(both)
    await switch(ops)
    await pass_days(both, 91, {shown: ["read:balance"]})
    ops = await service(both)
    what = {"unused": "90d", "client": "budget-buddy"}
    told = await ops.must("POST", "/grants/shrink?preview", what)
    assert told["hits"] == [{"count": 1, "what": "live grants"}, {"count": 1, "what": "scopes of them"}]
    assert (await the_grant(ops))["scopes"] == ["openid", "read:balance", "transfer:funds"], "a look changes nothing"
    done = {"grants": 1, "scopes": 1, "whole": 0, "kept": 0, "next": None}
    assert await ops.must("POST", "/grants/shrink", what) == done
    grant = await the_grant(ops)
    assert (grant["scopes"], grant["declined"]) == (["openid", "read:balance"], []), "it may be asked for again"
    assert await ops.must("POST", "/grants/shrink", what) == {**done, "grants": 0, "scopes": 0}, "twice is the same as once"
    (entry,) = (await ops.must("GET", f"/audit?subject={grant['id']}&act=grant.changed"))["items"]
    assert entry["actor"] == "ops"


async def test_a_token_from_a_refresh_has_what_is_left(both: Node) -> None:
    ops = await service(both)
    await switch(ops)
    got = await tokens(both, "openid read:balance transfer:funds")
    shown = await authorization(both)
    for _ in range(4):
        await pass_days(both, 23, {shown: ["read:balance"]})
        got = (
            await both.post("/token", {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}, basic("budget-buddy"))
        ).json
    assert "transfer:funds" in got["scope"]
    assert (await (await service(both)).must("POST", "/grants/shrink", {"unused": "90d"}))["grants"] == 1
    seen = (await both.post("/introspect", {"token": got["access_token"]}, BANK_API)).json
    assert seen["scope"] == "read:balance", "the token that is out has it no more either"
    got = await renewed(both, got)
    assert got["scope"] == "openid read:balance"


async def test_a_grant_of_which_nothing_is_used_and_one_that_is_given_unasked_stay(node: Node) -> None:
    ops = await service(node)
    await switch(ops)
    await granted(node, "read:balance transfer:funds")
    store = node.house.store
    await pass_days(node, 91)
    ops = await service(node)
    assert await ops.must("POST", "/grants/shrink", {"unused": "90d"}) == {"grants": 0, "scopes": 0, "whole": 1, "kept": 0, "next": None}
    for source in ("first_party", "operator", "account_admin"):

        async def unit(tx: Any, source: str = source) -> None:  # noqa: ANN401 - a transaction
            await tx.do(Query(None, "UPDATE consent_grant SET source = :source WHERE person <> 0"), source=source)

        await store.run(unit)
        told = await ops.must("POST", "/grants/shrink", {"unused": "90d"})
        assert (told["grants"], told["whole"], told["kept"]) == (0, 0, 1)


async def test_a_tenants_reports_and_grants_are_its_own(node: Node) -> None:
    ops, shown = await service(node), await granted(node)
    await switch(ops)
    document = {"day": day(node.time.now), "uses": {shown: ["read:balance"]}}
    for header in (BANK_API, basic(AUDIENCE, ENVIRON["BANK_SECRET_2"])):
        answer = await node.ask("POST", "/-/usage", headers=(header, JSON), body=msgspec.json.encode(document), host=GLOBEX)
        assert answer.status in (200, 401)
        assert "true" not in answer.text
    assert use_of(await the_grant(ops))["read:balance"] == ("unknown", None, None)


async def test_a_report_comes_as_json_or_as_a_form_and_in_no_other_way(node: Node) -> None:
    ops, shown = await service(node), await granted(node)
    await switch(ops)
    document = msgspec.json.encode({"day": day(node.time.now), "uses": {shown: ["read:balance"]}})
    assert (await node.post("/-/usage", {"report": document.decode()}, BANK_API)).json == {"reporting": True}
    assert use_of(await the_grant(ops))["read:balance"][0] == "used"
    form = {"report": document.decode(), "client_id": AUDIENCE, "client_secret": ENVIRON["BANK_SECRET"]}
    assert (await node.post("/-/usage", form)).json == {"reporting": True}
    assert (await node.ask("POST", "/-/usage", headers=(BANK_API, ("content-type", "text/plain")), body=document)).status == 415
    assert (await node.ask("POST", "/-/usage", headers=(BANK_API, JSON), body=b"\xff")).error == (400, "invalid_request")
    assert (await node.ask("POST", "/-/usage", headers=(BANK_API, JSON), body=document + b" " * 70_000)).status == 413
    assert (await node.ask("POST", "/-/usage", headers=(JSON,), body=document)).error == (401, "invalid_client")
    assert (await node.get("/-/usage", BANK_API)).status == 405
    assert (await node.post("/-/usage", {}, BANK_API)).error == (400, "invalid_request")


@pytest.mark.parametrize("unused", ["6d", "401d", "1h", "soon"])
async def test_the_time_is_one_in_which_use_can_be_told(ops: Manager, unused: str) -> None:
    problem = await ops.problem("POST", "/grants/shrink", {"unused": unused})
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/unused")


async def test_many_grants_are_gone_through_in_parts(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "PAGE", 1)
    monkeypatch.setattr(shrinking, "MOST", 1)
    ops = await service(node)
    await switch(ops)
    shown = await granted(node)
    await tokens(node, "openid read:balance transfer:funds", account="acme-prod")
    await pass_days(node, 91, {shown: ["read:balance"], await authorization(node): ["read:balance"]})
    ops, after, taken = await service(node), "", 0
    for _ in range(20):
        done = await ops.must("POST", "/grants/shrink", {"unused": "90d", "after": after})
        taken += done["grants"]
        if done["next"] is None:
            break
        after = done["next"]
    assert taken == 2


# ---------------------------------------------------------------- the guard's half and the server's together


async def test_what_a_guard_saw_arrives(both: Node) -> None:
    ops = await service(both)
    await switch(ops)
    got = await tokens(both, "openid read:balance transfer:funds")
    seen = (await both.post("/introspect", {"token": got["access_token"]}, BANK_API)).json
    claims = read_claims(seen, issuer=f"https://{ACME}", audience=AUDIENCE, now=both.time.now)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(both.gate)) as http:
        told = Usage(http, lambda: float(both.time.now), Credentials(AUDIENCE, ENVIRON["BANK_SECRET"]), f"https://{ACME}/-/usage")
        told.seen(claims, needs(any_of=["transfer:large", "read:balance"]))
        assert await told.flush()
    grant = await the_grant(ops)
    assert {name: use[0] for name, use in use_of(grant).items()} == {
        "openid": "unknown",
        "read:balance": "used",
        "transfer:funds": "unknown",
    }


async def test_reports_of_many_processes_at_once_are_one(place: str) -> None:
    async with open_nodes(place, 2) as nodes:
        await managed(nodes[0])
        await switch(await service(nodes[0]))
        await nodes[1].hear()
        shown = [await granted(nodes[0]) for _ in range(3)]
        uses = {one: ["read:balance", "transfer:funds"] for one in shown}
        answers = await asyncio.gather(*[report(nodes[number % 2], uses) for number in range(20)])
        assert answers == [{"reporting": True}] * 20
        rows = await nodes[0].house.store.all(Query(int, "SELECT days FROM scope_use"))
        assert rows == [1, 1], "one grant, two scopes, one day"


async def test_a_report_is_written_whole_or_not_at_all(both: Node) -> None:
    await switch(await service(both))
    shown, api = await granted(both), await both.house.store.one(Query(int, "SELECT id FROM api WHERE usage = 1"))
    number = ids.read(ids.AUTHORIZATION, shown)
    assert number is not None
    assert api is not None
    tenant = await both.tenant()
    read = (await both.house.world.directory.catalogue(tenant)).scopes_by_name["read:balance"].id

    async def act(store: Any) -> object:  # noqa: ANN401 - a store that crashes
        return await note(store, tenant, api, {number: frozenset({read})}, day=both.time.now // DAY, lost=False, now=both.time.now)

    async def check(_: int) -> None:
        counts = [await both.house.store.one(Query(int, f"SELECT count(*) FROM {table}")) for table in ("scope_use", "usage_report")]  # noqa: S608 - our own words
        assert counts == [0, 0]

    _, crashes = await crash_everywhere(both.house.store, act, check)
    assert crashes == 3
    assert use_of(await the_grant(await service(both)))["read:balance"][0] == "used"
