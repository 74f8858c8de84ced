"""What the pages about refused calls show: as in `views`, one type for each template."""

from __future__ import annotations

from msgspec import Struct

from gatewright.web.views import Account, Form, Page, Person


class CheckLine(Struct, frozen=True, kw_only=True):
    """One check: `then` and `now` are `yes`, `no` or `nothing`; `note` is a sentence, or empty."""

    asks: str
    then: str
    now: str
    note: str = ""


class ScopeLook(Struct, frozen=True, kw_only=True):
    """One scope that was asked about. Without a `name` the API has none such; `cure` says what to do, "" where it is good now. `lang` is
    the language of a translated text.
    """

    name: str
    text: str
    lang: str | None = None
    then: str
    now: str
    cure: str
    checks: tuple[CheckLine, ...]


class Decision(Page, frozen=True, kw_only=True):
    """Why a call was refused, check by check, then and now. `user` and `account` are None where they are not to be seen.

    `limited` tells that names are left out. Times are epoch seconds, 0 for none. `good` tells that the call would pass now.
    """

    person: Person
    sign_out: Form
    decision: str
    at: int
    now: int
    cause: str
    found: str
    cure: str
    good: bool
    app: str
    api: str
    user: str | None
    account: Account | None
    limited: bool
    token: str
    issued_at: int
    expires_at: int
    checks: tuple[CheckLine, ...]
    scopes: tuple[ScopeLook, ...]


class DecisionTooOld(Page, frozen=True, kw_only=True):
    """What was found is shown no more; `days` is for how long it is."""

    decision: str
    at: int
    days: int


class NoDecision(Page, frozen=True, kw_only=True):
    """There is no such decision, or it is not for whoever is signed in."""

    person: Person
    sign_out: Form
