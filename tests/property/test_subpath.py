"""Addresses below a registered one: what any reader could take for another host, port or place is refused (`security-rules` 42)."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewright.clients.rules import settings_faults, weaknesses
from gatewright.oauth.redirect_uri import fault, is_below, match
from tests.support.builders import a_client

BASE = "https://app.example/oauth/callback"
BASES = (BASE, "https://app.example/oauth/", "https://app.example", "https://app.example:8443/cb", "https://app.example/cb?tenant=7")
_PIECES = (
    *BASES,
    *("https://app.example", "https://evil.example", "@", ":", "8443", "/", "//", "\\", ";", "?", "#", "&", "=", ".", "..", "./", "../"),
    *(
        "%2e",
        "%2E%2e",
        "%2f",
        "%5C",
        "%00",
        "%252e",
        "%3b",
        "%",
        "%zz",
        "%20",
        "%41",
        "oauth",
        "callback",
        "next",
        "a",
        "é",
        " ",
        "\n",
        "*",
    ),
)
endings = st.lists(st.sampled_from(_PIECES), max_size=6).map("".join)
plain = st.from_regex(r"[A-Za-z0-9_~!$&'()*+,=:@-]{1,12}", fullmatch=True).filter(lambda text: text not in (".", ".."))


def below(shown: str, registered: str = BASE) -> bool:
    return is_below(shown, registered)


@given(st.sampled_from(BASES), endings)
@example(BASE, "/../../evil")
@example(BASE, "/%2e%2e/evil")
@example(BASE, "/..%2fevil")
@example(BASE, "x")
@example("https://app.example", ".evil.example/")
@example("https://app.example", "@evil.example/")
@example("https://app.example", ":8443/x")
def test_what_is_below_is_so_for_every_reader(base: str, ending: str) -> None:
    shown = base + ending
    if not is_below(shown, base):
        return
    seen, known = urlsplit(shown), urlsplit(base)
    assert (seen.scheme, seen.netloc, seen.query, seen.fragment) == (known.scheme, known.netloc, known.query, "")
    # A browser puts the path in order, and many servers decode it first, some of them twice: it stays the same, and below.
    for path in (seen.path, unquote(seen.path), unquote(unquote(seen.path))):
        ordered = urlsplit(urljoin(f"https://app.example{path}", "")).path if "?" not in path and "#" not in path else path
        assert ordered == path or unquote(path) != path
        assert path.startswith(known.path.rstrip("/") + "/")
        assert not {".", ".."} & set(path.replace("\\", "/").split("/"))
        assert "//" not in path
        assert "\\" not in path
        assert "\0" not in path
    assert ";" not in seen.path


@given(st.text(max_size=40))
def test_any_text_is_below_or_not_without_a_fault(shown: str) -> None:
    for base in BASES:
        assert not is_below(shown, base) or shown.startswith("https://app.example")


@given(st.lists(plain, min_size=1, max_size=4))
def test_plain_segments_below_are_accepted(segments: list[str]) -> None:
    assert below(f"{BASE}/{'/'.join(segments)}")
    assert below(f"{BASE}/{'/'.join(segments)}/")
    assert is_below(f"https://app.example/{'/'.join(segments)}", "https://app.example")
    assert is_below(f"https://app.example/cb/{'/'.join(segments)}?tenant=7", "https://app.example/cb?tenant=7")


@pytest.mark.parametrize(
    "shown",
    [
        BASE,
        f"{BASE}x",
        f"{BASE}-other/x",
        "https://app.example/oauth",
        "https://app.example/oauth/other/callback",
        f"{BASE}/./x",
        f"{BASE}/../x",
        f"{BASE}/x/..",
        f"{BASE}//x",
        f"{BASE}/x;jsessionid=1",
        f"{BASE}\\x",
        f"{BASE}/%2e%2e/x",
        f"{BASE}/%2E/x",
        f"{BASE}/x%2fy",
        f"{BASE}/x%5cy",
        f"{BASE}/x%00",
        f"{BASE}/%252e%252e/x",
        f"{BASE}/x%3b",
        f"{BASE}/x%0d%0a",
        f"{BASE}/x?y=1",
        f"{BASE}/x?",
        f"{BASE}/x#y",
        f"{BASE}/x%",
        f"{BASE}/x y",
        f"{BASE}/é",
        f"{BASE}/{'x' * 2000}",
        "http://app.example/oauth/callback/x",
        "HTTPS://app.example/oauth/callback/x",
        "https://APP.example/oauth/callback/x",
        "https://app.example:443/oauth/callback/x",
        "https://user@app.example/oauth/callback/x",
        "https://app.example.evil.example/oauth/callback/x",
        "https://app.example@evil.example/oauth/callback/x",
    ],
)
def test_what_only_looks_like_a_path_below_is_none(shown: str) -> None:
    assert not below(shown)


def test_a_path_below_is_for_confidential_clients_that_were_set_so() -> None:
    shown = f"{BASE}/next"
    assert match(shown, a_client(redirect_uris=(BASE,), redirect_match="subpath")) == shown
    assert match(shown, a_client(redirect_uris=(BASE,))) is None
    public = a_client(type="spa", token_endpoint_auth_method="none", redirect_uris=(BASE,), redirect_match="subpath")
    assert match(shown, public) is None
    assert match(BASE, public) == BASE


def test_it_is_a_weakness_that_needs_pkce_or_an_app() -> None:
    ordinary = a_client(redirect_uris=(BASE,), redirect_match="subpath").settings
    assert "redirect_subpath" in weaknesses(ordinary)
    assert list(settings_faults(ordinary)) == []
    faults = dict(settings_faults(a_client(redirect_uris=(BASE,), redirect_match="subpath", pkce="optional").settings))
    assert faults == {"redirect_match": "a path below the registered address needs PKCE"}
    app = a_client(redirect_uris=(BASE,), redirect_match="subpath", pkce="optional", exchange="app").settings
    assert list(settings_faults(app)) == []
    public = a_client(type="spa", token_endpoint_auth_method="none", redirect_uris=(BASE,), redirect_match="subpath").settings
    assert [name for name, _ in settings_faults(public)] == ["redirect_match"]


@given(st.lists(plain, min_size=1, max_size=3))
def test_what_is_below_could_have_been_registered_itself(segments: list[str]) -> None:
    shown = f"{BASE}/{'/'.join(segments)}"
    assert not below(shown) or fault(shown, "web") is None or "*" in shown
