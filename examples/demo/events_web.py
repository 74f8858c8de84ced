"""Acme Events: the platform's own front end. Nobody is asked; what a user may do follows from their roles in the account."""

from __future__ import annotations

from html import escape

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from examples.demo.layout import SECRETS
from examples.demo.page import button
from examples.demo.webapp import Token, WebApp


class EventsWeb(WebApp):
    """Lists events, creates them and registers for them: one scope each."""

    name = "Acme Events"
    client_id = "events-web"
    secret = SECRETS["EVENTS_WEB_SECRET"]
    scope = "openid profile create:events update:events view:events register:events"
    api = "events API"
    connect_label = "Sign in with Acme"

    def routes(self) -> list[Route]:
        """Return the app's own routes."""
        return [Route("/create", self.create, methods=["POST"]), Route("/register", self.register, methods=["POST"])]

    def welcome(self) -> str:
        """Return what a visitor sees who is not signed in."""
        return '<p class="lead">Events of your company. This front end belongs to Acme, so you are not asked for consent.</p>'

    async def inside(self, token: Token) -> str:
        """Return the events, or why there are none."""
        name = token.get("userinfo", {}).get("name", "there")
        hello = f'<p class="lead">Hello {escape(str(name))}.</p>'
        acts = button("/create", "Create an event") + button("/register", "Register for the next event")
        answer = await self.call("GET", token, "/events")
        if answer.status_code != httpx.codes.OK:
            return hello + self.refused(answer) + acts
        events = "".join(f"<li>{escape(event)}</li>" for event in answer.json()["events"])
        return hello + f'<div class="card" id="events"><ul>{events}</ul></div>' + acts

    async def create(self, request: Request) -> Response:
        """Create an event, if a role allows that."""
        return await self.act(request, "/events")

    async def register(self, request: Request) -> Response:
        """Register for an event, if a role allows that."""
        return await self.act(request, "/registrations")

    async def act(self, request: Request, path: str) -> Response:
        """Ask the API to do something and show what it said."""
        token = self.token(request)
        if token is None:
            return RedirectResponse("/", 303)
        answer = await self.call("POST", token, path)
        if answer.status_code != httpx.codes.OK:
            return self.show(self.refused(answer) + '<p><a href="/">Back</a></p>')
        return self.show(f'<div class="card" id="done">{escape(answer.json()["done"])}</div><p><a href="/">Back</a></p>')
