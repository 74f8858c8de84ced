"""What each page shows: one frozen Struct a page, holding exactly what its template needs.

Nothing here decides, formats or checks. Text is plain (the templates escape it), times are epoch seconds, and a URL was
checked by whoever made the view. Forms post `csrf`, `step` and the pressed button's `choice`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from gatewright.web.device_views import DeviceAsking


class Choice(StrEnum):
    """What the pressed button says, in the form field `choice`."""

    CONTINUE = "continue"
    ALLOW = "allow"
    DENY = "deny"
    SWITCH = "switch"
    DOWNLOAD = "download"
    END = "end"


class SignInProblem(StrEnum):
    """Why the sign-in page is shown again; its sentences stand in the template."""

    MISMATCH = "mismatch"
    MISSING = "missing"
    THROTTLED = "throttled"
    BUSY = "busy"
    STALE = "stale"


class Brand(Struct, frozen=True, kw_only=True):
    """How a tenant's domain looks: `logo` is a path on that domain, `color` a hex colour, `terms` and `privacy` web addresses."""

    name: str
    color: str | None = None
    logo: str | None = None
    terms: str | None = None
    privacy: str | None = None


class Form(Struct, frozen=True, kw_only=True):
    """Where a form posts to, its CSRF token, and the verifier of the step it belongs to."""

    action: str
    csrf: str
    step: str = ""


class Person(Struct, frozen=True, kw_only=True):
    """The person who is signed in; `name` may be empty."""

    name: str
    email: str


class Account(Struct, frozen=True, kw_only=True):
    """A customer company as its members know it."""

    name: str
    slug: str


class ScopeUsed(Struct, frozen=True, kw_only=True):
    """What is known of the use of one scope: `used`, `unused`, `never` or `unknown`. `last` is the day of its last use, `since` when its
    API began to tell; both in epoch seconds.
    """

    use: str
    last: int | None = None
    since: int | None = None


class ScopeLine(Struct, frozen=True, kw_only=True):
    """One scope in words; an optional one can be unticked, a held one was allowed before. `reason` is the developer's own, `lang` the
    language of a translated text, `retires_at` the day from which the scope is given no more.
    """

    name: str
    text: str
    lang: str | None = None
    retires_at: int | None = None
    high_risk: bool = False
    optional: bool = True
    held: bool = False
    reason: str = ""
    used: ScopeUsed | None = None


class Phrase(Struct, frozen=True, kw_only=True):
    """Words of the tenant's; `lang` is their language where they were translated."""

    text: str
    lang: str | None = None


class ScopeGroup(Struct, frozen=True, kw_only=True):
    """The scopes of one API."""

    api: str
    scopes: tuple[ScopeLine, ...]


NO_REASONS: Final[Mapping[str, str]] = {}
OPENID_WORDS: Final[Mapping[str, str]] = {
    "openid": "Sign you in and recognise you next time",
    "profile": "See your name and the rest of your profile",
    "email": "See your e-mail address",
    "address": "See your postal address",
    "phone": "See your phone number",
    "offline_access": "Use this access also when you are away",
}


def openid_lines(
    scopes: Iterable[str], held: frozenset[str] = frozenset(), reasons: Mapping[str, str] = NO_REASONS
) -> tuple[ScopeLine, ...]:
    """OpenID scopes in words, in the order of the table (OpenID Connect Core §5.4, §11)."""
    asked = frozenset(scopes)
    return tuple(
        ScopeLine(name=name, text=text, optional=False, held=name in held, reason=reasons.get(name, ""))
        for name, text in OPENID_WORDS.items()
        if name in asked
    )


class Page(Struct, frozen=True, kw_only=True):
    """What every page has; without a brand it names no tenant. `popup` is the layout of a small window."""

    brand: Brand | None
    popup: bool = False


class Login(Struct, frozen=True, kw_only=True):
    """A user name and a password that everybody may know, and who that is."""

    username: str
    password: str
    about: str


class OperatorNotice(Struct, frozen=True, kw_only=True):
    """What the operator says to everybody on the sign-in page, such as the demo's users and their weak passwords."""

    text: str
    logins: tuple[Login, ...] = ()


class SignIn(Page, frozen=True, kw_only=True):
    """Name and password. Fields: `username`, `password`, `keep` ("1"); choices: continue, deny (with a client only)."""

    form: Form
    client: str | None = None
    username: str = ""
    problem: SignInProblem | None = None
    retry_after: int = 0
    again: bool = False
    keep: bool = False
    notice: OperatorNotice | None = None


class ContinueAs(Page, frozen=True, kw_only=True):
    """Nobody gets an answer in silence who cannot prove to be the client (`security-rules` 32). Choices: continue, switch, deny."""

    form: Form
    client: str
    person: Person
    account: Account | None


class AccountChoice(Struct, frozen=True, kw_only=True):
    """One account of the list; `value` is what the form posts."""

    value: str
    account: Account
    roles: tuple[str, ...] = ()


class AccountPicker(Page, frozen=True, kw_only=True):
    """Several accounts, one is needed. Field: `account`; choices: continue, switch, deny."""

    form: Form
    client: str
    person: Person
    accounts: tuple[AccountChoice, ...]
    chosen: str | None = None


class AppCard(Struct, frozen=True, kw_only=True):
    """An app of the marketplace as its manifest shows it; `icon` is a data: address, `again` tells that it is installed already."""

    description: str
    icon: str | None = None
    again: bool = False


class Consent(Page, frozen=True, kw_only=True):
    """What an app asks for. Fields: `scope` for each ticked optional scope, `shown`; choices: allow, deny, switch.

    `shown` is the digest of what stands on the page (`security-rules` 54); `local` means that `returns_to` is this device, `by_hand`
    that nothing is sent there and the person carries a code to the app, `whole` that the app takes everything or nothing. With `app` it
    is an installation, with `device` somebody's device that waits for the answer.
    """

    form: Form
    client: str
    third_party: bool
    returns_to: str
    local: bool = False
    by_hand: bool = False
    device: DeviceAsking | None = None
    person: Person
    account: Account | None
    openid: tuple[ScopeLine, ...] = ()
    groups: tuple[ScopeGroup, ...] = ()
    left_out: tuple[Phrase, ...] = ()
    whole: bool = False
    shown: str = ""
    access_page: str
    app: AppCard | None = None


class GrantLine(Struct, frozen=True, kw_only=True):
    """One app's access; `id` is posted as `grant`. `unused` can be taken from it, and is posted as `scopes` in the text `unused_ids`."""

    id: str
    client: str
    third_party: bool
    disabled: bool = False
    account: Account | None
    openid: tuple[ScopeLine, ...] = ()
    groups: tuple[ScopeGroup, ...] = ()
    since: int
    last_used: int | None = None
    unused: tuple[ScopeLine, ...] = ()
    unused_ids: str = ""


class InstallState(StrEnum):
    """How an installed app stands today; its sentences stand in the template."""

    WAITING = "waiting"
    ACTIVE = "active"
    NO_ACCESS = "no_access"
    BLOCKED = "blocked"


class InstallLine(Struct, frozen=True, kw_only=True):
    """One installed app; `id` is posted as `install`, `update` is where more of it can be allowed, `again` where it is installed anew."""

    id: str
    app: str
    account: Account
    state: InstallState
    openid: tuple[ScopeLine, ...] = ()
    groups: tuple[ScopeGroup, ...] = ()
    more: tuple[str, ...] = ()
    update: str | None = None
    again: str | None = None
    since: int


class SessionLine(Struct, frozen=True, kw_only=True):
    """One browser's sign-in; `id` is posted as `session`."""

    id: str
    browser: str
    place: str
    since: int
    last_seen: int
    current: bool = False


class Done(StrEnum):
    """What the last act on the access page did; its sentences stand in the template."""

    REMOVED = "removed"
    UNINSTALLED = "uninstalled"
    UPDATED = "updated"
    HANDED_OVER = "handed_over"
    SESSION_ENDED = "session_ended"
    OTHERS_ENDED = "others_ended"
    SHRUNK = "shrunk"
    NOT_SHRUNK = "not_shrunk"


class MyAccess(Page, frozen=True, kw_only=True):
    """The apps with access and the browsers signed in. Fields: `grant`, `install`, `session`, each in a form of its own."""

    person: Person
    now: int
    csrf: str
    remove: str
    shrink: str = ""
    end_session: str
    end_others: str
    sign_out: str
    uninstall: str = ""
    grants: tuple[GrantLine, ...] = ()
    installs: tuple[InstallLine, ...] = ()
    administers: tuple[tuple[str, str], ...] = ()
    """The name of each account whose apps this person looks after, and the page with them."""
    sessions: tuple[SessionLine, ...] = ()
    done: Done | None = None


class ConfirmSignOut(Page, frozen=True, kw_only=True):
    """Asked when a sign-out cannot be shown to be the person's wish (RP-Initiated Logout §2). Choices: continue, deny."""

    form: Form
    person: Person
    client: str | None = None


class SignedOut(Page, frozen=True, kw_only=True):
    """The end of a session; `return_to` only if it is a registered post-logout address (RP-Initiated Logout §3)."""

    sign_in: str
    return_to: str | None = None
    client: str | None = None


class Home(Page, frozen=True, kw_only=True):
    """The front door of a tenant's domain; `console` is "" for whoever may not open it."""

    sign_in: str
    access_page: str
    console: str = ""
    sign_out: Form | None = None
    person: Person | None = None


class SecretProblem(StrEnum):
    """Why the form of the secret page did nothing; its sentences stand in the template."""

    STALE = "stale"
    USED = "used"


class SecretLine(Struct, frozen=True, kw_only=True):
    """One live secret; `text` only where it can be read again, `id` is posted as `secret`."""

    id: str
    label: str
    made: int
    made_by: str
    ends: int | None = None
    used: int | None = None
    used_from: str = ""
    text: str | None = None


class SecretRead(Struct, frozen=True, kw_only=True):
    """Who read secrets, and when."""

    who: str
    at: int


class ClientSecret(Page, frozen=True, kw_only=True):
    """An app's secrets for its owner; `made` is one that was made just now. Fields: `label`, `old` (now, 1d, 7d, 30d, keep), `secret`.

    Choices: continue (make and show), download (make and send as a file), end. `most` secrets may be live.
    """

    person: Person
    now: int
    client: str
    client_id: str
    form: Form
    readable: bool
    has_secrets: bool
    most: int
    secrets: tuple[SecretLine, ...] = ()
    made: str | None = None
    reads: tuple[SecretRead, ...] = ()
    problem: SecretProblem | None = None
    refusal: str | None = None


class Error(Page, frozen=True, kw_only=True):
    """A refusal or a fault that is not told to the app. It never links to an address of the request (RFC 6749 §4.1.2.1)."""

    title: str
    sentence: str
    advice: str
    incident: str
    code: str | None = None
    detail: str | None = None


class Expired(Page, frozen=True, kw_only=True):
    """The request behind a page is over or unknown, so only the app can begin anew."""

    client: str | None = None


class Denied(Page, frozen=True, kw_only=True):
    """The person said no, and there is no address to tell that to."""

    client: str


class CodeByHand(Page, frozen=True, kw_only=True):
    """A code that the person carries to the app (`security-rules` 45): in the body of a posted page, never in its title or address."""

    client: str
    code: str
    minutes: int


class FormPost(Page, frozen=True, kw_only=True):
    """The answer as a form that sends itself (OAuth 2.0 Form Post Response Mode §2); `target` is the checked redirect URI."""

    target: str
    client: str
    fields: tuple[tuple[str, str], ...]


class Message(Page, frozen=True, kw_only=True):
    """The answer as a message to the window that opened this one, if it shows `origin`; `target` is where it goes else."""

    client: str
    origin: str
    fields: tuple[tuple[str, str], ...]
    target: str
