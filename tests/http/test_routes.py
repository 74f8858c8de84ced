"""Every address of the server: which methods it knows, who may read its answers from another origin, and what caches may keep."""

from __future__ import annotations

import pytest

from gatewright.oauth.paths import PATHS
from gatewright.web.asgi import READY, STATES
from gatewright.web.oauth import ENDPOINTS
from gatewright.web.pages import PROTOCOL_PAGES, ROUTES
from tests.http.talk import BUDDY, FORM, ORIGIN, exchange, serve, tokens
from tests.support.house import ACME, GLOBEX, Answer, Node, bearer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
# The issue's own list: where scripts of other sites may read, and nowhere else.
READ_BY_SCRIPTS = frozenset({"token", "userinfo", "me", "revoke", "metadata", "jwks", "app_manifest"})
PROTOCOL = {place: name for paths in PATHS.values() for name, places in paths.items() for place in places if name in ENDPOINTS}
PAGES = {path: methods for methods, path, _ in ROUTES} | {
    place: ("GET", "POST") for paths in PATHS.values() for name in PROTOCOL_PAGES for place in paths[name]
}
CORS = ("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods", "access-control-expose-headers")


def allowed(path: str) -> tuple[str, ...]:
    """The methods of an address, as its table says."""
    return ENDPOINTS[PROTOCOL[path]].methods if path in PROTOCOL else PAGES[path]


def shared(answer: Answer) -> dict[str, str]:
    """What an answer lets scripts of other sites do."""
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


def test_the_tables_hold_what_the_decisions_promise() -> None:
    assert set(PROTOCOL.values()) == set(ENDPOINTS)
    assert not set(PROTOCOL) & set(PAGES)
    assert {"/token", "/o/token/", "/o/token", "/oauth/token", "/jwks"} <= set(PROTOCOL)


# ---------------------------------------------------------------- methods


@pytest.mark.proves("RFC 9110", "15.5.6")
async def test_every_other_method_is_refused_with_the_ones_there_are(node: Node) -> None:
    wrong = {}
    for path in [*PROTOCOL, *PAGES]:
        for method in METHODS:
            preflight = method == "OPTIONS" and PROTOCOL.get(path) in READ_BY_SCRIPTS
            if method in allowed(path) or preflight:
                continue
            answer = await node.ask(method, path, headers=(FORM,))
            if (answer.status, answer.header("allow")) != (405, ", ".join(allowed(path))):
                wrong[method, path] = answer
    assert wrong == {}


async def test_no_address_answers_a_known_method_with_405_or_fails(node: Node) -> None:
    wrong = {}
    for path in [*PROTOCOL, *PAGES]:
        for method in allowed(path):
            answer = await node.ask(method, path, headers=(FORM,))
            if answer.status in (404, 405, 500, 503):
                wrong[method, path] = answer
    assert wrong == {}


@pytest.mark.proves("RFC 9110", "9.3.2")
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks", "/"])
async def test_head_is_answered_with_the_headers_of_get(node: Node, path: str) -> None:
    got, headed = await node.get(path), await node.ask("HEAD", path)
    assert (headed.status, headed.headers) == (got.status, got.headers)


# ---------------------------------------------------------------- presets and paths

PRESET_PATHS = [(preset, place) for preset, paths in PATHS.items() for places in paths.values() for place in places]


async def test_paths_of_presets_that_are_on_answer_and_the_others_are_no_address_at_all(node: Node) -> None:
    everywhere = set.intersection(*({place for places in paths.values() for place in places} for paths in PATHS.values()))
    unknown = await node.post("/no/such/address", {}, ORIGIN, host=GLOBEX)
    for preset, place in PRESET_PATHS:
        assert (await node.post(place, {}, ORIGIN)).status != 404, place
        answer = await node.post(place, {}, ORIGIN, host=GLOBEX)
        if preset == "standard" or place in everywhere:
            assert answer.status != 404, place
        else:
            assert answer == unknown, f"{place} is none of this tenant's, and answers so"


@pytest.mark.parametrize("path", ["/o/token/", "/o/token"])
async def test_with_or_without_the_last_slash_a_post_is_answered_and_never_redirected(node: Node, path: str) -> None:
    answer = await node.post(path, {"grant_type": "client_credentials", "scope": "read:images"}, ("authorization", BUDDY[1]))
    assert answer.error == (400, "unauthorized_client")


@pytest.mark.parametrize(
    "path",
    [
        "/token/",
        "/oauth/token/",
        "//token",
        "/Token",
        "/token;x=1",
        "/token%2f",
        "/./token",
        "/o//token/",
        "/o/token//",
        "/-/",
        "/-",
        "/favicon.ico",
    ],
)
async def test_an_address_that_only_looks_like_one_of_ours_is_none(node: Node, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await node.ask(method, path, headers=(FORM, ORIGIN))
        assert answer.status == 404
        assert shared(answer) == {}
        assert answer.header("cache-control") == "no-store"
        assert path not in answer.text


@pytest.mark.parametrize(
    "name",
    ["../templates/sign_in.html", "style.css", "..%2fstyle.css", "", "style.0000000000000000.css", "/etc/passwd", "\0", "é"],
)
async def test_only_the_static_files_by_their_whole_names_are_served(node: Node, name: str) -> None:
    assert (await node.get(f"/-/static/{name}")).status == 404


# ---------------------------------------------------------------- other origins


async def test_scripts_of_other_sites_read_exactly_what_the_standards_mean_for_them(node: Node) -> None:
    readable = {}
    for path in [*PROTOCOL, *PAGES]:
        for method in allowed(path):
            readable[path, method] = shared(await node.ask(method, path, headers=(FORM, ORIGIN)))
    open_ones = {place for place, method in readable if readable[place, method]}
    assert open_ones == {place for place, name in PROTOCOL.items() if name in READ_BY_SCRIPTS}
    for heads in readable.values():
        assert heads.get("access-control-allow-origin", "*") == "*"
        assert "access-control-allow-credentials" not in heads, "cookies are nobody's business"


@pytest.mark.proves("Fetch", "3.3.5")
async def test_a_preflight_is_answered_where_scripts_may_ask_and_refused_elsewhere(node: Node) -> None:
    asked = (ORIGIN, ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization"))
    for path in [*PROTOCOL, *PAGES]:
        answer = await node.ask("OPTIONS", path, headers=asked)
        if PROTOCOL.get(path) in READ_BY_SCRIPTS:
            assert (answer.status, answer.body) == (204, b"")
            assert answer.header("content-length") is None, "RFC 9110 §8.6"
            assert answer.header("access-control-allow-origin") == "*"
            assert "authorization" in (answer.header("access-control-allow-headers") or "")
            assert {"GET", "POST"} <= set((answer.header("access-control-allow-methods") or "").split(", "))
        else:
            assert answer.status == 405
            assert shared(answer) == {}


async def test_a_refusal_can_be_read_by_the_script_that_caused_it(node: Node) -> None:
    refused = await node.post("/token", {"grant_type": "implicit"}, ORIGIN)
    assert refused.error == (400, "unsupported_grant_type")
    assert refused.header("access-control-allow-origin") == "*"
    challenged = await node.get("/userinfo", ORIGIN)
    assert "www-authenticate" in (challenged.header("access-control-expose-headers") or "")
    too_large = await node.ask("POST", "/token", headers=(FORM, ORIGIN), body=b"x" * 70_000)
    assert (too_large.status, too_large.header("access-control-allow-origin")) == (413, "*")


async def test_without_an_origin_nothing_is_said_of_origins_but_in_what_a_cache_may_keep(node: Node) -> None:
    assert shared(await node.get("/jwks"))["access-control-allow-origin"] == "*"
    assert shared(await node.post("/token", {})) == {}


# ---------------------------------------------------------------- caches


@pytest.mark.proves("RFC 6749", "5.1")
@pytest.mark.proves("OpenID Connect Core", "3.1.3.3")
async def test_nothing_with_a_token_or_about_one_is_ever_kept_by_a_cache(node: Node) -> None:
    got = await tokens(node)
    answers = [
        await serve(node),
        await node.post("/token", {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}, BUDDY),
        await node.post("/token", exchange("gwc_nothing"), BUDDY),
        await node.post("/introspect", {"token": got["access_token"]}, BUDDY),
        await node.post("/revoke", {"token": "gwr_nothing"}, BUDDY),
        await node.get("/userinfo", bearer(got["access_token"])),
        await node.get("/userinfo"),
        await node.post("/-/why", {"token": "x"}, BUDDY),
        await node.ask("POST", "/token", headers=(("content-type", "text/plain"),), body=b"x"),
    ]
    assert [answer.header("cache-control") for answer in answers] == ["no-store"] * len(answers)


async def test_the_public_documents_may_be_kept_for_minutes(node: Node) -> None:
    for path in ("/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        answer = await node.get(path)
        assert answer.header("cache-control") == "public, max-age=300"
        assert answer.header("x-content-type-options") == "nosniff"


async def test_no_answer_sets_a_cookie_but_those_of_pages(node: Node) -> None:
    for path in PROTOCOL:
        for method in allowed(path):
            answer = await node.ask(method, path, headers=(FORM, ("cookie", "__Host-gw_session=x")))
            assert answer.every("set-cookie") == []


# ---------------------------------------------------------------- for balancers


@pytest.mark.parametrize("path", sorted(STATES))
@pytest.mark.parametrize("host", [ACME, "10.0.0.1:8600", None])
async def test_a_balancer_learns_whether_to_send_requests_and_nothing_else(node: Node, path: str, host: str | None) -> None:
    answer = await node.ask("GET", path, host=host)
    if path == READY:  # this clock stands in 2027
        assert answer.status == 503
        assert answer.json == {"status": "not ready"}
    else:
        assert answer.json == {"status": "ok"}
    assert answer.header("cache-control") == "no-store"
