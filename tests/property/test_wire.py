"""What comes over the wire: whatever it is, it becomes parameters, headers, an address and a body, or a refusal, and nothing else."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewright.oauth.ask import ONCE
from gatewright.oauth.client_auth import secret
from gatewright.oauth.client_auth.private_key_jwt import find as find_assertion
from gatewright.oauth.errors import InsufficientScope, InvalidClient, InvalidRequest, InvalidToken
from gatewright.oauth.userinfo import bearer
from gatewright.web.ask import (
    BODY_LIMIT,
    FIELD_LIMIT,
    ONLY_ONCE,
    REPEATED,
    HttpFault,
    Message,
    address,
    body,
    cookies,
    heads,
    is_form,
    pairs,
)
from gatewright.web.ask import parameters as read_parameters
from gatewright.web.reply import ascii_text, bearer_challenge
from tests.property.asking import ask

# Text as a form may hold it: no NUL, which is refused, and nothing that is no Unicode scalar.
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
fields = st.lists(st.tuples(plain, plain), max_size=12)
latin = st.text(st.characters(max_codepoint=255), max_size=40)
header_names = st.sampled_from([b"host", b"cookie", b"authorization", b"content-type", b"content-length", b"accept", b"x-forwarded-for"])


# ---------------------------------------------------------------- forms


@given(st.binary(max_size=80))
@example(b"%")
@example(b"a=%zz&%=%")
@example(b"&&&&=&==")
@example(b"a=%ff")
@example(b"a=%ed%a0%80")
@example(b"a=%00")
def test_any_bytes_are_a_form_or_an_invalid_request(raw: bytes) -> None:
    try:
        found = pairs(raw)
    except InvalidRequest:
        return
    assert not any("\0" in name + value for name, value in found)
    assert len(found) <= FIELD_LIMIT


@given(fields)
def test_what_a_browser_encodes_is_read_as_it_was(sent: list[tuple[str, str]]) -> None:
    assert pairs(urlencode(sent).encode()) == sent


@given(fields)
def test_what_is_encoded_without_need_is_read_alike(sent: list[tuple[str, str]]) -> None:
    every = "&".join(f"{_every_byte(name)}={_every_byte(value)}" for name, value in sent)
    assert pairs(every.encode()) == sent


def _every_byte(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@given(st.integers(FIELD_LIMIT + 1, 4 * FIELD_LIMIT))
def test_too_many_fields_are_refused_even_when_empty(count: int) -> None:
    with pytest.raises(InvalidRequest):
        pairs(b"&" * count)


@pytest.mark.proves("RFC 6749", "3.2")
@given(fields, st.sampled_from(sorted(ONCE)), plain.filter(bool), plain.filter(bool))
def test_a_known_parameter_never_comes_twice(sent: list[tuple[str, str]], name: str, one: str, other: str) -> None:
    with pytest.raises(InvalidRequest):
        read_parameters(urlencode([(name, one), *sent, (name, other)]).encode())


@pytest.mark.proves("RFC 6749", "3.1")
@given(fields)
def test_an_empty_parameter_is_as_one_that_was_not_sent(sent: list[tuple[str, str]]) -> None:
    unknown = [(f"x{name}", value) for name, value in sent]
    with_empty = [pair for name, value in unknown for pair in ((name, ""), (name, value))]
    assert read_parameters(urlencode(with_empty).encode()).items() == read_parameters(urlencode(unknown).encode()).items()


@given(st.binary(max_size=60))
def test_a_content_type_is_a_form_or_not(raw: bytes) -> None:
    word = raw.split(b";")[0].strip().lower()
    assert is_form(raw) == (word == b"application/x-www-form-urlencoded")


# ---------------------------------------------------------------- headers


@given(st.lists(st.tuples(header_names, st.binary(max_size=8)), max_size=8))
def test_every_header_is_kept_once_and_a_second_of_its_kind_is_never_the_one_believed(sent: list[tuple[bytes, bytes]]) -> None:
    found = heads(sent)
    assert set(found) == {name for name, _ in sent}
    for name, value in found.items():
        came = [one for other, one in sent if other == name]
        if len(came) == 1:
            assert value == came[0]
        elif name in ONLY_ONCE:
            assert value == REPEATED
        else:
            assert all(one in value for one in came)


@given(st.binary(max_size=60))
@example(b'a="b;c"; a=d; =e; f; g=')
def test_any_bytes_are_cookies(raw: bytes) -> None:
    for name, value in cookies(raw).items():
        assert ";" not in name + value
        assert name == name.strip()


@given(st.dictionaries(st.text("abcdefXYZ_-", min_size=1, max_size=6), st.text("abcXYZ019_-", max_size=12), max_size=6))
def test_cookies_are_read_as_they_were_set(sent: dict[str, str]) -> None:
    assert cookies("; ".join(f"{name}={value}" for name, value in sent.items()).encode()) == sent


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
hops = st.one_of(
    st.sampled_from(["10.0.0.1", "fd00::1", "203.0.113.9", "2001:db8::7", "unknown", "", "10.0.0.1:80", "[fd00::1]", "10.0.0.1\0"]),
    st.ip_addresses().map(str),
    latin,
)


@given(st.binary(max_size=60), hops)
def test_who_forwards_without_being_a_named_proxy_is_the_caller_itself(forwarded: bytes, peer: str) -> None:
    assert address({"client": (peer, 1)}, forwarded, ()) == peer
    assert address({"client": ("203.0.113.7", 1)}, forwarded, PROXIES) == "203.0.113.7"


@given(st.lists(hops.filter(lambda hop: "," not in hop), max_size=5))
def test_the_caller_is_the_last_hop_before_the_named_proxies(chain: list[str]) -> None:
    found = address({"client": ("10.9.9.9", 1)}, ", ".join(chain).encode("latin-1"), PROXIES)
    if not found:
        return  # nonsense vouches for nobody
    believed = [hop.strip() for hop in chain] + ["10.9.9.9"]
    behind = believed[len(believed) - 1 - believed[::-1].index(found) + 1 :]
    assert all(any(ip_address(hop) in network for network in PROXIES) for hop in behind)


# ---------------------------------------------------------------- bodies


def received(parts: list[bytes], length: bytes) -> bytes | int:
    """The body that these parts are, or the status of the refusal."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]]
    messages.append({"type": "http.request", "body": parts[-1] if parts else b""})

    async def receive() -> Message:
        return messages.pop(0)

    try:
        return asyncio.run(body(receive, length))
    except HttpFault as fault:
        return fault.status


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_a_body_in_any_number_of_parts_is_one_body(parts: list[bytes]) -> None:
    assert received(parts, b"") == b"".join(parts)


@given(st.lists(st.integers(0, BODY_LIMIT), min_size=1, max_size=4))
@example([BODY_LIMIT])
@example([BODY_LIMIT, 1])
@example([BODY_LIMIT + 1])
def test_a_body_is_never_longer_than_its_limit(sizes: list[int]) -> None:
    found = received([b"x" * size for size in sizes], b"")
    assert found == (413 if sum(sizes) > BODY_LIMIT else b"x" * sum(sizes))


@given(st.one_of(st.binary(max_size=12), st.integers(0, 10**30).map(lambda number: str(number).encode())))
@example(b"9" * 5000)
@example(b"-1")
@example(b"+1")
@example(b" 1")
@example("٣".encode())
@example(REPEATED)
def test_any_content_length_is_a_number_or_a_refusal(length: bytes) -> None:
    found = received([b"x"], length)
    if length and not re.fullmatch(rb"[0-9]+", length):
        assert found == 400
    else:
        digits = length.lstrip(b"0")
        assert found == (413 if len(digits) > 5 or int(digits or b"0") > BODY_LIMIT else b"x")


# ---------------------------------------------------------------- credentials in headers


@given(latin, st.dictionaries(st.sampled_from(["client_id", "client_secret", "client_assertion", "client_assertion_type"]), plain))
@example("Basic ====", {})
@example("Basic " + "Og", {})
@example("basic \u00ff", {})
@example("Basic JTAwOmE=", {})
def test_any_client_authentication_is_found_or_refused(header: str, params: dict[str, str]) -> None:
    for find in (secret.find, find_assertion):
        for shown in (header, f"Basic {header}"):
            with suppress(InvalidClient, InvalidRequest):
                found = find(ask(params, authorization=shown))
                assert found is None or (found.client_id and "\0" not in found.client_id)


@pytest.mark.proves("RFC 6749", "2.3.1")
@given(plain.filter(bool), plain.filter(bool))
def test_basic_credentials_are_form_encoded_inside(client_id: str, proof: str) -> None:
    joined = f"{quote_from_bytes(client_id.encode(), safe='')}:{quote_from_bytes(proof.encode(), safe='')}"
    found = secret.find(ask({}, authorization="Basic " + b64encode(joined.encode()).decode()))
    assert found is not None
    assert (found.client_id, found.proof) == (client_id, proof)


@given(latin, plain)
def test_any_authorization_header_is_a_bearer_token_or_none(header: str, field: str) -> None:
    for shown in (header, f"Bearer {header}", None):
        with suppress(InvalidRequest, InvalidToken):
            found = bearer(ask({"access_token": field}, authorization=shown))
            assert found == (field if shown is None or not shown.lower().startswith("bearer ") else shown[7:].strip())


# ---------------------------------------------------------------- what goes back


@pytest.mark.proves("RFC 6749", "5.2")
@given(st.text(max_size=60))
def test_whatever_is_told_keeps_to_the_characters_of_the_rfc(text: str) -> None:
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]*", ascii_text(text))


@pytest.mark.proves("RFC 6750", "3")
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out_of_a_challenge(description: str, scope: str) -> None:
    challenge = bearer_challenge(InsufficientScope(description, scope=scope)).decode("ascii")
    if description:
        quoted = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'
        named = f", scope={quoted}" if scope else ""
        assert re.fullmatch(rf'Bearer realm="gatewright", error="insufficient_scope", error_description={quoted}{named}', challenge)
