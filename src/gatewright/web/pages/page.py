"""What a page is asked and what it answers, free of any framework; and what of the house a page may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from gatewright.base.log import Event, incident
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.authorize import BY_HAND_SECONDS
from gatewright.oauth.errors import ERRORS, AccessDenied, OAuthError, ServerError, TemporarilyUnavailable
from gatewright.oauth.redirect_uri import is_out_of_band
from gatewright.web import cookies, views
from gatewright.web.cookies import Cookie
from gatewright.web.render import MESSAGE_HASH, code_csp, form_post_csp, page_csp, render

if TYPE_CHECKING:
    from gatewright.base.log import Log
    from gatewright.base.moment import Moment
    from gatewright.keys.sealer import Wrapper
    from gatewright.ledger.grants import Grants
    from gatewright.management.errand import Tools
    from gatewright.management.perform import Vault
    from gatewright.market.room import Market
    from gatewright.oauth.answer import Sent
    from gatewright.oauth.issuer import Issuer
    from gatewright.oauth.ports import World
    from gatewright.oauth.visit import Front, Visitor
    from gatewright.signin.pool import PasswordPool
    from gatewright.signin.sessions import Sessions
    from gatewright.signin.throttle import Throttle
    from gatewright.store import Store
    from gatewright.tenants.logos import Logos
    from gatewright.tenants.records import Look

Header = tuple[bytes, bytes]

_OPENER: Final = b"cross-origin-opener-policy"
# Nothing here is kept, framed, told to others by a referrer, or reachable from a window of another site.
_ALWAYS: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (_OPENER, b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
JSON: Final = b"application/json"
LOGO_PATH: Final = "/-/logo/"
MOST_HOPS: Final = 10


class Looks(Protocol):
    """How tenants look."""

    async def look(self, tenant: int, host: str = "") -> Look:
        """Return how the pages of a tenant's domain look."""


class House(Protocol):
    """What of the house a page may use; `app.House` has all of it and more."""

    @property
    def log(self) -> Log: ...
    @property
    def store(self) -> Store: ...
    @property
    def sites(self) -> Looks: ...
    @property
    def world(self) -> World: ...
    @property
    def front(self) -> Front: ...
    @property
    def grants(self) -> Grants: ...
    @property
    def market(self) -> Market: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def passwords(self) -> PasswordPool: ...
    @property
    def throttle(self) -> Throttle: ...
    @property
    def logos(self) -> Logos: ...
    @property
    def wrapper(self) -> Wrapper: ...
    @property
    def tools(self) -> Tools: ...
    @property
    def vault(self) -> Vault: ...


@dataclass(frozen=True, slots=True)
class PageAsk:
    """A request for a page: `pairs` are the decoded fields of the query, or of the form where one was posted.

    `headers` are by lower-case name; of them origin, sec-fetch-site and user-agent are looked at.
    """

    method: str
    path: str
    issuer: Issuer
    at: Moment
    pairs: tuple[tuple[str, str], ...] = ()
    cookies: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    @property
    def params(self) -> Params:
        """The fields as parameters of a protocol.

        Raises:
            InvalidRequest: a known one came twice.
        """
        return Params.of(list(self.pairs))

    @property
    def ask(self) -> Ask:
        """The same for the core."""
        return Ask(self.params, self.issuer, self.at, address=self.address)

    @property
    def posted(self) -> bool:
        """Whether a form was posted."""
        return self.method == "POST"

    def field(self, name: str) -> str:
        """Return the first value of a field, "" where there is none."""
        return next((value for found, value in self.pairs if found == name), "")

    def fields(self, name: str) -> frozenset[str]:
        """Return all values of a field."""
        return frozenset([value for found, value in self.pairs if found == name])

    def cookie(self, cookie: Cookie) -> str:
        """Return the value of one of our cookies, "" where it was not sent."""
        return cookies.read(self.cookies, cookie, self.issuer)


@dataclass(frozen=True, slots=True)
class PageReply:
    """A whole response but for its length: `headers` are all there are, cookies, location and policy among them."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""

    @property
    def location(self) -> str | None:
        """Where the browser is sent, if anywhere."""
        return next((value.decode() for name, value in self.headers if name == b"location"), None)

    def beside_its_opener(self) -> PageReply:
        """Return the reply for a window that another site's page opened and waits for (`security-rules` 44)."""
        kept = tuple([header for header in self.headers if header[0] != _OPENER])
        return PageReply(self.status, (*kept, (_OPENER, b"unsafe-none")), self.body)

    def with_cookies(self, *set_cookies: str) -> PageReply:
        """Return the reply with more cookies to set or drop."""
        return PageReply(self.status, (*self.headers, *((b"set-cookie", text.encode()) for text in set_cookies)), self.body)


Handler = Callable[[PageAsk, House], Awaitable[PageReply]]


async def brand_of(page: PageAsk, house: House) -> views.Brand:
    """Return how this domain looks."""
    look = await house.sites.look(page.issuer.tenant, page.issuer.host)
    logo = LOGO_PATH + look.logo if look.logo is not None and house.logos.has(look.logo) else None
    return views.Brand(name=page.issuer.name, color=look.color, logo=logo, terms=look.terms, privacy=look.privacy)


async def visitor_of(page: PageAsk, house: House) -> Visitor | None:
    """Return who is signed in in this browser."""
    cookie = page.cookie(Cookie.SESSION)
    return await house.sessions.find(page.issuer, cookie, page.at) if cookie else None


def show(
    view: views.Page, *, status: int = 200, ends_at: tuple[str, ...] = (), headers: tuple[Header, ...] = (), script: str = ""
) -> PageReply:
    """Return a page; `ends_at` are the checked addresses to which its forms may lead in the end (`security-rules` 53).

    `script` is the hash of the one script that it holds, if any.
    """
    policy = (b"content-security-policy", page_csp(*ends_at[:MOST_HOPS], script=script).encode())
    return PageReply(status, (_HTML, *_ALWAYS, policy, *headers), render(view))


def tell(status: int, body: object, kind: bytes, *headers: Header) -> PageReply:
    """Return bytes as they are, or a document as JSON, under the same headers as a page."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return PageReply(status, ((b"content-type", kind), *_ALWAYS, *headers), raw)


async def nothing_here(page: PageAsk, house: House) -> PageReply:
    """Return the page for what does not exist, or is somebody else's: whoever asks is not told which."""
    view = views.Error(
        brand=await brand_of(page, house),
        title="There is nothing for you here",
        sentence="This does not exist, or it belongs to somebody else.",
        advice="Sign in as the user it belongs to, or check the address.",
        incident=incident(page.at),
    )
    return show(view, status=404)


def go(location: str) -> PageReply:
    """Send the browser on with a GET, whatever it came with (RFC 9700 §4.12: 303, never 307)."""
    return PageReply(303, (*_ALWAYS, (b"location", location.encode("ascii"))))


async def answer(sent: Sent, client: str, page: PageAsk, house: House) -> PageReply:
    """Return the answer to a client: a redirect, a page that posts itself (OAuth 2.0 Form Post Response Mode §2), or one that tells
    the window which opened it.
    """
    if sent.form is None:
        return go(sent.target)
    if is_out_of_band(sent.target):
        return await _by_hand(dict(sent.form), client, page, house)
    if sent.message_to:
        told = views.Message(
            brand=await brand_of(page, house), client=client, origin=sent.message_to, fields=sent.form, target=sent.target, popup=True
        )
        policy = (b"content-security-policy", page_csp(script=MESSAGE_HASH).encode())
        return PageReply(200, (_HTML, *_ALWAYS, policy), render(told))
    view = views.FormPost(brand=await brand_of(page, house), target=sent.target, client=client, fields=sent.form)
    return PageReply(200, (_HTML, *_ALWAYS, (b"content-security-policy", form_post_csp(sent.target).encode())), render(view))


async def _by_hand(told: Mapping[str, str], client: str, page: PageAsk, house: House) -> PageReply:
    """Return the page that shows a code to the user, or the refusal that would have gone to the app (`security-rules` 45)."""
    code = told.get("code")
    if code is None:
        return await failed(page, house, error_of(told))
    view = views.CodeByHand(brand=await brand_of(page, house), client=client, code=code, minutes=BY_HAND_SECONDS // 60)
    return PageReply(200, (_HTML, *_ALWAYS, (b"content-security-policy", code_csp().encode())), render(view))


def error_of(told: Mapping[str, str]) -> OAuthError:
    """Return the refusal that would have gone to an app."""
    kind = next((kind for kind in ERRORS if kind.code == told["error"]), ServerError)
    return kind(told.get("error_description", ""))


async def failed(page: PageAsk, house: House, error: OAuthError, *, status: int | None = None) -> PageReply:
    """Return the page of a refusal that is told to nobody but the user. It links nowhere that was not checked (RFC 6749 §4.1.2.1)."""
    name = incident(page.at)
    house.log.tell(Event.REQUEST_REFUSED, request=name, path=page.path, error=error.code, why=error.why or error.description)
    busy = isinstance(error, TemporarilyUnavailable)
    ours = busy or isinstance(error, ServerError)
    title, sentence, advice = _words(error)
    view = views.Error(
        brand=await brand_of(page, house),
        title=title,
        sentence=sentence,
        advice=advice,
        incident=name,
        code=error.code,
        detail=error.description,
    )
    retry = ((b"retry-after", b"%d" % error.retry_after),) if isinstance(error, TemporarilyUnavailable) else ()
    return show(view, status=status or (error.status if ours else 400), headers=((b"request-id", name.encode()), *retry))


def _words(error: OAuthError) -> tuple[str, str, str]:
    """Return title, sentence and advice of a refusal."""
    if isinstance(error, TemporarilyUnavailable):
        return "Please try again in a moment", "We cannot answer right now.", "Wait a moment, then try again."
    if isinstance(error, ServerError):
        return "Something went wrong here", "We cannot answer right now.", "Wait a moment, then try again."
    if isinstance(error, AccessDenied):
        return "The app gets no access", "What it asks for cannot be given by you.", "If it should be, ask whoever manages your account."
    return (
        "This request cannot be answered",
        "The app that sent you here made a mistake, so we cannot go on.",
        "Go back to the app and try again. If it happens again, tell its makers.",
    )
