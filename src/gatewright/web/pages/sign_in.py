"""Name and password (OpenID Connect Core §3.1.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.secret import Secret
from gatewright.oauth.authorize import look
from gatewright.oauth.next_step import SignIn, Situation, next_step
from gatewright.oauth.request import Progress
from gatewright.signin.by_password import Attempt, Mismatch, PasswordDoor, Wait
from gatewright.web import cookies, views
from gatewright.web.cookies import Cookie
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go
from gatewright.web.pages.running import (
    ACCESS,
    Running,
    again,
    begin,
    ends_at,
    expired,
    move_on,
    open_running,
    say_no,
    visitor_in,
    with_session,
)
from gatewright.web.views import Choice, SignInProblem

if TYPE_CHECKING:
    from gatewright.oauth.visit import Visitor
    from gatewright.signin.by_password import SignedIn

PATH: Final = "/-/sign-in"
DEVICE_SECONDS: Final = 365 * 86_400
_STATUS: Final = {SignInProblem.THROTTLED: 429, SignInProblem.BUSY: 503}


async def visit(page: PageAsk, house: House) -> PageReply:
    """Begin a sign-in that no client asked for; it leads to the user's own page."""
    return await visiting_to(page, house, ACCESS)


async def visiting_to(page: PageAsk, house: House, visit: str) -> PageReply:
    """Begin a sign-in that leads to a page of ours."""
    return await begin(page, house, visit=visit) or go("/")


async def visit_fresh(page: PageAsk, house: House) -> PageReply:
    """Have whoever opens this page sign in now, whether or not they are signed in, and lead back to it."""
    return await begin(page, house, visit=page.path, since=page.at.now) or go("/")


async def show(running: Running, situation: Situation, step: SignIn) -> PageReply:
    """Show the page for a client's request."""
    return await _page(running, situation, step, situation.visitor, step.username)


async def visiting(running: Running, visitor: Visitor | None) -> PageReply:
    """Show the page for a visit; who is signed in already is asked for the password again."""
    step = SignIn() if visitor is None else SignIn(again=True, username=visitor.email)
    return await _page(running, None, step, visitor, step.username)


async def act(page: PageAsk, house: House) -> PageReply:
    """Check what was typed; a new session takes the place of the one before (session fixation)."""
    running = open_running(page, house)
    if running is None:
        return await expired(page, house)
    if page.field("choice") == Choice.DENY:
        return await say_no(running)
    situation = await _situation(running)
    visitor = await visitor_in(running) if situation is None else situation.visitor
    step = SignIn(again=visitor is not None) if situation is None else next_step(situation)
    if not isinstance(step, SignIn):
        # Somebody signed in in another tab meanwhile.
        return again(running)
    username, password = page.field("username"), page.field("password")
    problem = SignInProblem.MISSING if not username.strip() or not password else None
    if not running.came_back(0 if visitor is None else visitor.session):
        problem = SignInProblem.STALE
    if problem is not None:
        return await _page(running, situation, step, visitor, username, problem)
    outcome = await _door(house).enter(_attempt(running, situation, visitor, username, password), page.at)
    if isinstance(outcome, Mismatch):
        return await _page(running, situation, step, visitor, username, SignInProblem.MISMATCH)
    if isinstance(outcome, Wait):
        problem = SignInProblem.BUSY if outcome.busy else SignInProblem.THROTTLED
        return await _page(running, situation, step, visitor, username, problem, outcome.seconds)
    return await _go_on(running, outcome)


async def _situation(running: Running) -> Situation | None:
    if running.request is None:
        return None
    page = running.page
    return await look(running.request, running.journey.progress, running.session, page.issuer, running.house.front, page.at)


def _door(house: House) -> PasswordDoor:
    return PasswordDoor(house.store, house.passwords, house.throttle, house.log)


def _attempt(running: Running, situation: Situation | None, visitor: Visitor | None, username: str, password: str) -> Attempt:
    page = running.page
    return Attempt(
        issuer=page.issuer,
        username=username,
        password=Secret(password),
        lasting=page.field("keep") == "1" or _stays(situation),
        device=page.cookie(Cookie.DEVICE),
        address=page.address,
        agent=page.headers.get("user-agent", ""),
        previous=visitor,
    )


def _stays(situation: Situation | None) -> bool:
    """Tell whether the client is one whose users stay signed in: trusted, native, set so (seed 003, persistent SSO), and on this device."""
    if situation is None or situation.request.device is not None:
        return False
    settings = situation.client.settings
    return settings.lasting_session and settings.party == "first" and "openid" in situation.request.scopes


async def _go_on(running: Running, found: SignedIn) -> PageReply:
    issuer, session = running.page.issuer, found.session
    seconds = session.until - running.page.at.now if session.lasting else None
    moved = with_session(
        running,
        session.cookie,
        cookies.put(Cookie.SESSION, session.cookie, issuer, seconds=seconds),
        cookies.put(Cookie.DEVICE, found.device, issuer, seconds=DEVICE_SECONDS),
    )
    return await move_on(moved, Progress(session=session.id, signed_in=True))


async def _page(
    running: Running,
    situation: Situation | None,
    step: SignIn,
    visitor: Visitor | None,
    username: str,
    problem: SignInProblem | None = None,
    wait: int = 0,
) -> PageReply:
    view = views.SignIn(
        brand=await brand_of(running.page, running.house),
        popup=running.popup,
        form=running.form(PATH, 0 if visitor is None else visitor.session),
        client=None if situation is None else situation.client.settings.client_name,
        username=username,
        problem=problem,
        retry_after=wait,
        again=step.again,
        keep=running.page.field("keep") == "1",
    )
    status = 200 if problem is None else _STATUS.get(problem, 400)
    retry = ((b"retry-after", b"%d" % wait),) if wait else ()
    return pages.show(view, status=status, ends_at=() if situation is None else ends_at(situation), headers=retry)
