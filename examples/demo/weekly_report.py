"""Weekly Report: an app of the marketplace. It is installed into an account, and its token is good until somebody takes it back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from examples.demo.layout import SECRETS, Layout
from examples.demo.page import button, facts, page, refusal

APP_ID: Final = "weekly-report"
_BALANCE: Final = {"scope": "read:balance", "reason": "To put the balance of your account into the report"}
_TRANSFER: Final = {"scope": "transfer:funds", "reason": "To pay for reports that you have printed", "required": False}


def manifest(layout: Layout, version: int) -> str:
    """Return the manifest of a version: the second asks for one scope more. Its label names the port, since its address does."""
    scopes = [_BALANCE] if version == 1 else [_BALANCE, _TRANSFER]
    home = layout.app("Weekly Report")
    document = {
        "name": "Weekly Report",
        "description": "A report on the balance of your account, each week",
        "icon": "weekly-report.svg",
        "version": f"{version}.0.{layout.base}",
        "launch_uri": f"{home}/",
        "auth": {"redirect_uri": f"{home}/installed", "scopes": scopes},
    }
    return json.dumps(document, indent=2)


class WeeklyReport:
    """Keeps the token of each install by the install's id: an install belongs to an account, not to a browser."""

    def __init__(self, layout: Layout, folder: Path, publish: Callable[[], None]) -> None:
        self.layout = layout
        self._kept = folder / "weekly-report.tokens.json"
        self._publish = publish
        self.installs: dict[str, dict[str, Any]] = json.loads(self._kept.read_text()) if self._kept.exists() else {}

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.front),
                Route("/installed", self.installed),
                Route("/print", self.print, methods=["POST"]),
                Route("/publish", self.publish, methods=["POST"]),
                Route("/uninstall", self.uninstall, methods=["POST"]),
            ]
        )

    def show(self, body: str) -> HTMLResponse:
        """Return a page of the app."""
        others = {name: self.layout.app(name) for name in ("Budget Buddy", "Acme Events", "Image copier", "Weekly Report")}
        links = {**others, "Acme: your access": f"{self.layout.issuer}/-/access"}
        return HTMLResponse(page("Weekly Report", f"<h1>Weekly Report</h1>{body}", links))

    def link(self) -> str:
        """Return the way to the install page of the marketplace."""
        return f'<p><a class="button" href="{self.layout.issuer}/{APP_ID}/install">Install Weekly Report</a></p>'

    async def front(self, _request: Request) -> Response:
        """Show the report of each account in which the app is installed."""
        lead = '<p class="lead">An app of Acme\'s marketplace: installed once, it works for the account until it is uninstalled.</p>'
        reports = [await self.report(number, install) for number, install in self.installs.items()]
        developer = "<h2>As its developer</h2>" + button("/publish", "Publish version 2, which asks for more", quiet=True)
        return self.show(lead + "".join(reports) + self.link() + developer)

    async def report(self, number: str, install: dict[str, Any]) -> str:
        """Return one account's report, or why there is none."""
        headers = {"Authorization": f"Bearer {install['access_token']}"}
        async with httpx.AsyncClient(base_url=self.layout.app("bank API")) as http:
            answer = await http.get(f"/{quote(install['account'])}/balance", headers=headers)
        head = f"<h2>{escape(install['account'])}</h2>"
        if answer.status_code != httpx.codes.OK:
            return head + refusal(answer.status_code, answer.json(), answer.headers.get("www-authenticate", ""))
        card = f'<div class="card report"><p class="big">{escape(answer.json()["balance"])}</p>{facts({"install": number})}</div>'
        acts = button("/print", "Have it printed for 25.00", install=number)
        return head + card + acts + button("/uninstall", "Uninstall from here", quiet=True, install=number)

    async def installed(self, request: Request) -> Response:
        """Take the one-time code of an installation and buy a token with it, by JSON."""
        said = request.query_params
        if "code" not in said:
            why = facts({"error": said.get("error", ""), "what it means": said.get("error_description", "")})
            card = f'<div class="card refused" role="alert" id="refused"><strong>Not installed</strong>{why}</div>'
            return self.show(card + self.link())
        asked = {"client_id": APP_ID, "client_secret": SECRETS["WEEKLY_REPORT_SECRET"], "code": said["code"]}
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.layout.issuer}/token", json=asked)
        bought = answer.json()
        if answer.status_code != httpx.codes.OK:
            told: dict[str, object] = {"title": bought["error"], "detail": bought["error_description"]}
            return self.show(refusal(answer.status_code, told, "") + self.link())
        self.installs[bought["install_id"]] = {"access_token": bought["access_token"], "account": bought["account"]}
        self._keep()
        return RedirectResponse("/", 303)

    async def print(self, request: Request) -> Response:
        """Pay for a printed report, if the install was given that."""
        install = self.installs.get((await request.body()).decode().partition("=")[2])
        if install is None:
            return RedirectResponse("/", 303)
        headers = {"Authorization": f"Bearer {install['access_token']}"}
        async with httpx.AsyncClient(base_url=self.layout.app("bank API")) as http:
            answer = await http.post(f"/{quote(install['account'])}/transfers", headers=headers)
        if answer.status_code != httpx.codes.OK:
            said = refusal(answer.status_code, answer.json(), answer.headers.get("www-authenticate", ""))
        else:
            said = f'<div class="card" id="done">{escape(answer.json()["done"])}</div>'
        return self.show(said + '<p><a href="/">Back</a></p>')

    async def publish(self, _request: Request) -> Response:
        """Publish the second version, as a developer does from a terminal."""
        await asyncio.to_thread(self._publish)
        update = f'<a href="{self.layout.issuer}/-/access">your access page</a>'
        text = f"Version 2 is published. What is installed keeps what it had; {update} offers the difference."
        return self.show(f'<div class="card" id="done">{text}</div><p><a href="/">Back</a></p>')

    async def uninstall(self, request: Request) -> Response:
        """Uninstall the app from its own side (`DELETE`)."""
        number = (await request.body()).decode().partition("=")[2]
        install = self.installs.pop(number, None)
        if install is not None:
            async with httpx.AsyncClient() as http:
                headers = {"Authorization": f"Bearer {install['access_token']}"}
                await http.delete(f"{self.layout.issuer}/-/installs/{number}", headers=headers)
            self._keep()
        return RedirectResponse("/", 303)

    def _keep(self) -> None:
        self._kept.touch(mode=0o600)
        self._kept.write_text(json.dumps(self.installs))
