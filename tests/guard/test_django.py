"""What is Django's own: the settings and their checks, requests of both kinds, a second look at one request."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from gatewright_guard.decide import Allowed, needs
from gatewright_guard.django import GuardMiddleware, NotAllowed, admit, caller_of, check_settings, guard_in_use, request_of, requires
from gatewright_guard.request import Request
from tests.guard import site
from tests.guard.cases import GOOD, Call, a_server, bearing, bound
from tests.guard.drivers import called, in_django, settings_of
from tests.guard.makers import AUDIENCE, ISSUER, a_token

site.configure()
MOVE = needs("transfer:funds")


def settings(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - the guard's own
    said = {"issuer": ISSUER, "audience": AUDIENCE} | settings_of(a_server())
    return {name.upper(): value for name, value in said.items()} | changes


@pytest.fixture(autouse=True)
def _set() -> Iterator[None]:
    with override_settings(GATEWRIGHT=settings()):
        yield
        guard_in_use().close()


# ---------------------------------------------------------------- the settings


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "is a dict"),
        ({"AUDIENCE": AUDIENCE}, "ISSUER is not set"),
        ({"ISSUER": ISSUER}, "AUDIENCE is not set"),
        ({"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "MAX_STAIL": 5}, "no setting 'MAX_STAIL'; there are ISSUER, AUDIENCE, CREDENTIALS"),
        ({"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "issuer": ISSUER}, "no setting 'issuer'"),
        ({"ISSUER": "ftp://id.acme.test", "AUDIENCE": AUDIENCE}, "makes no guard"),
        ({"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "MODE": "opaque"}, "credentials"),
        ({"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "LEEWAY": 1000}, "leeway"),
        ({"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "ALLOW": "bank.rules.absent"}, "bank"),
    ],
)
def test_settings_that_make_no_guard_are_told_of_by_the_checks(said: object, words: str) -> None:
    with override_settings(GATEWRIGHT=said):
        (found,) = check_settings()
    assert found.id == "gatewright.E001"
    assert words in found.msg


def test_settings_that_make_a_guard_are_good() -> None:
    assert check_settings() == []


def test_the_checks_know_whether_the_middleware_is_there() -> None:
    with override_settings(MIDDLEWARE=[]):
        assert [found.id for found in check_settings()] == ["gatewright.W001"]


def test_djangos_own_command_looks_at_them() -> None:
    from django.core.checks import run_checks

    with override_settings(GATEWRIGHT={}):
        assert "gatewright.E001" in [found.id for found in run_checks()]


def test_where_the_settings_make_no_guard_nobody_is_admitted() -> None:
    with override_settings(GATEWRIGHT={"ISSUER": ISSUER}), pytest.raises(ImproperlyConfigured, match="AUDIENCE"):
        admit(RequestFactory().get("/balance"), MOVE)


def test_a_rule_may_be_named_by_its_path() -> None:
    with override_settings(GATEWRIGHT=settings(ALLOW=f"{__name__}.nobody")):
        with pytest.raises(NotAllowed) as caught:
            admit(a_request(a_token()), needs("read:balance"))
        guard_in_use().close()
    assert caught.value.refusal.detail == "Not today."


def nobody(allowed: Allowed, request: Request) -> str:
    assert isinstance(request.native, HttpRequest)
    return "Not today."


def test_a_process_has_one_guard_and_other_settings_another() -> None:
    first = guard_in_use()
    assert guard_in_use() is first
    with override_settings(GATEWRIGHT=settings(LEEWAY=0)):
        assert guard_in_use() is not first
    with pytest.raises(RuntimeError, match="closed"):
        first.check(Request(), MOVE)


# ---------------------------------------------------------------- requests


def a_request(token: str, **more: Any) -> HttpRequest:  # noqa: ANN401 - Django's own
    return RequestFactory().get("/balance", headers={"authorization": f"Bearer {token}"}, **more)


def test_requests_of_both_kinds_look_the_same_to_the_guard() -> None:
    said = {"authorization": "Bearer a", "dpop": "a.b.c"}
    # Only the one for views that await sends a Host by itself.
    plain = request_of(RequestFactory().get("/balance?a=b", headers=said | {"host": "testserver"}), guard_in_use())
    other = request_of(AsyncRequestFactory().get("/balance?a=b", headers=said), guard_in_use())
    assert isinstance(plain.native, HttpRequest)
    assert isinstance(other.native, HttpRequest)
    for seen in (plain, other):
        assert (seen.authorization, seen.dpop, seen.query, seen.method) == (("Bearer a",), ("a.b.c",), "a=b", "GET")
        assert (seen.address, seen.url) == ("127.0.0.1", "http://testserver/balance")


def test_a_second_look_at_one_request_needs_no_second_proof_and_asks_for_more() -> None:
    said = dict(bound(jti="d1", scope="read:balance transfer:funds")) | {"host": "bank.test"}
    request = RequestFactory().get("/balance", headers=said)
    assert admit(request, needs("read:balance")).sub == "us_1"
    assert admit(request, MOVE).sub == caller_of(request).sub == "us_1"
    with pytest.raises(NotAllowed) as caught:
        admit(request, needs("close:account"))
    assert caught.value.refusal.missing == ("close:account",)
    with pytest.raises(RuntimeError, match="nobody was admitted"):
        caller_of(request)


def test_what_a_view_refuses_itself_is_answered_by_the_middleware() -> None:
    def get_response(request: HttpRequest) -> HttpResponse:
        raise AssertionError("the view is called by Django, and not here")

    middleware = GuardMiddleware(get_response)
    request = a_request(a_token())
    with pytest.raises(NotAllowed) as caught:
        admit(request, MOVE)
    answer = middleware.process_exception(request, caught.value)
    assert answer is not None
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert middleware.process_exception(request, LookupError()) is None


def test_a_guarded_view_needs_no_token_against_forged_requests_and_another_does() -> None:
    from django.urls import path

    @requires("transfer:funds")
    def guarded(request: HttpRequest) -> HttpResponse:
        return HttpResponse(caller_of(request).sub)

    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse("moved")

    addresses = type("Addresses", (), {"urlpatterns": [path("guarded", guarded), path("plain", plain)]})
    from django.core.wsgi import get_wsgi_application

    with override_settings(ROOT_URLCONF=addresses):
        ask = partial(called, get_wsgi_application())
        assert ask(Call("POST", "/guarded", bearing(a_token(scope="transfer:funds")))).status == 200
        assert ask(Call("POST", "/guarded")).status == 401
        assert ask(Call("POST", "/plain", GOOD)).status == 403


def test_the_apis_own_rule_runs_where_the_database_connection_is() -> None:
    seen: list[int] = []

    def rule(allowed: Allowed, request: Request) -> bool:
        seen.append(threading.get_ident())
        return True

    with override_settings(GATEWRIGHT=settings(ALLOW=rule)):
        for token in (a_token(), "gwa_good", a_token()):
            admit(a_request(token), needs("read:balance"))
        guard_in_use().close()
    assert seen == [threading.get_ident()] * 3


# ---------------------------------------------------------------- a rule that looks into the database


def looks(allowed: Allowed, request: Request) -> bool:
    """Django refuses the database where an event loop runs."""
    from django.db import connection

    with connection.cursor() as cursor:
        found: bool = cursor.execute("SELECT 1").fetchone() == (1,)
    connection.close()
    return found


async def looks_later(allowed: Allowed, request: Request) -> bool:
    """As the database's asynchronous methods do it."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(looks)(allowed, request)


@pytest.mark.parametrize("rule", [looks, looks_later])
@pytest.mark.parametrize("style", ["views", "awaiting", "rest"])
@pytest.mark.parametrize("on_asgi", [False, True])
def test_a_rule_of_either_kind_may_use_the_database_under_views_of_either_kind(rule: object, style: str, on_asgi: bool) -> None:
    with in_django(a_server(), style, on_asgi=on_asgi, allow=rule) as ask:
        # At hand, asked of the server, and at hand again.
        assert [ask(Call("GET", "/balance", token)).status for token in (GOOD, bearing("gwa_good"), GOOD)] == [200, 200, 200]
