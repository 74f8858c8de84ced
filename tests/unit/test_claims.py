"""Claims: which scope opens which, and what the `claims` parameter adds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatewright.base import ids
from gatewright.oauth.authorization import Standing
from gatewright.oauth.catalogue import ADDRESS, EMAIL, OPENID, PHONE, PROFILE
from gatewright.oauth.claims import OWNERS, ClaimsRequest, Wanted, for_id_token, for_userinfo, parse_claims, subject
from gatewright.oauth.client import Client, ClientSettings
from gatewright.oauth.errors import InvalidRequest

PROFILE_DOCUMENT = {
    "family_name": "Example",
    "given_name": "Ann",
    "locale": "en",
    "updated_at": 1_700_000_000,
    "address": {"locality": "Delft", "country": "NL"},
    "phone_number": "+31 15 000",
    "unheard_of": "x",
}


def a_standing(**over: object) -> Standing:
    fields: dict[str, Any] = dict.fromkeys(Standing.__struct_fields__)
    fields |= {"id": 9, "tenant": 1, "person": 7, "account": 0, "claims": "", "scopes": "1 2 3", "granted": "1 2 3 4 5"}
    fields |= {"person_name": "Ann Example", "person_email": "ann@acme.test", "person_email_verified_at": 5}
    fields |= {"person_profile": json.dumps(PROFILE_DOCUMENT)}
    return Standing(*{**fields, **over}.values())


def a_client(*scopes: int) -> Client:
    return Client(
        id=3,
        tenant=1,
        client_id="app",
        epoch=0,
        disabled=False,
        settings=ClientSettings(client_name="App"),
        scopes=frozenset(scopes),
        grant_types=frozenset(),
    )


ALL = a_client(OPENID, PROFILE, EMAIL, ADDRESS, PHONE)


def test_openid_alone_opens_no_claim() -> None:
    assert for_userinfo(a_standing(), [OPENID], ALL) == {}


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        (PROFILE, {"name", "family_name", "given_name", "locale", "updated_at"}),
        (EMAIL, {"email", "email_verified"}),
        (ADDRESS, {"address"}),
        (PHONE, {"phone_number", "phone_number_verified"}),
    ],
)
def test_each_scope_opens_its_own_claims_and_no_other(scope: int, claims: set[str]) -> None:
    assert set(for_userinfo(a_standing(), [OPENID, scope], ALL)) == claims
    assert all(OWNERS[name] == scope for name in claims)


def test_what_is_told_is_what_is_known_in_the_form_of_the_standard() -> None:
    told = for_userinfo(a_standing(), [PROFILE, EMAIL, ADDRESS, PHONE], ALL)
    assert told["email_verified"] is True
    assert told["address"] == {"locality": "Delft", "country": "NL"}
    assert told["updated_at"] == 1_700_000_000
    assert told["phone_number_verified"] is False
    assert None not in told.values()


def test_an_address_that_was_not_proved_is_not_called_verified() -> None:
    told = for_userinfo(a_standing(person_email_verified_at=None), [EMAIL], ALL)
    assert told == {"email": "ann@acme.test", "email_verified": False}


def test_a_person_without_profile_is_no_trouble() -> None:
    for profile in (None, "", "{}"):
        told = for_userinfo(a_standing(person_profile=profile, person_name="", person_email=""), [PROFILE, EMAIL, ADDRESS, PHONE], ALL)
        assert told == {}


def test_the_claims_of_scopes_are_not_in_the_id_token() -> None:
    assert for_id_token(a_standing(), ALL) == {}


def test_a_claim_asked_for_by_name_is_told_where_it_was_asked_for() -> None:
    request = parse_claims('{"userinfo":{"email":{"essential":true}},"id_token":{"name":null}}')
    standing = a_standing(claims=request.kept(frozenset([EMAIL, PROFILE])))
    assert for_userinfo(standing, [OPENID], ALL) == {"email": "ann@acme.test"}
    assert for_id_token(standing, ALL) == {"name": "Ann Example"}


def test_a_claim_is_kept_only_with_its_scope_allowed() -> None:
    request = parse_claims('{"userinfo":{"email":null,"phone_number":null}}')
    assert json.loads(request.kept(frozenset([EMAIL]))) == {"userinfo": ["email"]}
    assert request.kept(frozenset([OPENID])) == ""


def test_a_claim_is_told_no_longer_when_the_client_may_not_have_its_scope() -> None:
    standing = a_standing(claims=parse_claims('{"userinfo":{"email":null},"id_token":{"email":null}}').kept(frozenset([EMAIL])))
    fewer = a_client(OPENID, PROFILE)
    assert for_userinfo(standing, [OPENID], fewer) == {}
    assert for_id_token(standing, fewer) == {}


def test_unknown_claims_and_members_are_ignored() -> None:
    request = parse_claims('{"userinfo":{"shoe_size":{"value":{"eu":44}},"name#ja":null},"verified":{}}')
    assert request.owners == frozenset()
    assert request.kept(frozenset(OWNERS.values())) == ""


def test_a_subject_and_an_acr_can_be_asked_for() -> None:
    request = parse_claims('{"id_token":{"sub":{"value":"us_1"},"acr":{"essential":true,"values":["a","b",3]}}}')
    assert request.subject == "us_1"
    assert request.acr == Wanted(essential=True, values=("a", "b", 3))
    assert request.acr is not None
    assert request.acr.texts == ("a", "b")
    assert ClaimsRequest().subject is None
    assert parse_claims('{"userinfo":{"sub":{"value":"us_2"}}}').subject == "us_2"
    assert parse_claims('{"id_token":{"sub":{"value":7},"acr":null}}').subject is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email",
        "[]",
        "7",
        '{"userinfo":[]}',
        '{"userinfo":{"email":true}}',
        '{"userinfo":{"email":{"essential":"yes"}}}',
        '{"userinfo":{"email":{"values":"a"}}}',
        '{"userinfo":{"email":{}',
        "[" * 4000,
        '{"a":' * 800 + "1",
        '{"userinfo":{}}' + " " * 5000,
        '{"userinfo":{"\ud800":null}}',
    ],
)
def test_what_is_no_claims_request_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_claims(text)


def test_a_subject_is_the_user_and_never_looks_like_a_client() -> None:
    assert subject(a_standing(), ALL) == ids.show(ids.USER, 7)
    assert ids.reserved(subject(a_standing(), ALL))
    assert subject(a_standing(person=0), ALL) == "app"
