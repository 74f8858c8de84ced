"""The room of refusals: why an API refused a call, found by the link that its caller was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from msgspec import structs

from gatewright.audit.deed import Refused
from gatewright.base.calendar import seconds_of
from gatewright.base.check import Faults
from gatewright.management.errand import NotThere
from gatewright.web import console_views
from gatewright.web.console.desk import told
from gatewright.web.console.rows import ACCESS, APIS, CLIENTS, LOG, REFUSALS, ConsolePage
from gatewright.web.console_views import Fact, Found, JudgedScope
from gatewright.web.decision_views import CheckLine
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from gatewright.management.decisions import CheckRecord, DecisionRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply


async def show(desk: Desk) -> PageReply:
    """Show the form, and what was found of the link that was put into it."""
    link = desk.filters.get("link", "").strip()
    problem, found = "", None
    if link:
        try:
            record = await desk.look("decision", {"decision": link})
            found = _found(record, await _paths(record, desk))
        except (Faults, Refused) as refusal:
            problem = told(str(refusal))
    view = console_views.Refusals(brand=await desk.brand(), frame=desk.frame(), link=link, problem=problem, found=found)
    return pages.show(view, status=404 if problem else 200)


async def _paths(record: DecisionRecord, desk: Desk) -> dict[str, str]:
    """Return the pages of what was found, by the names of the facts, for who may open them. Of a grant that has ended the log tells."""
    found = {}
    if desk.may("clients.show"):
        found["Client"] = f"{CLIENTS}/{quote(record.client, safe='')}"
    if record.api and desk.may("apis.show"):
        found["API"] = f"{APIS}/{(await desk.look('apis.show', {'api': record.api})).id}"
    try:
        found["Grant"] = f"{ACCESS}/{(await desk.look('grants.show', {'grant': record.grant})).id}"
    except NotThere:
        if desk.may("audit.list"):
            found["Grant"] = f"{LOG}?{urlencode({'subject': record.grant})}"
    return found


def _found(record: DecisionRecord, paths: dict[str, str]) -> Found:
    facts = [
        Fact(name="Client", values=(record.client,), code=True),
        Fact(name="API", values=(record.api or "",), code=True),
        Fact(name="User", values=(record.user or "",)),
        Fact(name="Account", values=(record.account or "",), code=True),
        Fact(name="Cause", values=(record.cause,), code=True),
        Fact(name="Ended by", values=(record.because,), code=True),
        Fact(name="Decision", values=(record.decision,), code=True),
        Fact(name="Grant", values=(record.grant,), code=True),
    ]
    return Found(
        decision=record.decision,
        at=seconds_of(record.at) or 0,
        found=record.found,
        cure=record.cure,
        good=record.would_pass,
        facts=tuple([structs.replace(fact, path=paths.get(fact.name, "")) for fact in facts if any(fact.values)]),
        checks=_lines(record.checks),
        scopes=tuple([JudgedScope(name=one.scope, cure=one.cure, checks=_lines(one.checks)) for one in record.scopes]),
    )


def _lines(checks: tuple[CheckRecord, ...]) -> tuple[CheckLine, ...]:
    return tuple([CheckLine(asks=one.check, then=one.then, now=one.now, note=one.note) for one in checks])


PAGES: Final = (ConsolePage(room=REFUSALS, show=show, asks=("decision",), also=("apis.show", "grants.show")),)
