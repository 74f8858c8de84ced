"""The function behind the widget's pages: sign in, come back with a code, show who is there, sign out.

It keeps nothing between calls, as a function must: what belongs to one browser travels sealed in its cookies.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import httpx
from cryptography.fernet import Fernet, InvalidToken

Event = Mapping[str, Any]
Answer = dict[str, Any]

SCOPE: Final = "openid profile email"
SIGNING_IN: Final = 600  # seconds that somebody may take to sign in
_EARLY: Final = 30  # seconds before its end in which an access token is renewed already


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function reads from its environment; the secret and the key belong into a secrets manager."""

    issuer: str  # https://app.yourdomain.com
    client_id: str
    client_secret: str
    url: str  # where the widget is: https://widget.example
    key: str  # of cookies: `python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`

    @property
    def callback(self) -> str:
        """The redirect URI, registered exactly so."""
        return f"{self.url}/callback"

    def cookie(self, name: str) -> str:
        """A cookie of this origin and no other; over plain http, on loopback, browsers know no such prefix."""
        return f"__Host-{name}" if self.url.startswith("https://") else name


class Away(Exception):
    """The platform does not answer at the moment, which says nothing about the visitor; `cookies` must not be lost over it."""

    def __init__(self, *cookies: str) -> None:
        super().__init__()
        self.cookies = cookies


class Widget:
    """The handler: `handler = Widget(settings, httpx.Client())`, made once for each instance of the function."""

    def __init__(self, settings: Settings, http: httpx.Client, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._seal = Fernet(settings.key)

    def __call__(self, event: Event, _context: object = None) -> Answer:
        """Answer one event of an HTTP API, payload format 2.0."""
        method, path = event["requestContext"]["http"]["method"], _path(event)
        routes = {("GET", "/"): self._show, ("GET", "/login"): self._login, ("GET", "/callback"): self._callback}
        routes["POST", "/logout"] = self._logout
        route = routes.get((method, path))
        if route is None:
            return _page(404, "<p>There is nothing here.</p>")
        try:
            return route(event)
        except Away as away:
            return _page(503, "<p>The platform does not answer. Load this page again in a moment.</p>", *away.cookies)

    # ---------------------------------------------------------------- signing in

    def _login(self, _event: Event) -> Answer:
        """Send the browser to the authorization endpoint (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.callback,
            "scope": SCOPE,
            "state": state,
            "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        begun = self._sealed("begun", {"state": state, "verifier": verifier}, SIGNING_IN)
        return _away(f"{self._settings.issuer}/o/authorize/?{urlencode(query)}", begun)

    def _callback(self, event: Event) -> Answer:
        """Exchange the code (RFC 6749 §4.1.3), but only the answer to what this very browser asked, from the issuer that was asked."""
        said = {name: values[0] for name, values in parse_qs(event.get("rawQueryString", "")).items()}
        begun = self._opened("begun", event, SIGNING_IN)
        done = self._gone("begun")
        if begun is None or not hmac.compare_digest(said.get("state", "").encode(), begun["state"].encode()):
            return _page(400, "<p>This is not the end of a sign-in that you began here.</p>", done)
        if said.get("iss") != self._settings.issuer:  # RFC 9207 §2.4: it always says who it is
            return _page(400, "<p>Somebody else answered.</p>", done)
        if "code" not in said:
            return _page(403, f"<p>You were not signed in: {escape(said.get('error', 'no reason was given'))}.</p>", done)
        form = {"grant_type": "authorization_code", "code": said["code"], "redirect_uri": self._settings.callback}
        tokens = self._tokens(form | {"code_verifier": begun["verifier"]})
        if tokens is None:
            return _page(502, "<p>The sign-in could not be finished. Try again.</p>", done)
        return _away(self._settings.url + "/", done, self._kept(tokens))

    # ---------------------------------------------------------------- being signed in

    def _show(self, event: Event) -> Answer:
        """Show who is there, by userinfo; a token that is over is renewed, and where that fails the visitor is a stranger again."""
        kept = self._opened("session", event)
        if kept is None:
            return self._stranger()
        new: list[str] = []
        if kept["until"] - _EARLY <= self._clock() and "refresh_token" in kept:
            tokens = self._tokens({"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]})
            if tokens is None:
                return self._stranger(self._gone("session"))
            kept = self._session(tokens)
            new = [self._sealed("session", kept)]
        try:
            found = self._ask("GET", "/o/userinfo/", headers={"Authorization": f"Bearer {kept['access_token']}"})
        except Away:
            raise Away(*new) from None  # the refresh token in it was just made, and the old one is spent
        if found.status_code != httpx.codes.OK:
            # Taken back, disabled, signed out: whatever it was, the answer is the same here.
            return self._stranger(self._gone("session"))
        user = found.json()
        name = escape(str(user.get("name") or user.get("email") or user["sub"]))
        return _page(
            200,
            f'<p>Hello, {name}.</p><form method="post" action="{escape(self._settings.url)}/logout"><button>Sign out</button></form>',
            *new,
        )

    def _logout(self, event: Event) -> Answer:
        """Give the tokens back (RFC 7009) and forget them. The cookie is not sent with a form of another site (SameSite)."""
        kept = self._opened("session", event)
        if kept is not None:
            token = kept.get("refresh_token", kept["access_token"])
            with contextlib.suppress(Away):  # signing out here works whether the platform hears of it or not
                self._ask("POST", "/o/revoke_token/", data=self._proof() | {"token": token})
        return _away(self._settings.url + "/", self._gone("session"))

    # ---------------------------------------------------------------- tokens and cookies

    def _tokens(self, form: dict[str, str]) -> dict[str, Any] | None:
        answer = self._ask("POST", "/o/token/", data=self._proof() | form)
        return answer.json() if answer.status_code == httpx.codes.OK else None

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own arguments
        """What the platform says, yes or no; a platform that is away or busy says neither."""
        try:
            answer = self._http.request(method, f"{self._settings.issuer}{path}", **how)
        except httpx.HTTPError as fault:
            raise Away from fault
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Away
        return answer

    def _proof(self) -> dict[str, str]:
        return {"client_id": self._settings.client_id, "client_secret": self._settings.client_secret}

    def _session(self, tokens: dict[str, Any]) -> dict[str, Any]:
        kept = {name: tokens[name] for name in ("access_token", "refresh_token") if name in tokens}
        return kept | {"until": int(self._clock()) + tokens.get("expires_in", 0)}

    def _kept(self, tokens: dict[str, Any]) -> str:
        return self._sealed("session", self._session(tokens))

    def _sealed(self, name: str, value: dict[str, Any], seconds: int | None = None) -> str:
        sealed = self._seal.encrypt_at_time(json.dumps({"for": name, **value}).encode(), int(self._clock())).decode()
        age = "" if seconds is None else f"; Max-Age={seconds}"
        return f"{self._settings.cookie(name)}={sealed}; Path=/; HttpOnly; SameSite=Lax{age}{self._secure}"

    def _gone(self, name: str) -> str:
        return f"{self._settings.cookie(name)}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{self._secure}"

    def _stranger(self, *cookies: str) -> Answer:
        link = f'<a href="{escape(self._settings.url)}/login">Sign in</a>'
        return _page(200, f"<p>You are not signed in.</p><p>{link}</p>", *cookies)

    @property
    def _secure(self) -> str:
        return "; Secure" if self._settings.url.startswith("https://") else ""

    def _opened(self, name: str, event: Event, seconds: int | None = None) -> dict[str, Any] | None:
        jar = SimpleCookie("; ".join(event.get("cookies", ())))
        found = jar.get(self._settings.cookie(name))
        if found is None:
            return None
        try:
            raw = self._seal.decrypt_at_time(found.value, seconds, int(self._clock())) if seconds else self._seal.decrypt(found.value)
        except InvalidToken:
            return None
        value: dict[str, Any] = json.loads(raw)
        # One key seals both cookies, so each says what it is.
        return value if value.get("for") == name else None


def _path(event: Event) -> str:
    """The path below the widget's own address: a gateway puts the name of a stage before it, unless that is `$default`."""
    path: str = event["rawPath"]
    stage = event["requestContext"].get("stage", "$default")
    return path.removeprefix(f"/{stage}") if path.startswith(f"/{stage}/") else path


_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


def _page(status: int, body: str, *cookies: str) -> Answer:
    html = f'<!doctype html><html lang="en"><title>Widget</title><meta name="viewport" content="width=device-width">{body}</html>'
    return {"statusCode": status, "headers": _HEADERS, "cookies": list(cookies), "body": html}


def _away(url: str, *cookies: str) -> Answer:
    return {"statusCode": 303, "headers": {"location": url, "cache-control": "no-store"}, "cookies": list(cookies), "body": ""}
