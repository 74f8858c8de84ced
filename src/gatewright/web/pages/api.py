"""The management API for people: what there is, who may, what it takes and gives."""

from __future__ import annotations

from typing import Final

from gatewright.web.openapi import DESCRIPTION, PREFIX
from gatewright.web.pages import page as pages
from gatewright.web.pages.page import House, PageAsk, PageReply, brand_of
from gatewright.web.reference import reference

PATH: Final = PREFIX + "/"


async def show(page: PageAsk, house: House) -> PageReply:
    """Show the reference; it is the same for everybody and says nothing of this tenant but its name."""
    return pages.show(reference(await brand_of(page, house), page.issuer.url + PREFIX, DESCRIPTION))
