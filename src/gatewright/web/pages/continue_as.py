"""A word from the user where the client cannot prove who it is (RFC 8252 §8.6, `security-rules` 32)."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gatewright.oauth.next_step import ContinueAs, Situation
from gatewright.web import views
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of
from gatewright.web.pages.running import Running, ends_at, expired, move_on, open_running
from gatewright.web.pages.steps import account_of, chosen, person_of, signed_in

PATH: Final = "/-/continue-as"


async def show(running: Running, situation: Situation, step: ContinueAs) -> PageReply:
    """Show who would go on, and where."""
    visitor = signed_in(situation)
    view = views.ContinueAs(
        brand=await brand_of(running.page, running.house),
        popup=running.popup,
        form=running.form(PATH, visitor.session),
        client=situation.client.settings.client_name,
        person=person_of(visitor),
        account=account_of(step.seat),
    )
    return pages.show(view, ends_at=ends_at(situation))


async def act(page: PageAsk, house: House) -> PageReply:
    """Go on, with another user, or not at all."""
    running = open_running(page, house)
    if running is None:
        return await expired(page, house)
    step = await chosen(running, ContinueAs)
    if isinstance(step, PageReply):
        return step
    return await move_on(running, replace(step.progress, continued=True))
