"""Photographs every page with every sample view, wide, narrow and dark: `python -m tools.gallery FOLDER [SAMPLE…]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.browser.gallery_samples import SAMPLES
from tests.browser.gallery_server import serving

CHROMIUM: Final = "/usr/bin/chromium"
CHROMIUM_ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Name, width, scheme.
LOOKS: Final = (("wide", 1280, "light"), ("narrow", 390, "light"), ("dark", 1280, "dark"), ("dark-narrow", 390, "dark"))


def photograph(browser: Browser, url: str, out: Path, names: list[str]) -> None:
    """Take each named page in each look; without script, so that a page that leaves at once stays."""
    for look, width, scheme in LOOKS:
        context = browser.new_context(
            viewport={"width": width, "height": 860 if width > 400 else 780},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=False,
            reduced_motion="reduce",
        )
        page = context.new_page()
        for name in names:
            page.goto(f"{url}/{name}")
            page.screenshot(path=out / f"{name}.{look}.png", full_page=True)
            print(f"{name}.{look}.png")
        context.close()


def main() -> None:
    """Photograph the named samples, or all."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tools.gallery FOLDER [SAMPLE…]")
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with serving() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        photograph(browser, server.url, out, sys.argv[2:] or list(SAMPLES))
        browser.close()


if __name__ == "__main__":
    main()
