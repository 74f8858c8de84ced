"""Where a request stands: asked after each step, it shows the page of the next one. The one address that a running request has."""

from __future__ import annotations

from gatewright.oauth.next_step import AskConsent, ChooseAccount, ContinueAs
from gatewright.web.pages import account, consent, continue_as, sign_in
from gatewright.web.pages.page import House, PageAsk, PageReply, go
from gatewright.web.pages.running import close, expired, open_running, pending, visitor_in


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the page of the next step, or send the answer."""
    running = open_running(page, house)
    if running is None:
        return await expired(page, house)
    if running.request is None:
        visitor = await visitor_in(running)
        if visitor is not None and visitor.auth_time >= running.journey.visit_since:
            return close(running, go(running.journey.visit))
        return await sign_in.visiting(running, visitor)
    outcome = await pending(running, running.request)
    if isinstance(outcome, PageReply):
        return outcome
    situation, step = outcome
    match step:
        case AskConsent():
            return await consent.show(running, situation, step)
        case ChooseAccount():
            return await account.show(running, situation, step)
        case ContinueAs():
            return await continue_as.show(running, situation, step)
        case _:
            return await sign_in.show(running, situation, step)
