"""An MCP client on the user's own machine, and a real browser that comes back to its port: with and without script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, async_playwright, expect

from examples.mcp.client import run
from tests.clients.test_mcp import Place, notes, placed
from tools.gallery import CHROMIUM, CHROMIUM_ARGS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("mcp-browser"), "jwt") as place:
        yield place


@dataclass(slots=True)
class User:
    """Somebody at the browser that the client opens."""

    page: Page
    asked: list[str] = field(default_factory=list)

    async def __call__(self, url: str) -> None:
        page = self.page
        await page.goto(url)
        if not self.asked:
            await page.get_by_label("E-mail address").fill("organizer@acme.test")
            await page.get_by_label("Password").fill("organizer-demo")
            await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("radio", name="Acme (Dev)").check()
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Allow Notes assistant")
        self.asked.append(await page.locator("main").inner_text())
        await page.get_by_role("button", name="Allow").click()
        await expect(page.get_by_text("You can close this page")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
async def test_the_browser_comes_back_to_the_clients_port_and_is_asked_again_for_more(
    place: Place, script: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        page = await browser.new_page(java_script_enabled=script)
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(message.text))
        user = User(page)
        async with notes(place):
            await run(place.issuer, place.url, "acme-dev", user)
        await browser.close()
    assert capsys.readouterr().out.splitlines()[-1] == "Notes: Buy coffee · Written by an assistant"
    first, second = user.asked
    assert "Read the notes of your account" in first
    assert "Write notes into your account" not in first
    assert "Write notes into your account" in second
    # A form that may not end at the client's port would say so here.
    assert [line for line in said if "Content Security Policy" in line] == []
