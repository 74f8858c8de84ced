"""The console in a real browser without script, by keyboard: from the sign-in to an API, and to the end of somebody's access."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.running import Deployment
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

PASSWORD = "manager-of-this-test"
SECRETS = {"PASSWORD": PASSWORD, "SERVICE_SECRET": "gws_the-secret-of-the-service-of-this-test-012345"}
PLATFORM = """
[tenant]
slug    = "acme"
name    = "Acme"
domains = ["{issuer}"]

[[apis]]
audience = "https://events.acme.test"
name     = "Acme Events"
token    = { format = "jwt", lifetime = "15m" }
[apis.scopes]
"read:events" = { text = "Read events", reach = "tenant" }

[[roles]]
name   = "Manager"
scopes = ["gw:apis:read", "gw:clients:read", "gw:grants:read", "gw:grants:write"]

[[accounts]]
slug = "acme-dev"
name = "Acme (Dev)"

[[users]]
email       = "manager@acme.test"
password    = { env = "PASSWORD" }
memberships = [{ account = "acme-dev", roles = ["Manager"] }]

[[clients]]
client_id   = "copier"
client_name = "Copier"
type        = "service"
grant_types = ["client_credentials"]
scopes      = ["read:events"]
secret      = { env = "SERVICE_SECRET" }
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("console"), secrets=SECRETS).prepare(PLATFORM)
    with made.serve():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        yield page


def enter(page: Page, deployment: Deployment, path: str) -> list[str]:
    """Open a page of the console by way of the sign-in; returns what the browser complains of."""
    loud: list[str] = []
    page.on("console", lambda message: loud.append(message.text))
    page.goto(deployment.issuer + path)
    page.get_by_label("E-mail address").fill("manager@acme.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(deployment.issuer + path)
    return loud


def test_the_way_to_an_api_is_walked_by_keyboard(page: Page, deployment: Deployment) -> None:
    loud = enter(page, deployment, "/-/console")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    for name in ("Sign out", "Overview", "APIs"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="APIs", level=1)).to_be_visible()
    expect(page.get_by_role("navigation", name="Rooms").get_by_role("link", name="APIs")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Acme Events").press("Enter")
    expect(page.get_by_role("heading", name="How soon a revocation bites")).to_be_visible()
    expect(page.get_by_text("At worst after 15 minutes 10 seconds")).to_be_visible()
    page.get_by_role("navigation", name="The way here").get_by_role("link", name="APIs").press("Enter")
    expect(page.get_by_role("heading", name="APIs", level=1)).to_be_visible()
    assert loud == [], "nothing that the policy refuses is on these pages"


def test_the_skip_link_leads_past_the_rooms(page: Page, deployment: Deployment) -> None:
    enter(page, deployment, "/-/console/apis")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Acme Events")).to_be_focused()


def test_somebodys_access_is_found_and_ended_after_a_second_question(page: Page, deployment: Deployment) -> None:
    form = {"grant_type": "client_credentials", "scope": "read:events"}
    answer = httpx.post(f"{deployment.issuer}/token", data=form, auth=("copier", SECRETS["SERVICE_SECRET"]), timeout=10)
    assert answer.status_code == 200
    loud = enter(page, deployment, "/-/console/access")
    page.get_by_label("Client id").fill("copier")
    page.get_by_label("Client id").press("Enter")
    page.get_by_role("link", name="copier").press("Enter")
    expect(page.get_by_role("heading", name="Access of copier")).to_be_visible()
    page.get_by_role("link", name="End this access").press("Enter")
    expect(page.get_by_role("heading", name="End the access of copier?")).to_be_visible()
    page.get_by_role("link", name="Keep it").press("Enter")
    expect(page.get_by_role("heading", name="Access of copier")).to_be_visible()
    page.get_by_role("link", name="End this access").press("Enter")
    page.get_by_role("button", name="End this access").press("Enter")
    expect(page.get_by_role("status")).to_have_text(
        "The grant is ended. Its codes and tokens are refused here from now on, and by each API within its time: how soon that is."
    )
    expect(page.get_by_text("Nobody has access yet")).to_be_visible()
    assert loud == []
    page.go_back()  # nothing of it was kept, so the browser asks again
    expect(page.get_by_role("heading", name="There is no such thing here")).to_be_visible()


def test_a_room_that_is_not_open_says_so_and_stands_in_no_list(page: Page, deployment: Deployment) -> None:
    enter(page, deployment, "/-/console/log")
    expect(page.get_by_role("heading", name="This room is not open to you")).to_be_visible()
    expect(page.get_by_text("gw:audit:read")).to_be_visible()
    expect(page.get_by_role("navigation", name="Rooms").get_by_role("link")).to_have_text(
        ["Overview", "APIs", "Clients", "Access", "Refusals"]
    )
