"""The first page of the console: the rooms that are open to whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.web import console_views
from gatewright.web.console.rows import START, ConsolePage
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply


async def show(desk: Desk) -> PageReply:
    """Show which rooms there are."""
    return pages.show(console_views.Start(brand=await desk.brand(), frame=desk.frame()))


PAGES: Final = (ConsolePage(room=START, show=show),)
