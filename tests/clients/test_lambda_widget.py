"""The widget behind an API gateway, as the second seed describes it: each event goes through the functions as the gateway sends it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from cryptography.fernet import Fernet

from examples.lambda_widget.__main__ import event_of, gateway
from examples.lambda_widget.gate import Gate
from examples.lambda_widget.widget import Settings, Widget
from gatewright_guard.guard import Guard
from tests.clients.platform import BANK, SECRETS
from tests.support.running import ROOT, Node
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


# ---------------------------------------------------------------- a platform that is away, and gateways as they are


class Weather(httpx.BaseTransport):
    """A way to the platform that a test can close, for addresses that end in a certain way."""

    def __init__(self) -> None:
        self.open = httpx.HTTPTransport()
        self.closed: tuple[str, ...] = ()
        self.answer: int | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(self.closed or ("nowhere",)):
            return self.open.handle_request(request)
        if self.answer is None:
            raise httpx.ConnectError("the platform is away")
        return httpx.Response(self.answer)

    def close(self) -> None:
        self.open.close()


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def outdoors(settings: Settings, watch: Watch, weather: Weather) -> Iterator[Browser]:
    with httpx.Client(transport=weather) as http:
        yield Browser(Widget(settings, http, watch))


@pytest.mark.parametrize("answer", [None, 503, 429])
def test_a_platform_that_is_away_signs_nobody_out(
    outdoors: Browser, visitor: Visitor, weather: Weather, watch: Watch, answer: int | None
) -> None:
    signed_in(outdoors, visitor)
    weather.closed, weather.answer = ("/o/userinfo/",), answer
    assert outdoors.send("GET", "/")["statusCode"] == 503
    # The token is over, its successor was made, and only then the platform went away: the successor is kept.
    before = outdoors.cookies["__Host-session"]
    watch.now += 2 * 86400
    assert outdoors.send("GET", "/")["statusCode"] == 503
    assert outdoors.cookies["__Host-session"] != before
    watch.now += 2 * 86400
    weather.closed = ("/o/token/",)
    assert outdoors.send("GET", "/")["statusCode"] == 503
    weather.closed = ()
    assert "Hello, An organizer." in outdoors.send("GET", "/")["body"]


def test_a_sign_in_that_the_platform_could_not_finish_is_finished_by_loading_the_page_again(
    outdoors: Browser, visitor: Visitor, weather: Weather
) -> None:
    there = outdoors.send("GET", "/login")["headers"]["location"]
    back = visitor.authorize(there.removeprefix(visitor.issuer)).full.removeprefix(URL)
    weather.closed = ("/o/token/",)
    assert outdoors.send("GET", back)["statusCode"] == 503
    weather.closed = ()
    assert outdoors.send("GET", back)["statusCode"] == 303
    assert "Hello, An organizer." in outdoors.send("GET", "/")["body"]


def test_signing_out_works_while_the_platform_is_away(outdoors: Browser, visitor: Visitor, weather: Weather) -> None:
    signed_in(outdoors, visitor)
    weather.closed = ("/o/revoke_token/",)
    assert outdoors.send("POST", "/logout")["statusCode"] == 303
    assert outdoors.cookies == {}


@pytest.mark.proves("RFC 9207", "2.4")
@pytest.mark.parametrize("iss", [None, "https://elsewhere.test"])
def test_an_answer_that_does_not_say_whose_it_is_is_refused(browser: Browser, visitor: Visitor, iss: str | None) -> None:
    there = browser.send("GET", "/login")["headers"]["location"]
    back = visitor.authorize(there.removeprefix(visitor.issuer))
    said = {name: value for name, value in {**back.params, "iss": iss}.items() if value is not None}
    answer = browser.send("GET", f"/callback?{urlencode(said)}")
    assert (answer["statusCode"], "Somebody else answered" in answer["body"]) == (400, True)


def sample(method: str, path: str, stage: str) -> dict[str, Any]:
    """An event with all that an HTTP API puts into one, as its documentation shows it: much that nobody looks at, and no cookies."""
    where = f"/{stage}{path}" if stage != "$default" else path
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": where,
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "headers": {"header1": "value1", "header2": "value1,value2"},
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {"method": method, "path": where, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent"},
            "requestId": "id",
            "routeKey": "$default",
            "stage": stage,
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "body": "Hello from Lambda",
        "pathParameters": {"parameter1": "value1"},
        "isBase64Encoded": False,
        "stageVariables": {"stageVariable1": "value1"},
    }


@pytest.mark.parametrize(("stage", "url"), [("$default", URL), ("prod", f"{URL}/prod")])
def test_an_event_of_a_real_gateway_is_understood_at_every_stage(settings: Settings, stage: str, url: str) -> None:
    with httpx.Client() as http:
        widget = Widget(replace(settings, url=url), http)
        assert f'href="{url}/login"' in widget(sample("GET", "/", stage), object())["body"]
        there = widget(sample("GET", "/login", stage), object())["headers"]["location"]
        assert parse_qs(urlsplit(there).query)["redirect_uri"] == [f"{url}/callback"]
        assert widget(sample("GET", "/callback", stage), object())["statusCode"] == 400
        assert widget(sample("POST", "/logout", stage), object())["statusCode"] == 303


def test_the_function_of_the_guide_works(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (ROOT / "docs/guides/lambda-widget.md").read_text(encoding="utf-8")
    text = textwrap.dedent(re.findall(r"^    # widget_function\.py\n(?:    .*\n|\n)+", guide, re.MULTILINE)[0])
    told = {"ISSUER": settings.issuer, "CLIENT_ID": settings.client_id, "CLIENT_SECRET": "s", "URL": URL, "COOKIE_KEY": settings.key}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    module: dict[str, Any] = {}
    exec(compile(text, "widget_function.py", "exec"), module)  # noqa: S102 - the guide is ours
    assert "Sign in" in module["handler"](sample("GET", "/", "$default"))["body"]
