"""Every page with realistic and hostile views: what the gallery shows and what the browser tests look at."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gatewright.oauth.device import Told
from gatewright.web.app_views import AccountApps, AccountInstall, Install, Installed, NoApp, Uninstall, Update
from gatewright.web.decision_views import CheckLine, Decision, DecisionTooOld, NoDecision, ScopeLook
from gatewright.web.device_views import CodeProblem, DeviceAsking, DeviceCode, DeviceDone
from gatewright.web.reference import reference
from gatewright.web.views import (
    Account,
    AccountChoice,
    AccountPicker,
    AppCard,
    Brand,
    ClientSecret,
    CodeByHand,
    ConfirmSignOut,
    Consent,
    ContinueAs,
    Denied,
    Done,
    Error,
    Expired,
    Form,
    FormPost,
    GrantLine,
    Home,
    InstallLine,
    InstallState,
    Login,
    Message,
    MyAccess,
    OperatorNotice,
    Page,
    Person,
    Phrase,
    ScopeGroup,
    ScopeLine,
    ScopeUsed,
    SecretLine,
    SecretProblem,
    SecretRead,
    SessionLine,
    SignedOut,
    SignIn,
    SignInProblem,
    openid_lines,
)
from tests.browser.console_samples import CONSOLE

NOW: Final = 1_795_242_600

SCRIPT: Final = "<script>document.title='owned'</script>"
QUOTES: Final = "\"><img src=x onerror=alert(1)>' autofocus onfocus='alert(1)"
LONG: Final = "The Extraordinarily Thorough and Complete Household Budget, Receipt and Tax Companion for Families (Community Edition)"
UNBROKEN: Final = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
ARABIC: Final = "مدير الميزانية المنزلية"
HEBREW: Final = "בנק החשמונאים"
OVERRIDE: Final = "Budget \u202eydduB\u202c (safe)"

ACME: Final = Brand(name="Acme", color="#0b6e4f", terms="https://acme.test/terms", privacy="https://acme.test/privacy")
YELLOW: Final = Brand(name="Sonnenblume Bank", color="#ffd60a", privacy="https://sonne.test/privacy")
NAVY: Final = Brand(name="Night Ledger", color="#0a0f3c")
WHITE: Final = Brand(name="Blank", color="#fff")
LOGO: Final = Brand(name="Contoso Health", color="#b3123f", logo="/-/brand/logo", terms="https://contoso.test/terms")
PLAIN: Final = Brand(name="Harbour")
HOSTILE: Final = Brand(name=SCRIPT, color="#0b6e4f", terms="javascript:alert(1)", privacy="https://x.test/?a=1&b=\"2'")
LONG_BRAND: Final = Brand(name=UNBROKEN, color="#7a1fa2", terms="https://acme.test/terms", privacy="https://acme.test/privacy")
RTL_BRAND: Final = Brand(name=HEBREW, color="#b45309")

FORM: Final = Form(action="/-/step", csrf="csrf-token", step="step-verifier")
HERE: Final = Form(action="/-/sign-in", csrf="csrf-token")
OLIVIA: Final = Person(name="Olivia Organizer", email="organizer@acme.test")
NAMELESS: Final = Person(name="", email="p@acme.test")
ENDLESS: Final = Person(name=UNBROKEN, email=f"{UNBROKEN.lower()}@{'sub.' * 12}acme.test")
DEV: Final = Account(name="Acme (Dev)", slug="acme-dev")
PROD: Final = Account(name="Acme (Prod)", slug="acme-prod")
ODD: Final = Account(name=SCRIPT, slug="a" * 63)

BANK: Final = ScopeGroup(
    api="Acme Bank",
    scopes=(
        ScopeLine(name="read:balance", text="See the balance of your bank accounts"),
        ScopeLine(name="transfer:funds", text="Send money from your bank accounts", high_risk=True),
    ),
)
EVENTS: Final = ScopeGroup(
    api="Acme Events",
    scopes=(
        ScopeLine(name="view:events", text="See events", held=True),
        ScopeLine(name="register:events", text="Register for events", held=True),
        ScopeLine(name="update:events", text="Change events"),
    ),
)
MANY: Final = tuple(
    ScopeGroup(
        api=api,
        scopes=tuple(
            ScopeLine(name=f"{api.lower()}:{i}", text=f"{verb} {thing} in {api}", high_risk=verb == "Delete", optional=i % 7 != 0)
            for i, (verb, thing) in enumerate(
                (verb, thing) for verb in ("See", "Create", "Change", "Delete") for thing in ("invoices", "reports", "contacts")
            )
        ),
    )
    for api in ("Billing", "Reports", "People", "Archive")
)
ODD_SCOPES: Final = (
    ScopeGroup(
        api=SCRIPT,
        scopes=(
            ScopeLine(name=QUOTES, text=QUOTES, high_risk=True),
            ScopeLine(name="long", text=UNBROKEN, high_risk=True, held=True),
            ScopeLine(name="arabic", text=ARABIC, high_risk=True, optional=False),
        ),
    ),
    ScopeGroup(api=ARABIC, scopes=(ScopeLine(name="override", text=OVERRIDE), ScopeLine(name="line", text="One\r\ntwo\tthree"))),
)

SPOKEN: Final = ScopeGroup(
    api="Acme Events",
    scopes=(
        ScopeLine(name="view:events", text="Veranstaltungen ansehen", lang="de"),
        ScopeLine(name="register:events", text="S’inscrire à des événements", lang="fr-CA", retires_at=1_803_945_600),
        ScopeLine(
            name="export:events", text="Export the list of everybody who registered", high_risk=True, held=True, retires_at=1_803_945_600
        ),
        ScopeLine(name="arabic", text=ARABIC, lang="ar", optional=False, retires_at=1_803_945_600),
    ),
)

DEMO: Final = OperatorNotice(
    text="This is a demo on your own machine. Sign in as one of these people; everybody knows their passwords.",
    logins=(
        Login(about="Olivia, an organizer in two accounts", username="organizer@acme.test", password="organizer-demo-1"),
        Login(about="Pat, a participant in one account", username="participant@acme.test", password="participant-demo-1"),
    ),
)


def consent(**changes: object) -> Consent:
    """The usual consent page with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "form": FORM,
        "client": "Budget Buddy",
        "third_party": True,
        "returns_to": "budget.example",
        "person": OLIVIA,
        "account": DEV,
        "openid": openid_lines(("openid", "profile", "email", "offline_access")),
        "groups": (BANK,),
        "shown": "digest-of-what-is-shown",
        "access_page": "/-/access",
    }
    return Consent(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


NEAR: Final = DeviceAsking(code="WDJB-MJHT", at=NOW, network="203.0.113.0/24", here=True)
FAR: Final = DeviceAsking(code="BCDF-GHJK", at=NOW, network="2001:db8:1234::/48", here=False)
UNLIKE: Final = DeviceAsking(code="BCDF-GHJK", at=NOW, network="203.0.113.0/24", here=None)


def device_code(**changes: object) -> DeviceCode:
    """The page for a device's code with some fields changed."""
    fields: dict[str, object] = {"brand": ACME, "form": FORM, "person": OLIVIA, "sign_out": FORM}
    return DeviceCode(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


def device_done(told: Told, *, brand: Brand | None = None, client: str = "Acme CLI") -> DeviceDone:
    """What a user sees in the end."""
    return DeviceDone(brand=brand or ACME, client=client, told=told, access_page="/-/access", enter="/device")


def my_access(**changes: object) -> MyAccess:
    """The usual access page with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "person": OLIVIA,
        "now": NOW,
        "csrf": "csrf-token",
        "remove": "/-/access/remove",
        "shrink": "/-/access/shrink",
        "uninstall": "/-/access/uninstall",
        "end_session": "/-/access/end-session",
        "end_others": "/-/access/end-others",
        "sign_out": "/-/sign-out",
    }
    return MyAccess(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


GRANTS: Final = (
    GrantLine(
        id="gr_1",
        client="Budget Buddy",
        third_party=True,
        account=DEV,
        openid=openid_lines(("openid", "profile", "email")),
        groups=(BANK,),
        since=NOW - 18 * 86400,
        last_used=NOW - 600,
    ),
    GrantLine(
        id="gr_2",
        client="Weekly Report",
        third_party=True,
        account=PROD,
        groups=(EVENTS, BANK),
        since=NOW - 290 * 86400,
        last_used=NOW - 40 * 86400,
    ),
    GrantLine(
        id="gr_6", client="Ward Rounds", third_party=True, account=DEV, groups=(EVENTS,), since=NOW - 9 * 86400, last_used=NOW - 3 * 86400
    ),
    GrantLine(id="gr_3", client="Acme Events", third_party=False, disabled=True, account=None, openid=openid_lines(("openid",)), since=NOW),
)
USED: Final = ScopeUsed(use="used", last=NOW - 3 * 86400, since=NOW - 290 * 86400)
UNUSED_LINES: Final = (
    ScopeLine(
        name="transfer:funds",
        text="Send money from your bank accounts",
        high_risk=True,
        used=ScopeUsed(use="unused", last=NOW - 140 * 86400, since=NOW - 290 * 86400),
    ),
    ScopeLine(
        name="read:cards",
        text="See your cards, with their numbers and limits, and everything that was paid with them",
        used=ScopeUsed(use="never", since=NOW - 290 * 86400),
    ),
)
USED_GRANTS: Final = (
    GrantLine(
        id="gr_7",
        client="Budget Buddy",
        third_party=True,
        account=DEV,
        openid=openid_lines(("openid", "email")),
        groups=(
            ScopeGroup(
                api="Acme Bank",
                scopes=(ScopeLine(name="read:balance", text="See the balance of your bank accounts", used=USED), *UNUSED_LINES),
            ),
            ScopeGroup(
                api="Acme Events",
                scopes=(
                    ScopeLine(name="view:events", text="See events", used=ScopeUsed(use="unknown", since=NOW - 20 * 86400)),
                    ScopeLine(name="update:events", text="Change events", used=ScopeUsed(use="unknown")),
                    ScopeLine(name="old:events", text="See old events", used=ScopeUsed(use="unknown", last=NOW - 200 * 86400, since=NOW)),
                ),
            ),
        ),
        since=NOW - 290 * 86400,
        last_used=NOW - 600,
        unused=UNUSED_LINES,
        unused_ids="sc_1 sc_2",
    ),
    GrantLine(
        id=QUOTES,
        client=UNBROKEN,
        third_party=True,
        account=ODD,
        groups=ODD_SCOPES,
        since=NOW,
        unused=(ScopeLine(name="x", text=UNBROKEN), ScopeLine(name="y", text=SCRIPT), ScopeLine(name="z", text=ARABIC, lang="ar")),
        unused_ids=QUOTES,
    ),
)
SESSIONS: Final = (
    SessionLine(id="se_1", browser="Firefox on Linux", place="192.0.2.17", since=NOW - 3000, last_seen=NOW, current=True),
    SessionLine(id="se_2", browser="Safari on iPhone", place="2001:db8:85a3::8a2e:370:7334", since=NOW - 200_000, last_seen=NOW - 9000),
    SessionLine(id="se_3", browser="Chrome on Windows", place="", since=NOW - 500_000, last_seen=NOW - 300_000),
)
ODD_GRANTS: Final = (
    GrantLine(id=QUOTES, client=SCRIPT, third_party=True, account=ODD, groups=ODD_SCOPES, since=0, last_used=0),
    GrantLine(id="gr_4", client=UNBROKEN, third_party=True, account=DEV, groups=MANY, since=NOW, last_used=NOW),
    GrantLine(id="gr_5", client=ARABIC, third_party=True, account=PROD, groups=(), since=NOW),
)


def client_secret(**changes: object) -> ClientSecret:
    """The usual secret page with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "person": OLIVIA,
        "now": NOW,
        "client": "Budget Buddy",
        "client_id": "budget-buddy",
        "form": FORM,
        "readable": False,
        "has_secrets": True,
        "most": 2,
    }
    return ClientSecret(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


TEXT: Final = "gws_" + "Zk3n" * 10 + "x_-"
LIVE: Final = (
    SecretLine(
        id="cs_01h2v5c8n4k7e",
        label="server in Frankfurt",
        made=NOW - 300 * 86400,
        made_by="Olivia Organizer",
        used=NOW,
        used_from="192.0.2.17",
    ),
    SecretLine(id="cs_01h2v5c8n4k7f", label="", made=NOW - 86400, made_by="the operator", ends=NOW + 7 * 86400),
)
READABLE: Final = SecretLine(
    id="cs_1", label="platform file", made=NOW, made_by="the operator", used=NOW, used_from="2001:db8::17", text=TEXT
)
CODE: Final = "gwc_AAAABnGxYk0aTqkV3l9TzQmN7yJr5uE2pXcW8dH4fLgS6bVo1iA"
ICON: Final = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0MCA0MCI+PHJlY3Qgd2lkdGg9IjQwIiBoZWlnaHQ9IjQwIiBm"
    "aWxsPSIjMWQ0ZWQ4Ii8+PC9zdmc+"
)
CARD: Final = AppCard(description="Sends a summary of the week’s events to everybody in the account", icon=ICON)
ODD_CARD: Final = AppCard(description=f"{SCRIPT} {UNBROKEN}\n{ARABIC}", again=True)
REASONED: Final = ScopeGroup(
    api="Acme Bank",
    scopes=(
        ScopeLine(
            name="read:balance",
            text="See the balance of your bank accounts",
            optional=False,
            reason="The report shows it on its first page",
        ),
        ScopeLine(
            name="transfer:funds", text="Send money from your bank accounts", high_risk=True, reason="Only if you book the printed report"
        ),
    ),
)
ODD_REASONS: Final = ScopeGroup(
    api=SCRIPT,
    scopes=(
        ScopeLine(name=QUOTES, text=ARABIC, high_risk=True, optional=False, reason=SCRIPT),
        ScopeLine(name="y", text=UNBROKEN, held=True, reason=UNBROKEN),
        ScopeLine(name="z", text="See events", reason=OVERRIDE),
    ),
)


def install_line(**changes: object) -> InstallLine:
    """The usual installed app with some fields changed."""
    fields: dict[str, object] = {
        "id": "in_1",
        "app": "Weekly Report",
        "account": DEV,
        "state": InstallState.ACTIVE,
        "groups": (EVENTS,),
        "since": NOW - 30 * 86400,
    }
    return InstallLine(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


INSTALLS: Final = (
    install_line(more=("Send money from your bank accounts",), update="/-/update?install=in_1"),
    install_line(id="in_2", app="Ledger Sync", account=PROD, state=InstallState.WAITING, again="/ledger/install", groups=(BANK,)),
    install_line(id="in_3", app="Old Notes", groups=(), since=NOW),
    install_line(
        id="in_4", app="Printer", state=InstallState.NO_ACCESS, again="/printer/install", openid=openid_lines(("openid", "email"))
    ),
    install_line(id="in_5", app="Snooper", state=InstallState.BLOCKED),
)
ODD_INSTALLS: Final = (
    install_line(
        id=QUOTES,
        app=SCRIPT,
        account=ODD,
        groups=ODD_SCOPES,
        more=(SCRIPT, UNBROKEN, ARABIC),
        update="/-/update?install=in_1",
        again="/x/install",
        state=InstallState.NO_ACCESS,
    ),
    install_line(app=UNBROKEN, groups=MANY),
)


def account_apps(**changes: object) -> AccountApps:
    """The usual page of an account's apps with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "person": OLIVIA,
        "account": PROD,
        "csrf": "csrf-token",
        "uninstall": "/-/account-apps/uninstall",
        "hand_over": "/-/account-apps/hand-over",
        "sign_out": "/-/sign-out",
        "access_page": "/-/access",
        "robots": (("us_1", "Nightly copier"), ("us_2", "reporter@service.acme.test")),
    }
    return AccountApps(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


def update(**changes: object) -> Update:
    """The usual page of an update with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "form": Form(action="/-/update", csrf="csrf-token"),
        "install": "in_1",
        "app": "Weekly Report",
        "account": DEV,
        "acts_for": "organizer@acme.test",
        "groups": (REASONED,),
        "back": "/-/access",
        "shown": "digest",
    }
    return Update(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


def uninstall(**changes: object) -> Uninstall:
    """The usual page before an app goes with some fields changed."""
    fields: dict[str, object] = {
        "brand": ACME,
        "form": Form(action="/-/access/uninstall", csrf="csrf-token"),
        "install": "in_1",
        "app": "Weekly Report",
        "account": DEV,
        "acts_for": "organizer@acme.test",
        "cleanup": ("Delete the calendars that it made", "Take its files back"),
        "minutes": 15,
        "back": "/-/access",
    }
    return Uninstall(**(fields | changes))  # type: ignore[arg-type]  # a sample's fields are as they stand above


PASSED: Final = (
    CheckLine(asks="Does the access that was given still stand?", then="yes", now="yes"),
    CheckLine(asks="Is the app enabled?", then="yes", now="yes"),
    CheckLine(asks="Is the access token good?", then="yes", now="yes"),
)
BY_ROLE: Final = ScopeLook(
    name="update:events",
    text="Change events",
    then="role_lacks_scope",
    now="role_lacks_scope",
    cure="An account admin can give the user a role that holds it: Organizer. A new token alone will not help.",
    checks=(
        CheckLine(asks="Does this API have the scope?", then="yes", now="yes"),
        CheckLine(asks="Is the app allowed the scope?", then="yes", now="yes"),
        CheckLine(
            asks="Does a role of the user hold the scope in the account?", then="no", now="no", note="The user's roles now: Participant."
        ),
        CheckLine(asks="Did the user agree to the scope?", then="nothing", now="nothing"),
        CheckLine(asks="Did the app ask for the scope?", then="nothing", now="nothing"),
    ),
)


def decision(**changed: object) -> Decision:
    """Why a call was refused, except for what is named."""
    fields: dict[str, object] = {
        "brand": ACME,
        "person": OLIVIA,
        "sign_out": Form(action="/-/sign-out", csrf="csrf-token"),
        "decision": "de_01h2v5c8n4k7e",
        "at": NOW - 900,
        "now": NOW,
        "cause": "role_lacks_scope",
        "found": "The user has no role with the scope that was needed.",
        "cure": BY_ROLE.cure,
        "good": False,
        "app": "Budget Buddy",
        "api": "Acme Events",
        "user": "organizer@acme.test",
        "account": DEV,
        "limited": False,
        "token": "JWT access token",
        "issued_at": NOW - 1200,
        "expires_at": NOW - 300,
        "checks": PASSED,
        "scopes": (BY_ROLE,),
    }
    return Decision(**(fields | changed))  # type: ignore[arg-type]  # a sample's fields are as they stand above


SAMPLES: Final[dict[str, Page]] = {
    **CONSOLE,
    "sign_in": SignIn(brand=ACME, form=FORM, client="Budget Buddy"),
    "sign_in-hint": SignIn(brand=LOGO, form=FORM, client="Ward Rounds", username="doctor@contoso.test", keep=True),
    "sign_in-wrong": SignIn(brand=YELLOW, form=FORM, client="Budget Buddy", username="someone@sonne.test", problem=SignInProblem.MISMATCH),
    "sign_in-throttled": SignIn(brand=NAVY, form=FORM, problem=SignInProblem.THROTTLED, retry_after=240, username="a@b.test"),
    "sign_in-seconds": SignIn(brand=ACME, form=FORM, problem=SignInProblem.THROTTLED, retry_after=40),
    "sign_in-soon": SignIn(brand=ACME, form=FORM, problem=SignInProblem.THROTTLED),
    "sign_in-busy": SignIn(brand=ACME, form=FORM, problem=SignInProblem.BUSY),
    "sign_in-stale": SignIn(brand=ACME, form=FORM, problem=SignInProblem.STALE),
    "sign_in-missing": SignIn(brand=PLAIN, form=FORM, problem=SignInProblem.MISSING),
    "sign_in-again": SignIn(brand=ACME, form=FORM, client="Budget Buddy", username="organizer@acme.test", again=True),
    "sign_in-again-here": SignIn(brand=ACME, form=HERE, username="organizer@acme.test", again=True),
    "sign_in-demo": SignIn(brand=ACME, form=FORM, client="Budget Buddy", notice=DEMO),
    "sign_in-notice": SignIn(brand=WHITE, form=HERE, notice=OperatorNotice(text="Maintenance tonight.\nBack at ten.")),
    "sign_in-hostile": SignIn(
        brand=HOSTILE,
        form=Form(action=QUOTES, csrf=QUOTES, step=QUOTES),
        client=SCRIPT,
        username=QUOTES,
        notice=OperatorNotice(text=SCRIPT),
    ),
    "sign_in-long": SignIn(brand=LONG_BRAND, form=FORM, client=LONG),
    "continue_as": ContinueAs(brand=ACME, form=FORM, client="Acme Desktop", person=OLIVIA, account=DEV),
    "continue_as-long": ContinueAs(brand=LONG_BRAND, form=FORM, client=UNBROKEN, person=ENDLESS, account=ODD),
    "continue_as-rtl": ContinueAs(brand=RTL_BRAND, form=FORM, client=ARABIC, person=NAMELESS, account=None),
    "account_picker": AccountPicker(
        brand=ACME,
        form=FORM,
        client="Budget Buddy",
        person=OLIVIA,
        accounts=(
            AccountChoice(value="ac_1", account=DEV, roles=("Organizer", "Participant")),
            AccountChoice(value="ac_2", account=PROD, roles=("Participant",)),
        ),
        chosen="ac_2",
    ),
    "account_picker-many": AccountPicker(
        brand=RTL_BRAND,
        form=FORM,
        client=OVERRIDE,
        person=ENDLESS,
        accounts=(
            AccountChoice(value=QUOTES, account=ODD, roles=(SCRIPT, UNBROKEN)),
            AccountChoice(value="ac_0", account=Account(name=ARABIC, slug="mizaniya")),
            *(
                AccountChoice(value=f"ac_{i}", account=Account(name=f"Branch {i}", slug=f"branch-{i}"), roles=("Clerk",))
                for i in range(1, 9)
            ),
        ),
    ),
    "consent": consent(),
    "consent-left_out": consent(
        brand=LOGO,
        client="Ward Rounds",
        groups=(EVENTS,),
        left_out=(Phrase(text="Create events"), Phrase(text="Bilder löschen", lang="de")),
        openid=(),
    ),
    "consent-first_party": consent(brand=YELLOW, third_party=False, client="Acme Events", account=None, groups=(EVENTS,)),
    "consent-whole": consent(
        groups=(ScopeGroup(api="Acme Bank", scopes=tuple(replace(scope, optional=False) for scope in BANK.scopes)),), whole=True
    ),
    "consent-local": consent(brand=NAVY, client="Ledger CLI", returns_to="127.0.0.1", local=True, person=NAMELESS),
    "consent-by_hand": consent(client="Acme demo", returns_to="urn:", local=True, by_hand=True, openid=()),
    "consent-device": consent(client="Acme CLI", returns_to="", device=NEAR),
    "consent-device-unlike": consent(client="Acme CLI", returns_to="", device=UNLIKE),
    "consent-device-elsewhere": consent(brand=LOGO, client=UNBROKEN, third_party=False, returns_to="", device=FAR, person=ENDLESS),
    "consent-identity": consent(brand=PLAIN, groups=(), account=None),
    "consent-forty": consent(brand=WHITE, client="Everything Sync", groups=MANY),
    "consent-hostile": consent(
        brand=HOSTILE,
        client=SCRIPT,
        groups=ODD_SCOPES,
        account=ODD,
        returns_to="xn--bcher-kva.example",
        left_out=(Phrase(text=SCRIPT, lang="de"), Phrase(text=ARABIC, lang="ar")),
    ),
    "consent-long": consent(brand=LONG_BRAND, client=UNBROKEN, person=ENDLESS, returns_to="a" * 63 + "." + "b" * 63 + ".example"),
    "consent-wordy": consent(client=LONG),
    "consent-spoken": consent(groups=(BANK, SPOKEN)),
    "consent-rtl": consent(
        brand=RTL_BRAND,
        client=ARABIC,
        account=Account(name=HEBREW, slug="hashmonaim"),
        left_out=(Phrase(text=ARABIC, lang="ar"), Phrase(text="See events")),
    ),
    "device_code": device_code(),
    "device_code-filled": device_code(brand=LOGO, code="WDJB-MJHT", person=NAMELESS),
    "device_code-malformed": device_code(brand=YELLOW, code=SCRIPT[:20], problem=CodeProblem.MALFORMED),
    "device_code-unknown": device_code(brand=LONG_BRAND, code="WDJB-MJHT", problem=CodeProblem.UNKNOWN, person=ENDLESS),
    "device_code-throttled": device_code(brand=NAVY, code="WDJB-MJHT", problem=CodeProblem.THROTTLED, retry_after=256),
    "device_code-seconds": device_code(code="WDJB-MJHT", problem=CodeProblem.THROTTLED, retry_after=16),
    "device_code-moment": device_code(code="WDJB-MJHT", problem=CodeProblem.THROTTLED, retry_after=1),
    "device_code-stale": device_code(code="WDJB-MJHT", problem=CodeProblem.STALE),
    "device_done": device_done(Told.ALLOWED),
    "device_done-denied": device_done(Told.DENIED, brand=YELLOW, client=SCRIPT),
    "device_done-late": device_done(Told.LATE, brand=RTL_BRAND, client=ARABIC),
    "my_access": my_access(grants=GRANTS, sessions=SESSIONS),
    "my_access-spoken": my_access(
        grants=(GrantLine(id="gr_4", client="Budget Buddy", third_party=True, account=DEV, groups=(BANK, SPOKEN), since=NOW),),
        sessions=SESSIONS[:1],
    ),
    "my_access-empty": my_access(sessions=SESSIONS[:1], brand=LOGO, person=NAMELESS),
    "my_access-unused": my_access(grants=USED_GRANTS, sessions=SESSIONS[:1], done=Done.SHRUNK),
    "my_access-not-shrunk": my_access(grants=GRANTS[:1], done=Done.NOT_SHRUNK),
    "my_access-removed": my_access(grants=GRANTS[1:2], done=Done.REMOVED, brand=YELLOW),
    "my_access-ended": my_access(done=Done.SESSION_ENDED, sessions=SESSIONS[:2], brand=NAVY),
    "my_access-others": my_access(done=Done.OTHERS_ENDED, sessions=SESSIONS[:1], brand=WHITE),
    "my_access-hostile": my_access(
        grants=ODD_GRANTS,
        brand=LONG_BRAND,
        person=ENDLESS,
        sessions=(
            SessionLine(id=QUOTES, browser=SCRIPT, place=ARABIC, since=0, last_seen=0, current=True),
            SessionLine(id="se_9", browser=UNBROKEN, place=UNBROKEN, since=NOW, last_seen=NOW - 4000),
            SessionLine(id="se_8", browser="curl", place="", since=NOW, last_seen=NOW - 400),
        ),
    ),
    "confirm_sign_out": ConfirmSignOut(brand=ACME, form=FORM, person=OLIVIA, client="Budget Buddy"),
    "confirm_sign_out-here": ConfirmSignOut(brand=HOSTILE, form=FORM, person=ENDLESS),
    "signed_out": SignedOut(brand=ACME, sign_in="/-/sign-in"),
    "signed_out-return": SignedOut(brand=LOGO, sign_in="/-/sign-in", return_to="https://budget.example/bye", client="Budget Buddy"),
    "signed_out-unnamed": SignedOut(brand=RTL_BRAND, sign_in="/-/sign-in", return_to="https://budget.example/bye"),
    "signed_out-hostile": SignedOut(brand=HOSTILE, sign_in="/-/sign-in", return_to="javascript:alert(1)", client=SCRIPT),
    "home": Home(brand=ACME, sign_in="/-/sign-in", access_page="/-/access"),
    "home-manager": Home(brand=ACME, sign_in="/-/sign-in", access_page="/-/access", console="/-/console", sign_out=HERE, person=OLIVIA),
    "home-signed_in": Home(brand=YELLOW, sign_in="/-/sign-in", access_page="/-/access", sign_out=HERE, person=OLIVIA),
    "error": Error(
        brand=ACME,
        title="This app sent a return address that is not registered",
        sentence="The sign-in was stopped, because your answer could have gone to somebody else.",
        advice="Go back to the app and tell its makers about the incident below.",
        incident="3f9c-71aa-04de",
        code="invalid_request",
        detail="redirect_uri is none of those that this client registered.",
    ),
    "error-bare": Error(
        brand=None,
        title="Something went wrong",
        sentence="The fault is ours, and it is in our log.",
        advice="Please try again. If it stays, tell the people who run this service about the incident below.",
        incident="3f9c-71aa-04de",
    ),
    "error-hostile": Error(
        brand=HOSTILE, title=SCRIPT, sentence=UNBROKEN, advice=ARABIC, incident="3f9c-71aa-04de", code=UNBROKEN, detail=QUOTES
    ),
    "client_secret": client_secret(secrets=LIVE[:1]),
    "client_secret-two": client_secret(
        secrets=LIVE, refusal="budget-buddy has two live secrets already: cs_1 and cs_2; end one of them first"
    ),
    "client_secret-none": client_secret(brand=YELLOW),
    "client_secret-made": client_secret(made=TEXT, secrets=LIVE[1:]),
    "client_secret-readable": client_secret(
        brand=NAVY, readable=True, secrets=(READABLE,), reads=(SecretRead(who="Olivia Organizer", at=NOW), SecretRead(who="us_1", at=NOW))
    ),
    "client_secret-stale": client_secret(brand=LOGO, problem=SecretProblem.STALE, secrets=LIVE[:1]),
    "client_secret-used": client_secret(problem=SecretProblem.USED, secrets=LIVE[:1]),
    "client_secret-keyed": client_secret(has_secrets=False),
    "client_secret-hostile": client_secret(
        brand=LONG_BRAND,
        person=ENDLESS,
        client=SCRIPT,
        readable=True,
        made=QUOTES,
        refusal=OVERRIDE,
        secrets=(SecretLine(id=QUOTES, label=UNBROKEN, made=0, made_by=SCRIPT, ends=0, used=0, used_from=UNBROKEN, text=UNBROKEN),),
        reads=(SecretRead(who=ARABIC, at=0), SecretRead(who=UNBROKEN, at=0)),
    ),
    "consent-app": consent(client="Weekly Report", app=CARD, groups=(REASONED,), openid=openid_lines(("openid",))),
    "consent-again": consent(
        brand=YELLOW,
        client="Weekly Report",
        app=AppCard(description="A summary of the week", again=True),
        groups=(REASONED,),
        openid=(),
        returns_to="https://weekly-report.example/installed/from/the/shop",
    ),
    "consent-app-hostile": consent(brand=HOSTILE, client=SCRIPT, app=ODD_CARD, groups=(ODD_REASONS,), account=ODD, openid=()),
    "popup-consent": consent(client="Weekly Report", app=CARD, groups=(REASONED,), openid=(), popup=True),
    "popup-consent-long": consent(brand=LONG_BRAND, client=UNBROKEN, app=ODD_CARD, groups=(ODD_REASONS, *MANY[:1]), popup=True),
    "popup-sign_in": SignIn(brand=ACME, form=FORM, client="Weekly Report", popup=True),
    "popup-account_picker": AccountPicker(
        brand=LOGO,
        form=FORM,
        client="Weekly Report",
        person=OLIVIA,
        accounts=(AccountChoice(value="ac_1", account=DEV, roles=("Organizer",)), AccountChoice(value="ac_2", account=PROD)),
        popup=True,
    ),
    "message": Message(
        brand=ACME,
        client="Weekly Report",
        origin="https://weekly-report.example",
        fields=(("code", "gwc_x"), ("state", QUOTES), ("iss", "i")),
        target="https://weekly-report.example/installed?code=gwc_x",
        popup=True,
    ),
    "no_app": NoApp(brand=ACME),
    "no_app-withdrawn": NoApp(brand=LONG_BRAND, app=UNBROKEN),
    "install": Install(
        brand=ACME,
        form=FORM,
        app="Weekly Report",
        card=CARD,
        person=OLIVIA,
        accounts=(AccountChoice(value="ac_1", account=DEV, roles=("Organizer",)), AccountChoice(value="ac_2", account=PROD)),
        chosen="ac_2",
    ),
    "install-one": Install(
        brand=YELLOW, form=FORM, app="Notes", card=CARD, person=NAMELESS, accounts=(AccountChoice(value="ac_1", account=DEV),)
    ),
    "install-none": Install(brand=NAVY, form=FORM, app="Notes", card=CARD, person=OLIVIA, accounts=()),
    "install-hostile": Install(
        brand=HOSTILE,
        form=FORM,
        app=SCRIPT,
        card=ODD_CARD,
        person=ENDLESS,
        accounts=(AccountChoice(value=QUOTES, account=ODD), AccountChoice(value="ac_2", account=PROD)),
        chosen=QUOTES,
    ),
    "installed": Installed(brand=ACME, app="Notes", account=DEV, opens="https://notes.example/", access_page="/-/access"),
    "installed-nowhere": Installed(brand=LONG_BRAND, app=UNBROKEN, account=ODD, opens="javascript:alert(1)", access_page="/-/access"),
    "uninstall": uninstall(),
    "uninstall-plain": uninstall(cleanup=(), brand=YELLOW),
    "uninstall-hostile": uninstall(
        brand=HOSTILE, app=SCRIPT, account=ODD, acts_for=QUOTES, cleanup=(SCRIPT, OVERRIDE, LONG), install=QUOTES
    ),
    "update": update(),
    "update-missing": update(missing=("Create events",), groups=(), brand=YELLOW),
    "update-hostile": update(
        brand=HOSTILE,
        app=SCRIPT,
        account=ODD,
        acts_for=UNBROKEN,
        groups=(ODD_REASONS,),
        left_out=(SCRIPT, ARABIC),
        openid=openid_lines(("email",)),
    ),
    "my_access-installs": my_access(
        grants=GRANTS[:1], installs=INSTALLS, sessions=SESSIONS[:1], administers=(("Acme (Dev)", "/-/account-apps?account=acme-dev"),)
    ),
    "my_access-uninstalled": my_access(done=Done.UNINSTALLED, installs=INSTALLS[2:3], sessions=SESSIONS[:1], brand=NAVY),
    "my_access-updated": my_access(done=Done.UPDATED, installs=INSTALLS[2:3], sessions=SESSIONS[:1]),
    "my_access-installs-hostile": my_access(
        brand=HOSTILE, person=ENDLESS, installs=ODD_INSTALLS, administers=((UNBROKEN, "/-/account-apps?account=x"),), sessions=SESSIONS[:1]
    ),
    "account_apps": account_apps(
        installs=(
            AccountInstall(line=INSTALLS[1], installer="organizer@acme.test", acts_for="organizer@acme.test", service_user=False),
            AccountInstall(line=INSTALLS[0], installer="organizer@acme.test", acts_for="copier@service.acme.test", service_user=True),
        )
    ),
    "account_apps-empty": account_apps(brand=YELLOW, robots=()),
    "account_apps-done": account_apps(brand=LOGO, done=Done.HANDED_OVER),
    "account_apps-removed": account_apps(brand=NAVY, done=Done.UNINSTALLED),
    "account_apps-updated": account_apps(done=Done.UPDATED),
    "account_apps-hostile": account_apps(
        brand=HOSTILE,
        person=ENDLESS,
        account=ODD,
        robots=((QUOTES, UNBROKEN),),
        refused="this app acts for that service user already",
        installs=tuple([AccountInstall(line=one, installer=UNBROKEN, acts_for=SCRIPT, service_user=False) for one in ODD_INSTALLS]),
    ),
    "decision": decision(),
    "decision-good": decision(
        brand=NAVY,
        good=True,
        cure="That would work now: make the call again, with a new access token.",
        scopes=(replace(BY_ROLE, now="granted", cure="", checks=tuple([replace(one, now="yes") for one in BY_ROLE.checks])),),
    ),
    "decision-limited": decision(brand=YELLOW, user=None, account=None, limited=True),
    "decision-over": decision(
        brand=LOGO,
        cause="grant_ended",
        found="The access that the app was given has ended.",
        cure="Send the user to the authorization page again.",
        token="Access token until revoked",
        expires_at=0,
        checks=(
            replace(PASSED[0], then="no", now="no", note="The user took the access back."),
            *[replace(one, then="nothing", now="nothing") for one in PASSED[1:]],
        ),
        scopes=(),
    ),
    "decision-hostile": decision(
        brand=LONG_BRAND,
        person=ENDLESS,
        app=SCRIPT,
        api=UNBROKEN,
        user=f"{UNBROKEN}@acme.test",
        account=ODD,
        cure=OVERRIDE,
        checks=(*PASSED, CheckLine(asks="Is the call about the account that the token is for?", then="no", now="nothing", note=UNBROKEN)),
        scopes=(replace(BY_ROLE, name=UNBROKEN, text=ARABIC, cure=SCRIPT), replace(BY_ROLE, name="", text="", cure=QUOTES)),
    ),
    "decision_too_old": DecisionTooOld(brand=ACME, decision="de_01h2v5c8n4k7e", at=NOW - 8 * 86400, days=7),
    "no_decision": NoDecision(brand=ACME, person=OLIVIA, sign_out=Form(action="/-/sign-out", csrf="csrf-token")),
    "no_decision-long": NoDecision(brand=RTL_BRAND, person=ENDLESS, sign_out=Form(action="/-/sign-out", csrf="csrf-token")),
    "expired": Expired(brand=ACME, client="Budget Buddy"),
    "expired-unknown": Expired(brand=NAVY),
    "denied": Denied(brand=ACME, client="Budget Buddy"),
    "denied-long": Denied(brand=LONG_BRAND, client=UNBROKEN),
    "api_reference": reference(ACME, "https://id.acme.test/-/api/v1", "/-/api/v1/openapi.json"),
    "api_reference-long": reference(LONG_BRAND, "https://" + "a" * 63 + ".example/-/api/v1", "/-/api/v1/openapi.json"),
    "form_post": FormPost(brand=ACME, target="/posted", client="Budget Buddy", fields=(("code", "gwc_x"), ("state", QUOTES), ("iss", "i"))),
    "code_by_hand": CodeByHand(brand=ACME, client="Acme demo", code=CODE, minutes=5),
    "code_by_hand-hostile": CodeByHand(brand=HOSTILE, client=SCRIPT, code=QUOTES, minutes=5),
    "code_by_hand-long": CodeByHand(brand=LONG_BRAND, client=LONG, code=CODE * 3, minutes=5),
    "form_post-shadowed": FormPost(brand=LONG_BRAND, target="/posted", client=LONG, fields=(("submit", "x"), ("action", "y"))),
}
