"""The widget behind an API gateway, as the second seed describes it: each event goes through the functions as the gateway sends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from cryptography.fernet import Fernet

from examples.lambda_widget.__main__ import event_of, gateway
from examples.lambda_widget.gate import Gate
from examples.lambda_widget.widget import Settings, Widget
from gatewright_guard.guard import Guard
from tests.clients.platform import BANK, SECRETS
from tests.support.running import Node
from tests.support.visitor import Visitor

URL: Final = "https://widget.example"


class Browser:
    """Keeps the widget's cookies between events."""

    def __init__(self, widget: Widget) -> None:
        self.widget = widget
        self.cookies: dict[str, str] = {}

    def send(self, method: str, target: str) -> dict[str, Any]:
        """One event and its answer."""
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.widget(event_of(method, target, jar, "203.0.113.9"))
        for cookie in answer["cookies"]:
            name, _, rest = cookie.partition("=")
            assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
            assert name.startswith("__Host-")
            value = rest.partition(";")[0]
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer


class Watch:
    """The widget's clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def settings(visitor: Visitor) -> Settings:
    return Settings(visitor.issuer, "lambda-widget", SECRETS["CLIENT_SECRET"], URL, Fernet.generate_key().decode())


@pytest.fixture
def browser(settings: Settings, watch: Watch) -> Iterator[Browser]:
    with httpx.Client(timeout=10) as http:
        yield Browser(Widget(settings, http, watch))


def signed_in(browser: Browser, visitor: Visitor) -> None:
    """From the button to the greeting."""
    assert "Sign in" in browser.send("GET", "/")["body"]
    there = browser.send("GET", "/login")["headers"]["location"]
    assert there.startswith(f"{visitor.issuer}/o/authorize/?")
    back = visitor.authorize(there.removeprefix(visitor.issuer))
    assert back.url == f"{URL}/callback"
    arrived = browser.send("GET", back.full.removeprefix(URL))
    assert (arrived["statusCode"], arrived["headers"]["location"]) == (303, f"{URL}/")


def test_a_widget_signs_its_user_in_and_knows_who_it_is(browser: Browser, visitor: Visitor) -> None:
    signed_in(browser, visitor)
    shown = browser.send("GET", "/")
    assert "Hello, An organizer." in shown["body"]
    assert "default-src 'none'" in shown["headers"]["content-security-policy"]
    # What belongs to the browser is sealed: neither token nor name can be read from its cookies.
    assert not any("gwa_" in value or "gwr_" in value for value in browser.cookies.values())


def test_a_token_that_is_over_is_renewed_without_the_user(browser: Browser, visitor: Visitor, watch: Watch) -> None:
    signed_in(browser, visitor)
    before = browser.cookies["__Host-session"]
    watch.now += 2 * 86400
    assert "Hello, An organizer." in browser.send("GET", "/")["body"]
    assert browser.cookies["__Host-session"] != before


def test_signing_out_gives_the_tokens_back(browser: Browser, visitor: Visitor) -> None:
    signed_in(browser, visitor)
    kept = dict(browser.cookies)
    assert browser.send("POST", "/logout")["statusCode"] == 303
    assert browser.cookies == {}
    # Whoever kept the cookie has nothing any more.
    browser.cookies = kept
    assert "You are not signed in." in browser.send("GET", "/")["body"]


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(browser: Browser, visitor: Visitor) -> None:
    there = browser.send("GET", "/login")["headers"]["location"]
    back = visitor.authorize(there.removeprefix(visitor.issuer))
    begun = dict(browser.cookies)
    browser.cookies = {}
    assert browser.send("GET", back.full.removeprefix(URL))["statusCode"] == 400
    browser.cookies = dict(begun)
    assert browser.send("GET", back.full.removeprefix(URL).replace("state=", "state=x"))["statusCode"] == 400
    # A cookie of the one kind is none of the other.
    browser.cookies = {"__Host-session": begun["__Host-begun"]}
    assert "You are not signed in." in browser.send("GET", "/")["body"]
    browser.cookies = dict(begun)
    assert browser.send("GET", back.full.removeprefix(URL))["statusCode"] == 303


def test_a_no_of_the_user_is_told(browser: Browser, visitor: Visitor) -> None:
    visitor.allow = False
    there = browser.send("GET", "/login")["headers"]["location"] + "&prompt=consent"
    back = visitor.authorize(there.removeprefix(visitor.issuer))
    answer = browser.send("GET", back.full.removeprefix(URL))
    assert (answer["statusCode"], "access_denied" in answer["body"]) == (403, True)
    assert browser.cookies == {}


def test_there_is_nothing_elsewhere(browser: Browser) -> None:
    assert browser.send("GET", "/nothing")["statusCode"] == 404
    assert browser.send("GET", "/logout")["statusCode"] == 404


def test_the_gate_lets_in_who_has_the_scope_and_says_why_not(visitor: Visitor, node: Node) -> None:
    gate = Gate(lambda: Guard(visitor.issuer, BANK[0], credentials=BANK), {"GET /balance": "read:balance", "POST /send": "transfer:funds"})

    def asked(route: str, authorization: str | None) -> dict[str, Any]:
        headers = {} if authorization is None else {"Authorization": authorization}
        method, target = route.split(" ")
        return gate(event_of(method, target, "", "203.0.113.9") | {"headers": headers})

    try:
        with node.client() as http:
            token = bank_token(visitor, http)
        allowed = asked("GET /balance", f"Bearer {token}")
        assert allowed["isAuthorized"] is True
        assert allowed["context"]["user"].startswith("us_")
        assert allowed["context"]["account"] == "acme-dev"
        lacking = asked("POST /send", f"Bearer {token}")
        assert (lacking["isAuthorized"], 'scope="transfer:funds"' in lacking["context"]["challenge"]) == (False, True)
        assert asked("GET /balance", None)["isAuthorized"] is False
        assert asked("GET /balance", "Bearer gwa_nothing")["context"]["reason"] == "invalid_token"
        assert asked("GET /elsewhere", f"Bearer {token}")["isAuthorized"] is False
    finally:
        gate.close()


def bank_token(visitor: Visitor, http: httpx.Client) -> str:
    """A token of the widget's user for the bank."""
    query = {"response_type": "code", "client_id": "lambda-widget", "redirect_uri": f"{URL}/callback", "scope": "read:balance"}
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    back = visitor.authorize("/o/authorize/", **query, **challenge, account="acme-dev")
    form = {"grant_type": "authorization_code", "code": back.params["code"], "redirect_uri": f"{URL}/callback"}
    proof = {"client_id": "lambda-widget", "client_secret": SECRETS["CLIENT_SECRET"]}
    verifier = {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
    answer = http.post("/o/token/", data=form | proof | verifier)
    assert answer.status_code == httpx.codes.OK, answer.text
    token: str = answer.json()["access_token"]
    return token


def test_the_little_gateway_serves_the_widget(settings: Settings) -> None:
    from threading import Thread

    with httpx.Client() as http, gateway(Widget(settings, http), 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            shown = httpx.get(f"http://127.0.0.1:{server.server_address[1]}/")
        finally:
            server.shutdown()
            thread.join()
    assert (shown.status_code, "Sign in" in shown.text) == (200, True)
