"""What the pages of a signed-in user have in common: forms that are good for this session alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.web import csrf

if TYPE_CHECKING:
    from gatewright.oauth.visit import Visitor
    from gatewright.web.pages.page import House, PageAsk

SIGN_OUT: Final = "/-/sign-out"
_PURPOSE: Final = "own page"


def own_token(page: PageAsk, house: House, visitor: Visitor) -> str:
    """Return the token of the forms on a signed-in user's own pages: good for this session alone."""
    return csrf.token(house.world.sealer, page.issuer, _PURPOSE, visitor.proof)


def is_own(page: PageAsk, house: House, visitor: Visitor) -> bool:
    """Tell whether a form came back from such a page."""
    return csrf.fits(page.field("csrf"), house.world.sealer, page.issuer, _PURPOSE, visitor.proof)
