"""A token on its way to an API: put on, renewed once, never shown to anybody else. The same through httpx, its async form and requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest
import requests

from gatewright_client.errors import Unavailable, WrongOrigin
from gatewright_client.httpx import BearerAuth as ForHttpx
from gatewright_client.problem import explain
from gatewright_client.requests import BearerAuth as ForRequests
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from gatewright_client.stores import Memory
from gatewright_client.tokens import Tokens
from tests.client.doors import DOORS, Door, members
from tests.client.places import Answer, Asked, Issuer, Place

OVER = 'Bearer realm="bank", error="invalid_token", error_description="It is over."'


def bank(asked: Asked) -> Answer:
    """An API that takes every token but the first."""
    if asked.headers.get("authorization") == "Bearer access-1":
        return Answer(401, {"cause": "token_expired"}, {"www-authenticate": OVER, "content-type": "application/problem+json"})
    return Answer(body={"authorization": asked.headers.get("authorization"), "body": asked.body.decode()})


@pytest.fixture
def api() -> Iterator[Place]:
    place = Place(bank)
    with place.serving():
        yield place


@pytest.fixture
def elsewhere() -> Iterator[Place]:
    place = Place(lambda asked: Answer(body={"authorization": asked.headers.get("authorization")}))
    with place.serving():
        yield place


@pytest.fixture
def source(server: Server) -> TokenSource:
    return TokenSource.client_credentials(server)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, source: TokenSource, api: Place) -> Door:
    door: Door = request.param(source, api.url)
    return door


def always(*args: object, **more: object) -> Callable[[Asked], Answer]:
    return lambda _: Answer(*args, **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- 401


def test_a_token_that_is_over_is_renewed_and_the_request_sent_again(door: Door, api: Place, issuer: Issuer) -> None:
    response = door.send("POST", f"{api.url}/transfers", body=b"amount=5")
    assert members(response) == {"authorization": "Bearer access-2", "body": "amount=5"}
    assert [(asked.method, asked.body) for asked in api.asked] == [("POST", b"amount=5")] * 2
    assert len(issuer.forms) == 2
    assert members(door.get(f"{api.url}/balance"))["authorization"] == "Bearer access-2"
    assert len(issuer.forms) == 2


def test_it_is_tried_again_once_and_no_more(door: Door, api: Place, issuer: Issuer) -> None:
    api.answer = always(401, None, {"www-authenticate": OVER})
    assert door.get(f"{api.url}/balance").status_code == 401
    assert (len(api.asked), len(issuer.forms)) == (2, 2)


def test_a_body_that_can_be_sent_only_once_is_not_sent_again(door: Door, api: Place, issuer: Issuer) -> None:
    response = door.send("POST", f"{api.url}/transfers", body=iter([b"amount", b"=5"]))
    assert response.status_code == 401
    assert [asked.body for asked in api.asked] == [b"amount=5"]
    assert len(issuer.forms) == 1


@pytest.mark.parametrize("challenge", ['Bearer realm="bank"', 'Basic realm="error=invalid_token"', 'Bearer error="invalid_request"', None])
def test_another_401_is_the_programs_to_see(door: Door, api: Place, issuer: Issuer, challenge: str | None) -> None:
    api.answer = always(401, None, {} if challenge is None else {"www-authenticate": challenge})
    assert door.get(f"{api.url}/balance").status_code == 401
    assert (len(api.asked), len(issuer.forms)) == (1, 1)


@pytest.mark.parametrize("cause", ["user_disabled", "grant_ended", "wrong_audience", "token_bound"])
def test_a_cause_that_no_new_token_cures_is_not_tried_again(door: Door, api: Place, issuer: Issuer, cause: str) -> None:
    api.answer = always(401, {"cause": cause}, {"www-authenticate": OVER, "content-type": "application/problem+json"})
    problem = explain(door.get(f"{api.url}/balance"))
    assert problem is not None
    assert (problem.cause, problem.refresh_helps) == (cause, False)
    assert (len(api.asked), len(issuer.forms)) == (1, 1)


def test_when_the_server_gives_no_other_token_the_apis_answer_stands(door: Door, api: Place, issuer: Issuer) -> None:
    door.source.token()
    issuer.script = [Answer(503, None)]
    problem = explain(door.get(f"{api.url}/balance"))
    assert problem is not None
    assert problem.cause == "token_expired"


def test_without_any_token_nothing_is_sent(door: Door, api: Place, issuer: Issuer) -> None:
    issuer.script = [Answer(503, None)]
    with pytest.raises(Unavailable):
        door.get(f"{api.url}/balance")
    assert api.asked == []


# ---------------------------------------------------------------- 403 and 503


def test_a_403_is_never_tried_again(door: Door, api: Place, issuer: Issuer) -> None:
    challenge = 'Bearer error="insufficient_scope", scope="transfer:funds"'
    api.answer = always(403, None, {"www-authenticate": f"{OVER}, {challenge}"})
    assert door.get(f"{api.url}/balance").status_code == 403
    api.answer = always(403, {"cause": "role_lacks_scope", "missing_scope": "transfer:funds"}, {"content-type": "application/problem+json"})
    problem = explain(door.get(f"{api.url}/balance"))
    assert problem is not None
    assert (problem.cause, problem.missing_scope, problem.refresh_helps, problem.ask_user) == (
        "role_lacks_scope",
        "transfer:funds",
        False,
        False,
    )
    assert (len(api.asked), len(issuer.forms)) == (2, 1)


def test_a_503_that_says_for_how_long_is_waited_for_once(door: Door, api: Place) -> None:
    api.answer = always(503, None, {"retry-after": "2"})
    assert door.get(f"{api.url}/balance").status_code == 503
    assert (len(api.asked), door.waited) == (2, [2])


@pytest.mark.parametrize(("method", "after"), [("GET", "11"), ("GET", "Sat, 28 Nov 2026 12:00:00 GMT"), ("GET", None), ("POST", "2")])
def test_a_503_is_not_waited_for_if_it_takes_long_or_might_be_done_twice(door: Door, api: Place, method: str, after: str | None) -> None:
    api.answer = always(503, None, {} if after is None else {"retry-after": after})
    assert door.send(method, f"{api.url}/balance").status_code == 503
    assert (len(api.asked), door.waited) == (1, [])


def test_a_503_and_a_401_may_both_be_cured(door: Door, api: Place) -> None:
    answers = [Answer(503, None, {"retry-after": "0"}), Answer(401, None, {"www-authenticate": OVER})]
    api.answer = lambda asked: answers.pop(0) if answers else bank(asked)
    assert members(door.get(f"{api.url}/balance"))["authorization"] == "Bearer access-2"
    assert len(api.asked) == 3


# ---------------------------------------------------------------- nobody else


def test_a_request_to_another_place_is_not_sent(door: Door, elsewhere: Place, issuer: Issuer) -> None:
    with pytest.raises(WrongOrigin, match="was not sent with it"):
        door.get(f"{elsewhere.url}/balance")
    assert (elsewhere.asked, issuer.forms) == ([], [])


@pytest.mark.parametrize(
    "trick", ["http://{here}@{there}/", "http://{there}\\@{here}/", "http://{here}.{there}/", "http://{there}#@{here}/"]
)
def test_an_address_that_only_looks_like_the_apis_is_another_place(
    door: Door, api: Place, elsewhere: Place, issuer: Issuer, trick: str
) -> None:
    here, there = api.url.removeprefix("http://"), elsewhere.url.removeprefix("http://")
    with suppress(WrongOrigin, httpx.HTTPError, httpx.InvalidURL, requests.RequestException):
        door.get(trick.format(here=here, there=there))
    assert [asked for asked in elsewhere.asked if "authorization" in asked.headers] == []
    assert issuer.forms == [] or api.asked != []


def test_a_redirect_to_another_place_drops_the_token(door: Door, api: Place, elsewhere: Place) -> None:
    api.answer = always(307, None, {"location": f"{elsewhere.url}/balance"})
    assert members(door.get(f"{api.url}/balance")) == {"authorization": None}


@pytest.mark.parametrize("status", [401, 503])
def test_another_place_cannot_ask_for_a_token(door: Door, api: Place, elsewhere: Place, issuer: Issuer, status: int) -> None:
    api.answer = always(307, None, {"location": f"{elsewhere.url}/balance"})
    elsewhere.answer = always(status, None, {"www-authenticate": OVER, "retry-after": "1"})
    assert door.get(f"{api.url}/balance").status_code == status
    assert (len(api.asked), len(elsewhere.asked), len(issuer.forms)) == (1, 1, 1)
    assert "authorization" not in elsewhere.asked[0].headers
    assert door.waited == []


def test_a_redirect_within_the_api_keeps_the_token_even_after_a_renewal(door: Door, api: Place) -> None:
    def moved(asked: Asked) -> Answer:
        answer = bank(asked)
        return Answer(307, None, {"location": "/moved"}) if answer.status == 200 and asked.path == "/balance" else answer

    api.answer = moved
    assert members(door.get(f"{api.url}/balance"))["authorization"] == "Bearer access-2"


@pytest.mark.parametrize("auth", [ForHttpx, ForRequests])
@pytest.mark.parametrize("api", ["http://bank.acme.test", "ftp://bank.acme.test", "bank.acme.test", "https://user@bank.acme.test"])
def test_a_token_is_for_https_or_for_this_machine(source: TokenSource, auth: type[ForHttpx | ForRequests], api: str) -> None:
    with pytest.raises(ValueError, match="neither https nor http to this machine"):
        auth(source, api)


# ---------------------------------------------------------------- silence


def test_no_token_is_in_a_log_or_in_a_readable_form(
    door: Door, api: Place, issuer: Issuer, signed_in: Tokens, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        door.source = TokenSource.refreshing(server, Memory(signed_in))
        door.get(f"{api.url}/balance")
    shown = [record.getMessage() for record in caplog.records]
    shown += [repr(thing) for thing in (signed_in, door.source, server, signed_in.__rich_repr__())] + [str(signed_in)]
    assert len(issuer.forms) == 2
    assert [text for text in shown if "access-" in text or "refresh-" in text] == []
