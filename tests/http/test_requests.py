"""Requests that are wrong as HTTP or as forms: sizes, types, encodings, repetitions, hosts and forwarded addresses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewright.base.log import Event
from gatewright.oauth.ask import ONCE
from gatewright.web.ask import BODY_LIMIT, FIELD_LIMIT, Message
from tests.http.talk import BANK_API, BUDDY, COPIER, FORM, a_code, exchange, serve, tokens
from tests.http.test_routes import PAGES, PROTOCOL
from tests.http.window import Window, asking, form_of
from tests.support.approving import REDIRECTS
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, GLOBEX, Answer, Form, Node, basic, open_nodes, sqlite_copy

POSTS = ["/token", "/introspect", "/revoke", "/userinfo", "/-/why", "/authorize", "/end_session", "/-/sign-in", "/-/consent"]
GRANT = b"grant_type=client_credentials&scope=read:images"


# ---------------------------------------------------------------- bodies


@pytest.mark.proves("RFC 9110", "15.5.14")
@pytest.mark.parametrize("path", POSTS)
async def test_a_megabyte_is_refused_before_it_is_read(node: Node, path: str) -> None:
    megabyte = b"a=" + b"x" * (1 << 20)
    told = ("content-length", str(len(megabyte)))
    for answer in (
        await node.ask("POST", path, headers=(FORM, told), body=megabyte),
        await node.ask("POST", path, headers=(FORM,), parts=[megabyte[at : at + 16_384] for at in range(0, len(megabyte), 16_384)]),
        await node.ask("POST", path, headers=(FORM, ("content-length", "9" * 6000)), body=b""),
    ):
        assert answer.status == 413
        assert len(answer.body) < 200


async def test_a_body_up_to_the_limit_is_read(node: Node) -> None:
    padding = b"&x=" + b"x" * (BODY_LIMIT - len(GRANT) - 3)
    answer = await node.ask("POST", "/token", headers=(FORM, COPIER), body=GRANT + padding)
    assert answer.status == 200
    assert (await node.ask("POST", "/token", headers=(FORM, COPIER), body=GRANT + padding + b"x")).status == 413


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_that_is_cut_off_is_refused(node: Node, path: str) -> None:
    sent: list[Message] = []
    waiting: list[Message] = [{"type": "http.request", "body": b"a=", "more_body": True}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", ACME.encode()), (b"content-type", FORM[1].encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1)}
    await node.gate(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.proves("RFC 6749", "4.1.3")
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded-not",
        "",
        "application/x-www-form",
    ],
)
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke", "/userinfo", "/-/why"])
async def test_only_forms_are_read(node: Node, path: str, kind: str) -> None:
    for body in (GRANT, b'{"grant_type":"client_credentials"}'):
        answer = await node.ask("POST", path, headers=(("content-type", kind), COPIER), body=body)
        # JSON is read where apps of the marketplace may send it; from this client, which is none, it is refused all the same.
        no_json = (path, kind) == ("/token", "application/json") and body == GRANT
        assert answer.status == (400 if no_json else 415)
    two = await node.ask("POST", path, headers=(FORM, ("content-type", kind), COPIER), body=GRANT)
    assert two.status == 415, "of two types none is believed"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded", FORM[1] + " ;x"])
async def test_a_form_is_known_however_its_type_is_written(node: Node, kind: str) -> None:
    assert (await node.ask("POST", "/token", headers=(("content-type", kind), COPIER), body=GRANT)).status == 200


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"scope=%ff", b"scope=%C3%28", b"scope=%ED%A0%80", b"%80=x", b"scope=%00", b"a\0=b", b"%00", b"&" * (FIELD_LIMIT + 1)],
)
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke", "/userinfo"])
async def test_what_is_no_text_is_refused(node: Node, path: str, body: bytes) -> None:
    answer = await node.ask("POST", path, headers=(FORM, COPIER), body=GRANT + b"&" + body)
    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("query", ["%ff", "state=%00", "a=%ED%A0%80", "&" * (FIELD_LIMIT + 1)])
@pytest.mark.parametrize("path", ["/authorize", "/end_session", "/", "/-/continue", "/-/sign-in"])
async def test_a_query_that_is_no_text_gets_a_page(node: Node, path: str, query: str) -> None:
    answer = await node.get(f"{path}?{query}")
    assert answer.status == 400
    assert answer.header("content-type") == "text/html; charset=utf-8"


@pytest.mark.proves("RFC 6749", "3.2")
async def test_every_known_parameter_may_come_once_alone(node: Node) -> None:
    for name in sorted(ONCE):
        for path in ("/token", "/introspect", "/revoke", "/userinfo"):
            answer = await node.post(path, {"grant_type": "client_credentials", "token": "x", name: ("one", "two")}, COPIER)
            assert answer.error == (400, "invalid_request"), (path, name)
            assert name in answer.json["error_description"]


@pytest.mark.proves("RFC 6749", "3.2")
async def test_a_parameter_that_nobody_knows_is_ignored_even_twice(node: Node) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "read:images", "utm_source": ("a", "b"), "x": "y"}
    assert (await node.post("/token", form, COPIER)).status == 200


@pytest.mark.proves("RFC 6749", "3.2")
async def test_a_query_is_no_part_of_a_token_request(node: Node) -> None:
    answer = await node.ask("POST", f"/token?{GRANT.decode()}", headers=(FORM, COPIER), body=b"x=y")
    assert answer.error == (400, "invalid_request")
    secret_in_address = f"/token?client_id=image-copier&client_secret={CLIENT_SECRET}"
    assert (await node.ask("POST", secret_in_address, headers=(FORM,), body=GRANT)).error == (401, "invalid_client")


async def test_an_empty_post_is_a_refusal_and_no_fault(node: Node) -> None:
    for path in [*PROTOCOL, *PAGES]:
        answer = await node.ask("POST", path)
        assert answer.status in (303, 400, 401, 403, 405, 415), (path, answer)
        if PROTOCOL.get(path) in ("token", "introspect", "revoke", "why"):
            assert answer.status == 415, "what is no form is not read as an empty one"


# ---------------------------------------------------------------- hosts


STRANGERS = (
    "evil.test id.acme.test.evil.test evil.test:443 id.acme.test@evil.test id.acme.test/ id.acme.test,evil.test id.acme.test\\ acme.test"
)
LITERALS = "127.0.0.1 [::1] [[::1] localhost id.acme.test:8443 *.acme.test é.acme.test - id.acme.test: id.acme.test:443:443"


@pytest.mark.proves("RFC 9110", "7.4")
@pytest.mark.parametrize("host", [None, "", " id.acme.test", *STRANGERS.split(" "), *LITERALS.split(" ")])
async def test_a_host_that_no_tenant_has_is_misdirected_and_sees_nothing(node: Node, host: str | None) -> None:
    for path in ["/", "/token", "/authorize", "/jwks", "/.well-known/openid-configuration", "/-/sign-in", "/-/brand.css", "/nothing"]:
        answer = await node.ask("GET", path, host=host)
        assert answer.status == 421
        assert answer.every("location") == []
        assert "acme" not in answer.text.lower()
        assert answer.header("cache-control") == "no-store"


@pytest.mark.proves("RFC 9112", "3.2")
@pytest.mark.parametrize("hosts", [(ACME, ACME), (ACME, "evil.test"), ("evil.test", ACME), (ACME, GLOBEX), (ACME, "")])
async def test_two_hosts_are_none(node: Node, hosts: tuple[str, str]) -> None:
    answer = await node.ask("GET", "/jwks", host=None, headers=[("host", host) for host in hosts])
    assert answer.status == 421


@pytest.mark.parametrize("host", ["ID.ACME.TEST", "id.acme.test:443", "id.acme.test:80", "iD.aCME.test:443"])
async def test_a_host_is_the_same_however_it_is_written(node: Node, host: str) -> None:
    answer = await node.ask("GET", "/.well-known/openid-configuration", host=host)
    assert answer.json["issuer"] == f"https://{ACME}"


@pytest.mark.parametrize("name", ["x-forwarded-host", "x-original-host", "x-host", "forwarded", "x-http-host-override", ":authority"])
async def test_no_other_header_names_the_host(node: Node, name: str) -> None:
    value = f"host={GLOBEX}" if name == "forwarded" else GLOBEX
    answer = await node.ask("GET", "/.well-known/openid-configuration", headers=((name, value), ("x-forwarded-proto", "http")))
    assert answer.json["issuer"] == f"https://{ACME}"
    assert (await node.ask("GET", "/jwks", host="evil.test", headers=((name, ACME),))).status == 421


# ---------------------------------------------------------------- the caller's address


async def office(node: Node, *headers: tuple[str, str], peer: str) -> Answer:
    """A request of the client that may be used from one network alone."""
    return await node.post("/token", exchange("gwc_nothing", "office-only"), basic("office-only"), *headers, peer=peer)


@pytest.mark.parametrize("forwarded", ["203.0.113.9", "203.0.113.9, 203.0.113.10", "127.0.0.1", "198.51.100.1, 203.0.113.9"])
async def test_nobody_says_for_himself_from_where_he_comes(node: Node, forwarded: str) -> None:
    headers = [(name, forwarded) for name in ("x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip")]
    assert (await office(node, *headers, ("forwarded", f"for={forwarded}"), peer="198.51.100.1")).error == (401, "invalid_client")
    assert (await office(node, *headers, peer="203.0.113.9")).error == (400, "invalid_grant")


async def test_a_proxy_that_the_operator_names_is_believed_for_the_last_hop_alone(tmp_path: Path) -> None:
    async with open_nodes(sqlite_copy(tmp_path), options={"listen.trusted_proxies": ["10.0.0.0/8"]}) as (node,):
        inside, outside = (400, "invalid_grant"), (401, "invalid_client")
        for forwarded, error in {
            "203.0.113.9": inside,
            "198.51.100.1": outside,
            "203.0.113.9, 198.51.100.1": outside,
            "198.51.100.1, 203.0.113.9": inside,
            "203.0.113.9, 10.1.1.1": inside,
            "203.0.113.9, nonsense": outside,
            "": outside,
        }.items():
            assert (await office(node, ("x-forwarded-for", forwarded), peer="10.0.0.1")).error == error, forwarded
        assert (await office(node, ("x-forwarded-for", "203.0.113.9"), peer="192.0.2.1")).error == outside


async def test_a_token_of_such_a_client_is_refused_from_elsewhere_as_well(node: Node) -> None:
    code = await a_code(node, "openid read:balance", "office-only")
    got = (await node.post("/token", exchange(code, "office-only"), basic("office-only"))).json
    form = {"token": got["access_token"]}
    assert (await node.ask("GET", "/userinfo", headers=(("authorization", f"Bearer {got['access_token']}"),))).status == 200
    elsewhere = await node.ask("GET", "/userinfo", headers=(("authorization", f"Bearer {got['access_token']}"),), peer="198.51.100.1")
    assert elsewhere.error == (403, "insufficient_scope")
    assert (await node.post("/introspect", {**form, "ip_address": "203.0.113.80"}, BANK_API)).json["active"] is True
    assert (await node.post("/introspect", {**form, "ip_address": "198.51.100.1"}, BANK_API)).json == {"active": False}
    for path in ("/introspect", "/revoke"):
        assert (await node.post(path, form, basic("office-only"), peer="198.51.100.1")).error == (401, "invalid_client")


# ---------------------------------------------------------------- anything at all

paths = st.sampled_from([*PROTOCOL, *PAGES, "/-/ready", "/-/static/x", "/-/logo/x.svg", "/nowhere"])
names = st.sampled_from(
    [*sorted(ONCE), "resource", "step", "csrf", "choice", "username", "password", "shown", "r", "grant", "session", "x"]
)
values = st.one_of(
    st.sampled_from(
        ["authorization_code", "refresh_token", "client_credentials", "budget-buddy", "openid", "code", "S256", "allow", "none", "{}"]
    ),
    st.sampled_from(
        [*REDIRECTS.values(), "gwa_x", "gwr_x", "gwc_x", "eyJhbGciOiJub25lIn0.e30.", "[" * 500, "us_0000000000000", "\u202e", "\n"]
    ),
    st.text(max_size=8),
)
pair_lists = st.lists(st.tuples(names, values), max_size=6)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["authorization", "cookie", "origin", "content-type", "content-length", "sec-fetch-site", "x-forwarded-for", "user-agent"]
        ),
        st.one_of(
            st.sampled_from(
                [
                    "Bearer x",
                    "Basic Og==",
                    "Basic é",
                    "Bearer",
                    "DPoP x",
                    "null",
                    "same-origin",
                    FORM[1],
                    "-1",
                    "99999999",
                    "__Host-gw_flow=~.~",
                ]
            ),
            st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=12),
        ),
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, derandomize=True, deadline=None, database=None)
@given(
    method=st.sampled_from(["GET", "POST", "POST", "HEAD", "OPTIONS"]),
    path=paths,
    query=st.one_of(pair_lists, st.text(st.characters(max_codepoint=255), max_size=12)),
    body=st.one_of(pair_lists, st.binary(max_size=24)),
    heads=headers,
    form=st.booleans(),
)
async def test_no_request_at_all_meets_a_fault_of_ours(
    node: Node,
    method: str,
    path: str,
    query: str | list[tuple[str, str]],
    body: bytes | list[tuple[str, str]],
    heads: list[tuple[str, str]],
    form: bool,
) -> None:
    if not isinstance(query, str):
        query = urlencode(query, errors="replace")
    if not isinstance(body, bytes):
        body = urlencode(body, errors="replace").encode()
    answer = await node.ask(method, f"{path}?{query}", headers=([FORM] if form else []) + heads, body=body if method == "POST" else b"")
    assert answer.status < 500 or path == "/-/ready", answer
    assert not any(Event.REQUEST_FAILED.label in line for line in node.lines), node.lines
    assert answer.every("access-control-allow-origin") in ([], ["*"])


async def test_the_usual_requests_are_answered(node: Node) -> None:
    assert (await serve(node)).status == 200
    assert set(await tokens(node)) >= {"access_token", "refresh_token", "id_token"}
    assert (await node.post("/revoke", {"token": "x"}, BUDDY)).status == 200


# ---------------------------------------------------------------- what people type


@pytest.mark.parametrize(
    "typed",
    [
        {"username": "ann@acme.test\0", "password": "x"},
        {"username": "ann@acme.test", "password": "correct horse battery staple\0"},
        {"username": "\0", "password": "\0"},
    ],
)
async def test_a_nul_in_a_name_or_password_signs_nobody_in(node: Node, typed: dict[str, str]) -> None:
    window = Window(node)
    answer = await window.submit(await window.open(asking()), {**typed, "choice": "continue"})
    assert answer.status == 400
    assert "__Host-gw_session" not in window.cookies


@pytest.mark.parametrize("password", ["x" * 1025, "é" * 600, "x" * 60_000, "\U0001f600", "\ufdfa" * 300, " " + ENVIRON["ANN_PASSWORD"]])
async def test_a_password_of_any_length_and_letters_is_just_a_wrong_one(node: Node, password: str) -> None:
    window = Window(node)
    answer = await window.sign_in(await window.open(asking()), password=password)
    assert answer.status in (400, 413)
    assert "__Host-gw_session" not in window.cookies


async def test_a_form_in_the_address_is_no_form(node: Node) -> None:
    window = Window(node)
    page = await window.open(asking())
    fields = form_of(page).filled({"username": "ann@acme.test", "password": ENVIRON["ANN_PASSWORD"], "choice": "continue"})
    site = (("origin", "https://id.acme.test"), ("sec-fetch-site", "same-origin"))
    await window.send("POST", f"/-/sign-in?{urlencode(fields)}", b"", FORM, *site)
    assert "__Host-gw_session" not in window.cookies, "a password never stands in an address"
