"""What the demo's two web apps have in common: signing in through Authlib, and tokens kept on the server side."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from examples.demo.layout import Layout
from examples.demo.page import button, facts, page, refusal

Token = dict[str, Any]


class WebApp:
    """A web app with a back end. Tokens are kept in memory by user and never reach the browser."""

    name: str
    client_id: str
    secret: str
    scope: str
    api: str
    connect_label: str

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.home = layout.app(self.name)
        self.tokens: dict[str, Token] = {}
        self.oauth = OAuth()
        self.oauth.register(
            "acme",
            client_id=self.client_id,
            client_secret=self.secret,
            server_metadata_url=f"{layout.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": self.scope, "code_challenge_method": "S256"},
        )

    def app(self) -> Starlette:
        """Return the ASGI application."""
        cookie = self.client_id.replace("-", "_")
        session = Middleware(SessionMiddleware, secret_key=f"{self.client_id} demo cookie", session_cookie=cookie)
        return Starlette(routes=[*self.shared(), *self.routes()], middleware=[session])

    def shared(self) -> list[Route]:
        """Return the routes that every such app has."""
        return [
            Route("/", self.front),
            Route("/connect", self.connect, methods=["POST"]),
            Route("/callback", self.callback),
            Route("/renew", self.renew, methods=["POST"]),
            Route("/forget", self.forget, methods=["POST"]),
        ]

    def routes(self) -> list[Route]:
        """Return the app's own routes."""
        return []

    def welcome(self) -> str:
        """Return what a visitor sees who is not signed in."""
        raise NotImplementedError

    async def inside(self, token: Token) -> str:
        """Return what a signed-in user sees."""
        raise NotImplementedError

    def show(self, body: str) -> HTMLResponse:
        """Return a page of the app."""
        others = {name: self.layout.app(name) for name in ("Budget Buddy", "Acme Events", "Image copier", "Weekly Report")}
        return HTMLResponse(
            page(self.name, f"<h1>{self.name}</h1>{body}", {**others, "Acme: your access": f"{self.layout.issuer}/-/access"})
        )

    def token(self, request: Request) -> Token | None:
        """Return the tokens of the signed-in user."""
        return self.tokens.get(request.session.get("user", ""))

    async def front(self, request: Request) -> Response:
        """Show the app to whoever comes."""
        token = self.token(request)
        if token is None:
            return self.show(self.welcome() + button("/connect", self.connect_label))
        granted = facts({"account": token.get("account", "none"), "granted": token.get("scope", "")})
        acts = button("/renew", "Renew the token", quiet=True) + button("/forget", "Sign out here", quiet=True)
        return self.show(await self.inside(token) + "<h2>The token</h2>" + granted + acts)

    async def connect(self, request: Request) -> Response:
        """Send the user to Acme (RFC 6749 §4.1.1)."""
        answer: Response = await self.oauth.acme.authorize_redirect(request, f"{self.home}/callback")
        # What was a POST here is to be a GET there.
        answer.status_code = 303
        return answer

    async def callback(self, request: Request) -> Response:
        """Take the answer: a code to be exchanged, or a refusal (RFC 6749 §4.1.2)."""
        try:
            token = await self.oauth.acme.authorize_access_token(request)
            token["userinfo"] = await self.oauth.acme.userinfo(token=token)
        except OAuthError as error:
            said = facts({"error": error.error, "what it means": error.description})
            card = f'<div class="card refused" role="alert" id="refused"><strong>Acme did not connect us</strong>{said}</div>'
            return self.show(card + button("/connect", "Try again"))
        user = token["userinfo"]["sub"]
        self.tokens[user] = dict(token)
        request.session["user"] = user
        return RedirectResponse("/", 303)

    async def renew(self, request: Request) -> Response:
        """Use the refresh token (RFC 6749 §6)."""
        token = self.token(request)
        if token is None:
            return RedirectResponse("/", 303)
        metadata = await self.oauth.acme.load_server_metadata()
        form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        async with httpx.AsyncClient() as http:
            answer = await http.post(metadata["token_endpoint"], data=form, auth=(self.client_id, self.secret))
        if answer.status_code != httpx.codes.OK:
            return self.show(self.refused(answer) + button("/connect", self.connect_label))
        token.update(answer.json())
        return RedirectResponse("/", 303)

    async def forget(self, request: Request) -> Response:
        """Forget the user here; what Acme granted stays until it is taken back there."""
        self.tokens.pop(request.session.get("user", ""), None)
        request.session.clear()
        return RedirectResponse("/", 303)

    async def call(self, method: str, token: Token, path: str) -> httpx.Response:
        """Call the app's API for the account that the token is for."""
        account = quote(str(token.get("account", "none")))
        async with httpx.AsyncClient(base_url=self.layout.app(self.api)) as http:
            return await http.request(method, f"/{account}{path}", headers={"Authorization": f"Bearer {token['access_token']}"})

    def refused(self, answer: httpx.Response) -> str:
        """Return a refusal in the words of whoever refused."""
        problem = answer.json()
        if "error" in problem:
            problem = {"title": problem["error"], "detail": problem.get("error_description", "")}
        return refusal(answer.status_code, problem, answer.headers.get("www-authenticate", ""))
