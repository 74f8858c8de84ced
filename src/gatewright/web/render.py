"""Views to pages: the templates, the static files under content-hash names, and each page's content security policy."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from gatewright.base import calendar
from gatewright.oauth.device import Told
from gatewright.web import app_views, console_views, decision_views, device_views, reference_views, views
from gatewright.web.brand import DEFAULT_COLOR, brand_css, is_color

_HERE: Final = Path(__file__).parent
STATIC_PATH: Final = "/-/static/"
BRAND_PATH: Final = "/-/brand.css"

TEMPLATES: Final[dict[type[views.Page], str]] = {
    views.SignIn: "sign_in.html",
    views.ContinueAs: "continue_as.html",
    views.AccountPicker: "account_picker.html",
    views.Consent: "consent.html",
    views.MyAccess: "my_access.html",
    views.ConfirmSignOut: "confirm_sign_out.html",
    views.SignedOut: "signed_out.html",
    views.Home: "home.html",
    views.ClientSecret: "client_secret.html",
    views.Error: "error.html",
    views.Expired: "expired.html",
    views.Denied: "denied.html",
    views.FormPost: "form_post.html",
    reference_views.ApiReference: "api_reference.html",
    views.CodeByHand: "code_by_hand.html",
    views.Message: "message.html",
    app_views.Install: "install.html",
    app_views.Installed: "installed.html",
    app_views.NoApp: "no_app.html",
    app_views.Update: "update.html",
    app_views.Uninstall: "uninstall.html",
    app_views.AccountApps: "account_apps.html",
    decision_views.Decision: "decision.html",
    decision_views.DecisionTooOld: "decision_too_old.html",
    decision_views.NoDecision: "no_decision.html",
    device_views.DeviceCode: "device_code.html",
    device_views.DeviceDone: "device_done.html",
    console_views.Start: "console/start.html",
    console_views.Refusal: "console/refusal.html",
    console_views.Apis: "console/apis.html",
    console_views.Api: "console/api.html",
    console_views.Clients: "console/clients.html",
    console_views.Client: "console/client.html",
    console_views.Secrets: "console/secrets.html",
    console_views.Access: "console/access.html",
    console_views.Grant: "console/grant.html",
    console_views.EndGrant: "console/end_grant.html",
    console_views.Refusals: "console/refusals.html",
    console_views.AuditLog: "console/log.html",
}

_CONTENT_TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

# A form field may be called "submit" and would then hide the form's own method, hence the prototype's.
FORM_POST_SCRIPT: Final = "HTMLFormElement.prototype.submit.call(document.forms[0])"
# The button appears only where it can do what it says.
COPY_SCRIPT: Final = (
    "if(navigator.clipboard){const b=document.getElementById('copy'),s=document.getElementById('copied');b.hidden=false;"
    "b.addEventListener('click',()=>navigator.clipboard.writeText(document.getElementById('code').value)"
    ".then(()=>{s.textContent='The code is copied.'},()=>{s.textContent='Select the code and copy it yourself.'}))}"
)
# The window that asked is told, if it shows the one origin that is named; without it, the answer goes where it would else have gone.
MESSAGE_SCRIPT: Final = (
    "(()=>{const box=document.getElementById('answer'),told={};"
    "for(const field of box.querySelectorAll('input'))told[field.name]=field.value;"
    "if(window.opener){window.opener.postMessage({type:'authorization_response',response:told},box.dataset.origin);window.close()}"
    "else location.replace(box.querySelector('a').href)})()"
)
# A click that was meant for the page behind must not fall on the button (double-click jacking, `security-rules` 44).
WAKE_SCRIPT: Final = (
    "(()=>{const button=document.querySelector('.allow');let timer;"
    "const sleep=()=>{clearTimeout(timer);button.disabled=true};"
    "const wake=()=>{sleep();timer=setTimeout(()=>{button.disabled=false},500)};"
    "addEventListener('focus',wake);addEventListener('blur',sleep);if(document.hasFocus())wake();else sleep()})()"
)


def _source(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


FORM_POST_HASH: Final = _source(FORM_POST_SCRIPT)
COPY_HASH: Final = _source(COPY_SCRIPT)
MESSAGE_HASH: Final = _source(MESSAGE_SCRIPT)
WAKE_HASH: Final = _source(WAKE_SCRIPT)

# Buttons that need script are hidden without it: the text can be copied by hand. A file is made here, so that no address holds a secret.
SECRET_SCRIPT: Final = """for (const button of document.querySelectorAll('button[data-of]')) {
    const field = document.getElementById(button.dataset.of)
    button.hidden = false
    button.addEventListener('click', async () => {
        if (button.dataset.file) {
            const link = document.createElement('a')
            link.href = URL.createObjectURL(new Blob([button.dataset.head + field.value + '\\n'], {type: 'text/plain'}))
            link.download = button.dataset.file
            link.click()
            URL.revokeObjectURL(link.href)
        } else {
            field.select()
            await navigator.clipboard.writeText(field.value).catch(() => document.execCommand('copy'))
        }
        document.getElementById('told').textContent = button.dataset.told
    })
}"""
SECRET_HASH: Final = _source(SECRET_SCRIPT)


# ---------------------------------------------------------------- static files


@cache
def _statics() -> dict[str, tuple[str, bytes, str]]:
    """Plain name → hashed name, content, content type. The default brand goes in front, for pages that have no tenant."""
    found: dict[str, tuple[str, bytes, str]] = {}
    for path in sorted((_HERE / "static").iterdir()):
        if (kind := _CONTENT_TYPES.get(path.suffix)) is None:
            continue
        content = path.read_bytes()
        if path.name == "style.css":
            content = brand_css(DEFAULT_COLOR).encode() + content
        found[path.name] = (f"{path.stem}.{sha256(content).hexdigest()[:16]}{path.suffix}", content, kind)
    return found


def asset(name: str) -> str:
    """The path of a static file; it changes with the content, so it may be cached for ever."""
    return STATIC_PATH + _statics()[name][0]


def static_file(name: str) -> tuple[bytes, str] | None:
    """Content and content type of a static file by its hashed name, or None."""
    return _served().get(name)


@cache
def _served() -> dict[str, tuple[bytes, str]]:
    return {hashed: (content, kind) for hashed, content, kind in _statics().values()}


# ---------------------------------------------------------------- filters


def _brand_path(brand: views.Brand) -> str:
    """The colour is the version: the route answers with the tenant's own, and may let it be cached as long as it likes."""
    color = brand.color if brand.color is not None and is_color(brand.color) else DEFAULT_COLOR
    return f"{BRAND_PATH}?{color[1:].lower()}"


def _initial(name: str) -> str:
    return next((letter.upper() for letter in name if letter.isalnum()), "·")


_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _visible(text: str) -> str:
    """Foreign text without control characters, above all those that turn its letters round (Unicode TR #36 §2.5)."""
    return _UNSEEN.sub("", text)


def _isolated(text: str) -> str:
    """Foreign text where no element can hold it: its writing direction ends with it (Unicode UAX #9, FSI and PDI)."""
    return f"\u2068{text}\u2069"


def _is_web(url: str | None) -> bool:
    return url is not None and url.startswith(("https://", "http://"))


def _is_untickable(groups: tuple[views.ScopeGroup, ...]) -> bool:
    return any(scope.optional for group in groups for scope in group.scopes)


_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _day(epoch: int) -> str:
    year, month, number = calendar.date(epoch)
    return f"{number} {_MONTHS[month - 1]} {year}"


def _minute(epoch: int) -> str:
    rest = epoch % 86400
    return f"{_day(epoch)}, {rest // 3600:02d}:{rest // 60 % 60:02d} UTC"


# ---------------------------------------------------------------- templates


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(
        brand_path=_brand_path,
        initial=_initial,
        visible=_visible,
        isolated=_isolated,
        iso_day=calendar.day,
        day=_day,
        minute=_minute,
        stamp=calendar.stamp,
    )
    environment.tests.update(web=_is_web, untickable=_is_untickable)
    environment.globals.update(
        STYLE=asset("style.css"),
        CONSOLE_STYLE=asset("console.css"),
        ICON=asset("icon.svg"),
        FORM_POST_SCRIPT=FORM_POST_SCRIPT,
        COPY_SCRIPT=COPY_SCRIPT,
        SECRET_SCRIPT=SECRET_SCRIPT,
        MESSAGE_SCRIPT=MESSAGE_SCRIPT,
        WAKE_SCRIPT=WAKE_SCRIPT,
        Choice=views.Choice,
        EndProblem=console_views.EndProblem,
        SecretsProblem=console_views.SecretsProblem,
        Problem=views.SignInProblem,
        SecretProblem=views.SecretProblem,
        Done=views.Done,
        CodeProblem=device_views.CodeProblem,
        Told=Told,
        InstallState=views.InstallState,
    )
    return environment


@cache
def _template(kind: type[views.Page]) -> Template:
    return _environment().get_template(TEMPLATES[kind])


def warm() -> None:
    """Compile all templates; without it each page's first visitor waits some milliseconds for that."""
    for kind in TEMPLATES:
        _template(kind)


def render(view: views.Page) -> bytes:
    """The page as UTF-8. A lone surrogate, which no decoder of ours lets in, would become a question mark."""
    return _template(type(view)).render(view=view).encode("utf-8", "replace")


# ---------------------------------------------------------------- content security policy

_ORIGIN: Final = re.compile(r"https?://[a-z0-9._-]+(?::[0-9]{1,5})?", re.ASCII)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)


def csp_source(redirect_uri: str) -> str:
    """What `form-action` must name so that a form may end there: the origin, or the scheme (`security-rules` 53).

    CSP 3 §2.3.1 has no IPv6 literals, so of those the scheme is named as well.
    """
    parts = urlsplit(redirect_uri)
    if not _SCHEME.fullmatch(parts.scheme):
        raise ValueError("a redirect URI begins with a scheme")
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
    return origin if _ORIGIN.fullmatch(origin) else f"{parts.scheme}:"


def page_csp(*redirect_uris: str, script: str = "") -> str:
    """The policy of a page; on pages of a running request name the checked redirect URI and the client's further hops.

    `script` is the hash of its one script.
    """
    actions = " ".join(dict.fromkeys(("'self'", *map(csp_source, redirect_uris))))
    scripts = f"; script-src {script}" if script else ""
    return f"{_BASE_CSP}{scripts}; form-action {actions}"


def form_post_csp(target: str) -> str:
    """The policy of a `FormPost` page: one target, and the one script by its hash."""
    return f"{_BASE_CSP}; script-src {FORM_POST_HASH}; form-action {csp_source(target)}"


def code_csp() -> str:
    """The policy of a `CodeByHand` page: the one script by its hash, and no form."""
    return f"{_BASE_CSP}; script-src {COPY_HASH}; form-action 'none'"


_BASE_CSP: Final = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
