import pytest

from gatewright.tenants.rules import BadOrigin, host_key, is_loopback, parse_origin


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://id.acme.test", "https://id.acme.test", "id.acme.test"),
        ("HTTPS://ID.Acme.Test/", "https://id.acme.test", "id.acme.test"),
        ("https://id.acme.test:443", "https://id.acme.test", "id.acme.test"),
        ("https://id.acme.test:8443", "https://id.acme.test:8443", "id.acme.test:8443"),
        ("http://127.0.0.1:8600", "http://127.0.0.1:8600", "127.0.0.1:8600"),
        ("http://localhost", "http://localhost", "localhost"),
        ("http://[::1]:8600", "http://[::1]:8600", "[::1]:8600"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]", "[::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_has_one_spelling(text: str, url: str, host: str) -> None:
    origin = parse_origin(text)
    assert (origin.url, origin.host) == (url, host)
    assert host_key(host.encode()) == host


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id.acme.test", "begins with"),
        ("ftp://id.acme.test", "begins with"),
        ("https://id.acme.test/path", "no path"),
        ("https://user@id.acme.test", "no path, query, fragment or user name"),
        ("https://id.acme.test?x", "no path"),
        ("https://id.acme.test#x", "no path"),
        ("https://id.acme.test\\x", "no path"),
        ("https://", "the host is missing"),
        ("https://id..acme.test", "is no host name"),
        ("https://-id.acme.test", "is no host name"),
        ("https://id acme.test", "is no host name"),
        ("https://1.2.3", "is no host name"),
        ("https://127.0.0.01", "is no host name"),
        ("https://[::1", "the host is missing"),
        ("https://[fe80::1%25eth0]", "is no host name"),
        ("https://id.acme.test:0", "is no port"),
        ("https://id.acme.test:65536", "is no port"),
        ("https://id.acme.test:", "is no port"),
        ("http://id.acme.test", "plain http is for this machine alone"),
        ("http://10.0.0.1", "plain http is for this machine alone"),
        ("https://localhost:80", "read as the other scheme"),
        ("http://localhost:443", "read as the other scheme"),
        ("https://straße.example", "write its ASCII form"),
    ],
)
def test_what_is_no_domain_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadOrigin, match=said.replace("[", r"\[")):
        parse_origin(text)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"ID.ACME.TEST", "id.acme.test"),
        (b"id.acme.test:443", "id.acme.test"),
        (b"id.acme.test:80", "id.acme.test"),
        (b"127.0.0.1:8600", "127.0.0.1:8600"),
        (b"[0::1]:8600", "[::1]:8600"),
        (b"", None),
        (b"id.acme.test:x", None),
        (b"id.acme.test:", None),
        (b"id.acme.test:08600", None),
        (b"id.acme.test.", None),
        (b"id.acme.test, other.test", None),
        (b"\0repeated", None),
        (b"b\xc3\xbccher.example", None),
        (b"a" * 300, None),
        (b"user@id.acme.test", None),
        (b"https://id.acme.test", None),
    ],
)
def test_a_host_header_finds_what_was_registered_or_nothing(header: bytes, key: str | None) -> None:
    assert host_key(header) == key


@pytest.mark.parametrize(
    ("host", "near"),
    [("localhost", True), ("a.localhost", True), ("127.9.9.9", True), ("[::1]", True), ("10.0.0.1", False), ("nolocalhost", False)],
)
def test_loopback_is_this_machine_alone(host: str, near: bool) -> None:
    assert is_loopback(host) is near
