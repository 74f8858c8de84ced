"""A program at the terminal and a real browser: the code is typed or comes in the address, with and without script and by keyboard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.client.deployment import BANK, PLATFORM, SECRETS
from tests.support.running import ROOT, Deployment, Node
from tools.gallery import CHROMIUM, CHROMIUM_ARGS

AXE = ROOT / "tests" / "clients" / "node_modules" / "axe-core" / "axe.min.js"
AXE_RUN = "async () => (await axe.run()).violations.map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' | '))"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    deployment = Deployment(tmp_path_factory.mktemp("device"), secrets=SECRETS).prepare(PLATFORM)
    with deployment.serve() as node:
        yield node


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@dataclass(slots=True)
class Terminal:
    """A program that waits for its user."""

    process: subprocess.Popen[str]
    uri: str
    code: str

    def said(self) -> tuple[int, str]:
        """How it ended, and the rest of what it said."""
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


@contextmanager
def login(node: Node, home: Path) -> Iterator[Terminal]:
    """The example's `login`, up to where it tells its user what to do."""
    paths = os.pathsep.join(str(ROOT / source) for source in ("client/src", "."))
    environment = {**os.environ, "PYTHONPATH": paths, "XDG_CONFIG_HOME": str(home), "CLIENT_ID": "bank-cli", "BANK_AUDIENCE": BANK}
    environment |= {"GATEWRIGHT_ISSUER": node.deployment.issuer, "BANK_URL": BANK}
    command = [sys.executable, "-m", "examples.clients", "login"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        told = re.fullmatch(r"Open (\S+) and enter the code (\S+)\n", process.stdout.readline())
        assert told is not None
        try:
            yield Terminal(process, told[1], told[2])
        finally:
            process.kill()


def page_of(browser: Browser, said: list[str], *, script: bool = True) -> Page:
    page = browser.new_context(java_script_enabled=script).new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: said.append(message.text))
    return page


def sign_in(page: Page) -> None:
    page.get_by_label("E-mail address").fill("organizer@acme.test")
    page.get_by_label("Password").fill(SECRETS["PASSWORD"])
    page.get_by_role("button", name="Sign in").click()


def pick(page: Page) -> None:
    page.get_by_role("radio", name="acme-dev").check()
    page.get_by_role("button", name="Continue").click()


def clean(page: Page) -> None:
    """See that axe objects to nothing."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(AXE_RUN) == []


@pytest.mark.parametrize("script", [True, False])
def test_who_types_the_code_is_signed_in_at_the_terminal(node: Node, browser: Browser, tmp_path: Path, script: bool) -> None:
    said: list[str] = []
    with login(node, tmp_path) as terminal:
        page = page_of(browser, said, script=script)
        page.goto(terminal.uri)
        sign_in(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Connect a device")
        if script:
            clean(page)
        page.get_by_label("Code").fill(terminal.code.replace("-", "").lower())
        page.get_by_role("button", name="Continue").click()
        pick(page)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Let Bank at the terminal on another device use your data?")
        expect(page.locator("dl.facts")).to_contain_text(terminal.code)
        expect(page.locator("dl.facts")).to_contain_text("the network that you are in")
        if script:
            clean(page)
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You can go back to your device")
        if script:
            clean(page)
        assert terminal.said() == (0, "You are signed in, for: read:balance\n")
    assert (tmp_path / "acme-bank" / "tokens.json").exists()
    assert [line for line in said if "Content Security Policy" in line] == []


def test_a_code_in_the_address_waits_for_its_user_who_has_a_keyboard_alone(node: Node, browser: Browser, tmp_path: Path) -> None:
    said: list[str] = []
    with login(node, tmp_path) as terminal:
        page = page_of(browser, said)
        page.goto(f"{terminal.uri}?user_code={terminal.code}")
        expect(page.get_by_label("E-mail address")).to_be_focused()
        page.keyboard.type("organizer@acme.test")
        page.keyboard.press("Tab")
        page.keyboard.type(SECRETS["PASSWORD"])
        page.keyboard.press("Enter")
        expect(page.get_by_label("Code")).to_have_value(terminal.code)
        expect(page.get_by_text("Compare it with your device")).to_be_visible()
        page.get_by_label("Code").press("Enter")
        page.get_by_role("radio", name="acme-dev").press("Space")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Deny").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("You said no")
        clean(page)
        assert terminal.said() == (1, "That did not work: the user said no\n")
    assert not (tmp_path / "acme-bank" / "tokens.json").exists()


def test_a_code_that_is_over_is_told_at_the_page_and_at_the_terminal(node: Node, browser: Browser, tmp_path: Path) -> None:
    said: list[str] = []
    with login(node, tmp_path) as terminal:
        page = page_of(browser, said)
        page.goto(terminal.uri)
        sign_in(page)
        page.get_by_label("Code").fill(terminal.code)
        page.get_by_role("button", name="Continue").click()
        pick(page)
        expect(page.get_by_role("button", name="Allow")).to_be_visible()
        _let_time_pass(node)
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This code is over")
        clean(page)
        page.get_by_role("link", name="enter that one").click()
        page.get_by_label("Code").fill(terminal.code)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("No device waits with this code.")
        clean(page)
        assert terminal.said() == (1, "That did not work: nobody answered in time: begin again\n")


def _let_time_pass(node: Node) -> None:
    """Ten minutes, as far as codes know of them."""
    file = next(node.deployment.folder.glob("*.sqlite3"))
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(5_000)
    connection.execute("UPDATE device_request SET expires_at = asked_at")
    connection.close()
