"""What the pages of the console show: as in `views`, one type for each template. Times are epoch seconds; `path` leads to a page."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from gatewright.web.decision_views import CheckLine
from gatewright.web.views import Form, Page, Person, ScopeUsed


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
    """What is around every page of the console; `here` is the address of the room, where its filters go."""

    person: Person
    sign_out: Form
    here: str
    rooms: tuple[RoomLink, ...] = ()
    crumbs: tuple[Crumb, ...] = ()


class Paging(Struct, frozen=True, kw_only=True):
    """Where a list goes on: `following` is the address of its next part, `first` that of its beginning; "" where there is none."""

    following: str = ""
    first: str = ""


class Refusal(Page, frozen=True, kw_only=True):
    """Why a page of the console is not shown: a sentence or several, the room to go back to, and where more is told."""

    frame: Frame
    title: str
    sentences: tuple[str, ...]
    scope: str = ""
    back: Crumb | None = None
    onward: Crumb | None = None


class Count(Struct, frozen=True, kw_only=True):
    """How many there are of something."""

    number: str
    name: str


class Card(Struct, frozen=True, kw_only=True):
    """Something that has a page, and what it is about."""

    name: str
    path: str
    about: str


class WeaknessUsed(Struct, frozen=True, kw_only=True):
    """A client, and the user for whom it used what weakens security. `until` is the last day on which it may."""

    weakness: str
    means: str
    client: str
    path: str
    user: str
    last: int
    until: int | None = None


class Start(Page, frozen=True, kw_only=True):
    """The first page. `alone` are the APIs that may accept what was revoked until it expires: `about` is for how long."""

    frame: Frame
    counts: tuple[Count, ...] = ()
    rooms: tuple[Card, ...] = ()
    alone: tuple[Card, ...] = ()
    uses: tuple[WeaknessUsed, ...] = ()
    sees_uses: bool = False


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
    """How soon an API refuses what was revoked: the `worst` that is known, in words behind `label`, and each way by itself.

    `alone` warns of JWTs that are verified without asking anybody, `cure` says what to do about it. With `follows` the worst is that of
    the guards that follow the feed, and not of everything that may verify its JWTs.
    """

    label: str
    worst: str
    says: str
    alone: bool
    cure: str
    ways: tuple[Way, ...]
    measured: str
    covered: str
    follows: bool = False


# ---------------------------------------------------------------- APIs


class ApiLine(Struct, frozen=True, kw_only=True):
    """An API in the list; `worst` is the time until a revocation bites, `alone` a warning about it, `follows` as in `Revocation`."""

    path: str
    name: str
    audience: str
    token: str
    scopes: int
    worst: str
    alone: bool
    disabled: bool
    follows: bool = False


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
    """One API, with how soon a revocation bites. `kept_for` is how long a proxy may keep an answer; `secrets_path` leads to where secrets
    are made and ended, "" for who may not.
    """

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
    secrets_path: str
    routes: tuple[RouteLine, ...]


# ---------------------------------------------------------------- clients


class ClientLine(Struct, frozen=True, kw_only=True):
    """A client in the list; `weaknesses` is how many it has, `used` when it last got a token or had one looked at."""

    path: str
    name: str
    client_id: str
    type: str
    party: str
    disabled: bool
    weaknesses: int
    used: int | None = None


class Clients(Page, frozen=True, kw_only=True):
    """The clients of the tenant. Field: `status`."""

    frame: Frame
    clients: tuple[ClientLine, ...]
    status: str = ""
    problem: str = ""
    paging: Paging = Paging()


class Fact(Struct, frozen=True, kw_only=True):
    """One setting: its name, and what it says; `code` where that is typed as it stands, `path` where there is a page about it."""

    name: str
    values: tuple[str, ...]
    code: bool = False
    path: str = ""


class FactGroup(Struct, frozen=True, kw_only=True):
    """Settings that belong together."""

    name: str
    facts: tuple[Fact, ...]


class Weakness(Struct, frozen=True, kw_only=True):
    """What makes a client less safe than the defaults: its word, and what it means."""

    word: str
    means: str


class Client(Page, frozen=True, kw_only=True):
    """One client. `access_path` leads to what it was given, "" for who may not see that."""

    frame: Frame
    name: str
    client_id: str
    type: str
    party: str
    disabled: bool
    made: int
    changed: int
    used: int | None
    weaknesses: tuple[Weakness, ...]
    groups: tuple[FactGroup, ...]
    has_secrets: bool
    secrets: tuple[KeptSecret, ...]
    secrets_path: str
    access_path: str


class SecretsProblem(StrEnum):
    """Why nothing was done about secrets; its sentences stand in the template."""

    STALE = "stale"
    CHANGED = "changed"


class Secrets(Page, frozen=True, kw_only=True):
    """The secrets of an API or a client; `made` is one that was made just now. Fields: `label`, `old` (keep, now, or one of `overlaps`),
    `secret`. Choices: continue (make one), end.
    """

    frame: Frame
    form: Form
    name: str
    known_as: str
    secrets: tuple[KeptSecret, ...]
    back: str
    overlaps: tuple[str, ...]
    made: str = ""
    problem: SecretsProblem | None = None
    refusal: str = ""


# ---------------------------------------------------------------- who has access


class GivenLine(Struct, frozen=True, kw_only=True):
    """A live grant in the list; without a `user` it is a back-end service's."""

    path: str
    client: str
    user: str
    account: str
    scopes: int
    since: int
    ends: int | None = None


class Access(Page, frozen=True, kw_only=True):
    """The live grants of the tenant. Fields: `client`, `user`, `account`; `ended` tells that one was ended just now, `apis_path` leads to
    how soon that bites, "" for who may not go there.
    """

    frame: Frame
    grants: tuple[GivenLine, ...]
    client: str = ""
    user: str = ""
    account: str = ""
    problem: str = ""
    ended: bool = False
    apis_path: str = ""
    paging: Paging = Paging()


class GivenScope(Struct, frozen=True, kw_only=True):
    """A scope of a grant, and what is known of its use."""

    name: str
    used: ScopeUsed


class GrantFacts(Struct, frozen=True, kw_only=True):
    """What a grant is: who was given what by whom, and when."""

    id: str
    client: str
    user: str
    account: str
    source: str
    made: int
    changed: int
    ends: int | None
    scopes: tuple[GivenScope, ...]
    declined: tuple[str, ...] = ()


class Grant(Page, frozen=True, kw_only=True):
    """One live grant; `client_path` and `end_path` are "" for who may not go there."""

    frame: Frame
    grant: GrantFacts
    client_path: str
    end_path: str


class EndProblem(StrEnum):
    """Why a grant was not ended; its sentences stand in the template."""

    STALE = "stale"
    CHANGED = "changed"


class ApiTime(Struct, frozen=True, kw_only=True):
    """An API for which a grant has scopes, and how soon it refuses what was revoked: `worst`, `alone` and `follows` as in `ApiLine`."""

    name: str
    path: str
    worst: str
    alone: bool
    follows: bool = False


class EndGrant(Page, frozen=True, kw_only=True):
    """What it means to end a grant, before it is done; `apis` are told to whoever may see APIs. Choice: end."""

    frame: Frame
    form: Form
    grant: GrantFacts
    afterwards: str
    back: str
    apis: tuple[ApiTime, ...] = ()
    problem: EndProblem | None = None


# ---------------------------------------------------------------- refusals


class JudgedScope(Struct, frozen=True, kw_only=True):
    """One scope that was asked about; without a name the API has none such."""

    name: str
    cure: str
    checks: tuple[CheckLine, ...]


class Found(Struct, frozen=True, kw_only=True):
    """Why a call was refused."""

    decision: str
    at: int
    found: str
    cure: str
    good: bool
    facts: tuple[Fact, ...]
    checks: tuple[CheckLine, ...]
    scopes: tuple[JudgedScope, ...]


class Refusals(Page, frozen=True, kw_only=True):
    """A refusal is found by the link that the API's caller was given. Field: `link`."""

    frame: Frame
    link: str = ""
    problem: str = ""
    found: Found | None = None


# ---------------------------------------------------------------- the audit log


class LogDetail(Struct, frozen=True, kw_only=True):
    """One detail of an entry."""

    name: str
    text: str


class LogLine(Struct, frozen=True, kw_only=True):
    """One entry of the audit log; `path` leads to what it is about, where that has a page, `by_path` to what else the same one did."""

    id: str
    at: int
    act: str
    actor: str
    subject: str
    path: str = ""
    by_path: str = ""
    client: str = ""
    address: str = ""
    detail: tuple[LogDetail, ...] = ()


class LogFilters(Struct, frozen=True, kw_only=True):
    """What of the log is wanted; days as `2026-11-21`, both ends included."""

    act: str = ""
    actor: str = ""
    subject: str = ""
    client: str = ""
    since: str = ""
    until: str = ""


class AuditLog(Page, frozen=True, kw_only=True):
    """The audit log, the latest first. Fields: those of `LogFilters`."""

    frame: Frame
    entries: tuple[LogLine, ...]
    acts: tuple[str, ...]
    filters: LogFilters = LogFilters()
    problem: str = ""
    paging: Paging = Paging()
