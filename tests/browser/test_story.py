"""The demo's story in a real browser: connect, choose, allow, see data, take it back, be refused; and the unhappy ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from examples.demo.layout import SECRETS, Layout
from tests.support.demo import ROOT, demo, free_base
from tests.support.waiting import until
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

AXE = ROOT / "tests" / "clients" / "node_modules" / "axe-core" / "axe.min.js"
AXE_RUN = "async () => (await axe.run()).violations.map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' | '))"


class Place:
    """A running demo with its folder."""

    def __init__(self, layout: Layout, folder: Path, *, script: bool) -> None:
        self.layout = layout
        self.folder = folder
        self.script = script

    def gatewright(self, *words: str) -> str:
        """Run an admin's command against the demo's store."""
        env = {**os.environ, "GATEWRIGHT_DATA": str(self.folder)}
        done = subprocess.run([sys.executable, "-m", "gatewright", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def forget_grants(self) -> None:
        """Take back whatever an earlier test allowed, so that the user is asked again."""
        for grant in json.loads(self.gatewright("grants", "list", "--client", "budget-buddy", "--json")):
            self.gatewright("grants", "end", grant["id"])


@pytest.fixture(scope="module", params=["with script", "without script"])
def place(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Place]:
    # A demo for each: what somebody chose with script would be remembered for the one without.
    layout, folder = Layout(free_base()), tmp_path_factory.mktemp("demo")
    with demo(layout, folder):
        yield Place(layout, folder, script=request.param == "with script")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, place: Place) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=place.script)
    page = context.new_page()
    if place.script:
        SCRIPTED.add(page)
    page.set_default_timeout(15_000)
    yield page
    context.close()


# axe is a script itself: what it looks at is what the pages without script show too.
SCRIPTED: WeakSet[Page] = WeakSet()


def clean(page: Page) -> None:
    """See that a page of ours has nothing that axe objects to, once it is there as a whole."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("load")
    if page in SCRIPTED and "127.0.0.1" in page.url:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(AXE_RUN) == []


def connect(page: Page, place: Place, app: str = "Budget Buddy", label: str = "Connect Acme Bank") -> None:
    place.forget_grants()
    page.goto(place.layout.app(app))
    page.get_by_role("button", name=label).first.click()


def sign_in(page: Page, password: str = SECRETS["ORGANIZER_PASSWORD"]) -> None:
    expect(page.get_by_label("E-mail address")).to_be_visible()
    clean(page)
    page.get_by_label("E-mail address").fill("organizer@acme.test")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def pick(page: Page, account: str = "acme-dev") -> None:
    expect(page.get_by_role("radio", name=account)).to_be_visible()
    clean(page)
    page.get_by_role("radio", name=account).check()
    page.get_by_role("button", name="Continue").click()


def test_a_visitor_connects_an_app_and_takes_it_back(page: Page, place: Place) -> None:
    connect(page, place)
    sign_in(page)
    pick(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Allow Budget Buddy")
    clean(page)
    expect(page.locator("body")).to_contain_text(f"localhost:{place.layout.ports['Budget Buddy']}")
    expect(page.locator("body")).to_contain_text("Send money from your bank accounts")
    page.get_by_role("button", name="Allow").click()
    expect(page.locator("#balance")).to_contain_text("acme-dev")

    page.goto(f"{place.layout.issuer}/-/access")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Your access")
    clean(page)
    page.locator("li.card", has_text="Budget Buddy").get_by_role("button", name="Remove access").click()
    expect(page.get_by_role("status")).to_contain_text("no longer has access")

    page.goto(place.layout.app("Budget Buddy"))
    expect(page.locator("#refused")).to_contain_text("401")
    expect(page.locator("#refused")).to_contain_text("grant_ended")


def test_a_scope_that_was_unticked_is_refused_with_its_name(page: Page, place: Place) -> None:
    connect(page, place)
    sign_in(page)
    pick(page)
    page.get_by_label("Send money from your bank accounts").uncheck()
    page.get_by_role("button", name="Allow").click()
    expect(page.locator("#balance")).to_contain_text("acme-dev")
    page.get_by_role("button", name="Send 25.00").click()
    expect(page.locator("#refused")).to_contain_text("403")
    expect(page.locator("#refused")).to_contain_text("transfer:funds")
    expect(page.locator("#refused")).to_contain_text("declined_by_user")


def test_a_visitor_who_denies_is_sent_back_with_the_reason(page: Page, place: Place) -> None:
    connect(page, place)
    sign_in(page)
    pick(page, "acme-prod")
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("#refused")).to_contain_text("access_denied")


def test_a_wrong_password_says_so_and_the_right_one_goes_on(page: Page, place: Place) -> None:
    connect(page, place)
    sign_in(page, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    clean(page)
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Choose an account")


def test_a_role_that_was_taken_away_shows_in_the_refusal(page: Page, place: Place) -> None:
    # What is picked for one app is what a first-party app gets in silence.
    connect(page, place)
    sign_in(page)
    pick(page)
    page.get_by_role("button", name="Deny").click()
    connect(page, place, "Acme Events", "Sign in with Acme")
    page.get_by_role("button", name="Create an event").click()
    expect(page.locator("#done")).to_contain_text("was created in acme-dev")
    place.gatewright("users", "roles", "organizer@acme.test", "--account", "acme-dev", "Participant")
    try:
        page.goto(place.layout.app("Acme Events"))
        page.get_by_role("button", name="Renew the token").click()
        page.get_by_role("button", name="Create an event").click()
        expect(page.locator("#refused")).to_contain_text("403")
        expect(page.locator("#refused")).to_contain_text("role_lacks_scope")
        page.goto(place.layout.app("Acme Events"))
        page.get_by_role("button", name="Register for the next event").click()
        expect(page.locator("#done")).to_contain_text("Registered")
    finally:
        place.gatewright("users", "roles", "organizer@acme.test", "--account", "acme-dev", "Organizer", "Participant")


def test_a_back_end_service_needs_no_user_and_gets_no_more_than_it_asked_for(page: Page, place: Place) -> None:
    page.goto(place.layout.app("Image copier"))
    page.get_by_role("button", name="Copy images").click()
    expect(page.locator("#done")).to_contain_text("Copied 3 images")
    page.goto(place.layout.app("Image copier"))
    page.get_by_role("button", name="Delete with a token for reading").click()
    expect(page.locator("#refused")).to_contain_text("403")
    expect(page.locator("#refused")).to_contain_text("delete:images")


def test_an_app_of_the_marketplace_is_installed_asks_for_more_and_is_uninstalled(page: Page, place: Place) -> None:
    home = place.layout.app("Weekly Report")
    page.goto(home)
    page.get_by_role("link", name="Install Weekly Report").click()
    sign_in(page)
    pick(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Install Weekly Report")
    expect(page.locator("main")).to_contain_text("To put the balance of your account into the report")
    clean(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.locator(".report")).to_contain_text("1,234.56")
    page.get_by_role("button", name="Have it printed").click()
    expect(page.locator("#refused")).to_contain_text("transfer:funds")

    page.goto(home)
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.locator("#done")).to_contain_text("Version 2 is published")
    update = page.get_by_role("link", name="Review the update")
    until(lambda: page.goto(f"{place.layout.issuer}/-/access") and update.count(), "the server to hear of it")
    update.click()
    expect(page.locator("main")).to_contain_text("To pay for reports that you have printed")
    clean(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("status")).to_contain_text("may do more from now on")
    page.goto(home)
    page.get_by_role("button", name="Have it printed").click()
    expect(page.locator("#done")).to_contain_text("25.00 went from acme-dev")

    page.goto(f"{place.layout.issuer}/-/access")
    page.locator("li.card", has_text="Weekly Report").get_by_role("button", name="Uninstall").click()
    expect(page.get_by_role("status")).to_contain_text("uninstalled")
    page.goto(home)
    expect(page.locator("#refused")).to_contain_text("401")
