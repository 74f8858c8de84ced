"""Where a user types the code that their device shows (RFC 8628 §3.3): looked up only when they say so, and guessing is slowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.networks import site_of
from gatewright.oauth import device
from gatewright.oauth.device_approval import find
from gatewright.oauth.paths import DEVICE_PAGE
from gatewright.signin.throttle import Slowed
from gatewright.web import views
from gatewright.web.device_views import CodeProblem, DeviceCode
from gatewright.web.pages import page as pages
from gatewright.web.pages.own import SIGN_OUT, is_own, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, go, visitor_of
from gatewright.web.pages.running import begin
from gatewright.web.pages.sign_in import visiting_to

if TYPE_CHECKING:
    from gatewright.oauth.visit import Visitor

PATH: Final = DEVICE_PAGE
_LONGEST: Final = 20  # characters of what was typed that are shown again
_STATUS: Final = {CodeProblem.THROTTLED: 429}


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the field, with the code in it that came in the address (§3.3.1); or ask for a sign-in first."""
    visitor = await visitor_of(page, house)
    code = device.typed(page.field("user_code"))
    if visitor is None:
        return await visiting_to(page, house, _with(code))
    return await _page(page, house, visitor, "" if code is None else device.shown(code))


async def act(page: PageAsk, house: House) -> PageReply:
    """Look the code up and go on to what its device asks for."""
    visitor, written = await visitor_of(page, house), page.field("user_code")
    code = device.typed(written)
    if visitor is None:
        return await visiting_to(page, house, _with(code))
    if not is_own(page, house, visitor):
        return await _page(page, house, visitor, written, CodeProblem.STALE)
    if code is None:
        # Nothing was guessed: no code of ours looks like that.
        return await _page(page, house, visitor, written, CodeProblem.MALFORMED)
    counters = house.throttle.device_counters(page.issuer.tenant, visitor.person, site_of(page.address), page.at.now)
    try:
        await house.throttle.enter(page.issuer.tenant, counters, page.at)
    except Slowed as slowed:
        return await _page(page, house, visitor, written, CodeProblem.THROTTLED, slowed.seconds)
    request = await find(code, page.issuer, house.world, page.at)
    if request is None:
        return await _page(page, house, visitor, written, CodeProblem.UNKNOWN)
    # Uncounted, never forgiven: whoever has a device of his own would begin to guess anew with each of its codes.
    await house.throttle.take_back(counters)
    return await begin(page, house, request=request) or go(PATH)


def _with(code: str | None) -> str:
    return PATH if code is None else f"{PATH}?user_code={device.shown(code)}"


async def _page(
    page: PageAsk, house: House, visitor: Visitor, written: str, problem: CodeProblem | None = None, wait: int = 0
) -> PageReply:
    view = DeviceCode(
        brand=await brand_of(page, house),
        form=views.Form(action=PATH, csrf=own_token(page, house, visitor)),
        person=views.Person(name=visitor.name, email=visitor.email),
        sign_out=views.Form(action=SIGN_OUT, csrf=own_token(page, house, visitor)),
        code=written[:_LONGEST],
        problem=problem,
        retry_after=wait,
    )
    retry = ((b"retry-after", b"%d" % wait),) if wait else ()
    return pages.show(view, status=200 if problem is None else _STATUS.get(problem, 400), headers=retry)
