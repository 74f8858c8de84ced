"""A request under way: opened from what the browser brings, moved on by what its user does, shown as the page of its next step.

No page knows another: each does its own act and asks what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.oauth.answer import Sent
from gatewright.oauth.authorize import advance, deny, deny_device, look
from gatewright.oauth.device_approval import over
from gatewright.oauth.next_step import Situation
from gatewright.oauth.paths import DEVICE_PAGE
from gatewright.oauth.redirect_uri import is_out_of_band
from gatewright.oauth.request import LONGEST_BEGUN, Journey, Progress, seal, unseal
from gatewright.web import cookies, csrf, views
from gatewright.web.cookies import Cookie
from gatewright.web.csrf import Journeys
from gatewright.web.device_views import DeviceDone
from gatewright.web.pages.page import House, PageAsk, PageReply, answer, brand_of, error_of, failed, go, show

if TYPE_CHECKING:
    from gatewright.oauth.device import Told
    from gatewright.oauth.next_step import Pending
    from gatewright.oauth.request import AuthorizationRequest
    from gatewright.oauth.visit import Visitor

CONTINUE: Final = "/-/continue"
ACCESS: Final = "/-/access"


@dataclass(frozen=True, slots=True)
class Running:
    """One request of one browser: what came now, what is under way, and the cookies of the session as they will be."""

    page: PageAsk
    house: House
    journey: Journey
    text: str
    secret: str
    session: str
    set_cookies: tuple[str, ...] = ()

    @property
    def request(self) -> AuthorizationRequest | None:
        """What the client asked for; None where a page of ours is what the user wants."""
        return self.journey.request

    @property
    def popup(self) -> bool:
        """Whether its pages are in a small window of another site's page."""
        return self.request is not None and self.request.popup

    def form(self, action: str, session: int) -> views.Form:
        """Return the hidden fields of a form of this step, for this session and no other."""
        return views.Form(action=action, csrf=self._token(action, session), step=self.text)

    def came_back(self, session: int) -> bool:
        """Tell whether the form that was posted is one that we showed, in this browser, to this session, at this step."""
        shown = self.page.field("csrf")
        return csrf.fits(shown, self.house.world.sealer, self.page.issuer, *self._parts(self.page.path, session))

    def _token(self, action: str, session: int) -> str:
        return csrf.token(self.house.world.sealer, self.page.issuer, *self._parts(action, session))

    def _parts(self, action: str, session: int) -> tuple[str, ...]:
        return (self.text, self.secret, str(session), action)


def open_running(page: PageAsk, house: House) -> Running | None:
    """Return the request that the browser names (field `step`, or `r` in an address), or None when it is none of this browser's."""
    text = page.field("step") if page.posted else page.field("r")
    journey = unseal(text, page.issuer, house.world.sealer, page.at.now)
    secret = None if journey is None else Journeys(page.cookie(Cookie.FLOW)).secret(journey.id)
    if journey is None or secret is None:
        return None
    return Running(page, house, journey, text, secret, page.cookie(Cookie.SESSION))


async def begin(
    page: PageAsk, house: House, *, request: AuthorizationRequest | None = None, visit: str = "", since: int = 0
) -> PageReply | None:
    """Begin a request in this browser and send it to its first step; None when it is too long to travel."""
    journeys = Journeys(page.cookie(Cookie.FLOW))
    journey = Journey(
        id=journeys.begin(page.at), started_at=page.at.now, sealed_at=page.at.now, request=request, visit=visit, visit_since=since
    )
    text = seal(journey, page.issuer, house.world.sealer, page.at)
    if len(text) > LONGEST_BEGUN:
        return None
    return go(f"{CONTINUE}?r={text}").with_cookies(cookies.put(Cookie.FLOW, journeys.cookie, page.issuer))


async def visitor_in(running: Running) -> Visitor | None:
    """Return who is signed in in this browser."""
    return await running.house.sessions.find(running.page.issuer, running.session, running.page.at) if running.session else None


async def situation_of(running: Running, request: AuthorizationRequest, progress: Progress | None = None) -> Situation:
    """Return where the request stands, with what the user has just done."""
    page, done = running.page, running.journey.progress if progress is None else progress
    return await look(request, done, running.session, page.issuer, running.house.front, page.at)


async def move_on(running: Running, progress: Progress) -> PageReply:
    """Answer the client if that is possible now; else go to the page of the next step."""
    page, request = running.page, running.request
    if request is None:
        return close(running, go(running.journey.visit))
    situation = await situation_of(running, request, progress)
    outcome = await advance(situation, page.issuer, running.house.front, page.at, address=page.address)
    if isinstance(outcome, Sent):
        return await finish(running, outcome, situation.client.settings.client_name)
    if situation.by_hand:
        # What was said yes to counts in this post alone, so that no address ever shows a code (`security-rules` 45).
        progress = msgspec.structs.replace(progress, consented=False)
    text = seal(msgspec.structs.replace(running.journey, progress=progress), page.issuer, running.house.world.sealer, page.at)
    return go(f"{CONTINUE}?r={text}").with_cookies(*running.set_cookies)


async def pending(running: Running, request: AuthorizationRequest) -> PageReply | tuple[Situation, Pending]:
    """Return the answer if nothing is left to do, else what is."""
    page, waiting = running.page, request.device
    situation = await situation_of(running, request)
    told = None if waiting is None else await over(waiting, situation.visitor, running.house.world, page.at.now)
    if told is not None:
        return await finish(running, Sent("", device=told), situation.client.settings.client_name)
    outcome = await advance(situation, page.issuer, running.house.front, page.at, address=page.address)
    if isinstance(outcome, Sent):
        return await finish(running, outcome, situation.client.settings.client_name)
    return situation, outcome


async def finish(running: Running, sent: Sent, client: str) -> PageReply:
    """Send the answer; the request is over in this browser. What goes to a device is told to its user."""
    if sent.device is not None:
        return close(running, await _at_device(running, sent, sent.device, client))
    return close(running, await answer(sent, client, running.page, running.house))


async def _at_device(running: Running, sent: Sent, told: Told, client: str) -> PageReply:
    page, house = running.page, running.house
    if sent.form is not None:
        return await failed(page, house, error_of(dict(sent.form)))
    return show(DeviceDone(brand=await brand_of(page, house), client=client, told=told, access_page=ACCESS, enter=DEVICE_PAGE))


async def say_no(running: Running) -> PageReply:
    """Tell the client that its user said no; a visit ends at the front door."""
    page, request = running.page, running.request
    if request is None:
        return close(running, go("/"))
    client = await running.house.world.directory.client(page.issuer.tenant, request.client_id)
    name = request.client_id if client is None else client.settings.client_name
    if request.device is not None:
        visitor = await visitor_in(running)
        person = 0 if visitor is None else visitor.person
        sent = await deny_device(request.device, page.issuer, running.house.front, page.at, person=person, address=page.address)
        return await finish(running, sent, name)
    if is_out_of_band(request.back.redirect_uri):
        return close(running, show(views.Denied(brand=await brand_of(page, running.house), client=name)))
    return await finish(running, deny(request, page.issuer), name)


def close(running: Running, reply: PageReply) -> PageReply:
    """Return the reply after which this request is under way no more."""
    journeys = Journeys(running.page.cookie(Cookie.FLOW))
    journeys.end(running.journey.id)
    issuer, left = running.page.issuer, journeys.cookie
    gone = cookies.put(Cookie.FLOW, left, issuer) if left else cookies.drop(Cookie.FLOW, issuer)
    return reply.with_cookies(*running.set_cookies, gone)


def again(running: Running) -> PageReply:
    """Show the present step anew: what was posted belongs to another one."""
    return go(f"{CONTINUE}?r={running.text}")


async def expired(page: PageAsk, house: House) -> PageReply:
    """Return the page for a request that is over, or is none of this browser's."""
    return show(views.Expired(brand=await brand_of(page, house)), status=400)


def ends_at(situation: Situation) -> tuple[str, ...]:
    """Return the addresses to which a form of this request may lead: the answer's own, then the client's others as its next hops."""
    if situation.request.device is not None:
        return ()
    found = dict.fromkeys((situation.request.back.redirect_uri, *situation.client.settings.redirect_uris))
    return tuple([uri for uri in found if not is_out_of_band(uri)])


def with_session(running: Running, session: str, *set_cookies: str) -> Running:
    """Return the request as it goes on in a session that was made just now."""
    return replace(running, session=session, set_cookies=set_cookies)
