"""Addresses: where an answer may go, and which issuer a host is. None is ever taken for another."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gatewright.oauth.answer import approve, refuse
from gatewright.oauth.errors import InvalidScope
from gatewright.oauth.redirect_uri import RedirectUri, fault, host_of, is_local, match
from gatewright.oauth.request import ReturnTo
from gatewright.tenants.rules import BadOrigin, host_key, parse_origin
from gatewright.web.render import csp_source, form_post_csp, page_csp
from tests.support.builders import a_client, an_issuer

HTTPS = "https://app.example/callback"
LOOPBACK = "http://127.0.0.1/callback"
LOOPBACK_6 = "http://[::1]:8765/callback?x=1"
OWN_SCHEME = "com.example.app:/callback"
REGISTERED = (HTTPS, LOOPBACK, LOOPBACK_6, OWN_SCHEME, "http://localhost/callback")
# The pieces that addresses are made of, and those that make one look like another.
_WORDS = (
    "https://",
    "http://",
    "javascript:",
    "127.0.0.1",
    "[::1]",
    "app.example",
    "evil.example",
    "callback",
    "x=1",
    ":80",
    ":8765",
    ":0",
    ":99999",
)
_SIGNS = ("/", "//", "\\", "@", "#", "?", "&", ";", "%2f", "%00", "..", ".", " ", "\n", "\t", "\0", "é", "。", "*")
pieces = st.lists(st.sampled_from([*REGISTERED, *_WORDS, *_SIGNS]), max_size=6).map("".join)
uris = st.one_of(pieces, st.text(max_size=40), st.builds("http://127.0.0.1:{}/callback".format, st.integers(-1, 100_000)))
kinds = st.sampled_from(["web", "spa", "native", "device"])


# ---------------------------------------------------------------- redirect URIs


@pytest.mark.proves("RFC 9700", "2.1")
@given(uris, kinds)
def test_an_address_is_accepted_only_if_it_is_registered_or_a_native_clients_own_port(shown: str, kind: str) -> None:
    found = match(shown, a_client(type=kind, redirect_uris=REGISTERED))
    if found is None:
        assert shown not in REGISTERED
        return
    assert found == shown
    if shown not in REGISTERED:
        assert kind == "native"
        seen = urlsplit(shown)
        assert seen.scheme == "http"
        assert seen.hostname in ("127.0.0.1", "::1")
        assert seen.username is None
        assert (seen.path, seen.query, seen.fragment) == (
            ("/callback", "", "") if seen.hostname == "127.0.0.1" else ("/callback", "x=1", "")
        )


@pytest.mark.proves("RFC 8252", "7.3")
@given(st.integers(1, 65535), kinds)
def test_a_native_client_may_listen_on_any_port(port: int, kind: str) -> None:
    client = a_client(type=kind, redirect_uris=REGISTERED)
    for uri in (f"http://127.0.0.1:{port}/callback", f"http://[::1]:{port}/callback?x=1"):
        assert (match(uri, client) == uri) == (kind == "native" or uri in REGISTERED)


@pytest.mark.proves("RFC 6749", "3.1.2")
@given(uris, kinds)
def test_any_text_may_be_registered_or_not_without_a_fault(uri: str, kind: str) -> None:
    client = a_client(type=kind, redirect_uris=(uri,))
    if fault(uri, kind) is not None:  # type: ignore[arg-type]  # Hypothesis knows texts, not these four
        return
    seen = urlsplit(uri)
    assert match(uri, client) == uri
    assert not seen.fragment
    assert seen.username is None
    assert seen.scheme == "https" or kind == "native" or seen.hostname in ("127.0.0.1", "::1", "localhost")
    assert re.fullmatch(r"[!-~]+", uri)
    assert is_local(uri) in (True, False)
    assert host_of(uri) == (seen.netloc or f"{seen.scheme}:")
    assert re.fullmatch(r"[a-z][a-z0-9+.-]*:(//[A-Za-z0-9._-]+(:[0-9]+)?)?", csp_source(uri))


# ---------------------------------------------------------------- the answer to the registered address

states = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
targets = st.sampled_from(
    [HTTPS, "https://app.example/?", "https://app.example/cb?a=b", "https://app.example/cb?a=b&", LOOPBACK, OWN_SCHEME]
)


@pytest.mark.proves("RFC 6749", "4.1.2")
@pytest.mark.proves("RFC 9207", "2")
@given(targets, states)
@example(HTTPS, "\r\nLocation: https://evil.example/")
@example(HTTPS, "&code=other&iss=https://evil.example#")
def test_an_answer_goes_to_its_address_with_its_own_parameters_whatever_the_state(target: str, state: str) -> None:
    back = ReturnTo(RedirectUri(target), state=state)
    for sent, first in (
        (approve("gwc_code", back, an_issuer()), "code"),
        (refuse(InvalidScope('a "b" \\ c\n'), back, an_issuer()), "error"),
    ):
        assert re.fullmatch(r"[!-~]+", sent.target)
        assert sent.target.startswith(target)
        assert "#" not in sent.target
        query = sent.target[len(target) :].lstrip("?&")
        told = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        assert [name for name, _ in told] == [first, *(["error_description"] if first == "error" else []), "state", "iss"]
        assert dict(told)["state"] == state
        assert dict(told)["iss"] == an_issuer().url
        assert dict(parse_qsl(urlsplit(sent.target).query)).get("a") == ("b" if "a=b" in target else None)


@pytest.mark.proves("OAuth 2.0 Form Post Response Mode", "2")
@given(targets, states)
def test_a_posted_answer_keeps_the_address_as_it_is(target: str, state: str) -> None:
    sent = approve("gwc_code", ReturnTo(RedirectUri(target), "form_post", state), an_issuer())
    assert sent.target == target
    assert sent.form == (("code", "gwc_code"), ("state", state), ("iss", an_issuer().url))


@given(uris, kinds)
def test_a_content_policy_names_one_place_and_nothing_breaks_out_of_it(uri: str, kind: str) -> None:
    assume(fault(uri, kind) is None)  # type: ignore[arg-type]  # as above
    for policy in (page_csp(uri), form_post_csp(uri)):
        *_, last = policy.split("; ")
        assert re.fullmatch(r"form-action ('self' )?[^\s;,']+", last)
        assert policy.count("form-action") == 1


# ---------------------------------------------------------------- hosts

hosts = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(
        st.sampled_from(
            ["id", "acme", "test", ".", ":", "443", "80", "8600", "0", "[", "]", "::1", "127.0.0.1", "1", "@", "/", "-", "A", "xn--", "%"]
        ),
        max_size=6,
    ).map(lambda parts: "".join(parts).encode()),
)
# RFC 3986 §3.2.2 and §3.2.3, less what names no host of a tenant: user names, escapes and future kinds of addresses.
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")


@pytest.mark.proves("RFC 9110", "7.2")
@given(hosts)
@example(b"[[::1]")
@example(b"[::1]]")
@example(b"[fe80::1%eth0]")
@example(b"id.acme.test:")
@example(b"0x7f.1")
def test_any_bytes_are_one_host_or_none(header: bytes) -> None:
    key = host_key(header)
    if key is None:
        return
    assert HOST.fullmatch(header)
    assert host_key(key.encode()) == key, "a key is its own key"
    assert host_key(header.upper()) == key
    assert key == key.lower()


@given(st.text(max_size=40), hosts)
@example("HTTPS://ID.Acme.test:443/", b"")
@example("https://bücher.test", b"")
@example("https://straße.test", b"")
@example("http://127.0.0.1:8600", b"")
def test_a_domain_is_found_by_the_host_of_its_own_url_and_no_text_is_a_fault(text: str, host: bytes) -> None:
    for shown in (text, f"https://{text}", f"http://{host.decode('latin-1')}", f"https://{host.decode('latin-1')}"):
        try:
            origin = parse_origin(shown)
        except BadOrigin:
            continue
        assert host_key(origin.host.encode()) == origin.host
        assert parse_origin(origin.url) == origin
        assert urlsplit(origin.url).netloc == origin.host
        assert urlsplit(origin.url).path == ""
