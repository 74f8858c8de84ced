"""Who calls, when there are proxies in front that may or may not be believed."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gatewright_guard.request import Headers, Proxies, Request, certificate_of
from tests.guard.certificates import a_certificate

HERE = "http://10.0.0.9:8000"


def headers_of(fields: Mapping[str, Sequence[str]]) -> Headers:
    return lambda name: fields.get(name, ())


@pytest.mark.parametrize(
    ("peer", "fields", "address", "origin"),
    [
        ("10.0.0.1", {"x-forwarded-for": ["203.0.113.7"]}, "203.0.113.7", HERE),
        ("10.0.0.1", {"x-forwarded-for": ["198.51.100.1, 203.0.113.7, 10.0.0.2"]}, "203.0.113.7", HERE),
        ("10.0.0.1", {"x-forwarded-for": ["198.51.100.1", "203.0.113.7"]}, "203.0.113.7", HERE),
        ("10.0.0.1", {}, "10.0.0.1", HERE),
        ("10.0.0.1", {"x-forwarded-for": ["10.0.0.3"]}, "10.0.0.3", HERE),
        ("10.0.0.1", {"x-forwarded-proto": ["https"], "x-forwarded-host": ["bank.acme.test"]}, "10.0.0.1", "https://bank.acme.test"),
        ("10.0.0.1", {"x-forwarded-proto": ["https", "http"]}, "10.0.0.1", HERE),
        ("10.0.0.1", {"x-forwarded-host": ["a.test, b.test"]}, "10.0.0.1", HERE),
        ("203.0.113.9", {"x-forwarded-for": ["198.51.100.1"], "x-forwarded-proto": ["https"]}, "203.0.113.9", HERE),
        ("no address", {"x-forwarded-for": ["198.51.100.1"]}, "no address", HERE),
        (None, {"x-forwarded-for": ["198.51.100.1"]}, None, HERE),
    ],
)
def test_only_a_named_proxy_is_believed(peer: str | None, fields: dict[str, list[str]], address: str | None, origin: str) -> None:
    seen = Proxies(["10.0.0.0/8", "::1/128"], host_header="X-Forwarded-Host").seen(peer, HERE, headers_of(fields))
    assert (seen.address, seen.origin, seen.certificate) == (address, origin, None)


def test_another_host_than_that_of_the_host_header_is_believed_only_where_its_header_is_named() -> None:
    fields = headers_of({"x-forwarded-host": ["public.acme.test"], "x-forwarded-proto": ["https"]})
    assert Proxies(["10.0.0.0/8"]).seen("10.0.0.1", HERE, fields).origin == "https://10.0.0.9:8000"


@pytest.mark.proves("RFC 8705", "6.5")
def test_a_certificate_is_believed_of_a_named_proxy_alone() -> None:
    proxies, der = Proxies(["10.0.0.0/8"], certificate_header="Client-Cert"), b"DER"
    fields = headers_of({"client-cert": [f":{b64encode(der).decode()}:"]})
    assert proxies.tells_certificates
    assert proxies.seen("10.0.0.1", HERE, fields).certificate == der
    assert proxies.seen("203.0.113.9", HERE, fields).certificate is None
    assert Proxies(["10.0.0.0/8"]).seen("10.0.0.1", HERE, fields).certificate is None
    assert proxies.seen("10.0.0.1", HERE, headers_of({"client-cert": [":AAAA:", ":AAAA:"]})).certificate is None


def test_a_certificate_is_read_as_rfc_9440_and_as_nginx_write_it() -> None:
    made = a_certificate()
    der = made.public_bytes(Encoding.DER)
    assert certificate_of(f":{b64encode(der).decode()}:") == der
    assert certificate_of(quote(made.public_bytes(Encoding.PEM).decode())) == der


@pytest.mark.parametrize("text", ["", ":", "::", ":%:", ":AAA:", "-----BEGIN CERTIFICATE-----", "x" * 20_000, "%ff"])
def test_what_is_no_certificate_is_none(text: str) -> None:
    assert not certificate_of(text)


def test_networks_are_a_list_of_networks() -> None:
    with pytest.raises(TypeError):
        Proxies("10.0.0.0/8")
    with pytest.raises(ValueError, match="bank"):
        Proxies(["bank"])


def test_a_request_prints_no_token() -> None:
    assert "gwa" not in repr(Request(authorization=("Bearer gwa_x",), dpop=("gwa_y",)))
