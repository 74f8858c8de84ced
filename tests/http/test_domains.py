"""Domains: what follows the one that is asked, hosts that serve an API and issue nothing, claimed domains, and what a TLS front is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from gatewright.audit.deed import Deed
from gatewright.jobs.domains import check_domains
from gatewright.oauth.paths import PATHS
from gatewright.store import Query
from gatewright.tenants import book, claims
from gatewright.tenants.ownership import DAY, GRACE, proof, record_name
from gatewright.tenants.rules import parse_origin
from gatewright.web.tls_ask import BURST, TlsAsk
from tests.http.talk import BUDDY, FORM, ORIGIN, exchange
from tests.http.window import Window, asking
from tests.support.approving import authorized, sign_in
from tests.support.house import ACME, CLIENT_SECRET, GLOBEX, Answer, Node, basic, bearer, open_nodes, sqlite_copy
from tests.support.names import Names, name_server
from tests.support.visitor import Page

LOGIN, API = "login.acme.test", "api.acme.test"
HEAD = '[tenant]\nslug = "acme"\nname = "Acme"\n'
BRANDED = (
    HEAD
    + """brand = { color = "#0b6e4f", terms = "https://acme.test/terms" }
domains = ["https://id.acme.test", { origin = "https://login.acme.test", name = "Acme for Shops", brand = { color = "#b3123f" } }]
api_hosts = ["https://api.acme.test"]
"""
)


@pytest.fixture
async def branded(node: Node) -> Node:
    await node.apply(BRANDED)
    return node


# ---------------------------------------------------------------- what follows the domain


async def test_name_and_look_follow_the_domain_and_the_rest_is_the_tenants(branded: Node) -> None:
    first, second = [await branded.get("/", host=host) for host in (ACME, LOGIN)]
    assert "Acme for Shops" not in first.text
    assert "Acme for Shops" in second.text
    assert all("https://acme.test/terms" in answer.text for answer in (first, second))
    sheets = [(await branded.get("/-/brand.css", host=host)).text for host in (ACME, LOGIN)]
    assert ["#0b6e4f" in sheets[0], "#b3123f" in sheets[1]] == [True, True]
    assert "#b3123f" not in sheets[0]


async def test_a_look_that_is_taken_back_is_the_tenants_again(branded: Node) -> None:
    await branded.apply(BRANDED.replace('name = "Acme for Shops", brand = { color = "#b3123f" }', 'name = "Acme Shop"'))
    assert "#b3123f" in (await branded.get("/-/brand.css", host=LOGIN)).text, "a key that the file does not name stays"
    assert "Acme Shop" in (await branded.get("/", host=LOGIN)).text
    await branded.apply(BRANDED.replace("#b3123f", "#123456"))
    assert "#123456" in (await branded.get("/-/brand.css", host=LOGIN)).text


@pytest.mark.parametrize("host", [ACME, LOGIN])
async def test_metadata_answers_tokens_and_cookies_are_those_of_the_domain(branded: Node, host: str) -> None:
    url = f"https://{host}"
    told = (await branded.get("/.well-known/openid-configuration", host=host)).json
    assert (told["issuer"], told["token_endpoint"]) == (url, f"{url}/token")
    browser = Window(branded, host)
    arrived = await browser.allow_all(await browser.sign_in(await browser.open(asking(scope="openid create:events"))))
    location = arrived.header("location") or ""
    assert f"iss=https%3A%2F%2F{host}" in location
    cookies = [line for answer in browser.seen for line in answer.every("set-cookie")]
    assert all(line.startswith("__Host-") for line in cookies)
    assert not any("domain=" in line.lower() for line in cookies)
    code = location.partition("code=")[2].partition("&")[0]
    got = await branded.post("/token", exchange(code), BUDDY, host=host)
    introspected = await branded.post("/introspect", {"token": got.json["access_token"]}, BUDDY, host=host)
    assert introspected.json["iss"] == url
    other = LOGIN if host == ACME else ACME
    assert (await branded.post("/introspect", {"token": got.json["access_token"]}, BUDDY, host=other)).json == {"active": False}


async def test_a_session_of_one_domain_is_none_of_another(branded: Node) -> None:
    cookie = ("cookie", f"__Host-gw_session={await sign_in(branded)}")
    assert "You are signed in" in (await branded.get("/", cookie, host=ACME)).text
    assert "You are signed in" not in (await branded.get("/", cookie, host=LOGIN)).text


async def test_every_link_and_form_of_a_page_stays_on_its_domain(branded: Node) -> None:
    page = await Window(branded, LOGIN).open("/-/sign-in")
    assert all(form.action.startswith("/") for form in Page(page.text).forms)
    assert ACME not in page.text


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize("paths", [chosen for count in (1, 2, 3) for chosen in combinations(PATHS, count)], ids="+".join)
async def test_any_set_of_presets_answers_where_the_metadata_says_and_nowhere_else(node: Node, paths: tuple[str, ...]) -> None:
    listed = ", ".join(f'"{name}"' for name in paths)
    await node.apply(HEAD + f'domains = ["https://id.acme.test", "https://login.acme.test"]\npaths = [{listed}]\n')
    told = (await node.get("/.well-known/openid-configuration")).json
    for name in ("authorization", "token", "userinfo", "revocation", "introspection", "end_session"):
        path = told[f"{name}_endpoint"].removeprefix(f"https://{ACME}")
        assert 404 not in {(await node.ask(method, path, headers=(FORM,))).status for method in ("GET", "POST")}, path
    live = {place for preset in paths for places in PATHS[preset].values() for place in places}  # type: ignore[index]  # a preset's name
    for known in {place for preset in PATHS.values() for places in preset.values() for place in places}:
        for spelled in {known, known.rstrip("/"), f"{known.rstrip('/')}/"}:
            answer = await node.ask("POST", spelled, headers=(FORM,))
            assert (answer.status == 404) is (spelled not in live), spelled
            at_a_page = spelled.rstrip("/").endswith(("authorize", "end_session"))
            assert at_a_page or not 300 <= answer.status < 400, f"a POST to {spelled} is not redirected"


async def test_a_tokens_way_is_the_same_at_every_preset_with_and_without_the_slash(node: Node) -> None:
    for path in ("/token", "/o/token", "/o/token/", "/oauth/token"):
        answer = await node.post(path, {"grant_type": "client_credentials", "scope": "read:images"}, basic("image-copier"))
        assert answer.status == 200, path
        assert answer.header("location") is None


# ---------------------------------------------------------------- API hosts


async def test_an_api_host_serves_no_page_and_makes_no_token(branded: Node) -> None:
    for path in ("/", "/token", "/authorize", "/jwks", "/.well-known/openid-configuration", "/-/sign-in", "/-/brand.css", "/userinfo"):
        for method in ("GET", "POST"):
            answer = await branded.ask(method, path, headers=(FORM,), host=API)
            assert (answer.status, answer.every("set-cookie")) == (404, []), path


async def test_an_api_host_says_who_issues_its_tokens(branded: Node) -> None:
    answer = await branded.get("/.well-known/oauth-protected-resource", ORIGIN, host=API)
    assert answer.json == {
        "resource": "https://api.acme.test",
        "resource_name": "Acme",
        "authorization_servers": ["https://id.acme.test", "https://login.acme.test"],
        "bearer_methods_supported": ["header"],
    }
    assert answer.header("access-control-allow-origin") == "*"
    assert (await branded.get("/.well-known/oauth-protected-resource", host=ACME)).status == 404


async def test_a_host_that_nobody_has_is_misdirected(branded: Node) -> None:
    for host in ("api.globex.test", "api.acme.test.evil.example", "acme.test"):
        assert (await branded.get("/.well-known/oauth-protected-resource", host=host)).status == 421


@pytest.mark.parametrize("scope", ["openid read:balance", "openid create:events", "openid use:app"])
@pytest.mark.parametrize("host", [ACME, LOGIN])
async def test_tokens_of_every_issuer_of_the_tenant_are_good_at_its_api_host(branded: Node, host: str, scope: str) -> None:
    told = await authorized(branded, await sign_in(branded, host=host), "budget-buddy", scope, host=host)
    got = await branded.post("/token", exchange(told["code"]), BUDDY, host=host)
    assert got.status == 200
    answer = await branded.get("/v1/me", bearer(got.json["access_token"]), host=API)
    assert answer.status == 200
    assert answer.text.count('"id":"us_') == 1


async def test_tokens_of_another_tenant_and_none_are_refused_at_an_api_host(branded: Node) -> None:
    told = await authorized(branded, await sign_in(branded, host=GLOBEX), "budget-buddy", "openid", host=GLOBEX)
    secret = CLIENT_SECRET + "-elsewhere"
    got = await branded.post("/token", exchange(told["code"]), basic("budget-buddy", secret), host=GLOBEX)
    for token in (got.json["access_token"], "x", "", "gwa_AAAA", "gwt_AAAA", "a.b.c", "x" * 20_000):
        answer = await branded.get("/v1/me", bearer(token), host=API)
        assert answer.status == 401, token


async def test_a_host_is_an_issuer_or_one_of_the_api(node: Node) -> None:
    from gatewright.base.check import Faults

    with pytest.raises(Faults) as caught:
        await node.apply(HEAD + 'domains = ["https://id.acme.test"]\napi_hosts = ["https://login.acme.test"]\n')
    assert "this is an issuer today, and a host is one of the two" in str(caught.value.faults[0])
    with pytest.raises(Faults) as caught:
        await node.apply(HEAD + 'domains = ["https://id.acme.test"]\napi_hosts = ["https://id.globex.test", "http://api.acme.test"]\n')
    assert "taken already by the tenant globex" in str(caught.value.faults[0])
    assert "plain http is for this machine alone" in str(caught.value.faults[1])


async def test_an_api_host_is_added_once_and_pruned(branded: Node) -> None:
    from gatewright.platform.apply import plan
    from gatewright.platform.reading import read_text

    again = await plan(branded.house.store, read_text(BRANDED, Path("platform.toml")), branded.house.clock.moment(), {})
    assert again.changes == ()
    await branded.apply(BRANDED.replace('api_hosts = ["https://api.acme.test"]\n', ""))
    assert (await branded.get("/.well-known/oauth-protected-resource", host=API)).status == 200, "without prune it stays"
    await branded.apply("prune = true\n" + BRANDED.replace('api_hosts = ["https://api.acme.test"]\n', ""))
    assert (await branded.get("/.well-known/oauth-protected-resource", host=API)).status == 421


# ---------------------------------------------------------------- claimed domains


@pytest.fixture
def names() -> Iterator[Names]:
    with name_server() as server:
        yield server


@pytest.fixture
async def resolving(tmp_path: Path, names: Names) -> AsyncIterator[Node]:
    """A node that asks the name server of the test."""
    async with open_nodes(sqlite_copy(tmp_path), options={"domains.resolvers": [names.address]}) as (node,):
        yield node


async def test_a_claimed_domain_answers_when_the_job_has_found_its_record_and_no_more_when_it_is_lost(
    resolving: Node, names: Names
) -> None:
    node, host = resolving, "id.shop.example"
    tenant = await node.tenant()

    async def claim(deed: Deed) -> int:
        return await claims.claim(deed, parse_origin(f"https://{host}"), ())

    await node.manage(tenant, claim)
    assert await check_domains(node.house) == 1
    assert await check_domains(node.house) == 0, "not before its time"
    assert (await node.get("/", host=host)).status == 421
    names.texts[record_name(host)] = [proof(node.house.world.sealer, tenant, host)]
    node.time.pass_(60)
    assert await check_domains(node.house) == 1
    await node.hear()
    told = (await node.get("/.well-known/openid-configuration", host=host)).json
    assert told["issuer"] == f"https://{host}"
    assert any('"domain.moved"' in line and '"after":"verified"' in line for line in node.lines)
    names.texts.clear()
    node.time.pass_(DAY)
    await check_domains(node.house)
    names.silent = True
    assert (await node.get("/", host=host)).status == 200
    names.silent = False
    for _ in range(GRACE // DAY):
        node.time.pass_(DAY)
        await check_domains(node.house)
    await node.hear()
    assert (await node.get("/", host=host)).status == 421


# ---------------------------------------------------------------- what a TLS front is told


async def asked(node: Node, query: str, path: str = "/-/tls/ask", method: str = "GET") -> Answer:
    front = Node(node.house, node.time, node.lines)
    front.gate = TlsAsk(node.house.sites, node.house.clock)
    return await front.ask(method, f"{path}?{query}", host="127.0.0.1:8601")


@pytest.mark.parametrize("query", ["domain=id.acme.test", "domain=LOGIN.acme.test", "domain=api.acme.test", "domain=id.globex.test"])
async def test_a_front_may_have_certificates_for_verified_domains(branded: Node, query: str) -> None:
    answer = await asked(branded, query)
    assert (answer.status, answer.body, answer.header("cache-control")) == (200, b"", "no-store")


@pytest.mark.parametrize(
    "query",
    [
        *("domain=evil.example", "domain=", "", "domain", "domain=id.acme.test&domain=id.acme.test", "domain=id.acme.test:443"),
        *("host=id.acme.test", "domain=127.0.0.1", "domain=%00", "domain=%ff", "domain=" + "a" * 2000, "domain=id.acme.test/x", "domain=*"),
    ],
)
async def test_a_front_is_told_no_and_nothing_else(branded: Node, query: str) -> None:
    answer = await asked(branded, query)
    assert (answer.status, answer.body) == (404, b"")


async def test_the_second_listener_has_one_address(branded: Node) -> None:
    for path, method in (("/", "GET"), ("/token", "POST"), ("/-/tls/ask", "POST"), ("/-/health", "GET")):
        assert (await asked(branded, "domain=id.acme.test", path, method)).status == 404
    assert (await branded.get("/-/tls/ask?domain=id.acme.test")).status == 404, "and the first one does not know it"


async def test_a_claim_that_is_not_proved_gets_no_certificate(resolving: Node) -> None:
    async def claim(deed: Deed) -> int:
        return await claims.claim(deed, parse_origin("https://id.shop.example"), ())

    await resolving.manage(await resolving.tenant(), claim)
    assert (await asked(resolving, "domain=id.shop.example")).status == 404


async def test_a_domain_of_a_disabled_tenant_gets_none(branded: Node) -> None:
    await branded.house.store.verb(Query(int, "UPDATE tenant SET disabled_at = 1 WHERE slug = 'globex' RETURNING id"))
    assert (await asked(branded, "domain=id.globex.test")).status == 404


async def test_names_that_nobody_has_are_looked_for_seldom_and_known_ones_always_answered(branded: Node) -> None:
    front = TlsAsk(branded.house.sites, branded.house.clock)
    assert await front.may(b"domain=id.acme.test")
    async with branded.unmoved():
        reads = branded.counts["reads"]
        assert not await front.may(b"domain=evil.example")
        assert not await front.may(b"domain=evil.example")
        assert branded.counts["reads"] == reads + 1
        for number in range(2 * BURST):
            assert not await front.may(f"domain=a{number}.example".encode())
        assert branded.counts["reads"] <= reads + BURST
    assert await front.may(b"domain=id.acme.test"), "a flood of strangers costs no domain its certificate"
    branded.time.pass_(10)
    assert await front.may(b"domain=login.acme.test")


async def test_a_new_domain_is_answered_within_seconds_of_a_no(branded: Node) -> None:
    front = TlsAsk(branded.house.sites, branded.house.clock)
    assert not await front.may(b"domain=new.acme.test")

    async def add(deed: Deed) -> int:
        return await book.add_domain(deed, parse_origin("https://new.acme.test"), 5)

    await branded.manage(await branded.tenant(), add)
    branded.time.pass_(10)
    assert await front.may(b"domain=new.acme.test")
