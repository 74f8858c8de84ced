"""The front door of a tenant's domain."""

from __future__ import annotations

from gatewright.web import views
from gatewright.web.console.desk import may_open
from gatewright.web.console.rows import START
from gatewright.web.pages import page as pages
from gatewright.web.pages import sign_in
from gatewright.web.pages.own import SIGN_OUT, own_token
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of, visitor_of
from gatewright.web.pages.running import ACCESS


async def show(page: PageAsk, house: House) -> PageReply:
    """Show who is signed in and where to go."""
    visitor = await visitor_of(page, house)
    view = views.Home(
        brand=await brand_of(page, house),
        sign_in=sign_in.PATH,
        access_page=ACCESS,
        console=START if visitor is not None and await may_open(page, house, visitor) else "",
        sign_out=None if visitor is None else views.Form(action=SIGN_OUT, csrf=own_token(page, house, visitor)),
        person=None if visitor is None else views.Person(name=visitor.name, email=visitor.email),
    )
    return pages.show(view)
