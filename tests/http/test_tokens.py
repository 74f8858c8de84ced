"""The token endpoint over HTTP: what it answers, how it refuses, and what a refusal leaves as it was."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from urllib.parse import quote

import msgspec
import pytest

from gatewright.base.digest import b64
from gatewright.oauth.handle import open_handle, seal
from gatewright.store import Query
from gatewright_guard.jose import parse
from tests.http.talk import APPS, BANK, BANK_API, BUDDY, EVENTS, a_code, exchange, serve, tokens
from tests.support.approving import REDIRECTS, sign_in
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, Answer, Form, Node, basic, bearer
from tests.support.signer import made, signing
from tests.support.world import claims_of

INVALID_CLIENT, INVALID_GRANT, INVALID_REQUEST = (401, "invalid_client"), (400, "invalid_grant"), (400, "invalid_request")
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
BUDDY_POST = {"client_id": "budget-buddy", "client_secret": CLIENT_SECRET}


async def renew(node: Node, token: str, client: str = "budget-buddy", **more: str | None) -> Answer:
    """A refresh."""
    return await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more}, basic(client))


# ---------------------------------------------------------------- what is answered


@pytest.mark.proves("RFC 6749", "5.1")
async def test_the_answer_has_the_members_of_the_standard_and_their_types(node: Node) -> None:
    answer = await node.post("/token", exchange(await a_code(node)), BUDDY)
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    told = answer.json
    assert told["token_type"] == "Bearer"
    assert isinstance(told["expires_in"], int)
    assert told["scope"] == "openid email read:balance"
    assert None not in told.values()


@pytest.mark.proves("RFC 6749", "2.3.1")
@pytest.mark.parametrize("client", ["budget-buddy", "image-copier"])
async def test_the_secret_comes_in_the_header_or_in_the_body(node: Node, client: str) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "read:images"}
    in_body = await node.post("/token", {**form, "client_id": client, "client_secret": CLIENT_SECRET})
    in_header = await node.post("/token", form, basic(client))
    assert in_body.status == in_header.status == (200 if client == "image-copier" else 400)


@pytest.mark.proves("RFC 6749", "3.3")
async def test_the_scope_that_was_given_is_always_said(node: Node) -> None:
    for scope in ("read:images", "delete:images read:images", "read:images read:images"):
        told = (await serve(node, scope)).json["scope"]
        assert set(told.split()) == set(scope.split())
    code = await a_code(node, "openid create:events")
    assert (await node.post("/token", exchange(code), BUDDY)).json["scope"] == "openid create:events"


@pytest.mark.proves("RFC 9068", "2.1")
@pytest.mark.proves("RFC 9068", "2.2")
async def test_a_jwt_access_token_has_what_the_profile_asks_for(node: Node) -> None:
    got = await tokens(node, "openid create:events")
    read = parse(got["access_token"])
    assert (read.header.typ, read.header.alg) == ("at+jwt", "ES256")
    claims = read.payload
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert (claims["iss"], claims["aud"], claims["client_id"], claims["scope"]) == (
        f"https://{ACME}",
        EVENTS,
        "budget-buddy",
        "openid create:events",
    )
    service = claims_of((await serve(node)).json["access_token"])
    assert service["sub"] == service["client_id"] == "image-copier"


@pytest.mark.proves("RFC 9700", "4.15")
async def test_the_subject_of_a_service_is_never_a_users(node: Node) -> None:
    users = {claims_of((await tokens(node, "openid create:events"))["access_token"])["sub"]}
    services = {claims_of((await serve(node)).json["access_token"])["sub"]}
    assert all(sub.startswith("us_") for sub in users)
    assert not any(sub.startswith("us_") for sub in services)


@pytest.mark.proves("OpenID Connect Core", "2")
@pytest.mark.proves("OpenID Connect Core", "3.1.3.6")
@pytest.mark.proves("OpenID Connect Core", "12.2")
async def test_an_id_token_tells_the_app_of_the_sign_in_and_a_later_one_of_the_same(node: Node) -> None:
    code = await a_code(node, nonce="n-0S6_WzA2Mj")
    node.time.pass_(30)
    got = (await node.post("/token", exchange(code), BUDDY)).json
    claims = claims_of(got["id_token"])
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (f"https://{ACME}", "budget-buddy", "n-0S6_WzA2Mj")
    assert claims["sub"] == (await node.get("/userinfo", bearer(got["access_token"]))).json["sub"]
    assert claims["auth_time"] + 30 == claims["iat"] < claims["exp"]
    assert claims["at_hash"] == b64(sha256(got["access_token"].encode()).digest()[:16])
    node.time.pass_(3600)
    later = claims_of((await renew(node, got["refresh_token"])).json["id_token"])
    assert {name: later[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: claims[name] for name in ("iss", "sub", "aud", "auth_time")
    }
    assert later["iat"] == claims["iat"] + 3600
    assert "nonce" not in later


# ---------------------------------------------------------------- who is calling

STRANGERS: list[tuple[Form, tuple[tuple[str, str], ...]]] = [
    ({}, ()),
    ({"client_id": "nobody"}, ()),
    ({"client_id": "budget-buddy"}, ()),
    ({"client_id": "budget-buddy", "client_secret": "wrong"}, ()),
    ({"client_id": "browser-app", "client_secret": CLIENT_SECRET}, ()),
    ({}, (basic("nobody"),)),
    ({}, (basic("budget-buddy", "wrong"),)),
    ({}, (basic("budget-buddy", CLIENT_SECRET + " "),)),
    ({}, (basic("budget-buddy", ""),)),
    ({}, (basic("BUDGET-BUDDY"),)),
    ({}, (("authorization", "Basic !"),)),
    ({}, (("authorization", "Basic"),)),
    ({}, (("authorization", f"Bearer {CLIENT_SECRET}"),)),
    ({}, (("authorization", "Digest username=budget-buddy"),)),
    ({"client_id": "budget-buddy\0", "client_secret": CLIENT_SECRET}, ()),
]


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.parametrize(("form", "headers"), STRANGERS)
async def test_who_does_not_prove_himself_is_refused_with_a_challenge_where_he_tried_the_header(
    node: Node, form: Form, headers: tuple[tuple[str, str], ...]
) -> None:
    before = node.counts
    for path in ("/token", "/introspect", "/revoke"):
        answer = await node.post(path, {"grant_type": "client_credentials", "scope": "read:images", "token": "x", **form}, *headers)
        if "\0" in str(form.get("client_id")):
            assert answer.error == INVALID_REQUEST
            continue
        assert answer.error == INVALID_CLIENT
        tried = bool(headers) and headers[0][1].lower().startswith("basic ")
        assert answer.header("www-authenticate") == ('Basic realm="gatewright", charset="UTF-8"' if tried else None)
        assert set(answer.json) == {"error", "error_description"}
    assert {name: node.counts[name] - before[name] for name in ("verbs", "units", "commits")} == {"verbs": 0, "units": 0, "commits": 0}


@pytest.mark.proves("RFC 6749", "5.2")
async def test_an_unknown_client_is_answered_like_a_wrong_secret(node: Node) -> None:
    answers = []
    for name, secret in (("nobody", CLIENT_SECRET), ("budget-buddy", "wrong"), ("browser-app", CLIENT_SECRET), ("image-copier", "")):
        if secret:
            answers.append(await node.post("/token", {"grant_type": "client_credentials"}, basic(name, secret)))
    assert len({(answer.status, answer.body, _plain(answer)) for answer in answers}) == 1


def _plain(answer: Answer) -> tuple[tuple[str, str], ...]:
    return tuple(head for head in answer.headers if head[0] != "request-id")


@pytest.mark.proves("RFC 6749", "2.3")
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
async def test_two_ways_of_proof_are_one_too_many(node: Node, path: str) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "read:images", "token": "x"}
    assertion = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "eyJhbGciOiJFUzI1NiJ9.e30.AA",
    }
    for more in (BUDDY_POST, {"client_secret": "x"}, assertion, {"client_id": "image-copier"}):
        assert (await node.post(path, {**form, **more}, BUDDY)).error in (INVALID_REQUEST, INVALID_CLIENT), more
    two_headers = await node.post(path, form, BUDDY, BUDDY)
    assert two_headers.error == INVALID_REQUEST


SIGNER = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test"]

[[clients]]
client_id = "key-holder"
client_name = "Key holder"
type = "service"
grant_types = ["client_credentials"]
scopes = ["read:images"]
token_endpoint_auth_method = "private_key_jwt"
jwks = { keys = [ { %s } ] }
"""


@pytest.mark.proves("RFC 7523", "3")
@pytest.mark.proves("OpenID Connect Core", "9")
async def test_a_signed_assertion_is_as_good_as_a_secret_once_and_for_us_alone(nodes: list[Node]) -> None:
    node, other = nodes
    public = msgspec.json.decode(made("ES256").public_jwk, type=dict[str, str])
    await node.apply(SIGNER % ", ".join(f'{name} = "{value}"' for name, value in public.items()))
    good = {"iss": "key-holder", "sub": "key-holder", "aud": f"https://{ACME}", "exp": node.time.now + 60, "jti": "one"}

    async def shown(at: Node, **changed: object) -> Answer:
        assertion = signing("ES256").sign("JWT", msgspec.json.encode({**good, **changed}))
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {"grant_type": "client_credentials", "scope": "read:images", "client_assertion_type": kind, "client_assertion": assertion}
        return await at.post("/token", form)

    assert (await shown(node)).status == 200
    assert (await shown(other)).error == INVALID_CLIENT, "a second time, at another node"
    wrong: list[dict[str, object]] = [
        {"iss": "budget-buddy"},
        {"sub": "budget-buddy"},
        {"sub": "nobody", "iss": "nobody"},
        {"aud": "https://id.globex.test"},
        {"aud": [f"https://{ACME}", "https://evil.example"]},
        {"aud": "https://login.acme.test"},
        {"exp": node.time.now},
        {"exp": node.time.now + 86_400},
        {"iat": node.time.now + 300},
        {"jti": ""},
    ]
    for number, changed in enumerate(wrong):
        assert (
            await shown(node, jti=f"{number}", **changed) if "jti" not in changed else await shown(node, **changed)
        ).error == INVALID_CLIENT, changed
    assert (await shown(other, jti="two")).status == 200


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke", "/userinfo", "/-/why"])
async def test_cookies_prove_nothing_at_the_token_side(node: Node, path: str) -> None:
    cookie = ("cookie", f"__Host-gw_session={await sign_in(node)}")
    with_cookie, without = await node.post(path, {"token": "x"}, cookie), await node.post(path, {"token": "x"})
    assert (with_cookie.status, with_cookie.body) == (without.status, without.body)


# ---------------------------------------------------------------- what is asked

GRANTS: list[tuple[Form, tuple[int, str]]] = [
    ({}, INVALID_REQUEST),
    ({"grant_type": ""}, INVALID_REQUEST),
    ({"grant_type": "password", "username": "ann@acme.test", "password": "correct horse battery staple"}, (400, "unauthorized_client")),
    ({"grant_type": "implicit"}, (400, "unsupported_grant_type")),
    ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"}, (400, "unauthorized_client")),
    ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}, (400, "unsupported_grant_type")),
    ({"grant_type": "Authorization_Code", "code": "x"}, (400, "unsupported_grant_type")),
    ({"grant_type": 'x"\\\r\n'}, (400, "unsupported_grant_type")),
    ({"grant_type": "client_credentials", "scope": "read:images"}, (400, "unauthorized_client")),
    ({"grant_type": "authorization_code"}, INVALID_REQUEST),
    ({"grant_type": "authorization_code", "code": "gwc_x"}, INVALID_GRANT),
    ({"grant_type": "refresh_token"}, INVALID_REQUEST),
    ({"grant_type": "refresh_token", "refresh_token": "gwr_x"}, INVALID_GRANT),
]


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.proves("OAuth 2.1", "10.1")
@pytest.mark.proves("RFC 9700", "2.4")
@pytest.mark.parametrize(("form", "error"), GRANTS)
async def test_each_refusal_has_its_code_and_a_sentence_in_the_characters_of_the_standard(
    node: Node, form: Form, error: tuple[int, str]
) -> None:
    answer = await node.post("/token", form, BUDDY)
    assert answer.error == error
    assert DESCRIPTION.fullmatch(answer.json["error_description"])
    assert answer.header("cache-control") == "no-store"
    assert answer.header("request-id")


@pytest.mark.proves("RFC 6749", "5.2")
@pytest.mark.parametrize(
    "scope",
    ["nope", "read:balance", "openid", "offline_access", "read:images nope", "read:images openid", 'x"y', "é", "\u202e", "x" * 3000],
)
async def test_a_service_gets_no_scope_that_it_was_not_given(node: Node, scope: str) -> None:
    answer = await serve(node, scope)
    assert answer.error == (400, "invalid_scope")
    assert DESCRIPTION.fullmatch(answer.json["error_description"])


@pytest.mark.proves("RFC 8707", "2.2")
@pytest.mark.proves("RFC 9068", "3")
@pytest.mark.proves("RFC 9700", "2.3")
async def test_a_resource_names_the_api_and_a_wrong_one_is_refused(node: Node) -> None:
    code = await a_code(node, "openid read:balance create:events")
    for resource in (None, "https://nowhere.test", f"{BANK}#fragment", f"{BANK}/x", "bank", (BANK, EVENTS)):
        answer = await node.post("/token", exchange(code, resource=resource), BUDDY)
        assert answer.error == (400, "invalid_target"), resource
    got = await node.post("/token", exchange(code, resource=EVENTS), BUDDY)
    assert claims_of(got.json["access_token"])["aud"] == EVENTS
    assert got.json["scope"] == "openid create:events"
    other = await renew(node, got.json["refresh_token"], resource=BANK)
    assert other.json["scope"] == "openid read:balance"


# ---------------------------------------------------------------- codes


@pytest.mark.proves("RFC 6749", "4.1.3")
@pytest.mark.proves("RFC 7636", "4.6")
@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": None},
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": "v" * 129},
        {"redirect_uri": "https://budget.example/other"},
        {"redirect_uri": "https://budget.example/callback/"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": quote("https://budget.example/callback", safe="")},
    ],
)
async def test_a_code_with_anything_wrong_beside_it_buys_nothing_and_stays_good(node: Node, changed: dict[str, str | None]) -> None:
    code = await a_code(node)
    before = node.counts
    assert (await node.post("/token", exchange(code[:-2] + "AA"), BUDDY)).error == INVALID_GRANT
    assert node.counts["commits"] == before["commits"]
    assert (await node.post("/token", {**exchange(code), **changed}, BUDDY)).error == INVALID_GRANT
    assert node.counts["commits"] == before["commits"] + 1, "a wrong proof of a live code is counted, and nothing else is written"
    assert await node.number("SELECT COUNT(*) FROM authorization_row WHERE code_used_by IS NOT NULL OR ended_at IS NOT NULL") == 0
    assert await node.number("SELECT failures FROM throttle") == 1
    assert (await node.post("/token", exchange(code), BUDDY)).status == 200


@pytest.mark.proves("RFC 6749", "4.1.2")
@pytest.mark.proves("RFC 9700", "4.5.3")
async def test_a_code_used_twice_ends_everything_that_came_of_it(node: Node) -> None:
    code = await a_code(node, "openid create:events")
    first = (await node.post("/token", exchange(code), BUDDY)).json
    assert (await node.post("/token", exchange(code), BUDDY)).error == INVALID_GRANT
    assert (await node.get("/userinfo", bearer(first["access_token"]))).error == (401, "invalid_token")
    assert (await renew(node, first["refresh_token"])).error == INVALID_GRANT
    assert (await node.post("/introspect", {"token": first["access_token"]}, BUDDY)).json == {"active": False}


async def test_a_replay_of_a_code_whose_grant_was_withdrawn_leaves_the_reason_as_it_was(node: Node) -> None:
    code = await a_code(node, "openid read:balance")
    await node.post("/token", exchange(code), BUDDY)
    number = await node.number("SELECT id FROM consent_grant WHERE person != 0 AND ended_at IS NULL AND source = 'user'")
    assert number is not None
    at = node.house.clock.moment()
    await node.house.grants.end(at, tenant=await node.tenant(), number=number, because="withdrawn", actor="us_x")
    assert (await node.post("/token", exchange(code), BUDDY)).error == INVALID_GRANT
    assert await node.number("SELECT COUNT(*) FROM authorization_row WHERE ended_because = 'replay'") == 0


@pytest.mark.proves("RFC 6749", "4.1.2")
async def test_a_code_is_good_for_a_minute(node: Node) -> None:
    early, late = await a_code(node), await a_code(node)
    node.time.pass_(59)
    assert (await node.post("/token", exchange(early), BUDDY)).status == 200
    node.time.pass_(1)
    assert (await node.post("/token", exchange(late), BUDDY)).error == INVALID_GRANT


@pytest.mark.proves("RFC 6749", "4.1.3")
async def test_a_code_is_for_the_client_that_asked_for_it(node: Node) -> None:
    code = await a_code(node)
    assert (await node.post("/token", exchange(code), basic("events-web"))).error == INVALID_GRANT
    assert (await node.post("/token", exchange(code, client_id="browser-app"))).error == INVALID_GRANT
    assert (await node.post("/token", exchange(code), BUDDY)).status == 200


@pytest.mark.proves("RFC 9700", "4.8.2")
async def test_a_verifier_where_no_challenge_was_is_a_downgrade_and_refused(node: Node) -> None:
    code = await a_code(node, "openid read:balance", "old-library", code_challenge=None, code_challenge_method=None)
    assert (await node.post("/token", exchange(code, "old-library"), basic("old-library"))).error == INVALID_GRANT
    without: Form = exchange(code, "old-library", code_verifier=None)
    assert (await node.post("/token", {**without, "redirect_uri": None}, basic("old-library"))).error == INVALID_GRANT
    assert (await node.post("/token", without, basic("old-library"))).status == 200
    challenged = await a_code(node, "openid read:balance", "old-library")
    assert (await node.post("/token", exchange(challenged, "old-library", code_verifier=None), basic("old-library"))).error == INVALID_GRANT


async def test_a_code_is_good_at_its_own_issuer_alone(node: Node) -> None:
    code = await a_code(node)
    assert (await node.post("/token", exchange(code), BUDDY, host="login.acme.test")).error == INVALID_GRANT
    assert (await node.post("/token", exchange(code), BUDDY)).status == 200


async def test_of_twenty_exchanges_at_once_on_two_nodes_one_gets_tokens(nodes: list[Node]) -> None:
    code = await a_code(nodes[0])
    answers = await asyncio.gather(*[nodes[turn % 2].post("/token", exchange(code), BUDDY) for turn in range(20)])
    assert sorted(answer.status for answer in answers) == [200] + [400] * 19
    winner = next(answer for answer in answers if answer.status == 200)
    assert (await nodes[0].get("/userinfo", bearer(winner.json["access_token"]))).status == 401


# ---------------------------------------------------------------- refresh


@pytest.mark.proves("RFC 9700", "4.14.2")
async def test_an_old_refresh_token_ends_the_chain_for_thief_and_owner(node: Node) -> None:
    first = (await tokens(node))["refresh_token"]
    second = (await renew(node, first)).json["refresh_token"]
    third = (await renew(node, second)).json
    assert (await renew(node, first)).error == INVALID_GRANT
    assert (await renew(node, third["refresh_token"])).error == INVALID_GRANT
    assert (await node.get("/userinfo", bearer(third["access_token"]))).error == (401, "invalid_token")


async def test_two_workers_that_refresh_at_once_go_on_with_one_chain(nodes: list[Node]) -> None:
    first = (await tokens(nodes[0]))["refresh_token"]
    answers = await asyncio.gather(*[renew(nodes[turn % 2], first) for turn in range(10)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert len({answer.json["access_token"] for answer in answers}) == 10
    assert (await renew(nodes[1], answers[0].json["refresh_token"])).status == 200


@pytest.mark.proves("RFC 9700", "2.2.2")
@pytest.mark.parametrize(("client", "overlap"), [("budget-buddy", 600), ("browser-app", 10)])
async def test_the_overlap_is_counted_from_the_rotation_and_short_for_public_clients(node: Node, client: str, overlap: int) -> None:
    proof = [] if client == "browser-app" else [basic(client)]
    named = {"client_id": client} if client == "browser-app" else {}

    async def use(token: str) -> Answer:
        return await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **named}, *proof)

    code = await a_code(node, "openid read:balance", client)
    first = (await node.post("/token", exchange(code, client, **named), *proof)).json["refresh_token"]
    second = (await use(first)).json["refresh_token"]
    node.time.pass_(overlap)
    assert (await use(first)).json["refresh_token"] == second
    node.time.pass_(1)
    assert (await use(first)).error == INVALID_GRANT
    assert (await use(second)).error == INVALID_GRANT


@pytest.mark.proves("RFC 6749", "6")
async def test_a_refresh_never_widens_and_a_narrower_one_is_no_loss(node: Node) -> None:
    got = await tokens(node, "openid email read:balance transfer:funds")
    wider = await renew(node, got["refresh_token"], scope="openid read:balance read:reports")
    assert wider.error == (400, "invalid_scope")
    narrow = (await renew(node, got["refresh_token"], scope="openid read:balance")).json
    assert narrow["scope"] == "openid read:balance"
    told = (await node.post("/introspect", {"token": narrow["access_token"]}, BUDDY)).json
    assert set(told["scope"].split()) == {"openid", "read:balance"}
    assert "email" not in (await node.get("/userinfo", bearer(narrow["access_token"]))).json
    whole = (await renew(node, narrow["refresh_token"])).json
    assert set(whole["scope"].split()) == {"openid", "email", "read:balance", "transfer:funds"}


@pytest.mark.proves("RFC 6749", "6")
@pytest.mark.proves("RFC 6749", "10.4")
async def test_a_refresh_token_is_for_its_own_client_and_issuer_and_dies_of_nobody_else(node: Node) -> None:
    got = await tokens(node)
    before = node.counts
    assert (await renew(node, got["refresh_token"], "events-web")).error == INVALID_GRANT
    elsewhere = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert (await node.post("/token", elsewhere, BUDDY, host="login.acme.test")).error == INVALID_GRANT
    assert (await node.post("/token", {**elsewhere, "client_id": "browser-app"})).error == INVALID_GRANT
    assert node.counts["commits"] == before["commits"]
    assert (await renew(node, got["refresh_token"])).status == 200


BACK = Query(None, "UPDATE authorization_row SET generation = 0, rotated_at = NULL, rotated_by = NULL")


async def test_apps_go_on_after_a_store_that_went_back(node: Node) -> None:
    got = await tokens(node)
    first = (await renew(node, got["refresh_token"])).json["refresh_token"]
    second = (await renew(node, first)).json["refresh_token"]
    await node.house.store.verb(BACK)
    third = await renew(node, second)
    assert third.status == 200
    assert (await node.get("/userinfo", bearer(third.json["access_token"]))).status == 200
    assert (await renew(node, third.json["refresh_token"])).status == 200
    node.time.pass_(1000)
    assert (await renew(node, second)).error == INVALID_GRANT, "from then on an old one is a replay again"
    assert (await node.get("/userinfo", bearer(third.json["access_token"]))).error == (401, "invalid_token")


async def test_of_two_who_show_one_link_after_a_restore_one_is_first(node: Node) -> None:
    got = await tokens(node)
    held = (await renew(node, got["refresh_token"])).json["refresh_token"]
    await node.house.store.verb(BACK)
    answers = await asyncio.gather(*[renew(node, held) for _ in range(5)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1, "the others are told again what the first was"
    assert await node.number("SELECT MAX(generation) FROM authorization_row") == 2


# ---------------------------------------------------------------- tokens until revoked


async def test_a_token_until_revoked_lives_until_it_is_revoked(node: Node) -> None:
    got = await tokens(node, "openid use:app")
    assert "expires_in" not in got
    node.time.pass_(300 * 86400)
    assert (await node.get("/userinfo", bearer(got["access_token"]))).status == 200
    assert (await node.post("/revoke", {"token": got["access_token"]}, BUDDY)).status == 200
    assert (await node.get("/userinfo", bearer(got["access_token"]))).error == (401, "invalid_token")
    assert (await node.post("/introspect", {"token": got["access_token"]}, basic(APPS, ENVIRON["APPS_SECRET"]))).json == {"active": False}


async def test_every_registered_address_gets_its_code(node: Node) -> None:
    for client, redirect in REDIRECTS.items():
        assert (await a_code(node, "openid", client, redirect_uri=redirect)).startswith("gwc_")


# ---------------------------------------------------------------- bound tokens, which nothing here makes yet


@pytest.mark.proves("RFC 9449", "6.2")
async def test_an_api_is_told_what_a_token_is_bound_to(node: Node) -> None:
    world, at = node.house.world, node.house.clock.moment()
    issuer = await node.house.sites.find(b"id.acme.test")
    assert issuer is not None
    handle = open_handle((await tokens(node))["access_token"], issuer, world.sealer, at.now)
    assert handle is not None
    row = await world.ledger.standing(handle.authorization)
    assert row is not None
    bound = seal(msgspec.structs.replace(handle, cnf=bytes(32)), row.access_secret, issuer, world.sealer, at)
    told = (await node.post("/introspect", {"token": bound}, BANK_API)).json
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": "A" * 43})


@pytest.mark.proves("RFC 9449", "7.2")
async def test_a_jwt_that_is_bound_is_nobodys_here_without_its_proof(node: Node) -> None:
    tenant = await node.tenant()
    token = (await tokens(node, "create:events"))["access_token"]
    for changed, active in (({}, True), ({"cnf": {"jkt": "A" * 43}}, False)):
        made = await node.house.world.signer.sign(tenant, "ES256", "at+jwt", msgspec.json.encode(claims_of(token) | changed))
        answer = await node.post("/introspect", {"token": made}, basic(EVENTS, ENVIRON["EVENTS_SECRET"]))
        assert answer.json["active"] is active
