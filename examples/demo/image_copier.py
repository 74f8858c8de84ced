"""Image copier: a back-end service. There is no user, so nobody is asked; the token is the service's own."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from examples.demo.layout import SECRETS, Layout
from examples.demo.page import button, facts, page, refusal


class ImageCopier:
    """Copies images off site, then deletes those that are old, each with a token that can do just that."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(routes=[Route("/", self.front), Route("/run", self.run, methods=["POST"])])

    def show(self, body: str) -> HTMLResponse:
        """Return a page."""
        others = {name: self.layout.app(name) for name in ("Budget Buddy", "Acme Events", "Image copier", "Weekly Report")}
        return HTMLResponse(page("Image copier", f"<h1>Image copier</h1>{body}", others))

    async def front(self, _request: Request) -> Response:
        """Offer the two jobs."""
        jobs = button("/run", "Copy images", scope="read:images") + button("/run", "Delete old images", scope="delete:images", quiet=True)
        both = button("/run", "Delete with a token for reading", scope="read:images", act="DELETE", quiet=True)
        return self.show('<p class="lead">A service without a user: client credentials.</p>' + jobs + both)

    async def run(self, request: Request) -> Response:
        """Get a token for one scope (RFC 6749 §4.4), use it, show both."""
        form = dict(parse_qsl((await request.body()).decode()))
        scope = form.get("scope", "read:images")
        method = form.get("act", "DELETE" if scope == "delete:images" else "GET")
        async with httpx.AsyncClient() as http:
            asked = {"grant_type": "client_credentials", "scope": scope}
            got = await http.post(f"{self.layout.issuer}/token", data=asked, auth=("image-copier", SECRETS["IMAGE_COPIER_SECRET"]))
            if got.status_code != httpx.codes.OK:
                return self.show(refusal(got.status_code, {"title": got.json()["error"], "detail": got.json()["error_description"]}, ""))
            token = got.json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            answer = await http.request(method, f"{self.layout.app('imaging API')}/images", headers=headers)
        facts_of = facts({"granted": token["scope"], "expires in": f"{token['expires_in']} s"})
        if answer.status_code != httpx.codes.OK:
            return self.show(facts_of + refusal(answer.status_code, answer.json(), answer.headers.get("www-authenticate", "")))
        return self.show(facts_of + f'<div class="card" id="done">{escape(answer.json()["done"])}</div><p><a href="/">Back</a></p>')
