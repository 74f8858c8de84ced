"""What the pages of the marketplace show: as in `views`, one type for each template."""

from __future__ import annotations

from msgspec import Struct

from gatewright.web.views import Account, AccountChoice, AppCard, Done, Form, InstallLine, Page, Person, ScopeGroup, ScopeLine


class NoApp(Page, frozen=True, kw_only=True):
    """There is no such app here, or it is not offered any more."""

    app: str | None = None


class Install(Page, frozen=True, kw_only=True):
    """An app that asks for nothing is installed by one press. Field: `account`; choices: continue, deny."""

    form: Form
    app: str
    card: AppCard
    person: Person
    accounts: tuple[AccountChoice, ...]
    chosen: str | None = None


class Installed(Page, frozen=True, kw_only=True):
    """An app that asked for nothing is installed; `opens` is where it is used."""

    app: str
    account: Account
    opens: str | None = None
    access_page: str


class Update(Page, frozen=True, kw_only=True):
    """A new version asks for more. Fields: `install`, `scope` for each ticked optional scope, `shown`; choices: allow, deny.

    `missing` are required scopes that the role of who the app acts for does not give; with one of them nothing can be allowed.
    """

    form: Form
    install: str
    app: str
    account: Account
    acts_for: str
    openid: tuple[ScopeLine, ...] = ()
    groups: tuple[ScopeGroup, ...] = ()
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    back: str
    shown: str = ""


class Uninstall(Page, frozen=True, kw_only=True):
    """Before an app goes: what will happen. Fields: `install`, `account`, `how`: cleanup, now.

    `cleanup` are the texts of what it may still do for so many `minutes`; with none of them there is nothing to choose.
    """

    form: Form
    install: str
    app: str
    account: Account
    acts_for: str
    cleanup: tuple[str, ...] = ()
    minutes: int
    back: str


class AccountInstall(Struct, frozen=True, kw_only=True):
    """One app of an account: who installed it, for whom it acts."""

    line: InstallLine
    installer: str
    acts_for: str
    service_user: bool


class AccountApps(Page, frozen=True, kw_only=True):
    """The apps of an account, for its admins. Fields: `account`, `install`, `user`."""

    person: Person
    account: Account
    csrf: str
    uninstall: str
    hand_over: str
    sign_out: str
    access_page: str
    installs: tuple[AccountInstall, ...] = ()
    robots: tuple[tuple[str, str], ...] = ()
    """The service users of the account: what the form posts, and what they are called."""
    done: Done | None = None
    refused: str = ""
