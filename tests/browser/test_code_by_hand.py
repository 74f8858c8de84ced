"""A code that its user carries, in a real browser: with and without script, by keyboard, and no way back to it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.support.platforms import acme
from tests.support.running import Deployment
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

PASSWORD = "organizer-demo"
PLATFORM = acme(
    {"acme-dev": []},
    tenant='paths = ["oauth"]',
    rest="""
[[apis]]
audience = "https://events.acme.test"
name     = "Acme Events"
roles    = "off"
[apis.scopes]
"view:events" = { text = "See events", demo = true }

[[clients]]
client_id     = "acme-demo"
client_name   = "Acme demo"
type          = "demo"
redirect_uris = ["urn:ietf:wg:oauth:2.0:oob"]
out_of_band   = true
scopes        = ["openid", "view:events"]
secret        = { env = "CLIENT_SECRET" }
""",
)
ASKED = urlencode(
    {
        "client_id": "acme-demo",
        "redirect_uri": "urn:ietf:wg:oauth:2.0:oob",
        "response_type": "code",
        "scope": "openid view:events",
    }
)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    secrets = {"PASSWORD": PASSWORD, "CLIENT_SECRET": "a-secret-that-everybody-may-know-0123"}
    made = Deployment(tmp_path_factory.mktemp("by-hand"), secrets=secrets).prepare(PLATFORM)
    with made.serve():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


def signed_in(context: BrowserContext, issuer: str, said: list[str]) -> Page:
    """Come from the demo's documentation, and sign in."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{issuer}/oauth/authorize?{ASKED}")
    page.get_by_label("E-mail address").fill("organizer@acme.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("you, with a code to copy into the app")).to_be_visible()
    return page


def redeemed(deployment: Deployment, code: str) -> int:
    """What the token endpoint says of a code: 200 or 400."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "acme-demo",
        "client_secret": "a-secret-that-everybody-may-know-0123",
        "redirect_uri": "urn:ietf:wg:oauth:2.0:oob",
    }
    return httpx.post(f"{deployment.issuer}/oauth/token", data=form, timeout=10).status_code


def test_with_script_a_button_copies_the_code(browser: Browser, deployment: Deployment) -> None:
    said: list[str] = []
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = signed_in(context, deployment.issuer, said)
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("button", name="Copy the code").click()
        expect(page.get_by_role("status")).to_have_text("The code is copied.")
        code = page.evaluate("navigator.clipboard.readText()")
        assert code == page.get_by_label("Code", exact=True).input_value()
        assert code not in page.url
        assert code not in page.title()
    assert code.startswith("gwc_")
    assert said == []
    assert redeemed(deployment, code) == 200


def test_without_script_the_code_is_there_to_be_selected_by_keyboard(browser: Browser, deployment: Deployment) -> None:
    said: list[str] = []
    with browser.new_context(java_script_enabled=False) as context:
        page = signed_in(context, deployment.issuer, said)
        page.get_by_role("button", name="Allow").press("Enter")
        field = page.get_by_label("Code", exact=True)
        expect(field).to_be_visible()
        expect(page.get_by_role("button", name="Copy the code")).to_have_count(0)
        page.keyboard.press("Tab")
        expect(field).to_be_focused()
        code = field.input_value()
    assert redeemed(deployment, code) == 200


def test_going_back_and_coming_again_shows_no_code(browser: Browser, deployment: Deployment) -> None:
    with browser.new_context() as context:
        page = signed_in(context, deployment.issuer, [])
        page.get_by_role("button", name="Allow").click()
        code = page.get_by_label("Code", exact=True).input_value()
        page.goto(f"{deployment.issuer}/oauth/authorize?{ASKED}")
        expect(page.get_by_role("button", name="Allow")).to_be_visible()
        # The browser has kept nothing, and would have to ask before it posts again.
        with pytest.raises(Error, match="ERR_CACHE_MISS"):
            page.go_back()
        page.wait_for_load_state()
        expect(page.locator(f"[value='{code}']")).to_have_count(0)
        expect(page.get_by_text(code)).to_have_count(0)


def test_who_says_no_stays_with_us(browser: Browser, deployment: Deployment) -> None:
    with browser.new_context() as context:
        page = signed_in(context, deployment.issuer, [])
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("heading", name="You said no")).to_be_visible()
        assert page.url.startswith(deployment.issuer)
