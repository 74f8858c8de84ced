"""An app of the marketplace in a real browser: installed, opened in a popup by another website, updated, uninstalled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.browser.test_answers import PASSWORD, PLATFORM
from tests.support.running import Deployment
from tests.support.waiting import until
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

SITE = "https://app.test"
REDIRECT = f"{SITE}/installed"
SECRET = "a-secret-of-a-client-0123456789abcdef"
SCOPES = """
[[apis]]
audience = "https://shop.acme.test"
name     = "Acme Shop"
roles    = "off"
token    = { format = "opaque", lifetime = "1h" }
secret   = { env = "SHOP_SECRET" }
[apis.scopes]
"read:orders"  = "See your orders"
"write:orders" = { text = "Order for you", risk = "high" }
"""
APP = '[[apps]]\nslug = "report"\nmanifest = "report.json"\nsecret = { env = "CLIENT_SECRET" }\n'
FIRST = ["read:orders"]
MORE = ["read:orders", {"scope": "write:orders", "reason": "To order what the report recommends", "required": False}]
# What another website does: it opens a popup and writes down what it is told, and by whom.
OPENER = """<!doctype html><title>shop</title>
<button onclick="window.open(place, 'popup', 'width=420,height=640')">Go</button>
<script>window.told = []; addEventListener('message', event => told.push([event.origin, event.data]))</script>"""
LANDED = (
    """<!doctype html><title>landed</title><script>document.title = window.opener ? 'landed beside its opener' : 'landed alone'</script>"""
)


def platform(scopes: object, version: str, deployment: Deployment) -> str:
    """Write the manifest; the platform with its app."""
    auth = {"redirect_uri": REDIRECT, "popup_origin": SITE, "scopes": scopes}
    manifest = {"name": "Report", "description": "A report of your orders", "version": version, "auth": auth}
    deployment.folder.mkdir(parents=True, exist_ok=True)
    (deployment.folder / "report.json").write_text(json.dumps(manifest))
    return PLATFORM + SCOPES + APP


@pytest.fixture
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    secrets = {"PASSWORD": PASSWORD, "CLIENT_SECRET": SECRET, "SHOP_SECRET": "gwp_a-secret-of-the-shop-0123456789"}
    made = Deployment(tmp_path_factory.mktemp("apps"), secrets=secrets)
    made.prepare(platform(FIRST, "1.0.0", made))
    with made.serve():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser in which the app's website is there."""

    def site(route: Route) -> None:
        body = LANDED if urlsplit(route.request.url).path == "/installed" else OPENER
        route.fulfill(body=body, content_type="text/html")

    with browser.new_context(locale="en-GB") as opened:
        opened.set_default_timeout(15_000)
        opened.route(f"{SITE}/**", site)
        yield opened


def sign_in(page: Page) -> None:
    page.get_by_label("E-mail address").fill("organizer@acme.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def answer_of(page: Page) -> dict[str, str]:
    page.wait_for_url(f"{REDIRECT}?**")
    return dict(parse_qsl(urlsplit(page.url).query))


def exchange(deployment: Deployment, code: str) -> dict[str, str]:
    answer = httpx.post(f"{deployment.issuer}/token", json={"client_id": "report", "client_secret": SECRET, "code": code})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def scope_of(deployment: Deployment, token: str) -> str | None:
    auth = ("https://shop.acme.test", "gwp_a-secret-of-the-shop-0123456789")
    found = httpx.post(f"{deployment.issuer}/introspect", data={"token": token}, auth=auth).json()
    return str(found["scope"]) if found["active"] else None


def popup(context: BrowserContext, deployment: Deployment, **params: str) -> tuple[Page, Page]:
    """Another website's page, and the popup that it opened."""
    opener = context.new_page()
    opener.goto(f"{SITE}/shop")
    said = {"redirect_uri": REDIRECT, "state": "s", "popup": "true"} | params
    opener.evaluate("(place) => { window.place = place }", f"{deployment.issuer}/report/authorize?{urlencode(said)}")
    with opener.expect_popup() as waited:
        opener.get_by_role("button", name="Go").click()
    return opener, waited.value


def test_an_app_is_installed_updated_and_uninstalled(context: BrowserContext, deployment: Deployment) -> None:
    page = context.new_page()
    page.goto(f"{deployment.issuer}/report/install")
    sign_in(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Install Report?"
    page.get_by_role("button", name="Allow").click()
    found = answer_of(page)
    bought = exchange(deployment, found["code"])
    assert bought["install_id"] == found["install_id"]
    assert scope_of(deployment, bought["access_token"]) == "read:orders"

    deployment.apply(platform(MORE, "1.1.0", deployment))
    update = page.get_by_role("link", name="Review the update")
    until(lambda: page.goto(f"{deployment.issuer}/-/access") and update.count(), "the server to hear of it")
    update.click()
    assert "To order what the report recommends" in page.locator("main").inner_text()
    page.get_by_role("button", name="Allow").click()
    page.get_by_text("The app may do more from now on").wait_for()
    assert scope_of(deployment, bought["access_token"]) == "read:orders write:orders"

    page.get_by_role("button", name="Uninstall").click()
    page.get_by_text("The app is uninstalled").wait_for()
    assert scope_of(deployment, bought["access_token"]) is None


def test_a_popup_ends_at_the_apps_page_beside_the_window_that_opened_it(context: BrowserContext, deployment: Deployment) -> None:
    _, window = popup(context, deployment)
    sign_in(window)
    window.get_by_role("button", name="Allow").click()
    found = answer_of(window)
    assert (found["state"], found["iss"]) == ("s", deployment.issuer)
    window.wait_for_function("document.title.startsWith('landed')")
    assert window.title() == "landed beside its opener"


def test_a_popup_tells_the_window_that_opened_it_and_closes(context: BrowserContext, deployment: Deployment) -> None:
    opener, window = popup(context, deployment, response_mode="web_message")
    sign_in(window)
    with window.expect_event("close"):
        window.get_by_role("button", name="Allow").click()
    opener.wait_for_function("told.length === 1")
    ((origin, data),) = opener.evaluate("told")
    assert origin == deployment.issuer
    assert data["type"] == "authorization_response"
    assert set(data["response"]) == {"code", "state", "iss", "install_id"}
    assert scope_of(deployment, exchange(deployment, data["response"]["code"])["access_token"]) == "read:orders"


def test_a_message_reaches_no_other_website(context: BrowserContext, deployment: Deployment) -> None:
    context.route("https://evil.test/**", lambda route: route.fulfill(body=OPENER, content_type="text/html"))
    opener, window = popup(context, deployment, response_mode="web_message")
    sign_in(window)
    opener.goto("https://evil.test/")
    with window.expect_event("close"):
        window.get_by_role("button", name="Allow").click()
    assert opener.evaluate("told") == []


def test_a_popup_works_without_script(browser: Browser, deployment: Deployment) -> None:
    with browser.new_context(java_script_enabled=False) as plain:
        plain.set_default_timeout(15_000)
        plain.route(f"{SITE}/**", lambda route: route.fulfill(body="<title>landed</title>", content_type="text/html"))
        page = plain.new_page()
        said = {"redirect_uri": REDIRECT, "popup": "true", "response_mode": "web_message"}
        page.goto(f"{deployment.issuer}/report/authorize?{urlencode(said)}")
        sign_in(page)
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("link", name="Continue").click()
        assert set(answer_of(page)) == {"code", "iss", "install_id"}
