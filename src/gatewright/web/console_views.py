"""What the pages of the console show: as in `views`, one type for each template. Times are epoch seconds; `path` leads to a page."""

from __future__ import annotations

from msgspec import Struct

from gatewright.web.views import Form, Page, Person


class RoomLink(Struct, frozen=True, kw_only=True):
    """A room that is open to whoever looks; `here` is the one they are in."""

    name: str
    path: str
    here: bool = False


class Crumb(Struct, frozen=True, kw_only=True):
    """A page on the way to this one."""

    name: str
    path: str


class Frame(Struct, frozen=True, kw_only=True):
    """What is around every page of the console."""

    person: Person
    sign_out: Form
    rooms: tuple[RoomLink, ...] = ()
    crumbs: tuple[Crumb, ...] = ()


class Paging(Struct, frozen=True, kw_only=True):
    """Where a list goes on: `following` is the address of its next part, `first` that of its beginning; "" where there is none."""

    following: str = ""
    first: str = ""


class Refusal(Page, frozen=True, kw_only=True):
    """Why a page of the console is not shown: a sentence or several, and the room to which it is possible to go back."""

    frame: Frame
    title: str
    sentences: tuple[str, ...]
    scope: str = ""
    back: Crumb | None = None


class Start(Page, frozen=True, kw_only=True):
    """The first page."""

    frame: Frame


# ---------------------------------------------------------------- how soon a revocation bites


class Way(Struct, frozen=True, kw_only=True):
    """One way in which an API may check its tokens: in how much `time` it refuses what was revoked, and what that hangs on.

    `state` tells what is known of it: `used`, `possible`, or `warned` for the one that is the worst and cannot be ruled out.
    """

    name: str
    time: str
    hangs_on: str
    state: str
    known: str
    at: int | None = None
    """When, where `known` ends in it."""


class Revocation(Struct, frozen=True, kw_only=True):
    """How soon an API refuses what was revoked: the `worst` that is known, in words, and each way by itself.

    `alone` warns of JWTs that are verified without asking anybody, `cure` says what to do about it.
    """

    worst: str
    says: str
    alone: bool
    cure: str
    ways: tuple[Way, ...]
    measured: str
    not_covered: str


# ---------------------------------------------------------------- APIs


class ApiLine(Struct, frozen=True, kw_only=True):
    """An API in the list; `worst` is the time until a revocation bites, `alone` a warning about it."""

    path: str
    name: str
    audience: str
    token: str
    scopes: int
    worst: str
    alone: bool
    disabled: bool


class Apis(Page, frozen=True, kw_only=True):
    """The APIs of the tenant."""

    frame: Frame
    apis: tuple[ApiLine, ...]
    paging: Paging = Paging()


class ApiScope(Struct, frozen=True, kw_only=True):
    """A scope of an API. `retires` is the day from which it is given no more."""

    name: str
    text: str
    high_risk: bool = False
    tenant_wide: bool = False
    retired: bool = False
    retires: int | None = None
    aliases: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()


class KeptSecret(Struct, frozen=True, kw_only=True):
    """A live secret, which nobody can read."""

    id: str
    label: str
    made: int
    made_by: str
    ends: int | None = None
    used: int | None = None
    used_from: str = ""


class RouteLine(Struct, frozen=True, kw_only=True):
    """A row of the table for proxies: which requests, and what they need: all of `scopes`, one of `any_of`."""

    path: str
    methods: str
    host: str = ""
    public: bool = False
    scopes: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    account_in: str = ""


class Api(Page, frozen=True, kw_only=True):
    """One API, with how soon a revocation bites. `kept_for` is how long a proxy may keep an answer."""

    frame: Frame
    id: str
    name: str
    audience: str
    disabled: bool
    token: str
    roles: str
    told_roles: bool
    reports_use: bool
    kept_for: str
    revocation: Revocation
    scopes: tuple[ApiScope, ...]
    paging: Paging
    secrets: tuple[KeptSecret, ...]
    routes: tuple[RouteLine, ...]
