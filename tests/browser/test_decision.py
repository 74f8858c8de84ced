"""From an API's refusal to the page that says why, in a real browser without script, by keyboard; and the same at the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.platforms import acme
from tests.support.running import Deployment
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

PASSWORD = "participant-demo"
API = "https://events.acme.test"
SECRETS = {"PASSWORD": PASSWORD, "API_SECRET": "gwp_the-secret-of-the-events-api-of-this-test-0123"}
PLATFORM = acme(
    {"acme-dev": ["Participant"]},
    who="A participant",
    rest="""
[[apis]]
audience     = "https://events.acme.test"
name         = "Acme Events"
token        = { format = "opaque" }
secret       = { env = "API_SECRET" }
[apis.scopes]
"view:events"   = "See events"
"create:events" = "Create events"

[[roles]]
name   = "Participant"
scopes = ["view:events"]

[[roles]]
name   = "Organizer"
scopes = ["view:events", "create:events"]

[[clients]]
client_id      = "widget"
client_name    = "Widget"
type           = "spa"
party          = "first"
internal       = true
redirect_uris  = ["https://app.acme.test/callback"]
grant_types    = ["authorization_code", "password", "refresh_token"]
scopes         = ["view:events", "create:events"]
password_grant = { until = {until}, reason = "this test" }
""",
)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    soon = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()  # an exception has an end
    made = Deployment(tmp_path_factory.mktemp("decision"), secrets=SECRETS).prepare(PLATFORM.replace("{until}", soon))
    with made.serve():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


def refused(deployment: Deployment) -> dict[str, str]:
    """What the API learns of a call that it refuses."""
    form = {
        "grant_type": "password",
        "client_id": "widget",
        "username": "participant@acme.test",
        "password": PASSWORD,
        "scope": "view:events create:events",
    }
    token = httpx.post(f"{deployment.issuer}/token", data=form, timeout=10).json()["access_token"]
    asked = {"token": token, "scope": "create:events"}
    answer = httpx.post(f"{deployment.issuer}/-/why", data=asked, auth=(API, SECRETS["API_SECRET"]), timeout=10)
    found: dict[str, str] = answer.json()
    return found


def test_the_link_of_a_refusal_leads_through_the_sign_in_to_the_reason(browser: Browser, deployment: Deployment) -> None:
    said = refused(deployment)
    assert said["cause"] == "role_lacks_scope"
    assert "Organizer" in said["detail"]  # the platform's own app may know it
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(said["more"])
        page.get_by_label("E-mail address").fill("participant@acme.test")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Why a call was refused")).to_be_visible()
        assert page.url == said["more"]
        row = page.get_by_role("row", name="Does a role of the user hold the scope in the account?")
        expect(row.get_by_role("cell")).to_have_text(["No", "No"])
        expect(page.get_by_text("The user's roles now: Participant.")).to_be_visible()
        expect(page.get_by_text(said["decision"])).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Sign out")).to_be_focused()


def test_the_terminal_says_the_same(deployment: Deployment) -> None:
    said = refused(deployment)
    found = msgspec.json.decode(deployment.gatewright("decision", said["more"], "--json"))
    assert (found["decision"], found["cause"], found["user"]) == (said["decision"], "role_lacks_scope", "participant@acme.test")
    assert "Organizer" in found["cure"]
    text = deployment.gatewright("decision", said["more"])
    assert "cause: role_lacks_scope" in text
    assert "check: Does a role of the user hold the scope in the account?" in text
    wrong = deployment.run("decision", said["decision"])
    assert wrong.returncode != 0
    assert "log" in wrong.stderr
