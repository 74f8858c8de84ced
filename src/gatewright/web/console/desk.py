"""Who stands at the console and what they may, looked up at each request; and the one way in which a page gets anything: an operation.

The console refuses what speaks with an access token, as the management API refuses cookies (`security-rules` 40).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.check import Fault, Faults
from gatewright.management.errand import Caller, NotHeld, NotThere
from gatewright.management.perform import Asked, Office, Outcome, perform
from gatewright.management.table import BY_NAME
from gatewright.oauth.catalogue import MANAGEMENT_SCOPES
from gatewright.oauth.errors import InvalidRequest
from gatewright.web import console_views, csrf, views
from gatewright.web.console.rows import ROOM_AT, ROOMS, ConsolePage
from gatewright.web.pages import page as pages
from gatewright.web.pages.own import SIGN_OUT, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, failed, visitor_of
from gatewright.web.pages.sign_in import visit_fresh, visiting_to

if TYPE_CHECKING:
    from gatewright.base.operation import Operation
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.oauth.visit import Seat, Visitor

AT_ONCE: Final = 50  # lines of a list on one page
FRESH_SECONDS: Final = 300  # since the sign-in, for what is done with secrets
_PURPOSE: Final = "console"
_TENANT_WIDE: Final = tuple([scope for scope in MANAGEMENT_SCOPES if scope.reach == "tenant"])


class Lacking(Exception):
    """None of the user's roles holds the scope that an operation needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Desk:
    """One request to one page of the console, of a user who may open it."""

    page: PageAsk
    house: House
    visitor: Visitor
    row: ConsolePage
    held: frozenset[str]
    """The scopes of the management API that reach over the tenant and that a role of the user holds now, in whichever account."""

    @property
    def name(self) -> str:
        """What the page is about, as its address says it."""
        found = self.row.pattern.fullmatch(self.page.path)
        return "" if found is None else found.groupdict().get("name") or ""

    def may(self, operation: str) -> bool:
        """Tell whether the user may have an operation done."""
        return not operation or BY_NAME[operation].scope in self.held

    @property
    def filters(self) -> dict[str, str]:
        """What the address says behind the question mark.

        Raises:
            Faults: something is said twice.
        """
        found = dict(self.page.pairs)
        if len(found) < len(self.page.pairs):
            raise Faults((Fault("the address", "something is said in it twice", "say it once"),))
        return found

    async def look(self, operation: str, where: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - each gives its own record
        """Return the record that an operation gives.

        Raises:
            Lacking, Faults, Refused: as `do`.
        """
        return (await self.do(operation, Asked(where=where or {}))).value

    async def do(self, name: str, asked: Asked) -> Outcome:
        """Have an operation done as the management API does it: the same checks, rights and sentences, the same entry in the log.

        Raises:
            Lacking: no role of the user holds its scope.
            Faults, Refused: as `perform`.
        """
        if name not in (*self.row.asks, *self.row.also):
            raise ValueError(f"the page's row does not name {name}")
        operation: Operation = BY_NAME[name]
        if operation.scope not in self.held:
            raise Lacking(operation.scope)
        page, house = self.page, self.house
        caller = Caller(actor=ids.show(ids.USER, self.visitor.person), address=page.address, held=self.held)
        return await perform(operation, asked, Office(house.store, page.at, page.issuer.tenant, caller, house.tools, house.vault))

    def form(self, action: str, seen: str) -> views.Form:
        """Return the hidden fields of a form: good for this session, this address and the state of the record that was `seen`."""
        return views.Form(action=action, csrf=csrf.token(self.house.world.sealer, self.page.issuer, *self._parts(action, seen)), step=seen)

    def came_back(self) -> bool:
        """Tell whether the form that was posted is one that this session was shown, at this address."""
        parts = self._parts(self.page.path, self.page.field("step"))
        return csrf.fits(self.page.field("csrf"), self.house.world.sealer, self.page.issuer, *parts)

    def _parts(self, action: str, seen: str) -> tuple[str, ...]:
        return (_PURPOSE, self.visitor.proof, action, seen)

    async def brand(self) -> views.Brand:
        """Return how this domain looks."""
        return await brand_of(self.page, self.house)

    def frame(self, *crumbs: console_views.Crumb) -> console_views.Frame:
        """Return what is around the page; its own room leads the crumbs of a page below it."""
        room = ROOM_AT[self.row.room]
        rooms = [console_views.RoomLink(name=one.name, path=one.path, here=one == room) for one in ROOMS if self.may(one.opened_by)]
        is_open = bool(self.held) and self.may(room.opened_by)
        below = (console_views.Crumb(name=room.name, path=room.path), *crumbs) if self.row.tail and is_open else ()
        return console_views.Frame(
            person=views.Person(name=self.visitor.name, email=self.visitor.email),
            sign_out=views.Form(action=SIGN_OUT, csrf=own_token(self.page, self.house, self.visitor)),
            here=room.path,
            rooms=tuple(rooms) if self.held else (),
            crumbs=below,
        )

    def paging(self, following: str, filters: Mapping[str, str] | None = None) -> console_views.Paging:
        """Return where a list goes on, with the same filters."""
        kept = {name: value for name, value in (filters or {}).items() if value and name != "after"}
        here = quote(self.page.path)
        first = f"{here}?{urlencode(kept)}" if kept else here
        onward = f"{here}?{urlencode({**kept, 'after': following})}" if following else ""
        return console_views.Paging(following=onward, first=first if self.page.field("after") else "")


async def opened(row: ConsolePage, page: PageAsk, house: House) -> PageReply:
    """Answer a request for a page: let in who may, and tell in words what cannot be."""
    if page.headers.get("authorization", "").partition(" ")[0].lower() in ("bearer", "dpop"):
        return await failed(page, house, InvalidRequest("the console takes no access token: programs use the management API"))
    visitor = await visitor_of(page, house)
    if visitor is None:
        query = f"?{urlencode(page.pairs)}" if page.pairs and not page.posted else ""
        return await visiting_to(page, house, quote(page.path) + query)
    desk = Desk(page, house, visitor, row, await _held(page, house, visitor))
    needed = BY_NAME[row.asks[0]].scope if row.asks and ROOM_AT[row.room].opened_by else ""
    if not desk.held or (needed and needed not in desk.held):
        # Before anything is looked at, so that whoever may not learns nothing of what there is.
        return await _closed(desk, needed)
    if row.fresh and page.at.now - visitor.auth_time > FRESH_SECONDS:
        return await visit_fresh(replace(page, path=quote(page.path)), house)
    show = row.act if page.posted and row.act is not None else row.show
    try:
        return await show(desk)
    except Lacking as lacking:
        return await _closed(desk, lacking.scope)
    except Faults as wrong:
        return await refused(desk, "Something in the address is wrong", *map(str, wrong.faults), status=400)
    except NotThere as refusal:
        return await refused(desk, "There is no such thing here", str(refusal), status=404)
    except NotHeld as refusal:
        return await refused(desk, "That is not yours to give", str(refusal), status=403)
    except Refused as refusal:
        return await refused(desk, "That cannot be done now", str(refusal), status=409)


async def may_open(page: PageAsk, house: House, visitor: Visitor) -> bool:
    """Tell whether any page of the console is open to whoever is signed in."""
    return bool(await _held(page, house, visitor))


async def _held(page: PageAsk, house: House, visitor: Visitor) -> frozenset[str]:
    catalogue = await house.world.directory.catalogue(page.issuer.tenant)
    return held_in(await house.front.consents.all_seats(page.issuer.tenant, visitor.person), catalogue)


def held_in(seats: tuple[Seat, ...], catalogue: Catalogue) -> frozenset[str]:
    """Return the scopes of the management API that reach over the tenant and that roles hold, in whichever account.

    Those that end at an account open nothing here: the console is the tenant's.
    """
    roles = {number for seat in seats for number in seat.roles if number in catalogue.roles}
    given = catalogue.implied(frozenset().union(*(catalogue.roles[number].scopes for number in roles)))
    return frozenset([scope.name for scope in _TENANT_WIDE if scope.id in given])


async def refused(desk: Desk, title: str, *sentences: str, status: int, onward: console_views.Crumb | None = None) -> PageReply:
    """Return the page that says why another one is not shown, and leads `onward` to where more is told."""
    room = ROOM_AT[desk.row.room]
    view = console_views.Refusal(
        brand=await desk.brand(),
        frame=desk.frame(),
        title=title,
        sentences=tuple([told(sentence) for sentence in sentences]),
        back=console_views.Crumb(name=room.name, path=room.path),
        onward=onward,
    )
    return pages.show(view, status=status)


async def _closed(desk: Desk, scope: str) -> PageReply:
    """Return the page for who may not, the same for every address of a room."""
    if not desk.held:
        title = "The console is not open to you"
        says = f"you are signed in as {desk.visitor.email}, and none of your roles holds a scope with which a platform is managed"
    else:
        title = "This room is not open to you"
        says = "none of your roles holds the scope that it needs"
    view = console_views.Refusal(
        brand=await desk.brand(),
        frame=desk.frame(),
        title=title,
        sentences=(told(says), "Whoever manages the platform can give you a role that does."),
        scope=scope if desk.held else "",
    )
    return pages.show(view, status=403)


def told(text: str) -> str:
    """Return what an operation says as a sentence of a page."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
