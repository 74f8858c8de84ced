"""The verify address: which requests a proxy is told to let pass, for whom, and what it is told of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatewright.apis.book import apis_of, disable_api, retire_scope, scopes_of
from gatewright.oauth.handle import open_handle, seal
from tests.http.talk import BANK, BANK_API, BUDDY, a_code, exchange, serve, tokens
from tests.http.test_budgets import READ, spent
from tests.support.house import ENVIRON, Answer, Node, basic, bearer, open_nodes, sqlite_copy

ROUTES = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
api_hosts = ["https://api.acme.test"]
[[apis]]
audience = "https://bank.acme.test"
name = "Acme Bank"
[[apis.routes]]
path = "/health"
methods = ["GET"]
public = true
[[apis.routes]]
path = "/public/*"
public = true
[[apis.routes]]
host = "admin.acme.test"
path = "/*"
scopes = ["transfer:funds"]
[[apis.routes]]
path = "/{account}/balance"
methods = ["GET"]
scopes = ["read:balance"]
account_in = "account"
[[apis.routes]]
path = "/Admin/*"
scopes = ["transfer:funds"]
[[apis.routes]]
path = "/any"
any_of = ["transfer:funds", "read:balance"]
[[apis.routes]]
path = "/both"
scopes = ["read:balance", "transfer:funds"]
[[apis.routes]]
path = "/me"
[[apis.routes]]
path = "/files/*"
methods = ["GET"]
scopes = ["read:balance"]
[[apis]]
audience = "https://events.acme.test"
name = "Acme Events"
[[apis.routes]]
path = "/events"
scopes = ["create:events"]
[[apis]]
audience = "https://imaging.acme.test"
name = "Acme Imaging"
[[apis.routes]]
path = "/{account}/images"
scopes = ["read:images"]
account_in = "account"
"""
CREDENTIALS = ("gatewright-api", BANK_API[1])
EVENTS_CREDENTIALS = ("gatewright-api", basic("https://events.acme.test", ENVIRON["EVENTS_SECRET"])[1])
IMAGING_CREDENTIALS = ("gatewright-api", basic("https://imaging.acme.test", ENVIRON["IMAGING_SECRET"])[1])
INSIDE, OUTSIDE = "203.0.113.7", "198.51.100.1"
WHO = ["user", "client", "scope", "account-id", "account", "authorization"]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Node]:
    """A node whose bank has a table of routes."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        await opened.apply(ROUTES)
        yield opened


async def asked(
    node: Node,
    target: str,
    *more: tuple[str, str],
    method: str = "GET",
    at: str = "api.acme.test",
    by: tuple[str, str] = CREDENTIALS,
    host: str = "id.acme.test",
) -> Answer:
    """What nginx is told."""
    said = (("x-original-method", method), ("x-original-uri", target), ("x-original-host", at))
    return await node.ask("GET", "/-/verify", headers=(by, *said, *more), host=host, peer="127.0.0.1")


def problem(answer: Answer) -> dict[str, Any]:
    """The document of a refusal, which nginx finds in a header."""
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    said = answer.header("gatewright-problem") or ""
    assert said.isascii()
    document = msgspec.json.decode(answer.body, type=dict[str, Any])
    assert msgspec.json.decode(said) == document
    return document


async def test_who_calls_is_told_in_headers(shop: Node) -> None:
    got = await tokens(shop)
    answer = await asked(shop, "/acme-dev/balance?since=1", bearer(got["access_token"]))
    assert (answer.status, answer.body) == (200, b"")
    told = {name: answer.header(f"gatewright-{name}") or "" for name in WHO}
    me = (await shop.post("/introspect", {"token": got["access_token"]}, BANK_API)).json
    assert (told["user"], told["client"], told["account-id"], told["account"]) == (me["sub"], "budget-buddy", me["account_id"], "acme-dev")
    assert told["scope"] == "read:balance"
    assert told["authorization"].startswith("az_")
    assert answer.header("gatewright-decision") == "allowed"
    assert answer.header("cache-control") == "no-store"


async def test_by_its_id_an_account_is_the_same(shop: Node) -> None:
    got = await tokens(shop)
    number = (await shop.post("/introspect", {"token": got["access_token"]}, BANK_API)).json["account_id"]
    assert (await asked(shop, f"/{number}/balance", bearer(got["access_token"]))).status == 200


async def test_what_is_public_asks_for_no_token_and_tells_of_none(shop: Node) -> None:
    for header in ((), (bearer("nonsense"),), (bearer((await tokens(shop))["access_token"]),)):
        answer = await asked(shop, "/health", *header)
        assert (answer.status, answer.header("gatewright-decision")) == (200, "public")
        assert [answer.every(f"gatewright-{name}") for name in WHO] == [[""]] * len(WHO), "also nothing replaces what the caller sent"


@pytest.mark.parametrize(
    ("method", "target", "status", "cause"),
    [
        ("HEAD", "/acme-dev/balance", 200, None),
        ("GET", "/acme-dev/balance/", 200, None),
        ("GET", "/any", 200, None),
        ("POST", "/any", 200, None),
        ("GET", "/me", 200, None),
        ("GET", "/files/a%20b/%C3%BC.txt", 200, None),
        ("GET", "/both", 403, "scope_not_requested"),
        ("POST", "/acme-dev/balance", 403, "no_rule"),
        ("OPTIONS", "/acme-dev/balance", 403, "no_rule"),
        ("GET", "/acme-prod/balance", 403, "wrong_account"),
        ("GET", "/nobody/balance", 403, "wrong_account"),
        ("GET", "/nowhere", 403, "no_rule"),
        ("GET", "/Admin/x", 403, "scope_not_requested"),
    ],
)
async def test_the_first_route_that_fits_says_what_is_needed(shop: Node, method: str, target: str, status: int, cause: str | None) -> None:
    token = (await tokens(shop))["access_token"]
    answer = await asked(shop, target, bearer(token), method=method)
    assert answer.status == status
    assert cause is None or problem(answer)["cause"] == cause
    if status != 200 or target.startswith("/files"):
        bare = await asked(shop, target, method=method)
        assert (bare.status, problem(bare)["cause"]) == (401, "token_missing"), "a stranger learns of no route whether it is there"


@pytest.mark.parametrize(
    "target",
    [
        "/public/../me",
        "/public/./x",
        "/public//x",
        "//public/x",
        "/public/%2e%2E/me",
        "/public/%2fx",
        "/public/..%5cme",
        "/public\\me",
        "/public/..;/me",
        "/public;x/y",
        "/public/%3B/y",
        "/public/%252e%252e/me",
        "/public/x%00",
        "/public/%0d%0ax",
        "/public/...",
        "/public/%20/x",
        "/public/%C0%AE%C0%AE/me",
        "/public/%E0%80%AE/x",
        "/public/%zz",
        "/public/%",
        "/public/a b",
        "/public/é",
        "/public/#x",
        "/PUBLIC/x",
        "/Public",
        "/health/x/..",
        "/HEALTH",
        "/admin/x",
        "/p%75blic/%2e",
        "http://api.acme.test/public/x",
        "public/x",
        "*",
        "",
        "/public/" + "x" * 8192,
    ],
)
async def test_a_path_that_two_may_read_in_two_ways_passes_nobody(shop: Node, target: str) -> None:
    assert (await asked(shop, target)).status in (401, 403)
    got = await asked(shop, target, bearer((await tokens(shop))["access_token"]))
    assert (got.status, got.status == 200 or problem(got)["cause"] if got.body.startswith(b"{") else "") in ((403, "no_rule"), (403, ""))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("admin.acme.test", 401),
        ("ADMIN.acme.test:443", 401),
        ("admin.acme.test.", 401),
        ("api.acme.test", 200),
        ("api.acme.test:8080", 200),
        ("", 401),
        ("admin.acme.test, x", 401),
        ("x@admin.acme.test", 401),
        ("admin.acme.test:x", 401),
        ("admin.acme.test..", 401),
    ],
)
async def test_a_host_is_the_same_however_it_is_written(shop: Node, host: str, status: int) -> None:
    await shop.apply(HOSTS)
    assert (await asked(shop, "/page", at=host)).status == status


HOSTS = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
[[apis]]
audience = "https://bank.acme.test"
name = "Acme Bank"
routes = [
  { host = "admin.acme.test", path = "/*", scopes = ["transfer:funds"] },
  { path = "/*", public = true },
]
"""


@pytest.mark.parametrize("method", ["get", "Get", "G ET", "", "GET, POST", "X" * 40])
async def test_a_method_is_what_standards_have(shop: Node, method: str) -> None:
    assert (await asked(shop, "/public/x", method=method)).status in (401, 403)


async def test_a_token_that_is_bound_to_a_key_is_no_bearer_token(shop: Node) -> None:
    world, at = shop.house.world, shop.house.clock.moment()
    issuer = await shop.house.sites.find(b"id.acme.test")
    assert issuer is not None
    handle = open_handle((await tokens(shop))["access_token"], issuer, world.sealer, at.now)
    assert handle is not None
    row = await world.ledger.standing(handle.authorization)
    assert row is not None
    for cnf, status in ((None, 200), (bytes(32), 401)):
        token = seal(msgspec.structs.replace(handle, cnf=cnf), row.access_secret, issuer, world.sealer, at)
        answer = await asked(shop, "/me", bearer(token))
        assert answer.status == status
        assert status == 200 or problem(answer)["cause"] == "token_bound"
        if cnf is not None:
            assert (await asked(shop, "/me", ("authorization", f"DPoP {token}"))).status == 401


async def test_a_token_that_is_sent_as_bound_and_is_not_is_refused(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    answer = await asked(shop, "/me", ("authorization", f"DPoP {token}"))
    assert (answer.status, problem(answer)["cause"]) == (401, "token_unbound")


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer x",
        "Basic !",
        basic(BANK, "wrong")[1],
        basic("https://nobody.acme.test", ENVIRON["BANK_SECRET"])[1],
        basic(BANK, ENVIRON["EVENTS_SECRET"])[1],
        BUDDY[1],
    ],
)
async def test_who_is_no_proxy_of_an_api_learns_nothing(shop: Node, shown: str | None) -> None:
    token = (await tokens(shop))["access_token"]
    said = (("x-original-method", "GET"), ("x-original-uri", "/acme-dev/balance"), ("x-original-host", "api.acme.test"), bearer(token))
    by = () if shown is None else (("gatewright-api", shown),)
    for target in ("/-/verify", "/-/verify/health", "/-/verify/acme-dev/balance"):
        answer = await shop.ask("GET", target, headers=(*by, *said))
        assert (answer.status, answer.body) == (403, b"")
        assert dict(answer.headers) == {"cache-control": "no-store", "x-content-type-options": "nosniff", "content-length": "0"}
    assert not any(ENVIRON["BANK_SECRET"] in line or token in line for line in shop.lines)


async def test_credentials_in_the_callers_own_header_prove_nothing(shop: Node) -> None:
    said = (("x-original-method", "GET"), ("x-original-uri", "/health"), ("x-original-host", "api.acme.test"))
    assert (await shop.ask("GET", "/-/verify", headers=(BANK_API, *said))).status == 403
    twice = await shop.ask("GET", "/-/verify", headers=(CREDENTIALS, CREDENTIALS, *said))
    assert twice.status == 403


@pytest.mark.parametrize("tenant", ["id.globex.test", "unknown.test"])
async def test_an_api_of_one_tenant_is_nobody_at_another(shop: Node, tenant: str) -> None:
    assert (await asked(shop, "/health", host=tenant)).status in (403, 421)


async def test_two_sets_of_headers_at_once_are_somebodys_attempt(shop: Node) -> None:
    for more in (
        (("x-forwarded-uri", "/health"),),
        (("x-forwarded-method", "GET"), ("x-forwarded-uri", "/health")),
        (("x-forwarded-method", "GET"),),
        (("x-original-uri", "/health"),),
    ):
        answer = await asked(shop, "/acme-dev/balance", *more, bearer((await tokens(shop))["access_token"]))
        assert answer.status == 403
    one = await shop.ask("GET", "/-/verify", headers=(CREDENTIALS, ("x-original-uri", "/health")))
    assert one.status == 403
    assert any("X-Original-Method" in line for line in shop.lines), "the operator is told"


TRAEFIK = (
    ("x-forwarded-method", "POST"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "api.acme.test"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-uri", "/any?x=1"),
    ("x-forwarded-for", INSIDE),
)
CADDY = (
    ("user-agent", "an app"),
    ("cookie", "a=b"),
    ("content-type", "application/json"),
    ("x-forwarded-for", INSIDE),
    ("x-forwarded-host", "api.acme.test"),
    ("x-forwarded-method", "POST"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-uri", "/any?x=1"),
)


@pytest.mark.parametrize("said", [TRAEFIK, CADDY], ids=["traefik", "caddy"])
async def test_traefik_and_caddy_name_the_request_in_forwarded_headers(shop: Node, said: tuple[tuple[str, str], ...]) -> None:
    """As their documentation has it: both ask with GET; Traefik sends the headers that it was told to, Caddy all of the caller's."""
    token = (await tokens(shop))["access_token"]
    answer = await shop.ask("GET", "/-/verify", headers=(CREDENTIALS, *said, bearer(token)))
    assert (answer.status, answer.header("gatewright-account")) == (200, "acme-dev")
    denied = await shop.ask("GET", "/-/verify", headers=(CREDENTIALS, *said))
    assert (denied.status, problem(denied)["cause"]) == (401, "token_missing")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
async def test_envoy_asks_with_the_request_itself_behind_a_prefix(shop: Node, method: str) -> None:
    """As its documentation has it: method, path and Host of the request, the path behind `path_prefix`, and only 200 passes."""
    token = (await tokens(shop))["access_token"]
    ask = partial(shop.ask, method, host="api.acme.test")
    assert (await ask("/-/verify/any?x=1", headers=(CREDENTIALS, bearer(token)))).status == 200
    assert (await ask("/-/verify/public/x", headers=(CREDENTIALS,))).status == 200
    assert (await ask("/-/verify/any", headers=(CREDENTIALS,))).status == 401
    spoofed = (CREDENTIALS, ("x-original-uri", "/public/x"), ("x-original-method", "GET"), ("x-forwarded-uri", "/public/x"))
    assert (await ask("/-/verify/any", headers=spoofed)).status == 401
    assert (await ask("/-/verify/public/../any", headers=(CREDENTIALS,))).status == 401
    assert (await ask("/-/verify/", headers=(CREDENTIALS,))).status == 401


async def test_at_a_host_of_the_api_tokens_of_every_issuer_are_taken(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    assert (await asked(shop, "/me", bearer(token), host="api.acme.test")).status == 200
    assert (await asked(shop, "/me", bearer(token), host="login.acme.test")).status == 401, "an issuer takes its own alone"


async def test_a_jwt_is_held_against_its_row(shop: Node) -> None:
    got = await tokens(shop, "openid create:events", resource="https://events.acme.test")
    ask = partial(asked, shop, "/events", bearer(got["access_token"]), by=EVENTS_CREDENTIALS)
    assert (await ask()).status == 200
    await shop.post("/revoke", {"token": got["access_token"]}, BUDDY)
    over = await ask()
    assert (over.status, problem(over)["cause"]) == (401, "token_revoked")


async def test_what_a_caller_may_know_of_its_refusal_is_told(shop: Node) -> None:
    got = await tokens(shop)
    lacking = await asked(shop, "/both", bearer(got["access_token"]))
    assert problem(lacking)["missing_scope"] == "transfer:funds"
    assert (lacking.header("www-authenticate") or "").startswith(f'Bearer realm="{BANK}", error="insufficient_scope"')
    assert problem(lacking)["more"].startswith("https://id.acme.test/-/"), "the page that tells more"
    assert problem(lacking)["decision"]
    assert 'scope="read:balance transfer:funds"' in (lacking.header("www-authenticate") or "")
    shop.time.pass_(got["expires_in"])
    over = await asked(shop, "/me", bearer(got["access_token"]))
    assert (over.status, problem(over)["cause"]) == (401, "token_expired")
    shop.time.pass_(2 * 86_400)
    assert problem(await asked(shop, "/me", bearer(got["access_token"])))["cause"] == "invalid_token"


async def test_a_stranger_learns_that_the_token_is_not_valid_and_nothing_else(shop: Node) -> None:
    events = (await tokens(shop, "openid create:events", resource="https://events.acme.test"))["access_token"]
    got = await tokens(shop)
    answers = [await asked(shop, "/both", bearer(token)) for token in ("x", "gwa_" + "A" * 120, got["refresh_token"], got["id_token"])]
    answers.append(await asked(shop, "/events", bearer(got["access_token"]), by=EVENTS_CREDENTIALS))
    assert {(one.status, one.body.replace(b"events", b"bank")) for one in answers} == {(401, answers[0].body)}
    assert problem(answers[0])["cause"] == "invalid_token"
    assert problem(await asked(shop, "/both", bearer(events)))["cause"] == "wrong_audience", "whoever holds a JWT can read whose it is"


async def test_one_token_in_one_header(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    for answer in (
        await asked(shop, "/me", bearer(token), bearer(token)),
        await asked(shop, f"/me?access_token={token}"),
        await asked(shop, "/me", bearer("a b")),
    ):
        assert (answer.status, problem(answer)["cause"]) == (401, "invalid_request"), "nginx hands on 401 and 403 alone"
    assert problem(await asked(shop, "/me", ("authorization", "Basic eDp5")))["cause"] == "token_missing"


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        (INSIDE, 200),
        (f"{OUTSIDE}, {INSIDE}", 200),
        (f"::ffff:{INSIDE}", 200),
        (OUTSIDE, 403),
        (f"{INSIDE}, {OUTSIDE}", 403),
        (None, 403),
        ("x", 403),
    ],
)
async def test_allowed_addresses_are_those_of_the_caller_and_not_of_the_proxy(shop: Node, forwarded: str | None, status: int) -> None:
    code = await a_code(shop, "openid read:balance", "office-only")
    token = (await shop.post("/token", exchange(code, "office-only"), basic("office-only"))).json["access_token"]
    more = () if forwarded is None else (("x-forwarded-for", forwarded),)
    answer = await asked(shop, "/me", bearer(token), *more)
    assert answer.status == status
    assert status == 200 or problem(answer)["cause"] == "ip_not_allowed"


async def test_proxies_that_the_operator_names_are_passed_over_on_the_way_to_the_caller(tmp_path: Path) -> None:
    async with open_nodes(sqlite_copy(tmp_path), options={"listen.trusted_proxies": ["10.0.0.0/8"]}) as (node,):
        await node.apply(ROUTES)
        code = await a_code(node, "openid read:balance", "office-only")
        token = (await node.post("/token", exchange(code, "office-only"), basic("office-only"))).json["access_token"]
        for hops, status in (
            (f"{INSIDE}, 10.1.2.3", 200),
            (f"{INSIDE}, {OUTSIDE}, 10.1.2.3", 403),
            (f"x, {INSIDE}", 200),
            ("x, 10.1.2.3", 403),
        ):
            assert (await asked(node, "/me", bearer(token), ("x-forwarded-for", hops))).status == status


async def test_while_the_store_does_not_answer_nobody_gets_through(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    assert (await asked(shop, "/me", bearer(token))).status == 200
    await shop.house.store.close()
    answer = await asked(shop, "/me", bearer(token))
    assert (answer.status, answer.header("retry-after"), problem(answer)["cause"]) == (503, "2", "unavailable")


async def test_a_token_without_an_account_passes_with_scopes_that_reach_over_all(shop: Node) -> None:
    token = (await serve(shop)).json["access_token"]
    answer = await asked(shop, "/acme-dev/images", bearer(token), by=IMAGING_CREDENTIALS)
    assert (answer.status, answer.header("gatewright-user"), answer.header("gatewright-account")) == (200, "image-copier", "")


async def test_answers_are_kept_nowhere_unless_a_setting_says_so_and_never_longer_than_the_token_lives(shop: Node) -> None:
    got = await tokens(shop)
    await shop.apply(ROUTES.replace('name = "Acme Bank"', 'name = "Acme Bank"\nverify_max_age = "30s"'))
    answer = await asked(shop, "/me", bearer(got["access_token"]))
    assert answer.header("cache-control") == "max-age=30"
    vary = answer.header("vary") or ""
    assert set(vary.split(", ")) == {
        *("authorization", "gatewright-api", "x-original-method", "x-original-uri", "x-original-host", "x-forwarded-for")
    }
    assert len(vary) <= 128, "nginx keeps nothing else"
    shop.time.pass_(got["expires_in"] - 10)
    assert (await asked(shop, "/me", bearer(got["access_token"]))).header("cache-control") == "max-age=10"
    assert (await asked(shop, "/health")).header("cache-control") == "max-age=30"
    for refused in (await asked(shop, "/me"), await asked(shop, "/both", bearer(got["access_token"]))):
        assert refused.header("cache-control") == "no-store"


@pytest.mark.parametrize("missing", ["x-original-method", "x-original-uri", "x-original-host"])
async def test_a_proxy_that_tells_a_part_is_told_nothing_so_that_no_caller_tells_the_rest(shop: Node, missing: str) -> None:
    whole = {"x-original-method": "GET", "x-original-uri": "/health", "x-original-host": "api.acme.test"}
    said = [(name, value) for name, value in whole.items() if name != missing]
    answer = await shop.ask("GET", "/-/verify", headers=(CREDENTIALS, *said), host="id.acme.test", peer="127.0.0.1")
    assert answer.status == 403


async def test_what_may_be_kept_is_kept_here_as_well_and_ends_everywhere_at_the_same_moment(shop: Node) -> None:
    kept = ROUTES.replace('name = "Acme Bank"', 'name = "Acme Bank"\nverify_max_age = "30s"')
    await shop.apply(kept)
    got = await tokens(shop)
    mine, away = bearer(got["access_token"]), ("x-forwarded-for", OUTSIDE)
    await asked(shop, "/acme-dev/balance", mine)  # what is cached of the tenant is there from here on
    assert await spent(shop, lambda: asked(shop, "/me", mine)) == READ
    assert await spent(shop, lambda: asked(shop, "/me", mine)) == {}
    # Another request, another caller, another address, another token: each is looked at.
    assert await spent(shop, lambda: asked(shop, "/any", mine)) == READ
    assert await spent(shop, lambda: asked(shop, "/me", mine, method="POST")) == READ
    assert await spent(shop, lambda: asked(shop, "/me", mine, at="bank.acme.test")) == READ
    assert await spent(shop, lambda: asked(shop, "/me", mine, away)) == READ
    assert (await asked(shop, "/me", bearer(got["access_token"] + "A"))).status == 401
    shop.time.pass_(20)
    assert (await asked(shop, "/me", mine)).header("cache-control") == "max-age=10", "the proxy keeps it no longer than we do"
    await shop.post("/revoke", {"token": got["access_token"]}, BUDDY)
    assert (await asked(shop, "/me", mine)).status == 200
    shop.time.pass_(10)
    assert (await asked(shop, "/me", mine)).status == 401


async def test_what_is_kept_ends_when_the_routes_change_and_nobody_else_profits(shop: Node) -> None:
    kept = ROUTES.replace('name = "Acme Bank"', 'name = "Acme Bank"\nverify_max_age = "30s"')
    await shop.apply(kept)
    mine = bearer((await tokens(shop))["access_token"])
    assert (await asked(shop, "/me", mine)).status == 200
    assert (await asked(shop, "/me")).status == 401
    assert (await asked(shop, "/me", mine, by=EVENTS_CREDENTIALS)).status == 401
    assert (await asked(shop, "/me", mine, by=("gatewright-api", "Basic eDp5"))).body == b""
    await shop.apply(kept.replace('path = "/me"', 'path = "/me"\nscopes = ["transfer:funds"]'))
    assert (await asked(shop, "/me", mine)).status == 403


async def test_a_scope_that_is_given_to_nobody_any_more_keeps_its_route_shut(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    tenant = await shop.tenant()
    (row,) = [one for one in await scopes_of(shop.house.store, tenant) if one.name == "read:balance"]
    await shop.manage(tenant, retire_scope, row)
    assert (await asked(shop, "/acme-dev/balance", bearer(token))).status == 403
    assert (await asked(shop, "/acme-dev/balance")).status == 401


async def test_a_renamed_scope_keeps_its_routes(shop: Node) -> None:
    renamed = ROUTES.replace('name = "Acme Bank"\n', 'name = "Acme Bank"\n', 1).replace(
        '[[apis]]\naudience = "https://events',
        '[apis.scopes."see:balance"]\ntext = "See"\naliases = ["read:balance"]\n[[apis]]\naudience = "https://events',
        1,
    )
    await shop.apply(renamed)
    token = (await tokens(shop, "openid see:balance"))["access_token"]
    assert (await asked(shop, "/acme-dev/balance", bearer(token))).status == 200
    assert (await asked(shop, "/acme-dev/balance")).status == 401


async def test_an_api_without_routes_lets_nobody_pass_and_a_disabled_one_is_nobody(node: Node) -> None:
    token = (await tokens(node))["access_token"]
    assert problem(await asked(node, "/", bearer(token)))["cause"] == "no_rule"
    tenant = await node.tenant()
    (row,) = [one for one in await apis_of(node.house.store, tenant) if one.audience == BANK]
    await node.manage(tenant, disable_api, row)
    assert (await asked(node, "/", bearer(token))).body == b""


async def test_refusals_and_what_passed_are_counted(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    await asked(shop, "/me", bearer(token))
    await asked(shop, "/me")
    await asked(shop, "/both", bearer(token))
    await shop.house.usage.flush(shop.house.store, shop.time.now)
    count = "SELECT SUM(total) FROM usage_count WHERE event = :event"
    assert await shop.number(count, event="refused_token_missing") == 1
    assert await shop.number(count, event="refused_scope_not_requested") == 1
    assert await shop.number(count, event="verified") == 3, "of the client, and of the API where it passed"


async def test_it_costs_one_read_whatever_the_token(pair: list[Node]) -> None:
    node = pair[0]
    await node.apply(ROUTES)
    opaque = (await tokens(node))["access_token"]
    jwt = (await tokens(node, "openid create:events", resource="https://events.acme.test"))["access_token"]
    for act in (
        partial(asked, node, "/acme-dev/balance", bearer(opaque)),
        partial(asked, node, "/events", bearer(jwt), by=EVENTS_CREDENTIALS),
    ):
        await act()
        assert await spent(node, act) == READ
    assert await spent(node, partial(asked, node, "/both", bearer(opaque)), 403) == READ, "a reason costs no more"
    assert await spent(node, partial(asked, node, "/health")) == {}
    assert await spent(node, partial(asked, node, "/me", bearer("gwa_" + "A" * 120)), 401) == {}
