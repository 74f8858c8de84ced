"""Which scopes decided an API's calls: what its guard reports, in batches, so that what nobody uses can be taken back.

Our own address, for APIs alone. What is told counts only for the API's own scopes, under live authorizations of its own tenant that
hold them; the rest is passed over without a word, so that nobody learns which authorizations there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.base.calendar import day_begins
from gatewright.oauth.api_auth import authenticate_api
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.errors import InvalidRequest
from gatewright.oauth.scope_use import DAY
from gatewright_guard.report import MOST, Report

if TYPE_CHECKING:
    from gatewright.oauth.catalogue import Api, Catalogue
    from gatewright.oauth.ports import World

OLDEST: Final = 7  # days: a guard gives up what it could not report for so long
_SAID: Final = 160  # characters
_read: Final = msgspec.json.Decoder(Report).decode


class Heard(Struct, frozen=True):
    """All that is said of a report: whether there is to be another. The same for whatever was in it."""

    reporting: bool


async def usage(ask: Ask, world: World) -> Reply:
    """Take an API's report; one that comes twice changes nothing.

    Raises:
        InvalidClient: the caller is not an API that proved itself.
        InvalidRequest: the report is none, or of no day that can be reported.
    """
    api = await authenticate_api(ask, world)
    if not api.usage:
        return Reply(Heard(reporting=False))
    tenant, now = ask.issuer.tenant, ask.at.now
    report = _report(ask.params.need("report"))
    begins, today = day_begins(report.day), now // DAY
    # The clocks of two machines are never quite the same, and neither are their midnights.
    if begins is None or not today - OLDEST <= begins // DAY <= today + 1:
        raise InvalidRequest(f"the parameter 'report' is not of one of the last {OLDEST} days")
    used, day = _own(report, api, await world.directory.catalogue(tenant)), min(begins // DAY, today)
    counted = await world.ledger.scopes_used(tenant, api.id, used, day=day, lost=report.lost, now=now)
    if day == today:
        for grant in counted.grants:
            world.uses.used(grant, now)
    world.usage.count("usage_reported", tenant, api.id)
    for _ in range(sum(map(len, report.uses.values())) - counted.uses):
        world.usage.count("usage_ignored", tenant, api.id)
    return Reply(Heard(reporting=True))


def _report(text: str) -> Report:
    try:
        return _read(text)
    except msgspec.MsgspecError as fault:
        raise InvalidRequest(f"the parameter 'report' is no report of at most {MOST} authorizations: {_said(fault)}") from None


def _said(fault: msgspec.MsgspecError) -> str:
    """Return where the fault is and what it is; of a name that was sent no more than finds it."""
    return str(fault)[:_SAID] if isinstance(fault, msgspec.ValidationError) else "it is no JSON"


def _own(report: Report, api: Api, catalogue: Catalogue) -> dict[int, frozenset[int]]:
    """Return the API's own scopes among those reported, by the numbers of authorizations."""
    known = catalogue.scopes_by_name
    used: dict[int, frozenset[int]] = {}
    for shown, names in report.uses.items():
        number = ids.read(ids.AUTHORIZATION, shown)
        own = frozenset([known[name].id for name in names if name in known and known[name].api == api.id])
        if number is not None and own:
            used[number] = own
    return used
