"""Where an answer may go: exact match and every way around it."""

import pytest

from gatewright.oauth.redirect_uri import fault, host_of, is_claimed, is_local, match, only
from tests.support.builders import a_client

REGISTERED = "https://app.example/callback"

# Each differs from the registered address, though some program on the way may read it as the same or as one nearby.
HOSTILE = [
    "",
    " ",
    "https://app.example/callback/",
    "https://app.example/Callback",
    "https://app.example/callback?",
    "https://app.example/callback?x=1",
    "https://app.example/callback#",
    "https://app.example/callback#fragment",
    "https://app.example/callback/../callback",
    "https://app.example/./callback",
    "https://app.example//callback",
    "https://app.example/callback/..;/evil",
    "https://app.example/callback%2e",
    "https://app.example/%63allback",
    "https://app.example/callback%00",
    "https://app.example/callback%0d%0aSet-Cookie:x=1",
    "https://app.example/callback\r\nX: 1",
    "https://app.example/callback\n",
    " https://app.example/callback",
    "https://app.example/callback ",
    "\thttps://app.example/callback",
    "HTTPS://app.example/callback",
    "https://APP.example/callback",
    "https://app.example:443/callback",
    "https://app.example:8443/callback",
    "https://app.example./callback",
    "http://app.example/callback",
    "https:/app.example/callback",
    "https:app.example/callback",
    "//app.example/callback",
    "/callback",
    "app.example/callback",
    "https://user@app.example/callback",
    "https://app.example@evil.example/callback",
    "https://app.example:pass@evil.example/callback",
    "https://app.example.evil.example/callback",
    "https://evil.example/callback",
    "https://evil.example/https://app.example/callback",
    "https://evil.example?https://app.example/callback",
    "https://evil.example#https://app.example/callback",
    "https://evil.example\\@app.example/callback",
    "https://app.example\\.evil.example/callback",
    "https://app.example%2fcallback",
    "https://app.example%40evil.example/callback",
    "https://аpp.example/callback",  # noqa: RUF001 - the first letter is Cyrillic
    "https://app.example/callback\u200b",
    "https://app。example/callback",
    "javascript:alert(1)//https://app.example/callback",
    "data:text/html,https://app.example/callback",
    "https://app.example/callback,https://evil.example/",
    "https://app.example/callback https://evil.example/",
    "https://*.example/callback",
    "urn:ietf:wg:oauth:2.0:oob",
]


@pytest.mark.proves("RFC 9700", "2.1")
@pytest.mark.parametrize("shown", HOSTILE)
@pytest.mark.parametrize("kind", ["web", "native"])
def test_an_address_that_differs_in_any_character_is_not_the_registered_one(shown: str, kind: str) -> None:
    client = a_client(type=kind, redirect_uris=(REGISTERED, "http://127.0.0.1/callback", "com.example.app:/callback"))
    assert match(shown, client) is None


@pytest.mark.parametrize("kind", ["web", "native"])
def test_the_registered_address_matches(kind: str) -> None:
    client = a_client(type=kind, redirect_uris=("https://other.example/", REGISTERED))
    assert match(REGISTERED, client) == REGISTERED


def test_a_registered_query_belongs_to_the_address() -> None:
    client = a_client(redirect_uris=("https://app.example/callback?tenant=7",))
    assert match("https://app.example/callback?tenant=7", client) is not None
    for other in ("?tenant=8", "?tenant=7&x=1", "?x=1&tenant=7", ""):
        assert match("https://app.example/callback" + other, client) is None


@pytest.mark.proves("RFC 8252", "7.3")
@pytest.mark.parametrize(
    ("registered", "shown"),
    [
        ("http://127.0.0.1/callback", "http://127.0.0.1:49152/callback"),
        ("http://127.0.0.1:8000/callback", "http://127.0.0.1:1/callback"),
        ("http://127.0.0.1:8000/callback", "http://127.0.0.1/callback"),
        ("http://[::1]/callback", "http://[::1]:65535/callback"),
        ("http://127.0.0.1", "http://127.0.0.1:5000"),
        ("http://127.0.0.1/callback?x=1", "http://127.0.0.1:5000/callback?x=1"),
    ],
)
def test_a_native_client_may_use_any_port_of_the_loopback_address(registered: str, shown: str) -> None:
    assert match(shown, a_client(type="native", redirect_uris=(registered,))) == shown


@pytest.mark.parametrize(
    "shown",
    [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:080/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:8000@evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://127.0.0.1:8000.evil.example/callback",
        "http://127.0.0.1.evil.example:8000/callback",
        "http://127.0.0.2:8000/callback",
        "http://127.1:8000/callback",
        "http://2130706433:8000/callback",
        "http://0x7f.0.0.1:8000/callback",
        "http://localhost:8000/callback",
        "http://[::1]:8000/callback",
        "http://[::ffff:127.0.0.1]:8000/callback",
        "https://127.0.0.1:8000/callback",
        "HTTP://127.0.0.1:8000/callback",
        "http://127.0.0.1:8000/callback/",
        "http://127.0.0.1:8000/Callback",
        "http://127.0.0.1:8000/callback?x=1",
        "http://127.0.0.1:8000/callback#x",
        "http://127.0.0.1:8000//callback",
        "http://127.0.0.1:8000\\callback",
        "http://127.0.0.1:８000/callback",  # noqa: RUF001 - a full-width digit
        "http://127.0.0.1:8000/callback\n",
    ],
)
def test_nothing_but_the_port_of_a_loopback_address_is_free(shown: str) -> None:
    assert match(shown, a_client(type="native", redirect_uris=("http://127.0.0.1/callback",))) is None


@pytest.mark.parametrize("kind", ["web", "spa", "device", "service"])
def test_the_port_is_free_for_native_clients_alone(kind: str) -> None:
    client = a_client(type=kind, redirect_uris=("http://127.0.0.1:8000/callback",))
    assert match("http://127.0.0.1:8001/callback", client) is None


def test_localhost_is_compared_like_any_other_host() -> None:
    client = a_client(type="native", redirect_uris=("http://localhost:8601/callback",))
    assert match("http://localhost:8601/callback", client) is not None
    assert match("http://localhost:8602/callback", client) is None


def test_one_registered_address_stands_in_for_none_and_two_do_not() -> None:
    assert only(a_client(redirect_uris=(REGISTERED,))) == REGISTERED
    assert only(a_client(redirect_uris=(REGISTERED, "https://b.example/"))) is None
    assert only(a_client(redirect_uris=())) is None


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://app.example/callback", "web"),
        ("https://app.example", "web"),
        ("https://app.example:8443/a/b?tenant=7", "spa"),
        ("http://localhost:8601/callback", "web"),
        ("http://127.0.0.1/callback", "native"),
        ("http://[::1]:80/callback", "native"),
        ("com.example.app:/callback", "native"),
        ("com.example.app://callback", "native"),
        ("https://app.example/a%20b", "web"),
    ],
)
def test_an_ordinary_address_may_be_registered(uri: str, kind: str) -> None:
    assert fault(uri, kind) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("", "web"),
        ("callback", "web"),
        ("//app.example/callback", "web"),
        ("https:///callback", "web"),
        ("https://app.example/callback#x", "web"),
        ("https://app.example/callback#", "web"),
        ("https://user@app.example/", "web"),
        ("https://app.example:0/", "web"),
        ("https://app.example:99999/", "web"),
        ("https://app.example/a/../b", "web"),
        ("https://app.example//b", "web"),
        ("https://app.example/a\\b", "web"),
        ("https://app.example/%2e%2e/b", "web"),
        ("https://app.example/a%2fb", "web"),
        ("https://app.example/a%00", "web"),
        ("https://app.example/a%0a", "web"),
        ("https://app.example/a%zz", "web"),
        ("https://app.example/a b", "web"),
        ("https://app.example/a\n", "web"),
        ("https://äpp.example/", "web"),
        ("https://*.example/", "web"),
        ("https://app.example/*", "web"),
        ("https://app.example/?code=1", "web"),
        ("https://app.example/?a=1&state=2", "web"),
        ("HTTPS://app.example/", "web"),
        ("http://app.example/callback", "web"),
        ("http://127.0.0.2/callback", "native"),
        ("http://localhost.evil.example/", "web"),
        ("com.example.app:/callback", "web"),
        ("myapp:/callback", "native"),
        ("javascript:alert(1)", "native"),
        ("data:text/html,x", "native"),
        ("file:///etc/passwd", "native"),
        ("urn:ietf:wg:oauth:2.0:oob", "native"),
        ("https://app.example/" + "a" * 2000, "web"),
    ],
)
def test_what_programs_read_in_two_ways_is_never_registered(uri: str, kind: str) -> None:
    assert fault(uri, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "claimed", "local", "host"),
    [
        ("https://app.example/callback", True, False, "app.example"),
        ("https://localhost.example/", True, False, "localhost.example"),
        ("http://localhost:8601/callback", False, True, "localhost:8601"),
        ("http://127.0.0.1:5000/", False, True, "127.0.0.1:5000"),
        ("http://[::1]:5000/", False, True, "[::1]:5000"),
        ("com.example.app:/callback", False, True, "com.example.app:"),
        ("nothing at all", False, True, "nothing at all"),
    ],
)
def test_a_person_is_told_where_an_answer_goes(uri: str, claimed: bool, local: bool, host: str) -> None:
    assert (is_claimed(uri), is_local(uri), host_of(uri)) == (claimed, local, host)
