"""A browser without a window: it keeps cookies, follows redirects on the tenant's own domain, reads forms and sends them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gatewright.base.log import Log
from gatewright.consents.front import RoomConsents
from gatewright.keys.sealer import Wrapper
from gatewright.ledger.grants import Grants
from gatewright.management.errand import Tools
from gatewright.management.perform import Vault
from gatewright.oauth.client import Client, ClientSettings
from gatewright.oauth.errors import OAuthError, PageError
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.paths import PATHS
from gatewright.oauth.pkce import challenge_of
from gatewright.oauth.ports import World
from gatewright.oauth.visit import Front
from gatewright.signin.pool import PasswordPool
from gatewright.signin.sessions import Sessions
from gatewright.signin.throttle import Throttle
from gatewright.store import Store
from gatewright.tenants.logos import Logos
from gatewright.tenants.records import Look
from gatewright.users.passwords import digest_of
from gatewright.web.pages import NAMED, PROTOCOL_PAGES, ROUTES, PageAsk, PageReply
from gatewright.web.pages.page import Handler, failed
from tests.support import builders as b
from tests.support.world import REDIRECT, ROOT, VERIFIER, Playground

EMAIL, PASSWORD = "organizer@acme.test", "correct horse"
DIGEST = digest_of(PASSWORD, bytes(16))
STATE = "af0ifjsldkj"
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class PlainLooks:
    """Every tenant looks alike."""

    async def look(self, tenant: int, host: str = "") -> Look:
        return Look()


class Rooms:
    """What pages use of the house, over a playground."""

    def __init__(self, ground: Playground) -> None:
        self.ground = ground
        self.lines: list[str] = []
        self.log = Log(ground.clock, write=self.lines.append)
        self.store: Store = ground.store
        self.sites = PlainLooks()
        self.world: World = ground.world
        self.grants: Grants = ground.grants
        self.market = ground.market
        self.sessions = Sessions(ground.store)
        self.passwords = PasswordPool(patience=60)
        self.throttle = Throttle(ground.store, ground.sealer)
        self.wrapper = Wrapper(ROOT)
        self.logos = Logos(Path("no logos here"))
        self.front = Front(ground.world, self.sessions, RoomConsents(ground.store, ground.grants))

    @property
    def tools(self) -> Tools:
        """Only the console asks for them, which is tested over a whole node."""
        raise NotImplementedError

    @property
    def vault(self) -> Vault:
        """As above."""
        raise NotImplementedError


async def open_rooms(ground: Playground) -> Rooms:
    """Rooms in which the person of the playground has a password."""
    await ground.sql("UPDATE person SET password = :digest WHERE id = :id", digest=DIGEST, id=b.PERSON)
    await ground.sql("DELETE FROM session")
    return Rooms(ground)


@dataclass
class Form:
    """A form as it stands on a page: its fields with their values, its buttons."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(have["action"]))
        elif tag == "a":
            self.links.append(have.get("href", ""))
        elif tag == "input" and self.forms:
            ticked = have.get("type") not in ("checkbox", "radio") or "checked" in have
            if ticked:
                self.forms[-1].fields.append((have["name"], have.get("value", "")))
        elif tag == "button" and self.forms and "name" in have:
            self.forms[-1].choices.append(have["value"])

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass
class Seen:
    """What came back."""

    reply: PageReply
    at: str

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.reply.body.decode())
        self.forms, self.links = reader.forms, reader.links
        self.text = " ".join(" ".join(reader.words).split())

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def location(self) -> str | None:
        return self.reply.location

    @property
    def header(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.reply.headers}

    @property
    def title(self) -> str:
        start = self.reply.body.index(b"<title>") + 7
        return self.reply.body[start : self.reply.body.index(b"</title>")].decode()

    @property
    def answer(self) -> dict[str, str]:
        """The parameters that a client gets."""
        if self.location is not None:
            return dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))
        return dict(self.forms[0].fields)

    def form(self, choice: str) -> Form:
        """The form that has this button."""
        return next(form for form in self.forms if choice in form.choices)


class Browser:
    """One browser at one issuer."""

    def __init__(self, rooms: Rooms, issuer: Issuer | None = None, *, address: str = "203.0.113.7") -> None:
        self.rooms = rooms
        self.issuer = issuer or rooms.ground.issuer
        self.address = address
        self.languages = ""
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.page: Seen | None = None

    async def send(
        self, method: str, path: str, pairs: Iterable[tuple[str, str]] = (), *, headers: dict[str, str] | None = None, follow: bool = True
    ) -> Seen:
        """Send one request, and follow where it leads on this domain."""
        ordinary = {"user-agent": USER_AGENT}
        if self.languages:
            ordinary |= {"accept-language": self.languages}
        if method == "POST":
            ordinary |= {"origin": "null", "sec-fetch-site": "same-origin"}
        asked = PageAsk(
            method,
            path,
            self.issuer,
            self.rooms.ground.clock.moment(),
            pairs=tuple(pairs),
            cookies=dict(self.cookies),
            headers=ordinary if headers is None else headers,
            address=self.address,
        )
        reply = await self._answer(asked)
        self._keep(reply)
        self.page = Seen(reply, path)
        where = reply.location
        if follow and where is not None and where.startswith("/"):
            parts = urlsplit(where)
            return await self.send("GET", parts.path, parse_qsl(parts.query, keep_blank_values=True))
        return self.page

    async def _answer(self, asked: PageAsk) -> PageReply:
        handler = self._handler(asked.method, asked.path)
        try:
            return await handler(asked, self.rooms)
        except PageError as error:
            return await failed(asked, self.rooms, error.error)
        except OAuthError as error:
            return await failed(asked, self.rooms, error)

    def _handler(self, method: str, path: str) -> Handler:
        for methods, place, handler in ROUTES:
            if place == path:
                assert method in methods
                return handler
        for pattern, methods, handler in NAMED:
            if pattern.fullmatch(path):
                assert method in methods
                return handler
        return next(PROTOCOL_PAGES[name] for name in PROTOCOL_PAGES if path in PATHS["standard"][name])

    def _keep(self, reply: PageReply) -> None:
        for name, value in reply.headers:
            if name == b"set-cookie":
                text = value.decode()
                self.set_cookies.append(text)
                cookie, _, content = text.partition(";")[0].partition("=")
                if "; Max-Age=0" in text:
                    self.cookies.pop(cookie, None)
                else:
                    self.cookies[cookie] = content

    async def get(self, path: str, *, follow: bool = True, **params: str) -> Seen:
        """Open an address."""
        return await self.send("GET", path, params.items(), follow=follow)

    async def press(self, choice: str, *, follow: bool = True, without: str = "", **typed: str) -> Seen:
        """Press a button of the present page after typing into its fields; `without` unticks one."""
        assert self.page is not None
        form = self.page.form(choice)
        pairs = [(name, value) for name, value in form.fields if name not in typed and (name, value) != ("scope", without)]
        return await self.send("POST", form.action, [*pairs, *typed.items(), ("choice", choice)], follow=follow)

    async def authorize(self, *, post: bool = False, follow: bool = True, **changed: str | None) -> Seen:
        """Come from the client's page with an authorization request, an ordinary one except for what is named."""
        params: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "budget-buddy",
            "redirect_uri": REDIRECT,
            "scope": "openid read:balance",
            "state": STATE,
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        pairs = [(name, value) for name, value in (params | changed).items() if value is not None]
        headers = {"user-agent": USER_AGENT, "origin": "https://budget.example", "sec-fetch-site": "cross-site"}
        return await self.send("POST" if post else "GET", "/authorize", pairs, headers=headers, follow=follow)

    async def sign_in(self, **typed: str) -> Seen:
        """Type name and password into the present page."""
        given = {"username": EMAIL, "password": PASSWORD} | typed
        return await self.press("continue", username=given["username"], password=given["password"], keep=given.get("keep", ""))

    async def signed_in(self) -> Browser:
        """Sign in without any client."""
        await self.get("/-/sign-in")
        await self.sign_in()
        return self


async def tokens_of(ground: Playground, seen: Seen) -> dict[str, Any]:
    """What the client's code buys."""
    return await ground.exchange(seen.answer["code"])


def public(**settings: object) -> Client:
    """A native client that cannot keep a secret."""
    ordinary: dict[str, object] = {"type": "native", "token_endpoint_auth_method": "none", "redirect_uris": ("http://127.0.0.1/callback",)}
    made = b.a_client()
    kept = msgspec.convert(msgspec.to_builtins(made.settings) | ordinary | settings, ClientSettings)
    return msgspec.structs.replace(made, settings=kept)
