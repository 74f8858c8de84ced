"""The console's pages with realistic and hostile views, for the gallery and the browser tests."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gatewright.management.revocation import RevocationRecord
from gatewright.web import console_views as c
from gatewright.web.console.revocation import shown
from gatewright.web.decision_views import CheckLine
from gatewright.web.views import Brand, Form, Page, Person, ScopeUsed

NOW: Final = 1_795_242_600
DAY: Final = 86_400
SCRIPT: Final = "<script>document.title='owned'</script>"
QUOTES: Final = "\"><img src=x onerror=alert(1)>' autofocus onfocus='alert(1)"
UNBROKEN: Final = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
ARABIC: Final = "مدير الميزانية المنزلية"

ACME: Final = Brand(name="Acme", color="#0b6e4f", terms="https://acme.test/terms", privacy="https://acme.test/privacy")
YELLOW: Final = Brand(name="Sonnenblume Bank", color="#ffd60a")
LONG_BRAND: Final = Brand(name=UNBROKEN, color="#7a1fa2")
SIGN_OUT: Final = Form(action="/-/sign-out", csrf="csrf-token")
ROOMS: Final = (
    ("Overview", "/-/console"),
    ("APIs", "/-/console/apis"),
    ("Clients", "/-/console/clients"),
    ("Access", "/-/console/access"),
    ("Refusals", "/-/console/refusals"),
    ("Audit log", "/-/console/log"),
)
ENDLESS: Final = Person(name=UNBROKEN, email=f"{UNBROKEN.lower()}@acme.test")


def frame(here: str, *crumbs: c.Crumb, person: Person | None = None) -> c.Frame:
    """What is around a page of a room."""
    rooms = tuple([c.RoomLink(name=name, path=path, here=name == here) for name, path in ROOMS])
    who = person or Person(name="Mara Manager", email="manager@acme.test")
    return c.Frame(person=who, sign_out=SIGN_OUT, here=dict(ROOMS)[here], rooms=rooms, crumbs=crumbs)


def below(here: str, *crumbs: c.Crumb) -> c.Frame:
    """What is around a page below that of a room."""
    return frame(here, c.Crumb(name=here, path=dict(ROOMS)[here]), *crumbs)


def bites(*, kept: str | None = None, alone: str | None = None, followed_at: str | None = None, form: str = "jwt") -> c.Revocation:
    """How soon a revocation bites."""
    has = alone is not None
    record = RevocationRecord(
        api="ap_1",
        introspected="5s",
        kept=kept,
        followed="1s" if has else None,
        unheard="15s" if has else None,
        alone=alone,
        followed_at=followed_at,
    )
    return shown(record, form, NOW)


NEVER_FOLLOWED: Final = bites(alone="15m", kept="5s")
FOLLOWED: Final = bites(alone="15m", followed_at="2026-11-21T06:29:50Z")
FOLLOWED_ONCE: Final = bites(alone="1h", followed_at="2026-11-20T06:29:50Z")
LEFT_JWTS: Final = bites(alone="873s", form="opaque")
OPAQUE: Final = bites(kept="0s", form="opaque")

EVENTS: Final = c.Api(
    brand=ACME,
    frame=below("APIs"),
    id="ap_05b18fb5x2xsz",
    name="Acme Events",
    audience="https://events.acme.test",
    disabled=False,
    token="JWT (ES256), for 15 minutes",
    roles="required",
    told_roles=False,
    reports_use=True,
    kept_for="5 seconds",
    revocation=NEVER_FOLLOWED,
    scopes=(
        c.ApiScope(name="create:events", text="Create events", implies=("view:events",)),
        c.ApiScope(name="delete:events", text="Delete events for good", high_risk=True, tenant_wide=True),
        c.ApiScope(name="view:events", text="See events", aliases=("read:events", "events"), retires=NOW + 90 * DAY),
        c.ApiScope(name="list:events", text="List events", retired=True),
    ),
    paging=c.Paging(following="/-/console/apis/ap_05b18fb5x2xsz?after=sc_1", first="/-/console/apis/ap_05b18fb5x2xsz"),
    secrets=(
        c.KeptSecret(id="cs_05b18fb5x2xt2", label="platform file", made=NOW - 90 * DAY, made_by="the operator"),
        c.KeptSecret(id="cs_05b18fb5x2xt3", label="", made=NOW - DAY, made_by="us_05b18fb5x2xw4", ends=NOW + 6 * DAY),
    ),
    secrets_path="/-/console/apis/ap_05b18fb5x2xsz/secrets",
    routes=(
        c.RouteLine(path="/health", methods="GET", public=True),
        c.RouteLine(path="/{account}/events", methods="GET, HEAD", scopes=("view:events",), account_in="account"),
        c.RouteLine(path="/{account}/*", methods="any method", host="events.acme.test", any_of=("create:events", "delete:events")),
        c.RouteLine(path="/me", methods="GET"),
    ),
)
HOSTILE_API: Final = replace(
    EVENTS,
    brand=LONG_BRAND,
    frame=frame("APIs", c.Crumb(name=UNBROKEN, path="/-/console/apis"), person=ENDLESS),
    name=SCRIPT,
    audience=f"https://{UNBROKEN.lower()}.test/{QUOTES}",
    disabled=True,
    revocation=FOLLOWED_ONCE,
    scopes=(c.ApiScope(name=UNBROKEN, text=SCRIPT, high_risk=True, aliases=(QUOTES,)), c.ApiScope(name=ARABIC, text=ARABIC)),
    secrets=(c.KeptSecret(id="cs_05b18fb5x2xt2", label=SCRIPT, made=NOW, made_by=UNBROKEN, used=NOW, used_from=QUOTES),),
    routes=(c.RouteLine(path=f"/{UNBROKEN}", methods="GET", scopes=(UNBROKEN, SCRIPT)),),
)


def line(name: str, worst: str, *, alone: bool = False, disabled: bool = False) -> c.ApiLine:
    """An API in the list."""
    return c.ApiLine(
        path="/-/console/apis/ap_05b18fb5x2xsz",
        name=name,
        audience=f"https://{name.lower().replace(' ', '-')}.acme.test",
        token="JWT (ES256), for 15 minutes" if alone else "Opaque, for 2 hours",
        scopes=4 if alone else 1,
        worst=worst,
        alone=alone,
        disabled=disabled,
    )


CLIENT: Final = c.Client(
    brand=ACME,
    frame=below("Clients"),
    name="Budget Buddy",
    client_id="budget-buddy",
    type="Web",
    party="Third-party",
    disabled=False,
    made=NOW - 90 * DAY,
    changed=NOW - DAY,
    used=NOW - 60,
    weaknesses=(c.Weakness(word="pkce_optional", means="It may leave out PKCE."),),
    groups=(
        c.FactGroup(
            name="What it may ask for",
            facts=(
                c.Fact(name="Grant types", values=("authorization_code", "refresh_token"), code=True),
                c.Fact(name="Scopes", values=("openid", "read:balance"), code=True),
            ),
        ),
        c.FactGroup(name="Empty", facts=()),
        c.FactGroup(name="How long, and whose", facts=(c.Fact(name="Owner", values=("The platform",)),)),
    ),
    has_secrets=True,
    secrets=(
        c.KeptSecret(
            id="cs_1",
            label="server in Oslo",
            made=NOW - DAY,
            made_by="the operator",
            used=NOW - 60,
            used_from="203.0.113.7",
            ends=NOW + DAY,
        ),
    ),
    secrets_path="/-/console/clients/budget-buddy/secrets",
    access_path="/-/console/access?client=budget-buddy",
)
SECRETS: Final = c.Secrets(
    brand=ACME,
    frame=below("APIs", c.Crumb(name="Acme Events", path="/-/console/apis/ap_05b18fb5x2xsz")),
    form=Form(action="/-/console/apis/ap_05b18fb5x2xsz/secrets", csrf="csrf-token", step='"tag"'),
    name="Acme Events",
    known_as="ap_05b18fb5x2xsz",
    secrets=EVENTS.secrets,
    overlaps=("7d", "1d"),
    back="/-/console/apis/ap_05b18fb5x2xsz",
)


def client_line(name: str, **changed: object) -> c.ClientLine:
    """A client in the list, except for what is named."""
    fields: dict[str, object] = {
        "path": "/-/console/clients/budget-buddy",
        "name": name,
        "client_id": "budget-buddy",
        "type": "Web",
        "party": "Third-party",
        "disabled": False,
        "weaknesses": 0,
        "used": NOW - DAY,
    }
    return c.ClientLine(**(fields | changed))  # type: ignore[arg-type]  # a sample's fields are as they stand above


FACTS: Final = c.GrantFacts(
    id="gr_05b194yx1459w",
    client="budget-buddy",
    user="organizer@acme.test",
    account="acme-dev",
    source="The user said yes",
    made=NOW - 30 * DAY,
    changed=NOW - DAY,
    ends=NOW + 335 * DAY,
    scopes=(
        c.GivenScope(name="openid", used=ScopeUsed(use="unknown")),
        c.GivenScope(name="read:balance", used=ScopeUsed(use="used", last=NOW - DAY, since=NOW - 300 * DAY)),
        c.GivenScope(name="transfer:funds", used=ScopeUsed(use="never", since=NOW - 300 * DAY)),
    ),
    declined=("read:statements",),
)
HOSTILE_FACTS: Final = replace(
    FACTS,
    client=SCRIPT,
    user=f"{UNBROKEN.lower()}@acme.test",
    account="a" * 63,
    scopes=tuple([c.GivenScope(name=name, used=ScopeUsed(use="unknown")) for name in (UNBROKEN, QUOTES, ARABIC)]),
)
SERVICE_FACTS: Final = replace(FACTS, client="image-copier", user="", account="", ends=None, changed=FACTS.made, declined=())


def given(client: str, **changed: object) -> c.GivenLine:
    """A grant in the list, except for what is named."""
    fields: dict[str, object] = {
        "path": "/-/console/access/gr_05b194yx1459w",
        "client": client,
        "user": "organizer@acme.test",
        "account": "acme-dev",
        "scopes": 4,
        "since": NOW - DAY,
    }
    return c.GivenLine(**(fields | changed))  # type: ignore[arg-type]  # a sample's fields are as they stand above


CHECKS: Final = (
    CheckLine(asks="Is the token alive?", then="yes", now="no", note="It expired."),
    CheckLine(asks="Does a role of the user hold the scope in the account?", then="no", now="no", note=f"Roles now: {UNBROKEN}."),
    CheckLine(asks="Did the user agree to the scope?", then="nothing", now="nothing"),
)
FOUND: Final = c.Found(
    decision="de_01h2v5c8n4k7e",
    at=NOW - 900,
    found="The user has no role with the scope that was needed.",
    cure="An account admin can give the user a role that holds it: Organizer.",
    good=False,
    facts=(
        c.Fact(name="Client", values=("budget-buddy",), code=True, path="/-/console/clients/budget-buddy"),
        c.Fact(name="User", values=("organizer@acme.test",)),
    ),
    checks=CHECKS,
    scopes=(
        c.JudgedScope(name="create:events", cure="Another sentence.", checks=CHECKS),
        c.JudgedScope(name="", cure="", checks=CHECKS),
    ),
)


def entry(act: str, subject: str, **changed: object) -> c.LogLine:
    """An entry of the audit log, except for what is named."""
    fields: dict[str, object] = {"id": "au_1", "at": NOW - 60, "act": act, "actor": "manager@acme.test", "subject": subject}
    fields |= {"by_path": "/-/console/log?actor=us_05b18fb5x2xw4", "path": "/-/console/log?subject=x"}
    return c.LogLine(**(fields | changed))  # type: ignore[arg-type]  # a sample's fields are as they stand above


ENTRIES: Final = (
    entry("grant.ended", "gr_05b194yx1459w", address="203.0.113.7", detail=(c.LogDetail(name="because", text="by_admin"),)),
    entry("client.made", "budget-buddy", path="/-/console/clients/budget-buddy", actor="the operator"),
    entry("sign_in.failed", SCRIPT, client=QUOTES, actor="", address="2001:db8::1"),
    entry("api.changed", UNBROKEN, path="/-/console/apis/ap_1", detail=(c.LogDetail(name=UNBROKEN, text=UNBROKEN),)),
)
COUNTS: Final = tuple(
    [
        c.Count(number=number, name=name)
        for number, name in (("4", "APIs"), ("175", "scopes"), ("10,000+", "clients"), ("1", "role"), ("10,000+", "live grants"))
    ]
)
CARDS: Final = tuple([c.Card(name=name, path=path, about="What there is in this room, in a sentence.") for name, path in ROOMS[1:]])
USES: Final = (
    c.WeaknessUsed(
        weakness="password_grant",
        means="It shows the passwords of service users.",
        client="nightly",
        path="/-/console/clients/nightly",
        user="copier@service.acme.test",
        last=NOW - DAY,
        until=NOW + 120 * DAY,
    ),
    c.WeaknessUsed(weakness="out_of_band", means="", client=UNBROKEN, path=f"/-/console/clients/{UNBROKEN}", user=UNBROKEN, last=NOW),
)

CONSOLE: Final[dict[str, Page]] = {
    "console": c.Start(
        brand=ACME,
        frame=frame("Overview"),
        counts=COUNTS,
        rooms=CARDS,
        alone=(
            c.Card(name="Acme Events", path="/-/console/apis/ap_1", about="15 minutes 10 seconds"),
            c.Card(name=UNBROKEN, path="/-/console/apis/ap_2", about="1 hour 10 seconds"),
        ),
        uses=USES,
        sees_uses=True,
    ),
    "console-little": c.Start(brand=YELLOW, frame=frame("Overview"), rooms=CARDS[:1], sees_uses=True),
    "console-no_room": c.Start(brand=None, frame=frame("Overview")),
    "console-apis": c.Apis(
        brand=ACME,
        frame=frame("APIs"),
        apis=(
            line("Acme Bank", "5 seconds"),
            line("Acme Events", "15 minutes 10 seconds", alone=True),
            replace(line("Acme Imaging", "15 seconds"), follows=True),
            line(UNBROKEN, "at once", disabled=True),
        ),
        paging=c.Paging(following="/-/console/apis?after=ap_1"),
    ),
    "console-no_apis": c.Apis(brand=ACME, frame=frame("APIs"), apis=()),
    "console-api": EVENTS,
    "console-api-followed": replace(EVENTS, revocation=FOLLOWED, routes=(), secrets=(), scopes=(), paging=c.Paging()),
    "console-api-opaque": replace(EVENTS, name="Acme Bank", revocation=OPAQUE, token="Opaque, for 2 hours", roles="off", told_roles=True),
    "console-api-left_jwts": replace(EVENTS, revocation=LEFT_JWTS, kept_for="at once"),
    "console-api-hostile": HOSTILE_API,
    "console-clients": c.Clients(
        brand=ACME,
        frame=frame("Clients"),
        clients=(
            client_line("Budget Buddy", weaknesses=1),
            client_line("Acme Events", party="First-party", used=None),
            client_line(UNBROKEN, client_id=UNBROKEN, disabled=True, weaknesses=2),
            client_line(SCRIPT, client_id=QUOTES),
        ),
        paging=c.Paging(following="/-/console/clients?after=x", first="/-/console/clients"),
    ),
    "console-no_clients": c.Clients(brand=ACME, frame=frame("Clients"), clients=(), status="disabled"),
    "console-clients-wrong": c.Clients(brand=ACME, frame=frame("Clients"), clients=(), problem="Status: a text of this form is expected."),
    "console-client": CLIENT,
    "console-client-hostile": replace(
        CLIENT,
        frame=below("Clients"),
        name=SCRIPT,
        client_id=UNBROKEN,
        disabled=True,
        used=None,
        changed=CLIENT.made,
        groups=(c.FactGroup(name="Where answers go", facts=(c.Fact(name="Redirect addresses", values=(UNBROKEN, QUOTES), code=True),)),),
        secrets=(),
        secrets_path="",
        access_path="",
    ),
    "console-secrets": SECRETS,
    "console-secrets-of_client": replace(SECRETS, frame=below("Clients"), secrets=CLIENT.secrets),
    "console-secrets-made": replace(SECRETS, made="gwp_" + "Ab0_" * 11),
    "console-secrets-none": replace(SECRETS, secrets=(), refusal="Two secrets are live already; end one first."),
    "console-secrets-hostile": replace(
        SECRETS,
        name=SCRIPT,
        known_as=UNBROKEN,
        secrets=HOSTILE_API.secrets,
        problem=c.SecretsProblem.CHANGED,
    ),
    "console-secrets-stale": replace(SECRETS, brand=YELLOW, problem=c.SecretsProblem.STALE),
    "console-access": c.Access(
        brand=ACME,
        frame=frame("Access"),
        grants=(
            given("budget-buddy"),
            given("image-copier", user="", account="", scopes=1),
            given(UNBROKEN, user=UNBROKEN, ends=NOW + DAY),
        ),
        user="organizer@acme.test",
        ended=True,
        apis_path="/-/console/apis",
        paging=c.Paging(following="/-/console/access?user=x&after=gr_1"),
    ),
    "console-access-none": c.Access(brand=ACME, frame=frame("Access"), grants=()),
    "console-access-no_such": c.Access(brand=ACME, frame=frame("Access"), grants=(), client="x"),
    "console-access-wrong": c.Access(brand=ACME, frame=frame("Access"), grants=(), user=QUOTES, problem=f"There is no user {QUOTES}."),
    "console-grant": c.Grant(
        brand=ACME,
        frame=below("Access"),
        grant=FACTS,
        client_path="/-/console/clients/budget-buddy",
        end_path="/-/console/access/gr_05b194yx1459w/end",
    ),
    "console-grant-hostile": c.Grant(brand=LONG_BRAND, frame=below("Access"), grant=HOSTILE_FACTS, client_path="", end_path=""),
    "console-grant-service": c.Grant(brand=ACME, frame=below("Access"), grant=SERVICE_FACTS, client_path="", end_path=""),
    "console-end_grant": c.EndGrant(
        brand=ACME,
        frame=below("Access", c.Crumb(name="budget-buddy", path="/-/console/access/gr_05b194yx1459w")),
        form=Form(action="/-/console/access/gr_05b194yx1459w/end", csrf="csrf-token", step='"etag"'),
        grant=FACTS,
        afterwards="The user may allow the client again when it asks.",
        back="/-/console/access/gr_05b194yx1459w",
        apis=(
            c.ApiTime(name="Acme Bank", path="/-/console/apis/ap_1", worst="5 seconds", alone=False),
            c.ApiTime(name="Acme Events", path="/-/console/apis/ap_2", worst="15 minutes 10 seconds", alone=True),
        ),
    ),
    "console-end_grant-changed": c.EndGrant(
        brand=YELLOW,
        frame=below("Access", c.Crumb(name=UNBROKEN, path="/-/console/access/gr_05b194yx1459w")),
        form=Form(action="/-/console/access/gr_05b194yx1459w/end", csrf="csrf-token", step='"etag"'),
        grant=HOSTILE_FACTS,
        afterwards="",
        back="/-/console/access/gr_05b194yx1459w",
        apis=(c.ApiTime(name=UNBROKEN, path="/-/console/apis/ap_1", worst="15 seconds", alone=False, follows=True),),
        problem=c.EndProblem.CHANGED,
    ),
    "console-refusals": c.Refusals(brand=ACME, frame=frame("Refusals")),
    "console-refusals-found": c.Refusals(brand=ACME, frame=frame("Refusals"), link="https://id.acme.test/-/decision/UQFIiY", found=FOUND),
    "console-refusals-good": c.Refusals(
        brand=ACME, frame=frame("Refusals"), link="x", found=replace(FOUND, good=True, cure="That would work now.")
    ),
    "console-refusals-none": c.Refusals(brand=ACME, frame=frame("Refusals"), link=QUOTES, problem="There is no such decision here."),
    "console-log": c.AuditLog(
        brand=ACME,
        frame=frame("Audit log"),
        entries=ENTRIES,
        acts=("client.made", "grant.ended"),
        filters=c.LogFilters(act="grant.ended", since="2026-11-01", until="2026-11-30"),
        paging=c.Paging(following="/-/console/log?after=au_1", first="/-/console/log"),
    ),
    "console-log-none": c.AuditLog(
        brand=ACME,
        frame=frame("Audit log"),
        entries=(),
        acts=("grant.ended",),
        filters=c.LogFilters(actor=QUOTES),
    ),
    "console-log-wrong": c.AuditLog(
        brand=ACME, frame=frame("Audit log"), entries=(), acts=(), problem="Since: there is no such day; write it like 2026-11-21."
    ),
    "console-refusal": c.Refusal(
        brand=ACME,
        frame=frame("APIs"),
        title="There is no such thing here",
        sentences=(f"There is no API {UNBROKEN}.",),
        back=c.Crumb(name="APIs", path="/-/console/apis"),
        onward=c.Crumb(name="What the audit log has of it", path="/-/console/log?subject=x"),
    ),
    "console-closed": c.Refusal(
        brand=ACME,
        frame=replace(frame("Audit log"), rooms=()),
        title="The console is not open to you",
        sentences=("You are signed in as organizer@acme.test.", "Whoever manages the platform can give you a role that does."),
    ),
    "console-closed-room": c.Refusal(
        brand=ACME,
        frame=frame("Audit log"),
        title="This room is not open to you",
        sentences=("None of your roles holds the scope that it needs.",),
        scope="gw:audit:read",
    ),
}
