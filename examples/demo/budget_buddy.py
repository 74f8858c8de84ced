"""Budget Buddy: somebody else's web app. The user is asked before it may see anything."""

from __future__ import annotations

from html import escape

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from examples.demo.layout import SECRETS
from examples.demo.page import button
from examples.demo.webapp import Token, WebApp


class BudgetBuddy(WebApp):
    """Shows a balance and sends money, as far as it is allowed to."""

    name = "Budget Buddy"
    client_id = "budget-buddy"
    secret = SECRETS["BUDGET_BUDDY_SECRET"]
    scope = "openid profile read:balance transfer:funds"
    api = "bank API"
    connect_label = "Connect Acme Bank"

    def routes(self) -> list[Route]:
        """Return the app's own routes."""
        return [Route("/transfer", self.transfer, methods=["POST"])]

    def welcome(self) -> str:
        """Return what a visitor sees who is not signed in."""
        return (
            '<p class="lead">See your balances in one place. Made by somebody else than Acme.</p>'
            '<div class="card">Connect your account to begin: Acme will ask you what Budget Buddy may see.</div>'
        )

    async def inside(self, token: Token) -> str:
        """Return the balance, or why there is none."""
        name = token.get("userinfo", {}).get("name", "there")
        hello = f'<p class="lead">Hello {escape(str(name))}.</p>'
        answer = await self.call("GET", token, "/balance")
        if answer.status_code != httpx.codes.OK:
            return hello + self.refused(answer) + button("/connect", "Connect Acme Bank again")
        balance = answer.json()
        card = f'<div class="card" id="balance">{escape(balance["holder"])}<p class="big">{escape(balance["balance"])}</p></div>'
        return hello + card + button("/transfer", "Send 25.00 to savings")

    async def transfer(self, request: Request) -> Response:
        """Send money, if the user allowed that."""
        token = self.token(request)
        if token is None:
            return RedirectResponse("/", 303)
        answer = await self.call("POST", token, "/transfers")
        if answer.status_code != httpx.codes.OK:
            return self.show(self.refused(answer) + '<p><a href="/">Back</a></p>')
        return self.show(f'<div class="card" id="done">{escape(answer.json()["done"])}</div><p><a href="/">Back</a></p>')
