"""The authorization endpoint as browsers meet it (RFC 6749 §3.1): answered at once where nothing is left to do, else begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.oauth.answer import Sent, refuse
from gatewright.oauth.authorize import accept, advance, look
from gatewright.oauth.checks import Refused
from gatewright.oauth.errors import InvalidRequest
from gatewright.oauth.request import AuthorizationRequest, Progress, seal_posted, unseal_posted
from gatewright.web.cookies import Cookie
from gatewright.web.pages.page import House, PageAsk, PageReply, answer, go
from gatewright.web.pages.running import begin, expired

if TYPE_CHECKING:
    from gatewright.oauth.ask import Ask

POSTED: Final = "/-/posted"


async def show(page: PageAsk, house: House) -> PageReply:
    """Answer an authorization request, or begin it.

    Raises:
        PageError: a fault that is told to the user, since no address for an answer is proved.
    """
    return await asked(page, house, page.ask)


async def asked(page: PageAsk, house: House, ask: Ask, *, popup: bool = False) -> PageReply:
    """Answer an authorization request, or begin it; `popup` shows it in a small window of another site's page.

    Raises:
        PageError: a fault that is told to the user, since no address for an answer is proved.
    """
    try:
        request = await accept(ask, house.front)
    except Refused as refused:
        name = await _name(ask.params.need("client_id"), page, house)
        return await answer(refuse(refused.error, refused.back, page.issuer), name, page, house)
    if popup:
        request = replace(request, popup=True)
    if not page.posted:
        return await _answered(page, house, request)
    # A post from another site brings no cookie (SameSite=Lax), so nobody would be signed in; the GET that follows brings them.
    text = seal_posted(request, page.issuer, house.world.sealer, page.at)
    return await _too_long(page, house, request) if text is None else go(f"{POSTED}?r={text}")


async def posted(page: PageAsk, house: House) -> PageReply:
    """Go on with a request that was posted."""
    request = unseal_posted(page.field("r"), page.issuer, house.world.sealer, page.at.now)
    return await expired(page, house) if request is None else await _answered(page, house, request)


async def _answered(page: PageAsk, house: House, request: AuthorizationRequest) -> PageReply:
    situation = await look(request, Progress(), page.cookie(Cookie.SESSION), page.issuer, house.front, page.at)
    outcome = await advance(situation, page.issuer, house.front, page.at)
    if isinstance(outcome, Sent):
        reply = await answer(outcome, situation.client.settings.client_name, page, house)
    else:
        reply = await begin(page, house, request=request) or await _too_long(page, house, request)
    return reply.beside_its_opener() if request.popup else reply


async def _too_long(page: PageAsk, house: House, request: AuthorizationRequest) -> PageReply:
    error = InvalidRequest("the request is too long: state, nonce, claims and hints together may have about 5,000 characters")
    return await answer(refuse(error, request.back, page.issuer), await _name(request.client_id, page, house), page, house)


async def _name(client_id: str, page: PageAsk, house: House) -> str:
    client = await house.world.directory.client(page.issuer.tenant, client_id)
    return client_id if client is None else client.settings.client_name
