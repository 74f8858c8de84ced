"""Why an API refused, read from its challenge and its body: from the guard's own refusals, and from APIs that say less or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from gatewright_client.challenge import bearer_challenge, challenges
from gatewright_client.problem import ADVICE, ApiRefused, explain, raise_for_problem
from gatewright_guard.reasons import Reason

JSON = {"content-type": "application/problem+json"}


def by_requests(status: int, headers: Mapping[str, str], body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = status, body
    response.headers.update(headers)
    return response


MAKERS: list[Any] = [lambda status, headers, body: httpx.Response(status, headers=headers, content=body), by_requests]


# ---------------------------------------------------------------- the guard's refusals


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_cause_that_the_guard_gives_has_its_advice(make: Any, reason: Reason) -> None:  # noqa: ANN401 - makes a response
    status = 401 if reason.ends_token else 403
    body = msgspec.json.encode({"status": status, "cause": reason, "detail": reason.sentence})
    problem = explain(make(status, JSON, body))
    assert problem is not None
    assert reason.value in ADVICE
    assert (problem.status, problem.cause, problem.detail) == (status, reason.value, reason.sentence)
    assert problem.what_to_do == ADVICE[reason.value].text
    # The guard's sentences and the advice never contradict each other.
    assert not ("refresh will not help" in reason.sentence and problem.refresh_helps)


def test_a_new_token_helps_against_few_causes() -> None:
    assert {cause for cause, advice in ADVICE.items() if advice.refresh_helps} == {
        "token_missing",
        "invalid_token",
        "token_expired",
        "token_revoked",
    }


# ---------------------------------------------------------------- other APIs


@pytest.mark.parametrize(
    ("status", "challenge", "cause", "scope"),
    [
        (401, 'Bearer realm="x"', "token_missing", ""),
        (401, 'Bearer error="invalid_token", scope="read:balance"', "invalid_token", ""),
        (401, 'Bearer error="insufficient_user_authentication", acr_values="mfa"', "insufficient_user_authentication", ""),
        (403, 'Bearer error="insufficient_scope", scope="a b"', "insufficient_scope", "a b"),
        (403, 'Basic realm="x"', "unknown", ""),
        (403, 'Bearer realm="x"', "unknown", ""),
        (403, "", "unknown", ""),
        (401, "", "unknown", ""),
    ],
)
def test_a_challenge_alone_says_what_it_can(status: int, challenge: str, cause: str, scope: str) -> None:
    problem = explain(httpx.Response(status, headers={"www-authenticate": challenge}))
    assert problem is not None
    assert (problem.cause, problem.missing_scope) == (cause, scope)


def test_a_403_without_a_word_gets_the_checklist() -> None:
    problem = explain(httpx.Response(403, text="Forbidden"))
    assert problem is not None
    for word in ("role", "account", "/v1/me", "disabled", "expired"):
        assert word in problem.what_to_do
    assert not problem.refresh_helps


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 500, 503])
def test_what_is_no_refusal_is_not_explained(status: int) -> None:
    response = httpx.Response(status, headers={"content-type": "application/problem+json"}, content=b'{"title": "x"}')
    assert explain(response) is None
    raise_for_problem(response)


def test_a_503_of_the_guard_is_explained() -> None:
    problem = explain(httpx.Response(503, headers=JSON | {"retry-after": "3"}, content=b'{"cause": "unavailable"}'))
    assert problem is not None
    assert (problem.cause, problem.retry_after, problem.what_to_do) == ("unavailable", 3, "Try again later.")


def test_a_refusal_as_an_exception_says_all_of_it() -> None:
    known = {"cause": "role_lacks_scope", "detail": "No role.", "missing_scope": "a", "decision": "de_1", "title": "x", "status": 403}
    body = msgspec.json.encode(known | {"more": "https://id.acme.test/-/decisions/de_1", "acr_values": "mfa"})
    with pytest.raises(ApiRefused, match=r"^403 role_lacks_scope: No role\. A refresh will not help: an account admin") as fault:
        raise_for_problem(httpx.Response(403, headers=JSON, content=body))
    problem = fault.value.problem
    assert (problem.decision, problem.more) == ("de_1", "https://id.acme.test/-/decisions/de_1")
    assert problem.members == {"acr_values": "mfa"}


@pytest.mark.parametrize("more", ["javascript:alert(1)", "http://id.acme.test/", "//id.acme.test/", 7, None])
def test_a_page_that_is_not_safe_is_not_offered(more: object) -> None:
    problem = explain(httpx.Response(403, headers=JSON, content=msgspec.json.encode({"cause": "no_rule", "more": more})))
    assert problem is not None
    assert problem.more == ""


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"cause": 7, "detail": []}', b"[" * 100_000, b'{"cause": "' + b"x" * 70_000 + b'"}', b"\xff"]
)
def test_a_body_that_is_no_problem_is_passed_over(body: bytes) -> None:
    problem = explain(httpx.Response(403, headers=JSON, content=body))
    assert problem is not None
    assert (problem.cause, problem.detail) == ("unknown", "")


def test_a_streamed_answer_is_explained_by_its_headers() -> None:
    headers = JSON | {"www-authenticate": 'Bearer error="invalid_token"'}
    transport = httpx.MockTransport(lambda _: httpx.Response(401, headers=headers, stream=Pieces()))
    with httpx.Client(transport=transport) as http, http.stream("GET", "https://bank.acme.test/") as response:
        problem = explain(response)
    assert problem is not None
    assert problem.cause == "invalid_token"


class Pieces(httpx.SyncByteStream):
    """A body that has not arrived."""

    def __iter__(self) -> Any:  # noqa: ANN401 - pieces
        yield b'{"cause": "token_expired"}'


def test_what_an_api_says_cannot_steer_a_terminal() -> None:
    body = msgspec.json.encode({"cause": "\x1b]0;x\x07", "detail": "a\x1b[2Jb\nc\u202ed\x9be" + "x" * 1000})
    problem = explain(httpx.Response(403, headers=JSON, content=body))
    assert problem is not None
    shown = problem.cause + problem.detail
    assert not any(letter in shown for letter in "\x1b\x07\n\u202e\x9b")
    assert len(problem.detail) == 500


# ---------------------------------------------------------------- challenges


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Bearer", [("bearer", {})]),
        ("bearer realm=x", [("bearer", {"realm": "x"})]),
        ('Bearer realm="a, b=\\"c\\"" , error = invalid_token', [("bearer", {"realm": 'a, b="c"', "error": "invalid_token"})]),
        ('Basic realm="x", Bearer error="invalid_token"', [("basic", {"realm": "x"}), ("bearer", {"error": "invalid_token"})]),
        ("Negotiate YIIB+/==, Bearer scope=a", [("negotiate", {}), ("bearer", {"scope": "a"})]),
        ("Basic, Bearer", [("basic", {}), ("bearer", {})]),
        (',, Bearer ,error="x",,', [("bearer", {"error": "x"})]),
        ('Bearer error="first", error="second"', [("bearer", {"error": "first"})]),
        ('Bearer realm="never ends, error="x', [("bearer", {})]),
        ("Bearer error=invalid_token; Basic", [("bearer", {})]),
        ('DPoP algs="ES256", error="invalid_token"', [("dpop", {"algs": "ES256", "error": "invalid_token"})]),
    ],
)
@pytest.mark.proves("RFC 9110", "11.6.1")
def test_a_challenge_is_read_as_it_is_written(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert challenges(header) == found


@given(st.text(alphabet='Bearer ,="\\\t;abc/+\x00é', max_size=200))
def test_no_header_is_too_strange_to_be_read(header: str) -> None:
    bearer_challenge(header)
    explain(SimpleNamespace(status_code=401, headers={"www-authenticate": header}, content=b""))


PARAMETERS = st.dictionaries(
    st.sampled_from(["realm", "error", "scope", "x-y"]), st.text(st.characters(min_codepoint=32, max_codepoint=126))
)


@given(st.lists(st.tuples(st.sampled_from(["Basic", "Bearer", "DPoP"]), PARAMETERS), max_size=4))
def test_what_is_written_by_the_rules_is_read_back(written: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} {', '.join(f'{name}={quoted(value)}' for name, value in said.items())}".strip() for scheme, said in written
    )
    assert challenges(header) == [(scheme.lower(), said) for scheme, said in written]
