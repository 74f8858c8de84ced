"""Authorization requests and what they carry: each becomes a request that keeps every rule, or a refusal, and nothing else."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewright.base.check import Faults, check
from gatewright.base.duration import Duration, seconds, show
from gatewright.base.toml import TomlFault, key_lines, parse
from gatewright.oauth.ask import ONCE, Params
from gatewright.oauth.checks import Refused, examine
from gatewright.oauth.claims import OWNERS, parse_claims
from gatewright.oauth.client import Client
from gatewright.oauth.decision import printable, requested
from gatewright.oauth.errors import ERRORS, InvalidRequest, InvalidScope, PageError
from gatewright.oauth.request import AuthorizationRequest, Prompt
from gatewright.platform.document import Platform
from gatewright.web.reply import ascii_text
from tests.property.platforms import Case, cases
from tests.support import builders as b
from tests.support.clock import NOON

WEB = "https://budget.example/callback"
anything = st.text(max_size=20)
GOOD: dict[str, st.SearchStrategy[str]] = {
    "client_id": st.just("budget-buddy"),
    "redirect_uri": st.sampled_from([WEB, WEB, WEB, "https://evil.example/", f"{WEB}?", "http://127.0.0.1/"]),
    "response_type": st.sampled_from(["code", "code", "code", "token", "code id_token", "none"]),
    "response_mode": st.sampled_from(["query", "form_post", "fragment", "jwt"]),
    "scope": st.lists(st.sampled_from(["openid", "email", "read:balance", "create:events", "read:images", "nope"]), max_size=4).map(
        " ".join
    ),
    "state": anything,
    "nonce": anything,
    "code_challenge": st.sampled_from(["c" * 43, "c" * 43, "c" * 42, "c" * 44, "é" * 43]),
    "code_challenge_method": st.sampled_from(["S256", "S256", "S256", "plain", "s256"]),
    "prompt": st.lists(st.sampled_from([*get_args(Prompt), "sometimes"]), max_size=3).map(" ".join),
    "max_age": st.one_of(st.sampled_from(["0", "3600"]), st.integers(-5, 10**12).map(str), anything),
    "claims": st.sampled_from(['{"userinfo":{"email":null}}', '{"id_token":{"sub":{"value":"us_x"}}}', "{}", "[]", "{", ""]),
    "login_hint": anything,
    "account": anything,
    "id_token_hint": anything,
    "request": anything,
    "request_uri": anything,
    "registration": anything,
}
params = st.fixed_dictionaries({}, optional={name: st.one_of(good, good, good, anything) for name, good in GOOD.items()})
usual = st.fixed_dictionaries(
    {name: GOOD[name] for name in ("client_id", "redirect_uri", "response_type", "scope", "code_challenge", "code_challenge_method")},
    optional={name: GOOD[name] for name in ("state", "nonce", "prompt", "max_age", "claims", "response_mode", "account")},
)
clients = st.sampled_from([b.a_client(), b.a_client(type="spa", token_endpoint_auth_method="none"), b.a_client(pkce="optional")])


# ---------------------------------------------------------------- the front door


@given(st.one_of(params, usual, st.dictionaries(st.one_of(st.sampled_from(sorted(ONCE)), anything), anything, max_size=8)), clients)
def test_any_request_is_taken_in_told_at_a_registered_address_or_shown_on_a_page(sent: dict[str, str], client: Client) -> None:
    asked = Params.of(list(sent.items()))
    named = sent.get("redirect_uri")
    try:
        found = examine(asked, client if sent.get("client_id") == client.client_id else None, b.CATALOGUE, hint=None, now=NOON, breaches=[])
    except PageError as page:
        told, back = page.error, None
    except Refused as refused:
        told, back = refused.error, refused.back
    else:
        assert_kept(found, client, sent)
        return
    assert isinstance(told, ERRORS)
    assert ascii_text(told.description) == told.description
    if back is not None:
        assert back.redirect_uri in client.settings.redirect_uris
        assert not named or back.redirect_uri == named
        assert back.state == (sent.get("state") or None)


def assert_kept(found: AuthorizationRequest, client: Client, sent: dict[str, str]) -> None:
    """The rules that hold for each request that was taken in."""
    assert found.back.redirect_uri in client.settings.redirect_uris
    assert not sent.get("redirect_uri") or found.back.redirect_uri == sent["redirect_uri"]
    assert sent["response_type"] == "code"
    assert found.challenge is not None or (client.settings.pkce == "optional" and not client.public)
    assert "none" not in found.prompts or len(found.prompts) == 1
    assert set(found.scopes) <= set(b.CATALOGUE.scopes_by_name)
    assert not {"request", "request_uri", "registration"} & {name for name, value in sent.items() if value}
    assert found.max_age is None or found.max_age >= 0
    assert found.hint == 0
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=AuthorizationRequest) == found


@pytest.mark.proves("RFC 6749", "4.1.2.1")
@given(params, clients, st.sampled_from(["https://evil.example/", f"{WEB}/", f"{WEB}#x", "javascript:alert(1)", "http://127.0.0.1:1/"]))
def test_nothing_is_ever_told_to_an_address_that_is_not_registered(sent: dict[str, str], client: Client, evil: str) -> None:
    asked = Params.of(list({**sent, "client_id": client.client_id, "redirect_uri": evil}.items()))
    with pytest.raises(PageError):
        examine(asked, client, b.CATALOGUE, hint=None, now=NOON, breaches=[])


# ---------------------------------------------------------------- claims

json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), anything),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(sorted(OWNERS)), anything), inner, max_size=3)
    ),
    max_leaves=8,
)
wanted = st.fixed_dictionaries({}, optional={"essential": json, "value": json, "values": json})
members = st.dictionaries(
    st.one_of(st.sampled_from(["sub", "acr", "email", "name", "address", "made_up"]), anything), st.one_of(st.none(), wanted, json)
)
documents = st.fixed_dictionaries({}, optional={"userinfo": members, "id_token": members, "other": json})


@given(st.one_of(documents.map(msgspec.json.encode).map(bytes.decode), json.map(msgspec.json.encode).map(bytes.decode), anything))
@example("[" * 3000)
@example('{"userinfo":' * 300)
@example('{"userinfo":{"email":null},"userinfo":{"name":null}}')
@example('{"id_token":{"sub":{"value":"\\ud800"}}}')
@example('{"id_token":{"acr":{"values":[1e999]}}}')
def test_any_claims_parameter_is_a_request_for_claims_or_an_invalid_request(text: str) -> None:
    try:
        found = parse_claims(text)
    except InvalidRequest:
        return
    assert found.owners <= frozenset(OWNERS.values())
    assert found.subject is None or isinstance(found.subject, str)
    assert found.acr is None or all(isinstance(acr, str) for acr in found.acr.texts)
    assert parse_claims('{"userinfo":{},"id_token":{}}').kept(found.owners) == ""
    assert found.kept(frozenset()) == ""
    kept = msgspec.json.decode(found.kept(found.owners) or "{}", type=dict[str, list[str]])
    assert {name for names in kept.values() for name in names} == {name for name in (*found.userinfo, *found.id_token) if name in OWNERS}


# ---------------------------------------------------------------- scopes


@pytest.mark.proves("RFC 6749", "3.3")
@given(cases, st.one_of(st.none(), anything, st.lists(anything, max_size=4).map(" ".join)))
def test_any_scope_parameter_is_a_list_of_known_names_or_an_invalid_scope(case: Case, scope: str | None) -> None:
    for policy in ("required", "all_allowed"):
        for unknown in ("refuse", "ignore"):
            client = b.a_client(scopes_policy=policy, unknown_scopes=unknown, scopes=case.settings.scopes)
            try:
                names = requested(scope, case.catalogue, client, [])
            except InvalidScope as refusal:
                assert policy == "required" or scope is not None
                assert ascii_text(refusal.description) == refusal.description  # noqa: PT017 - as above
                continue
            assert set(names) <= set(case.catalogue.scopes_by_name)
            assert len(set(names)) == len(names)
            if scope is None:
                assert "offline_access" not in names
                assert {case.catalogue.scopes_by_name[name].id for name in names} <= client.scopes
            else:
                assert set(names) <= set(scope.split(" "))


@given(st.text(max_size=80))
def test_foreign_text_in_a_description_keeps_to_the_characters_of_the_rfc(text: str) -> None:
    assert ascii_text(printable(text)) == printable(text)
    assert printable(text)


# ---------------------------------------------------------------- what people write


class Held(msgspec.Struct):
    """Something that lasts."""

    lasts: Duration


@given(st.one_of(anything, st.from_regex(r"[0-9]{1,7}[a-z]?", fullmatch=True)))
@example("1s\n")
@example("٣s")
@example("-1s")
def test_any_text_is_a_duration_or_a_fault(text: str) -> None:
    if not check({"lasts": text}, Held):
        assert seconds(text) >= 0
        assert text.isascii()
        assert seconds(show(seconds(text))) == seconds(text)


@given(st.integers(0, 10**10))
def test_a_duration_is_read_as_it_was_shown(count: int) -> None:
    assert seconds(show(count)) == count


KEYS = ["a", "b-1", "a.b", '"x y"', "'q'", '"a\\"b"', "[[list]]", "[list.sub]", "[table]", '"\\u00e9"']
VALUES = [
    '"text"',
    "'text'",
    '"""\nlines"""',
    "1",
    "[1, [2, {a = 3}],\n 4]",
    "{ a = 1, b = [] }",
    "1979-05-27",
    "true",
    '"a\\\\"',
    "''''a'''' # no",
]
lines = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.sampled_from([*KEYS, "# words", "", "\t", "]]", "="]),
    anything,
)


@given(st.lists(lines, max_size=8).map("\n".join))
@example("[" * 2000 + "]" * 2000)
@example("a = " + "[" * 500 + "]" * 500)
@example("a = " + "{ a = " * 400 + "1" + "}" * 400)
def test_any_text_is_toml_with_the_line_of_each_key_or_a_fault(text: str) -> None:
    try:
        document = parse(text)
    except TomlFault:
        return
    where = key_lines(text)
    for path, line in where.items():
        assert 1 <= line <= text.count("\n") + 1
        here: object = document
        for part in path:
            here = here[part]  # type: ignore[index]  # every path leads somewhere
    assert {(key,) for key in document} <= set(where)


@given(st.dictionaries(anything, json, max_size=4))
def test_any_document_is_checked_without_a_fault_of_ours(document: dict[str, object]) -> None:
    faults = check(document, Platform)
    assert faults, "a platform needs a tenant"
    assert str(Faults(faults))
