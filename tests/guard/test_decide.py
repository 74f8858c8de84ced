"""The guard's decision and its words: a table of who may what, and what a refusal tells to whom."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gatewright_guard.decide import NO_RULE, UNAVAILABLE, Allowed, Refusal, Requirement, decide, explained, lacking, needs, quoted, refused
from gatewright_guard.reasons import SERVER_KNOWS, Reason
from gatewright_guard.refused import Cause
from gatewright_guard.verify import Claims, read_claims
from tests.guard.makers import AUDIENCE, ISSUER, NOW, some_claims


def claims_with(scope: str = "", **changes: object) -> Claims:
    return read_claims(some_claims(scope=scope, **changes), issuer=ISSUER, audience=AUDIENCE, now=NOW)


@pytest.mark.parametrize(
    ("scope", "requirement", "missing", "challenge"),
    [
        ("", needs(), None, None),
        ("a", needs("a"), None, None),
        ("a b", needs("a"), None, None),
        ("", needs("a"), "a", "a"),
        ("a", needs("a", "b"), "b", "a b"),
        ("", needs("b", "a"), "b a", "b a"),
        ("A", needs("a"), "a", "a"),
        ("ab", needs("a"), "a", "a"),
        ("b", needs(any_of=["a", "b"]), None, None),
        ("c", needs(any_of=["a", "b"]), "a", "a"),
        ("b", needs("x", any_of=["a", "b"]), "x", "x b"),
        ("x", needs("x", any_of=["a", "b"]), "a", "x a"),
        ("a", needs("a", any_of=["a", "b"]), None, None),
        ("", needs("a", any_of=["a", "b"]), "a", "a"),
    ],
)
def test_what_is_missing_is_named(scope: str, requirement: Requirement, missing: str | None, challenge: str | None) -> None:
    answer = decide(claims_with(scope), requirement)
    if missing is None:
        assert isinstance(answer, Allowed)
        return
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.error, answer.reason) == (403, "insufficient_scope", Reason.INSUFFICIENT_SCOPE)
    assert " ".join(answer.missing) == missing
    assert f'scope="{challenge}"' in answer.challenge()
    assert json.loads(answer.body())["missing_scope"] == missing


@pytest.mark.parametrize(
    ("changes", "account", "reason"),
    [
        ({}, None, None),
        ({}, "acme-dev", None),
        ({}, "ac_1", None),
        ({}, "acme-prod", Reason.WRONG_ACCOUNT),
        ({}, "ac_2", Reason.WRONG_ACCOUNT),
        ({}, "no-such-account", Reason.WRONG_ACCOUNT),
        ({}, "", Reason.WRONG_ACCOUNT),
        ({}, "ACME-DEV", Reason.WRONG_ACCOUNT),
        ({"account": None}, "ac_1", None),
        ({"account": None}, "None", Reason.WRONG_ACCOUNT),
        ({"account": "", "account_id": None}, "", Reason.WRONG_ACCOUNT),
        ({"account": None, "account_id": None}, None, None),
        ({"account": None, "account_id": None}, "acme-dev", Reason.WRONG_ACCOUNT),
        ({"account": None, "account_id": None, "gw_reach": "a"}, "acme-dev", None),
        ({"account": None, "account_id": None, "gw_reach": "b"}, "acme-dev", Reason.WRONG_ACCOUNT),
        ({"account": None, "account_id": None, "gw_reach": "a b", "scope": "b"}, "acme-dev", Reason.INSUFFICIENT_SCOPE),
        ({"account": None, "account_id": None, "gw_reach": "a", "scope": ""}, "acme-dev", Reason.WRONG_ACCOUNT),
        ({"scope": "b"}, "acme-dev", Reason.INSUFFICIENT_SCOPE),
        ({"scope": "b"}, "acme-prod", Reason.WRONG_ACCOUNT),
        ({"gw_reach": "a"}, "acme-prod", Reason.WRONG_ACCOUNT),
    ],
)
def test_a_token_opens_its_own_account_and_no_other(changes: dict[str, Any], account: str | None, reason: Reason | None) -> None:
    answer = decide(claims_with(**({"scope": "a"} | changes)), needs("a"), account=account)
    assert (answer.reason if isinstance(answer, Refusal) else None) == reason


def test_a_token_without_account_opens_no_account_even_where_no_scope_is_needed() -> None:
    answer = decide(claims_with("a", account=None, account_id=None), needs(), account="acme-dev")
    assert isinstance(answer, Refusal)


def test_a_foreign_account_is_answered_as_one_that_does_not_exist_and_named_in_neither() -> None:
    answers = [decide(claims_with("a"), needs("a"), account=account) for account in ("acme-prod", "there-is-none")]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Refusal)
    told = answers[0].body().decode() + answers[0].challenge()
    assert not any(name in told for name in ("acme-prod", "acme-dev", "ac_1", "there-is-none"))


@pytest.mark.proves("RFC 6750", "3")
def test_without_credentials_the_challenge_has_no_error() -> None:
    answer = decide(None, needs("a"))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.challenge()) == (401, 'Bearer realm="api"')
    assert json.loads(answer.body()) == {
        "type": "urn:gatewright:problem:token_missing",
        "title": "An access token is needed",
        "status": 401,
        "detail": "This needs an access token in the Authorization header: Bearer, a space, the token.",
        "cause": "token_missing",
    }


@pytest.mark.proves("RFC 9449", "7.2")
def test_a_bound_token_is_no_bearer_token() -> None:
    answer = decide(claims_with("a", cnf={"jkt": "x"}), needs("a"))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.error, answer.reason) == (401, "invalid_token", Reason.TOKEN_BOUND)


@pytest.mark.proves("RFC 6750", "3.1")
@pytest.mark.parametrize(
    ("cause", "status", "error", "told"),
    [
        (Cause.REQUEST_MALFORMED, 400, "invalid_request", "invalid_request"),
        (Cause.TOKEN_MALFORMED, 401, "invalid_token", "invalid_token"),
        (Cause.KEY_UNKNOWN, 401, "invalid_token", "invalid_token"),
        (Cause.KEY_WITHDRAWN, 401, "invalid_token", "invalid_token"),
        (Cause.SIGNATURE_WRONG, 401, "invalid_token", "invalid_token"),
        (Cause.TYPE_WRONG, 401, "invalid_token", "invalid_token"),
        (Cause.CLAIM_MALFORMED, 401, "invalid_token", "invalid_token"),
        (Cause.ISSUER_WRONG, 401, "invalid_token", "invalid_token"),
        (Cause.TOKEN_INACTIVE, 401, "invalid_token", "invalid_token"),
        (Cause.AUDIENCE_WRONG, 401, "invalid_token", "wrong_audience"),
        (Cause.TOKEN_EXPIRED, 401, "invalid_token", "token_expired"),
        (Cause.TOKEN_EARLY, 401, "invalid_token", "token_early"),
        (Cause.TOKEN_REVOKED, 401, "invalid_token", "token_revoked"),
        (Cause.TOKEN_BOUND, 401, "invalid_token", "token_bound"),
        (Cause.BINDING_UNKNOWN, 401, "invalid_token", "token_bound"),
        (Cause.TOKEN_UNBOUND, 401, "invalid_token", "token_unbound"),
        (Cause.PROOF_WRONG, 401, "invalid_dpop_proof", "proof_wrong"),
        (Cause.CERTIFICATE_WRONG, 401, "invalid_token", "certificate_wrong"),
    ],
)
def test_only_who_holds_a_token_of_the_issuer_learns_more_than_that_it_is_invalid(cause: Cause, status: int, error: str, told: str) -> None:
    answer = refused(cause)
    body = json.loads(answer.body())
    assert (answer.status, body["status"], answer.error, body["cause"]) == (status, status, error, told)
    assert body["type"] == f"urn:gatewright:problem:{error}"
    assert f'error="{error}"' in answer.challenge()


def test_every_cause_has_a_line_in_the_table_above() -> None:
    assert {refused(cause).reason for cause in Cause} == {
        Reason.INVALID_REQUEST,
        Reason.INVALID_TOKEN,
        Reason.WRONG_AUDIENCE,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_EARLY,
        Reason.TOKEN_REVOKED,
        Reason.TOKEN_BOUND,
        Reason.TOKEN_UNBOUND,
        Reason.PROOF_WRONG,
        Reason.CERTIFICATE_WRONG,
    }


def test_a_server_that_is_away_closes_the_door_without_a_challenge() -> None:
    assert UNAVAILABLE.status == 503
    assert dict(UNAVAILABLE.headers()) == {
        "content-type": "application/problem+json",
        "cache-control": "no-store",
        "retry-after": "2",
    }
    assert json.loads(UNAVAILABLE.body())["title"] == "The access token cannot be checked"


# ---------------------------------------------------------------- what the server knows

LACKING = lacking(("b",), ("b",))


def test_the_servers_cause_and_sentence_are_handed_on() -> None:
    answer = explained(LACKING, "role_lacks_scope", "No role of the user in this account has b.")
    body = json.loads(answer.body())
    assert (body["status"], body["cause"], body["missing_scope"]) == (403, "role_lacks_scope", "b")
    assert body["detail"] == "No role of the user in this account has b."
    assert answer.challenge().startswith('Bearer realm="api", error="insufficient_scope", error_description="The user has no role')


@pytest.mark.parametrize("cause", ["unknown", "", "no_rule", "invalid_token", "ROLE_LACKS_SCOPE", "x" * 1000])
def test_a_word_of_the_server_that_we_do_not_know_changes_nothing(cause: str) -> None:
    assert explained(LACKING, cause, "whatever") == LACKING


@pytest.mark.parametrize("detail", ["", "a\r\nb", "a\x00b", "\u202eabc", "x" * 501])
def test_a_sentence_that_is_none_is_replaced_by_ours(detail: str) -> None:
    assert explained(LACKING, "role_lacks_scope", detail).detail == Reason.ROLE_LACKS_SCOPE.sentence


@pytest.mark.parametrize(
    "cause",
    ["token_expired", "token_revoked", "grant_ended", "user_disabled", "account_disabled", "membership_ended", "client_disabled"],
)
def test_a_token_that_is_over_is_answered_with_401_whatever_it_lacked(cause: str) -> None:
    answer = explained(LACKING, cause, "")
    body = json.loads(answer.body())
    assert (answer.status, answer.error, body["cause"]) == (401, "invalid_token", cause)
    assert "missing_scope" not in body
    assert "scope=" not in answer.challenge()


def test_a_good_token_in_a_wrong_place_is_answered_with_403_since_another_one_would_not_help() -> None:
    for refusal in (refused(Cause.TOKEN_INACTIVE), LACKING):
        answer = explained(refusal, "ip_not_allowed", "")
        body = json.loads(answer.body())
        assert (answer.status, answer.error, body["cause"]) == (403, "insufficient_scope", "ip_not_allowed")
        assert "missing_scope" not in body
        assert "scope=" not in answer.challenge().replace("insufficient_scope", "")


def test_the_servers_causes_are_those_of_the_closed_list() -> None:
    verdicts = """scope_unknown scope_not_requested scope_not_allowed_to_client role_lacks_scope declined_by_user not_consented
        beyond_grant wrong_account resource_of_other_account membership_ended account_disabled user_disabled client_disabled
        ip_not_allowed token_expired token_revoked grant_ended"""
    assert set(verdicts.split()) == SERVER_KNOWS


# ---------------------------------------------------------------- header and body


@pytest.mark.parametrize("reason", Reason)
def test_every_sentence_may_stand_in_a_challenge(reason: Reason) -> None:
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", reason.sentence)
    assert reason.sentence.endswith(".")


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "a\r\nSet-Cookie: x", "é", "\x7f", "\x00"])
def test_a_scope_that_could_break_a_header_is_refused_where_it_is_written(scope: str) -> None:
    with pytest.raises(ValueError, match="no scope"):
        needs(scope)
    with pytest.raises(ValueError, match="no scope"):
        needs(any_of=[scope])


def test_alternatives_are_a_list() -> None:
    with pytest.raises(TypeError, match="any_of"):
        needs(any_of="read")


@given(st.text())
def test_nothing_gets_out_of_a_quoted_string(text: str) -> None:
    assert re.fullmatch(r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"', quoted(text))


@given(st.text())
def test_a_realm_of_any_text_makes_one_header_line(text: str) -> None:
    for refusal in (LACKING, NO_RULE, decide(None, needs())):
        assert isinstance(refusal, Refusal)
        line = dict(structs.replace(refusal, realm=text).headers())["www-authenticate"]
        assert line.isascii()
        assert line.isprintable()
        assert re.match(r'Bearer realm="(?:[^"\\]|\\.)*"(?:, |$)', line)


@pytest.mark.parametrize("refusal", [LACKING, NO_RULE, UNAVAILABLE, decide(None, needs()), *(refused(cause) for cause in Cause)])
@pytest.mark.proves("RFC 9457", "3")
def test_every_refusal_is_a_problem_document(refusal: Refusal) -> None:
    body = json.loads(refusal.body())
    assert set(body) - {"missing_scope"} == {"type", "title", "status", "detail", "cause"}
    assert body["status"] == refusal.status
    assert ("www-authenticate" in dict(refusal.headers())) == (refusal.status != 503)
    assert dict(refusal.headers())["cache-control"] == "no-store"
