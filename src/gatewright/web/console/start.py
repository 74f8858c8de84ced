"""The first page of the console: the rooms that are open to whoever looks, how much there is, and what weakens the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gatewright.base.calendar import day_begins, seconds_of
from gatewright.management.counts import MOST
from gatewright.management.perform import Asked
from gatewright.web import console_views
from gatewright.web.console.clients import meaning
from gatewright.web.console.revocation import shown
from gatewright.web.console.rows import CLIENTS, ROOMS, START, ConsolePage
from gatewright.web.console_views import Card, Count, WeaknessUsed
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from gatewright.management.weaknesses import UseRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply

USES_SHOWN: Final = 10
_ABOUT: Final = {
    "APIs": "What is protected, and how soon a revocation bites there.",
    "Clients": "What may ask for access, how each is set, and when it was last used.",
    "Access": "Who gave what to which client, and ending it.",
    "Refusals": "Why an API refused a call, check by check.",
    "Audit log": "What happened, by whom, and when.",
}
_COUNTED: Final = (
    ("apis", "API", "APIs"),
    ("scopes", "scope", "scopes"),
    ("roles", "role", "roles"),
    ("clients", "client", "clients"),
    ("accounts", "account", "accounts"),
    ("users", "user", "users"),
    ("grants", "live grant", "live grants"),
)


async def show(desk: Desk) -> PageReply:
    """Show the rooms, and of what there is as much as whoever looks may see."""
    desk.filters  # noqa: B018 - nothing may be said twice here either
    view = console_views.Start(
        brand=await desk.brand(),
        frame=desk.frame(),
        counts=await _counts(desk),
        rooms=tuple([Card(name=room.name, path=room.path, about=_ABOUT[room.name]) for room in ROOMS[1:] if desk.may(room.opened_by)]),
        alone=await _verified_alone(desk),
        uses=await _uses(desk),
        sees_uses=desk.may("weaknesses.list"),
    )
    return pages.show(view)


async def _counts(desk: Desk) -> tuple[Count, ...]:
    if not desk.may("tenant.counts"):
        return ()
    found = await desk.look("tenant.counts")
    numbers = [(getattr(found, key), one, many) for key, one, many in _COUNTED]
    return tuple(
        [Count(number="10,000+" if number > MOST else f"{number:,}", name=one if number == 1 else many) for number, one, many in numbers]
    )


async def _verified_alone(desk: Desk) -> tuple[Card, ...]:
    """Return the APIs that may accept what was revoked until it expires."""
    if not desk.may("apis.list"):
        return ()
    now = desk.page.at.now
    told = {one.api: one for one in await desk.look("apis.revocation")}
    every = [(one, shown(told[one.id], one.token.format, now)) for one in await desk.look("apis.list") if one.status == "active"]
    return tuple([Card(name=one.name, path=f"{ROOMS[1].path}/{one.id}", about=found.worst) for one, found in every if found.alone])


async def _uses(desk: Desk) -> tuple[WeaknessUsed, ...]:
    if not desk.may("weaknesses.list"):
        return ()
    found = await desk.do("weaknesses.list", Asked(where={"count": USES_SHOWN}))
    return tuple([_use(one) for one in found.value])


def _use(use: UseRecord) -> WeaknessUsed:
    return WeaknessUsed(
        weakness=use.weakness,
        means=meaning(use.weakness),
        client=use.client_id or "",
        path="" if use.client_id is None else f"{CLIENTS}/{quote(use.client_id, safe='')}",
        user=use.user or "",
        last=seconds_of(use.last_at) or 0,
        until=None if use.until is None else day_begins(use.until),
    )


PAGES: Final = (ConsolePage(room=START, show=show, asks=("tenant.counts", "apis.list", "apis.revocation", "weaknesses.list")),)
