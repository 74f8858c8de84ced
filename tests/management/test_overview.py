"""How much there is, and when clients were last used: what the console's first page and its list of clients ask, on both engines."""

from __future__ import annotations

from gatewright.base.calendar import stamp
from gatewright.endings.records import FOLLOWED
from gatewright.management.counts import MOST
from gatewright.store import Query, Tx
from tests.management.desk import GLOBEX, service
from tests.support.house import Node

MANY = Query(
    None,
    """INSERT INTO account (id, tenant, slug, name, epoch, created_at)
       WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < CAST(:count AS BIGINT))
       SELECT 5000000 + n, CAST(:tenant AS BIGINT), 'many-' || n, 'Many', 0, 0 FROM number""",
)


async def fill(tx: Tx, tenant: int, count: int) -> None:
    """Make accounts, the quick way."""
    await tx.do(MANY, tenant=tenant, count=count)


async def test_what_is_live_is_counted_and_what_is_not_is_not(both: Node) -> None:
    ops = await service(both)
    before = await ops.must("GET", "/counts")
    assert before["apis"] == 5
    assert before["scopes"] == 8
    await ops.must(
        "POST", "/clients", {"client_id": "x", "client_name": "X", "redirect_uris": ["https://x.example/"], "scopes": ["openid"]}
    )
    await ops.must("POST", "/accounts", {"slug": "x", "name": "X"})
    await ops.must("POST", "/users", {"email": "x@acme.test"})
    made = await ops.must("GET", "/counts")
    assert {name: made[name] - before[name] for name in made if made[name] != before[name]} == {"clients": 1, "accounts": 1, "users": 1}
    await ops.must("POST", "/clients/x/disable")
    await ops.must("DELETE", "/accounts/x")
    await ops.must("DELETE", "/users/x@acme.test")
    await ops.must("POST", "/scopes/use:app/retire")
    await ops.must("POST", "/apis/https%3A%2F%2Fapps.acme.test/disable")
    gone = await ops.must("GET", "/counts")
    assert {name: gone[name] - before[name] for name in gone if gone[name] != before[name]} == {"scopes": -1, "apis": -1}


async def test_the_grants_of_one_tenant_are_not_counted_in_another(both: Node) -> None:
    from tests.http.talk import tokens

    ops = await service(both)
    before = (await ops.must("GET", "/counts"))["grants"]
    await tokens(both)
    assert (await ops.must("GET", "/counts"))["grants"] == before + 1
    assert await both.number("SELECT count(*) FROM consent_grant WHERE tenant = :tenant", tenant=await both.tenant(GLOBEX)) == 0


async def test_more_than_ten_thousand_are_not_counted_to_the_end(both: Node) -> None:
    ops = await service(both)
    await both.house.store.run(fill, await both.tenant(), MOST + 500)
    assert (await ops.must("GET", "/counts"))["accounts"] == MOST + 1


async def test_when_a_client_was_last_used_stands_beside_its_record_and_leaves_its_etag_alone(both: Node) -> None:
    ops = await service(both)
    seen = (await ops.ask("GET", "/clients/budget-buddy")).header("etag")
    assert (await ops.must("GET", "/last-used?client=budget-buddy"))["items"] == [{"client_id": "budget-buddy", "last_used_at": None}]
    number = await both.number("SELECT id FROM client WHERE tenant = :tenant AND client_id = 'budget-buddy'", tenant=await both.tenant())
    assert number is not None
    both.house.usage.count("refresh_token", await both.tenant(), number)
    await both.house.usage.flush(both.house.store, both.time.now)
    used = (await ops.must("GET", "/last-used?client=budget-buddy"))["items"]
    assert used == [{"client_id": "budget-buddy", "last_used_at": stamp(both.time.now)}]
    assert (await ops.ask("GET", "/clients/budget-buddy")).header("etag") == seen, "whoever read it may still change it"


async def test_when_clients_were_last_used_is_listed_like_the_clients_themselves(both: Node) -> None:
    ops = await service(both)
    await ops.must("POST", "/clients/phone-app/disable")
    for filters in ("", "?status=active", "?status=disabled", "?count=3&after=events-web"):
        clients, used = [await ops.must("GET", f"/{what}{filters}") for what in ("clients", "last-used")]
        assert [one["client_id"] for one in used["items"]] == [one["client_id"] for one in clients["items"]]
        assert (used["next"] is None) is (clients["next"] is None)
    assert (await ops.problem("GET", "/last-used?client=nobody"))["status"] == 404
    assert (await ops.problem("GET", "/last-used?status=x"))["status"] == 422


async def test_a_guard_that_follows_leaves_the_record_of_its_api_alone(both: Node) -> None:
    ops = await service(both)
    tenant, place = await both.tenant(), "/apis/https%3A%2F%2Fevents.acme.test"
    seen = (await ops.ask("GET", place)).header("etag")
    number = await both.number("SELECT id FROM api WHERE tenant = :tenant AND audience = 'https://events.acme.test'", tenant=tenant)
    assert number is not None
    both.house.usage.count(FOLLOWED, tenant, number)
    await both.house.usage.flush(both.house.store, both.time.now)
    (told,) = (await ops.must("GET", "/revocation?api=https%3A%2F%2Fevents.acme.test"))["items"]
    assert told["followed_at"] == stamp(both.time.now)
    assert (await ops.ask("GET", place)).header("etag") == seen, "whoever read it may still change it"


async def test_how_soon_a_revocation_bites_is_told_api_by_api(both: Node) -> None:
    ops = await service(both)
    apis, told = [(await ops.must("GET", f"/{what}"))["items"] for what in ("apis", "revocation")]
    assert [one["api"] for one in told] == [one["id"] for one in apis]
    assert {one["id"]: one["token"]["format"] == "jwt" for one in apis} == {one["api"]: one["alone"] is not None for one in told}
    assert (await ops.problem("GET", "/revocation?api=https%3A%2F%2Fnobody.test"))["status"] == 404
