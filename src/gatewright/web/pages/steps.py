"""What the pages of a step have in common: who is asked, and whether what came back belongs to what was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gatewright.oauth.next_step import Pending, Situation, Step, next_step
from gatewright.oauth.request import Progress
from gatewright.oauth.visit import Visitor
from gatewright.web import views
from gatewright.web.pages.page import PageReply
from gatewright.web.pages.running import Running, again, move_on, say_no, situation_of
from gatewright.web.views import Choice

if TYPE_CHECKING:
    from gatewright.oauth.visit import Seat


class Chosen(Struct, frozen=True):
    """A form of a step that came back to go on with, and what was done so far in this session."""

    situation: Situation
    step: Step
    visitor: Visitor
    progress: Progress


async def chosen(running: Running, kind: type[Pending]) -> Chosen | PageReply:
    """Return what was chosen if that was to go on; else the reply to it: no, another user, or the same step again."""
    if running.request is None:
        return again(running)
    situation = await situation_of(running, running.request)
    step, visitor = next_step(situation), situation.visitor
    if visitor is None or not isinstance(step, kind) or not running.came_back(visitor.session):
        return again(running)
    match running.page.field("choice"):
        case Choice.DENY:
            return await say_no(running)
        case Choice.SWITCH:
            return await move_on(running, Progress(refused=visitor.session))
        case Choice.CONTINUE | Choice.ALLOW:
            return Chosen(situation, step, visitor, replace(situation.done, session=visitor.session))
        case _:
            return again(running)


def signed_in(situation: Situation) -> Visitor:
    """Return who is signed in, where the step says that somebody is."""
    assert situation.visitor is not None  # noqa: S101 - these steps are asked of somebody
    return situation.visitor


def person_of(visitor: Visitor) -> views.Person:
    """Return the user as pages show them."""
    return views.Person(name=visitor.name, email=visitor.email)


def account_of(seat: Seat | None) -> views.Account | None:
    """Return the account as pages show it."""
    return None if seat is None else views.Account(name=seat.name, slug=seat.slug)
