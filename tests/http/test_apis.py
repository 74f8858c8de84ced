"""Where tokens are shown to us: userinfo, introspection, revocation, and the address that says why."""

from __future__ import annotations

import re

import msgspec
import pytest

from gatewright.base.digest import b64, unb64
from tests.http.talk import BANK, BANK_API, BUDDY, EVENTS, FORM, REPORTS, a_code, exchange, serve, tokens
from tests.support.approving import authorized, sign_in
from tests.support.house import ENVIRON, Answer, Form, Node, basic, bearer

INACTIVE = b'{"active":false}'
EVENTS_API = basic(EVENTS, ENVIRON["EVENTS_SECRET"])
REPORTS_API = basic(REPORTS, ENVIRON["REPORTS_SECRET"])
CHALLENGE = re.compile(r'Bearer realm="gatewright", error="[a-z_]+", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+"(, scope="[!-~ ]*")?')


async def introspected(node: Node, token: str, caller: tuple[str, str] = BANK_API, **more: str) -> Answer:
    """What a caller learns of a token."""
    return await node.post("/introspect", {"token": token, **more}, caller)


# ---------------------------------------------------------------- userinfo


@pytest.mark.proves("OpenID Connect Core", "5.3.1")
@pytest.mark.proves("RFC 6750", "2.1")
@pytest.mark.proves("RFC 6750", "2.2")
async def test_userinfo_takes_the_token_in_the_header_or_in_a_posted_form(node: Node) -> None:
    token = (await tokens(node))["access_token"]
    got = await node.get("/userinfo", bearer(token))
    assert got.json["sub"].startswith("us_")
    assert got.json["email"] == "ann@acme.test"
    for answer in (
        await node.ask("POST", "/userinfo", headers=(bearer(token),)),
        await node.post("/userinfo", {"access_token": token}),
        await node.get("/userinfo", ("authorization", f"bEARER   {token} ")),
        await node.get("/o/userinfo/", bearer(token)),
    ):
        assert (answer.status, answer.json) == (200, got.json)


@pytest.mark.proves("RFC 6750", "2")
@pytest.mark.proves("RFC 6750", "2.3")
async def test_a_token_in_the_address_or_in_two_places_is_refused(node: Node) -> None:
    token = (await tokens(node))["access_token"]
    assert (await node.get(f"/userinfo?access_token={token}")).status == 401
    both = await node.post("/userinfo", {"access_token": token}, bearer(token))
    assert both.error == (400, "invalid_request")
    twice = await node.get("/userinfo", bearer(token), bearer(token))
    assert twice.error == (400, "invalid_request")
    in_query = await node.ask("POST", f"/userinfo?access_token={token}", headers=(FORM,), body=b"")
    assert in_query.status == 401


@pytest.mark.proves("RFC 6750", "3.1")
async def test_without_a_token_the_challenge_has_no_error_and_with_a_bad_one_it_has(node: Node) -> None:
    bare = await node.get("/userinfo")
    assert (bare.status, bare.header("www-authenticate")) == (401, 'Bearer realm="gatewright"')
    assert (await node.get("/userinfo", ("authorization", "Basic eDp5"))).header("www-authenticate") == 'Bearer realm="gatewright"'
    for token in ("x", "gwa_x", "gwr_x", "e.e.e", "é", '"', "a b", "gwa_" + "A" * 4093):
        answer = await node.get("/userinfo", bearer(token))
        assert answer.error == (401, "invalid_token")
        assert CHALLENGE.fullmatch(answer.header("www-authenticate") or "")


@pytest.mark.proves("RFC 6750", "3.1")
@pytest.mark.proves("OpenID Connect Core", "5.3.3")
async def test_a_token_without_openid_is_told_which_scope_it_lacks(node: Node) -> None:
    token = (await tokens(node, "read:balance"))["access_token"]
    for answer in (
        await node.get("/userinfo", bearer(token)),
        await node.get("/userinfo", bearer((await serve(node)).json["access_token"])),
    ):
        assert answer.error == (403, "insufficient_scope")
        assert (answer.header("www-authenticate") or "").endswith('scope="openid"')


@pytest.mark.proves("OpenID Connect Core", "5.3.2")
@pytest.mark.proves("OpenID Connect Core", "5.4")
async def test_claims_come_with_their_scopes_and_never_as_null(node: Node) -> None:
    told = {}
    for scope in ("openid", "openid profile", "openid email", "openid profile email"):
        told[scope] = (await node.get("/userinfo", bearer((await tokens(node, scope))["access_token"]))).json
        assert None not in told[scope].values()
    assert set(told["openid"]) == {"sub"}
    assert told["openid profile"]["name"] == "Ann Example"
    assert told["openid email"]["email_verified"] is True
    assert told["openid profile email"] == told["openid profile"] | told["openid email"]


@pytest.mark.proves("OpenID Connect Core", "5.5")
async def test_a_claim_asked_for_by_name_needs_the_scope_that_owns_it(node: Node) -> None:
    asked = {"claims": '{"userinfo":{"email":{"essential":true},"phone_number":null},"id_token":{"name":null}}'}
    cookie = await sign_in(node)
    allowed = await authorized(node, cookie, "budget-buddy", "openid", more=asked)
    got = (await node.post("/token", exchange(allowed["code"]), BUDDY)).json
    assert (await node.get("/userinfo", bearer(got["access_token"]))).json["email"] == "ann@acme.test"
    refused = await authorized(node, cookie, "phone-app", "openid", more=asked)
    got = (await node.post("/token", exchange(refused["code"], "phone-app", client_id="phone-app", redirect_uri=None))).json
    assert set((await node.get("/userinfo", bearer(got["access_token"]))).json) == {"sub"}


# ---------------------------------------------------------------- introspection


@pytest.mark.proves("RFC 7662", "2.2")
async def test_an_api_learns_of_its_own_tokens_what_it_needs(node: Node) -> None:
    got = await tokens(node, "openid read:balance create:events", resource=BANK)
    answer = await introspected(node, got["access_token"])
    told = answer.json
    assert told["active"] is True
    assert told["scope"] == "read:balance", "what it is told of is its own"
    assert {"client_id", "username", "token_type", "exp", "iat", "sub", "aud", "iss", "jti", "account", "account_id"} <= set(told)
    assert (told["aud"], told["client_id"]) == (BANK, "budget-buddy")
    assert answer.header("cache-control") == "no-store"


@pytest.mark.proves("RFC 7662", "2.1")
@pytest.mark.proves("RFC 7662", "2.2")
async def test_who_has_no_right_to_know_learns_exactly_inactive(node: Node) -> None:
    bank = (await tokens(node, "openid read:balance"))["access_token"]
    events = (await tokens(node, "openid create:events"))["access_token"]
    alone = (await tokens(node, "openid"))["access_token"]
    office = await node.post("/token", exchange(await a_code(node, "openid", "office-only"), "office-only"), basic("office-only"))
    answers = [
        await introspected(node, events),
        await introspected(node, alone),
        await introspected(node, bank, EVENTS_API),
        await introspected(node, bank, REPORTS_API),
        await introspected(node, bank, basic("image-copier")),
        await introspected(node, bank, basic("events-web")),
        await introspected(node, office.json["access_token"], BUDDY),
        await introspected(node, "gwa_unknown"),
        await introspected(node, "x"),
        await introspected(node, bank[:-1] + ("A" if bank[-1] != "A" else "B")),
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(200, INACTIVE)}
    assert len({answer.headers for answer in answers}) == 1


@pytest.mark.proves("RFC 7662", "2.1")
async def test_nobody_introspects_without_proof(node: Node) -> None:
    token = (await tokens(node))["access_token"]
    for form, headers in (({}, ()), ({"client_id": "browser-app"}, ()), ({}, (basic(BANK, "wrong"),)), ({}, (bearer(token),))):
        answer = await node.post("/introspect", {"token": token, **form}, *headers)
        assert answer.error == (401, "invalid_client")
    assert (await node.post("/introspect", {}, BANK_API)).error == (400, "invalid_request")


@pytest.mark.proves("RFC 7662", "2.1")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense"])
async def test_a_wrong_hint_misleads_nobody(node: Node, hint: str) -> None:
    got = await tokens(node)
    assert (await introspected(node, got["access_token"], token_type_hint=hint)).json["active"] is True
    assert (await introspected(node, got["refresh_token"], BUDDY, token_type_hint=hint)).json["active"] is True
    await node.post("/revoke", {"token": got["refresh_token"], "token_type_hint": hint}, BUDDY)
    assert (await introspected(node, got["access_token"])).body == INACTIVE


@pytest.mark.proves("RFC 7662", "4")
async def test_an_api_is_told_nothing_of_refresh_tokens_codes_and_id_tokens(node: Node) -> None:
    code = await a_code(node)
    got = await tokens(node)
    for text in (got["refresh_token"], got["id_token"], code, await sign_in(node)):
        assert (await introspected(node, text)).body == INACTIVE
        if text != got["refresh_token"]:
            assert (await introspected(node, text, BUDDY)).body == INACTIVE


def _header(**members: object) -> str:
    return b64(msgspec.json.encode({"typ": "at+jwt", **members}))


@pytest.mark.proves("RFC 9068", "4")
async def test_what_is_no_access_token_opens_nothing(node: Node) -> None:
    got = await tokens(node, "openid create:events")
    header, payload, signature = got["access_token"].split(".")
    read = unb64(payload) or b""
    none, hmac = _header(alg="none"), _header(alg="HS256")
    own_key = _header(alg="ES256", jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})
    later = read.replace(b'"exp":18', b'"exp":19')
    forged = {
        "an ID token": got["id_token"],
        "a refresh token": got["refresh_token"],
        "no algorithm": f"{none}.{payload}.",
        "no algorithm, but the signature": f"{none}.{payload}.{signature}",
        "HMAC under the public key": f"{hmac}.{payload}.{signature}",
        "another type": f"{b64((unb64(header) or b'').replace(b'at+jwt', b'JWT'))}.{payload}.{signature}",
        "another scope": f"{header}.{b64(read.replace(b'create:events', b'delete:events'))}.{signature}",
        "a later end": f"{header}.{b64(later)}.{signature}",
        "another signature": f"{header}.{payload}.{b64(bytes(64))}",
        "a key of its own": f"{own_key}.{payload}.{signature}",
    }
    assert later != read
    for what, text in forged.items():
        assert (await node.get("/userinfo", bearer(text))).error == (401, "invalid_token"), what
        assert (await introspected(node, text, EVENTS_API)).body == INACTIVE, what
    assert (await introspected(node, got["access_token"], EVENTS_API)).json["active"] is True


async def test_an_expired_token_is_inactive_to_the_second(node: Node) -> None:
    got = await tokens(node)
    node.time.pass_(got["expires_in"] - 1)
    assert (await introspected(node, got["access_token"])).json["active"] is True
    node.time.pass_(1)
    assert (await introspected(node, got["access_token"])).body == INACTIVE
    assert (await node.get("/userinfo", bearer(got["access_token"]))).error == (401, "invalid_token")


# ---------------------------------------------------------------- revocation


@pytest.mark.proves("RFC 7009", "2.1")
async def test_a_revoked_access_token_is_dead_on_every_node_and_its_siblings_live(nodes: list[Node]) -> None:
    got = await tokens(nodes[0], "openid create:events")
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    sibling = (await nodes[0].post("/token", form, BUDDY)).json
    assert (await nodes[1].post("/revoke", {"token": got["access_token"]}, BUDDY)).status == 200
    for node in nodes:
        assert (await node.get("/userinfo", bearer(got["access_token"]))).status == 401
        assert (await introspected(node, got["access_token"], EVENTS_API)).body == INACTIVE
        assert (await node.get("/userinfo", bearer(sibling["access_token"]))).status == 200


@pytest.mark.proves("RFC 7009", "2.1")
async def test_a_revoked_refresh_token_takes_its_access_tokens_along(nodes: list[Node]) -> None:
    got = await tokens(nodes[0])
    assert (await nodes[0].post("/revoke", {"token": got["refresh_token"]}, BUDDY)).status == 200
    assert (await nodes[1].get("/userinfo", bearer(got["access_token"]))).status == 401
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    assert (await nodes[1].post("/token", form, BUDDY)).error == (400, "invalid_grant")


@pytest.mark.proves("RFC 7009", "2.2")
async def test_revoking_answers_alike_whatever_was_shown(node: Node) -> None:
    got = await tokens(node)
    alike = [
        await node.post("/revoke", {"token": "x"}, BUDDY),
        await node.post("/revoke", {"token": "gwr_x"}, BUDDY),
        await node.post("/revoke", {"token": got["access_token"]}, basic("events-web")),
        await node.post("/revoke", {"token": got["refresh_token"]}, basic("events-web")),
        await node.post("/revoke", {"token": got["refresh_token"], "client_id": "browser-app"}),
        await node.post("/revoke", {"token": got["id_token"]}, BUDDY),
    ]
    assert (await node.get("/userinfo", bearer(got["access_token"]))).status == 200
    alike += [await node.post("/revoke", {"token": got["refresh_token"]}, BUDDY) for _ in range(2)]
    assert {(answer.status, answer.body, answer.headers) for answer in alike} == {(200, b"", alike[0].headers)}
    assert (await node.post("/revoke", {}, BUDDY)).error == (400, "invalid_request")


# ---------------------------------------------------------------- why


async def why(node: Node, token: str, caller: tuple[str, str] = BANK_API, scope: str | None = None) -> str:
    """The cause that an API learns."""
    form: Form = {"token": token, "scope": scope}
    return str((await node.post("/-/why", form, caller)).json["cause"])


async def test_only_the_api_of_the_token_learns_why_it_ended(node: Node) -> None:
    got = await tokens(node)
    await node.post("/revoke", {"token": got["access_token"]}, BUDDY)
    assert await why(node, got["access_token"]) == "token_revoked"
    assert await why(node, got["access_token"], EVENTS_API) == "unknown"
    assert await why(node, "gwa_x") == "unknown"
    for caller in (BUDDY, basic(BANK, "wrong"), bearer(got["access_token"])):
        assert (await node.post("/-/why", {"token": got["access_token"]}, caller)).error == (401, "invalid_client")
    node.time.pass_(86400 + got["expires_in"] + 1)
    assert await why(node, got["access_token"]) == "unknown"


async def test_a_missing_scope_has_its_reason(node: Node) -> None:
    token = (await tokens(node, "openid read:balance"))["access_token"]
    assert await why(node, token, scope="read:balance") == "granted"
    assert await why(node, token, scope="transfer:funds") == "scope_not_requested"
    assert await why(node, token, scope="create:events") == "scope_unknown", "it is another API's"
