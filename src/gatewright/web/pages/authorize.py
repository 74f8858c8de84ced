"""The authorization endpoint as browsers meet it (RFC 6749 §3.1): answered at once where nothing is left to do, else begun."""

from __future__ import annotations

from gatewright.oauth.answer import Sent, refuse
from gatewright.oauth.authorize import accept, advance, look
from gatewright.oauth.checks import Refused
from gatewright.oauth.errors import InvalidRequest
from gatewright.oauth.request import AuthorizationRequest, Progress
from gatewright.web.cookies import Cookie
from gatewright.web.pages.page import House, PageAsk, PageReply, answer
from gatewright.web.pages.running import begin


async def show(page: PageAsk, house: House) -> PageReply:
    """Answer an authorization request, or begin it.

    Raises:
        PageError: a fault that is told to the user, since no address for an answer is proved.
    """
    try:
        request = await accept(page.ask, house.front)
    except Refused as refused:
        return await answer(refuse(refused.error, refused.back, page.issuer), await _name(page, house), page, house)
    if page.posted:
        # A post from another site brings no cookie (SameSite=Lax), so nobody would be signed in; the GET that follows brings it.
        return await _begun(page, house, request)
    situation = await look(request, Progress(), page.cookie(Cookie.SESSION), page.issuer, house.front, page.at)
    outcome = await advance(situation, page.issuer, house.front, page.at)
    if isinstance(outcome, Sent):
        return await answer(outcome, situation.client.settings.client_name, page, house)
    return await _begun(page, house, request)


async def _begun(page: PageAsk, house: House, request: AuthorizationRequest) -> PageReply:
    reply = await begin(page, house, request=request)
    if reply is not None:
        return reply
    error = InvalidRequest("the request is too long: state, nonce, claims and hints together may have about 5,000 characters")
    return await answer(refuse(error, request.back, page.issuer), await _name(page, house), page, house)


async def _name(page: PageAsk, house: House) -> str:
    client_id = page.params.need("client_id")
    client = await house.world.directory.client(page.issuer.tenant, client_id)
    return client_id if client is None else client.settings.client_name
