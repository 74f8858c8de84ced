"""The way back to the app in a real browser, for every kind of address: Chromium applies a page's form-action to each hop behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from gatewright.oauth.pkce import challenge_of
from tests.support.platforms import acme
from tests.support.running import Deployment
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

PASSWORD = "organizer-demo"
PLATFORM = acme(
    {"acme-dev": []},
    """
[[apis]]
audience = "https://bank.acme.test"
name     = "Acme Bank"
roles    = "off"
[apis.scopes]
"read:balance" = "See the balance of your bank accounts"

[[clients]]
client_id     = "web-app"
client_name   = "A web app"
grant_types   = ["authorization_code"]
redirect_uris = ["https://app.test/callback?tenant=7"]
scopes        = ["openid", "read:balance"]
secret        = { env = "CLIENT_SECRET" }

[[clients]]
client_id     = "native-app"
client_name   = "A native app"
type          = "native"
grant_types   = ["authorization_code"]
redirect_uris = ["http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/callback"]
scopes        = ["openid", "read:balance"]
""",
)


@dataclass
class Watched:
    """A page, and what it complained of."""

    page: Page
    issuer: str
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.said.append(message.text))

    def authorize(self, client: str, uri: str, **more: str) -> None:
        """Come from the app's page."""
        params = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": uri,
            "scope": "openid read:balance",
            "state": "s",
            "code_challenge": challenge_of("v" * 43),
            "code_challenge_method": "S256",
        }
        self.page.goto(f"{self.issuer}/authorize?{urlencode(params | more)}")

    def sign_in(self) -> None:
        """Type name and password."""
        self.page.get_by_label("E-mail address").fill("organizer@acme.test")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def press(self, name: str) -> None:
        """Press a button without waiting for where it leads: nobody listens there."""
        self.page.get_by_role("button", name=name).click(no_wait_after=True)

    def answer(self, button: str, uri: str) -> dict[str, str]:
        """What reaches the app's address when a button is pressed."""
        start = uri.partition("?")[0]
        with self.page.expect_request(lambda request: request.url.startswith(start)) as waited:
            self.press(button)
        found = waited.value
        return dict(parse_qsl(found.post_data or urlsplit(found.url).query))

    def complains(self) -> bool:
        """Whether the policy held a form back."""
        return any("form-action" in text for text in self.said)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    secrets = {"PASSWORD": PASSWORD, "CLIENT_SECRET": "a-secret-of-a-client-0123456789abcdef"}
    deployment = Deployment(tmp_path_factory.mktemp("answers"), secrets=secrets).prepare(PLATFORM)
    with deployment.serve():
        yield deployment.issuer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def watched(browser: Browser, issuer: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    context = browser.new_context(java_script_enabled=request.param)
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield Watched(page, issuer)
    context.close()


ADDRESSES = [
    ("web-app", "https://app.test/callback?tenant=7"),
    ("native-app", "http://127.0.0.1:9/callback"),
    ("native-app", "http://[::1]:9/callback"),
    ("native-app", "com.example.app:/callback"),  # a program of the app's own, which this machine does not have
]


@pytest.mark.parametrize(("client", "uri"), ADDRESSES)
def test_what_is_allowed_reaches_the_app(watched: Watched, client: str, uri: str) -> None:
    watched.authorize(client, uri, prompt="consent")
    watched.sign_in()
    answer = watched.answer("Allow", uri)
    assert (answer["state"], answer["iss"], answer["code"][:4]) == ("s", watched.issuer, "gwc_")
    assert not watched.complains()


@pytest.mark.parametrize(("client", "uri"), ADDRESSES)
def test_a_no_reaches_the_app_from_the_first_page(watched: Watched, client: str, uri: str) -> None:
    watched.authorize(client, uri)
    assert watched.answer("Cancel", uri)["error"] == "access_denied"
    assert not watched.complains()


def test_an_answer_that_is_posted_reaches_the_app(watched: Watched, request: pytest.FixtureRequest) -> None:
    uri = "https://app.test/callback?tenant=7"
    watched.authorize("web-app", uri, response_mode="form_post", prompt="consent")
    watched.sign_in()
    if "without" in request.node.name:
        watched.page.get_by_role("button", name="Allow").click()
        answer = watched.answer("Continue", uri)
    else:
        answer = watched.answer("Allow", uri)
    assert (answer["state"], answer["iss"], answer["code"][:4]) == ("s", watched.issuer, "gwc_")
    assert watched.said == []


def test_a_form_that_leads_elsewhere_is_held_back(watched: Watched) -> None:
    # Shows that the tests above could fail: the same browser, with the address taken out of the policy.
    def narrowed(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={name: value.replace(" https://app.test", "") for name, value in response.headers.items()})

    watched.authorize("web-app", "https://app.test/callback?tenant=7")
    watched.page.route("**/-/continue?*", narrowed)
    watched.page.reload()
    with watched.page.expect_console_message(lambda message: "form-action" in message.text):
        watched.press("Cancel")
