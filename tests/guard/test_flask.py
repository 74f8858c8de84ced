"""What is Flask's own: blueprints, slips, a second look at one request, and the middleware around an application."""

from collections.abc import Iterator
from functools import partial

import flask
import pytest

from gatewright_guard.decide import Allowed, needs
from gatewright_guard.flask import admit, caller, protect, requires
from gatewright_guard.request import Request
from gatewright_guard.sync import SyncGuard
from gatewright_guard.wsgi import GuardMiddleware, Rule
from tests.guard.cases import GOOD, Ask, Call, a_server, bearing, bound
from tests.guard.drivers import a_sync_guard, called
from tests.guard.makers import a_token

BALANCE = needs("read:balance")


@pytest.fixture
def guard() -> Iterator[SyncGuard]:
    with a_sync_guard(a_server()) as made:
        yield made


def an_app(guard: SyncGuard) -> flask.Flask:
    app = flask.Flask("bank")
    protect(app, guard)
    reports = flask.Blueprint("reports", __name__, url_prefix="/reports")

    @reports.before_request
    def readers_alone() -> None:
        admit(BALANCE)

    @reports.get("/latest")
    def latest() -> str:
        return caller().sub

    @reports.get("/big")
    @requires("transfer:funds")
    def big() -> str:
        return caller().sub

    @app.get("/slip")
    def slip() -> str:
        return caller().sub

    @app.get("/nameless")
    @requires("read:balance", account_in="account")
    def nameless() -> str:
        return caller().sub

    app.register_blueprint(reports)
    return app


@pytest.fixture
def ask(guard: SyncGuard) -> Ask:
    return partial(called, an_app(guard))


def test_a_blueprint_is_closed_in_one_place(ask: Ask) -> None:
    assert ask(Call("GET", "/reports/latest")).status == 401
    assert ask(Call("GET", "/reports/latest", bearing(a_token(scope="openid")))).status == 403
    assert ask(Call("GET", "/reports/latest", GOOD)).body == b"us_1"


def test_a_second_look_at_one_request_asks_for_more(ask: Ask) -> None:
    assert ask(Call("GET", "/reports/big", GOOD)).status == 403
    assert ask(Call("GET", "/reports/big", bearing(a_token(scope="read:balance transfer:funds")))).status == 200


def test_a_second_look_at_one_request_needs_no_second_proof(ask: Ask) -> None:
    scope = "read:balance transfer:funds"
    answer = ask(Call("GET", "/reports/big", bound(jti="f1", path="/reports/big", scope=scope)))
    assert (answer.status, answer.body) == (200, b"us_1")
    lacking = ask(Call("GET", "/reports/big", bound(jti="f2", path="/reports/big")))
    assert (lacking.status, lacking.told["www-authenticate"].split(",")[0]) == (403, 'Bearer realm="https://bank.acme.test"')


def test_a_view_that_nobody_guards_has_no_caller(guard: SyncGuard) -> None:
    app = an_app(guard)
    app.testing = True
    with pytest.raises(RuntimeError, match="nobody was admitted"):
        called(app, Call("GET", "/slip", GOOD))
    with pytest.raises(RuntimeError, match="no parameter 'account'"):
        called(app, Call("GET", "/nameless", GOOD))


def test_an_app_that_was_never_protected_admits_nobody() -> None:
    app = flask.Flask("bank")
    app.testing = True
    app.add_url_rule("/balance", view_func=requires("read:balance")(lambda: "much"))
    with pytest.raises(RuntimeError, match="protect"):
        called(app, Call("GET", "/balance", GOOD))


def test_what_an_outer_application_let_in_is_known_inside(guard: SyncGuard) -> None:
    wrapped = GuardMiddleware(an_app(guard), guard, [Rule(path="/slip", needs=BALANCE), Rule(path="/reports/*", needs=BALANCE)])
    assert called(wrapped, Call("GET", "/slip", GOOD)).body == b"us_1"
    assert called(wrapped, Call("GET", "/reports/latest", bound(jti="f3", path="/reports/latest"))).body == b"us_1"


def test_another_guards_word_counts_for_nothing(guard: SyncGuard) -> None:
    with a_sync_guard(a_server()) as other:
        wrapped = GuardMiddleware(an_app(guard), other, [Rule(path="/reports/*", needs=BALANCE)])
        headers = bound(jti="f4", path="/reports/latest")
        # Both look at the proof, each with a memory of its own.
        assert called(wrapped, Call("GET", "/reports/latest", headers)).status == 200
        assert called(an_app(guard), Call("GET", "/reports/latest", headers)).status == 401


def test_the_apis_own_rule_sees_the_request_and_runs_in_its_thread() -> None:
    import threading

    seen: list[tuple[object, bool]] = []

    def rule(allowed: Allowed, request: Request) -> bool:
        seen.append((flask.request.path, threading.current_thread() is threading.main_thread()))
        return isinstance(request.native, flask.Request)

    with a_sync_guard(a_server(), allow=rule) as guard:
        for token in (GOOD, bearing("gwa_good"), GOOD):
            assert called(an_app(guard), Call("GET", "/reports/latest", token)).status == 200
    assert seen == [("/reports/latest", True)] * 3


def test_a_rule_that_fails_is_a_fault_and_admits_nobody() -> None:
    def rule(allowed: Allowed, request: Request) -> bool:
        raise LookupError("the database is away")

    with a_sync_guard(a_server(), allow=rule) as guard:
        app = an_app(guard)
        app.testing = True
        for token in (GOOD, bearing("gwa_good")):
            with pytest.raises(LookupError, match="the database is away"):
                called(app, Call("GET", "/reports/latest", token))
