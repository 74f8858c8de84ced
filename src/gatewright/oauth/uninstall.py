"""An app takes itself out of an account: with its own credentials, or with the token of that very install (`docs/decisions/0015`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.access import Access, present
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.client_auth import authenticate
from gatewright.oauth.errors import InvalidClient, InvalidToken
from gatewright.oauth.userinfo import refusal

if TYPE_CHECKING:
    from gatewright.oauth.ports import World

_BEARER: Final = "bearer "


class Uninstalled(Struct, frozen=True):
    """The answer: the install has ended, now or before."""

    install_id: str
    state: str = "ended"


_UNKNOWN: Final = {"error": "not_found", "error_description": "there is no such install of this app"}


async def uninstall(ask: Ask, world: World) -> Reply:
    """End an install of the caller; twice is once. One of another app, or of another tenant, is answered like none.

    Raises:
        InvalidClient, InvalidToken: the caller proved to be no app that may.
        InsufficientScope: the token is good, but not where it is used.
    """
    shown = ask.path.rpartition("/")[2]
    app, grant = await _caller(ask, world)
    number = ids.read(ids.INSTALL, shown)
    if number is None or not await world.installs.uninstall(ask.issuer.tenant, number, app=app, grant=grant):
        return Reply(_UNKNOWN, 404)
    return Reply(Uninstalled(shown))


async def _caller(ask: Ask, world: World) -> tuple[int, int]:
    """Return which app asks, and with a token under which grant (0: any of its own)."""
    header = ask.authorization
    if header is None:
        raise InvalidClient("send the app's credentials with HTTP Basic, or the install's token as Bearer", challenge=True)
    if header[: len(_BEARER)].lower() != _BEARER:
        return (await authenticate(ask, world)).id, 0
    access = await present(header[len(_BEARER) :].strip(), ask.issuer, world, now=ask.at.now, address=ask.address)
    if not isinstance(access, Access):
        raise refusal(access)
    if not access.client.is_app:
        raise InvalidToken("the access token is no app's")
    return access.client.id, access.standing.grant
