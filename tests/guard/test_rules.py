"""The table of rules, where who serves the request is unknown: a request target as its caller sent it, and a host."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright_guard.decide import needs
from gatewright_guard.rules import Rule, Rules, host_of, segments_of, segments_of_target

READ = needs("read:a")
OPEN_AND_SHUT = Rules([Rule(path="/open/*", needs=None), Rule(path="/*", needs=READ)])


@pytest.mark.parametrize(
    ("target", "segments"),
    [
        ("/", []),
        ("/a", ["a"]),
        ("/a/", ["a"]),
        ("/a/b?c=/../d", ["a", "b"]),
        ("/a%20b/%C3%BC", ["a b", "ü"]),
        ("/A", ["A"]),
        ("/a.b/..c/d..", ["a.b", "..c", "d.."]),
        ("/a:b@c/$&'()*+,=!~_-", ["a:b@c", "$&'()*+,=!~_-"]),
        ("/100%25", ["100%"]),
        ("/?", []),
    ],
)
def test_a_plain_target_is_its_decoded_segments(target: str, segments: list[str]) -> None:
    assert segments_of_target(target) == segments


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\;%"), min_size=1), max_size=5))
def test_what_any_client_encodes_is_read_as_it_was_meant(segments: list[str]) -> None:
    plain = [segment for segment in segments if segment.strip(" .")]
    assert segments_of_target("/" + "/".join(quote(segment, safe="") for segment in plain)) == plain


@given(st.text(alphabet="/.%\\;2eEfF5cC0a?", max_size=24))
def test_whatever_passes_has_no_other_reading(tail: str) -> None:
    segments = segments_of_target("/" + tail)
    if segments is None:
        return
    assert segments_of("/" + "/".join(segments)) == segments
    for segment in segments:
        assert segment.strip(" .")
        assert not set(segment) & set("/\\;\0")


def test_letters_of_another_size_open_nothing_and_shut_nothing() -> None:
    for target in ("/OPEN/x", "/Open", "/oPen/y"):
        assert OPEN_AND_SHUT.match_target("GET", target, "x") is None
    found = Rules([Rule(path="/admin/*", needs=READ), Rule(path="/*", needs=None)]).match_target("GET", "/ADMIN/x", "x")
    assert found is None, "to some applications it is /admin"
    for target in ("/%41dmin/x", "/%41DMIN/x", "/adm%49n/x", "/adm%4e/x".replace("%4e", "%49%4e")):
        assert Rules([Rule(path="/admin/*", needs=READ), Rule(path="/*", needs=None)]).match_target("GET", target, "x") is None
    # An application that receives the request itself knows that it is another path.
    assert OPEN_AND_SHUT.match("GET", "/OPEN/x") is not None


def test_a_rule_with_a_host_is_for_that_host_and_a_table_with_one_needs_to_know_it() -> None:
    rules = Rules([Rule(host="admin.test", path="/*", needs=READ), Rule(path="/*", needs=None)])
    for host in ("admin.test", "ADMIN.test", "admin.test.", "admin.test:8443"):
        found = rules.match_target("GET", "/x", host)
        assert found is not None
        assert found.rule.needs == READ
    other = rules.match("GET", "/x", host="www.test")
    assert other is not None
    assert other.rule.needs is None
    for unknown in ("", "admin.test, www.test", "a b", "admin.test/x", "user@admin.test"):
        assert rules.match_target("GET", "/x", unknown) is None
        assert rules.match("GET", "/x", host=unknown) is None
    assert rules.match("GET", "/x") is None, "an application that does not tell the host opens nothing by it"


@pytest.mark.parametrize("host", ["x.test:80", "X.test", "https://x.test", "x.test.", ""])
def test_the_host_of_a_rule_is_a_plain_name(host: str) -> None:
    with pytest.raises(ValueError, match="the host of a rule"):
        Rules([Rule(host=host, path="/", needs=None)])


def test_hosts_are_read_as_proxies_read_them() -> None:
    assert host_of("API.Example.com.:443") == "api.example.com"
    assert host_of("[::1]:80") == "[::1]"
    assert host_of("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("method", ["get", "", "GET ", "G/T", "X" * 40])
def test_a_method_that_is_none_fits_no_rule(method: str) -> None:
    assert OPEN_AND_SHUT.match_target(method, "/open/x", "x") is None


_METHODS = st.sampled_from(["GET", "HEAD", "POST", "PROPFIND"])
_PATHS = st.lists(st.sampled_from(["a", "b", "{x}"]), max_size=3).map(lambda segments: "/" + "/".join(segments))
_TABLES = st.lists(
    st.builds(
        lambda path, rest, methods, host: Rule(
            path=path.rstrip("/") + "/*" if rest else path, needs=None, methods=methods or None, host=host
        ),
        _PATHS,
        st.booleans(),
        st.frozensets(_METHODS, max_size=2),
        st.sampled_from([None, "h", "i"]),
    ),
    max_size=6,
)
_ASKED = st.tuples(_METHODS, st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(lambda segments: "/" + "/".join(segments)))


@given(_TABLES, st.lists(_ASKED, min_size=1, max_size=8))
def test_a_table_that_was_used_finds_what_each_of_its_rules_by_itself_would(table: list[Rule], asked: list[tuple[str, str]]) -> None:
    used = Rules(table)
    # One rule for a host makes a table ask for one.
    hosted = Rule(path="/never/{a}/{b}/{c}/{d}/{e}/{f}", needs=None, host="h")
    for method, path in asked * 2:
        alone = [rule for rule in table if Rules([rule, hosted]).match_target(method, path, "h") is not None]
        found = used.match_target(method, path, "h")
        assert (None if found is None else found.rule) == (alone[0] if alone else None)
        same = used.match(method, path, host="h")
        assert (None if same is None else same.rule) == (alone[0] if alone else None)
