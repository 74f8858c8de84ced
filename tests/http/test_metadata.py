"""The published documents tell the truth: what they name answers, and does what it is said to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gatewright.oauth.errors import ERRORS
from gatewright_guard.jose import read_jwks, verify
from tests.http.talk import BUDDY, ORIGIN, serve, tokens
from tests.http.window import asking
from tests.support.house import ACME, GLOBEX, Node, bearer

WELL_KNOWN = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
ENDPOINTS = ("authorization", "token", "userinfo", "revocation", "introspection", "device_authorization", "end_session")


async def document(node: Node, host: str = ACME) -> dict[str, Any]:
    """What an issuer says of itself."""
    return (await node.get(WELL_KNOWN[0], host=host)).json


@pytest.mark.proves("RFC 8414", "3.3")
@pytest.mark.proves("OpenID Connect Discovery", "4.3")
@pytest.mark.parametrize("host", [ACME, "login.acme.test", GLOBEX, "login.globex.test"])
async def test_each_domain_is_an_issuer_of_its_own_and_both_documents_agree(node: Node, host: str) -> None:
    openid, oauth = [await node.get(path, host=host) for path in WELL_KNOWN]
    assert openid.body == oauth.body
    told = openid.json
    assert told["issuer"] == f"https://{host}"
    assert all(told[f"{name}_endpoint"].startswith(f"https://{host}/") for name in ENDPOINTS)
    assert told["jwks_uri"] == f"https://{host}/jwks"


@pytest.mark.proves("RFC 8414", "2")
@pytest.mark.proves("RFC 9207", "3")
@pytest.mark.proves("OpenID Connect Discovery", "3")
async def test_what_the_standards_ask_for_is_said_and_what_is_off_is_said_to_be_off(node: Node) -> None:
    told = await document(node)
    required = {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported"}
    assert required | {"id_token_signing_alg_values_supported", "scopes_supported", "claims_supported"} <= set(told)
    for name in ("request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"):
        assert told[name] is False
    cleanup = "urn:gatewright:params:oauth:grant-type:install-cleanup"
    device = "urn:ietf:params:oauth:grant-type:device_code"
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials", device, cleanup]
    assert told["response_types_supported"] == ["code"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert not any("none" in value for name, value in told.items() if name.endswith("_alg_values_supported"))
    assert "registration_endpoint" not in told
    assert None not in told.values()


@pytest.mark.proves("RFC 8414", "2")
@pytest.mark.proves("RFC 8628", "4")
async def test_every_published_address_answers(node: Node) -> None:
    told = await document(node)
    for name in (*(f"{name}_endpoint" for name in ENDPOINTS), "jwks_uri"):
        path = told[name].removeprefix(f"https://{ACME}")
        statuses = {(await node.ask(method, path)).status for method in ("GET", "POST")}
        assert not {404, 421, 500} & statuses, name
        assert statuses != {405}, name


async def test_an_issuer_without_the_standard_preset_publishes_the_one_that_it_has(node: Node) -> None:
    await node.apply('[tenant]\nslug = "legacy"\nname = "Legacy"\ndomains = ["https://id.legacy.test"]\npaths = ["o"]\n')
    told = await document(node, "id.legacy.test")
    assert told["token_endpoint"] == "https://id.legacy.test/o/token/"
    assert told["revocation_endpoint"] == "https://id.legacy.test/o/revoke_token/"
    assert (await node.post("/o/token/", {"grant_type": "x"}, host="id.legacy.test")).status == 400
    assert (await node.post("/token", {"grant_type": "x"}, host="id.legacy.test")).status == 404


async def test_a_new_scope_stands_in_the_document_at_once(node: Node) -> None:
    assert "write:letters" not in (await document(node))["scopes_supported"]
    await node.apply(
        '[tenant]\nslug = "acme"\nname = "Acme"\ndomains = ["https://id.acme.test"]\npaths = ["standard"]\n'
        '[[apis]]\naudience = "https://post.acme.test"\nname = "Post"\n[apis.scopes]\n"write:letters" = "Write letters"\n'
    )
    assert "write:letters" in (await document(node))["scopes_supported"]


async def test_each_response_mode_and_prompt_that_is_published_is_taken(node: Node) -> None:
    told = await document(node)
    for mode in told["response_modes_supported"]:
        answer = await node.get(asking(response_mode=mode, prompt="none"))
        assert "login_required" in (answer.header("location") or answer.text)
    for prompt in told["prompt_values_supported"]:
        assert "invalid_request" not in ((await node.get(asking(prompt=prompt))).header("location") or "")
    for grant in told["grant_types_supported"]:
        assert (await node.post("/token", {"grant_type": grant}, BUDDY)).error != (400, "unsupported_grant_type")


# ---------------------------------------------------------------- keys


@pytest.mark.proves("RFC 7517", "5")
@pytest.mark.proves("OpenID Connect Core", "10.1")
async def test_the_published_keys_check_every_signature_and_are_public(node: Node) -> None:
    answer = await node.get("/jwks")
    document_ = answer.json
    keys = read_jwks(document_)
    for key in document_["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)
        assert {"kid", "alg", "kty", "use"} <= set(key)
    got = await tokens(node, "openid create:events")
    for token in (got["access_token"], got["id_token"], (await serve(node)).json["access_token"]):
        assert verify(token, keys).payload["iss"] == f"https://{ACME}"


async def test_all_domains_of_a_tenant_have_one_set_of_keys_and_tenants_have_their_own(node: Node) -> None:
    acme, other_door, globex = [(await node.get("/jwks", host=host)).json["keys"] for host in (ACME, "login.acme.test", GLOBEX)]
    assert acme == other_door
    assert not {key["kid"] for key in acme} & {key["kid"] for key in globex}


async def test_a_key_is_published_before_it_signs_and_until_its_tokens_are_dead(nodes: list[Node]) -> None:
    one, other = nodes
    old = (await serve(one)).json["access_token"]
    before = {key["kid"] for key in (await one.get("/jwks")).json["keys"]}
    tenant = await one.tenant()
    await one.house.signer.rotate(one.house.clock.moment(), tenant, actor="os:test", ahead=600)
    await other.hear()
    published = (await other.get("/jwks")).json
    after = {key["kid"] for key in published["keys"]}
    assert before < after
    assert verify((await serve(other)).json["access_token"], read_jwks(published)).header.kid in before
    one.time.pass_(601)
    signed = (await serve(other)).json["access_token"]
    assert verify(signed, read_jwks(published)).header.kid in after - before
    assert verify(old, read_jwks((await one.get("/jwks")).json)).header.kid in before
    one.time.pass_(86_400 + 3600)
    assert {key["kid"] for key in (await other.get("/jwks")).json["keys"]} == after - before


# ---------------------------------------------------------------- errors


def test_every_error_of_the_table_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


async def test_the_document_is_the_same_for_everybody_and_names_nobody(node: Node) -> None:
    plain = await node.get(WELL_KNOWN[0])
    got = await tokens(node)
    curious = await node.get(
        WELL_KNOWN[0] + "?client_id=budget-buddy", ORIGIN, bearer(got["access_token"]), ("cookie", "__Host-gw_session=x")
    )
    assert curious.body == plain.body
    for name in (b"budget-buddy", b"ann@", b"acme-dev", b"Organizer"):
        assert name not in plain.body
