"""Which of several accounts? The client works in the one that is chosen and in no other."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gatewright.base import ids
from gatewright.oauth.next_step import ChooseAccount, Situation
from gatewright.web import views
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of
from gatewright.web.pages.running import Running, again, ends_at, expired, move_on, open_running
from gatewright.web.pages.steps import chosen, person_of, signed_in

PATH: Final = "/-/account"


async def show(running: Running, situation: Situation, step: ChooseAccount) -> PageReply:
    """Show the accounts with the user's roles in each."""
    visitor, known = signed_in(situation), situation.catalogue.roles
    seats = await running.house.front.consents.all_seats(running.page.issuer.tenant, visitor.person)
    view = views.AccountPicker(
        brand=await brand_of(running.page, running.house),
        popup=running.popup,
        form=running.form(PATH, visitor.session),
        client=situation.client.settings.client_name,
        person=person_of(visitor),
        accounts=tuple(
            views.AccountChoice(
                value=ids.show(ids.ACCOUNT, seat.account),
                account=views.Account(name=seat.name, slug=seat.slug),
                roles=tuple([known[role].name for role in sorted(seat.roles) if role in known]),
            )
            for seat in seats
        ),
        chosen=ids.show(ids.ACCOUNT, step.last) if step.last else None,
    )
    return pages.show(view, ends_at=ends_at(situation))


async def act(page: PageAsk, house: House) -> PageReply:
    """Remember the choice and go on with it."""
    running = open_running(page, house)
    if running is None:
        return await expired(page, house)
    step = await chosen(running, ChooseAccount)
    if isinstance(step, PageReply):
        return step
    number = ids.read(ids.ACCOUNT, page.field("account")) or 0
    seats = await house.front.consents.all_seats(page.issuer.tenant, step.visitor.person)
    seat = next((seat for seat in seats if seat.account == number), None)
    if seat is None:
        return again(running)
    await house.front.consents.choose(seat.membership, step.visitor.person, page.at.now)
    return await move_on(running, replace(step.progress, account=number))
