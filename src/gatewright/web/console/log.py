"""The room of the audit log: what happened, by whom, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.calendar import day_begins, seconds_of, stamp
from gatewright.base.change import flat
from gatewright.base.check import Fault, Faults
from gatewright.management.log import MOST_NAMES
from gatewright.management.perform import Asked
from gatewright.web import console_views
from gatewright.web.console.desk import AT_ONCE, told
from gatewright.web.console.rows import ACCESS, APIS, CLIENTS, LOG, ConsolePage
from gatewright.web.console_views import LogDetail, LogFilters
from gatewright.web.pages import page as pages

if TYPE_CHECKING:
    from gatewright.management.log import EntryRecord
    from gatewright.web.console.desk import Desk
    from gatewright.web.pages.page import PageReply

_DAY: Final = 86_400
MOMENTS: Final = ("_at", "_from")  # how the names of details end that are epoch seconds
_ACTS: Final = tuple(sorted(act.value for act in Act))


async def show_list(desk: Desk) -> PageReply:
    """Show what happened, the latest first."""
    filters = desk.filters
    problem, items, following = "", [], ""
    try:
        outcome = await desk.do("audit.list", Asked(where={**filters, **_moments(filters), "count": AT_ONCE}))
        items, following = outcome.value, outcome.next
    except (Faults, Refused) as refusal:
        problem = told(str(refusal))
    names = await _names(items, desk)
    shown = {name: filters.get(name, "") for name in LogFilters.__struct_fields__}
    view = console_views.AuditLog(
        brand=await desk.brand(),
        frame=desk.frame(),
        entries=tuple([_line(one, names, desk) for one in items]),
        acts=_ACTS,
        filters=LogFilters(
            act=shown["act"],
            actor=shown["actor"],
            subject=shown["subject"],
            client=shown["client"],
            since=shown["since"],
            until=shown["until"],
        ),
        problem=problem,
        paging=desk.paging(following, filters),
    )
    return pages.show(view, status=400 if problem else 200)


def _moments(filters: dict[str, str]) -> dict[str, str]:
    """Return the moments between which the days that are asked for lie: from the first second of one to the last of the other."""
    found = {}
    for name, after in (("since", 0), ("until", _DAY)):
        text = filters.get(name, "")
        if text:
            begins = day_begins(text)
            if begins is None:
                raise Faults((Fault(name, "there is no such day", "write it like 2026-11-21", None, (name,)),))
            found[name] = stamp(begins + after)
    return found


async def _names(items: list[EntryRecord], desk: Desk) -> dict[str, str]:
    """Return what the ids in entries are called today, for what whoever looks may read."""
    wanted = {text for one in items for text in _ids_in([one.actor, one.subject, *flat(one.detail).values()])}
    parts = [sorted(wanted)[at : at + MOST_NAMES] for at in range(0, len(wanted), MOST_NAMES)]
    return {one.id: one.name for part in parts for one in await desk.look("audit.names", {"ids": ",".join(part)})}


def _ids_in(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _ids_in(value)
        elif isinstance(value, str) and ids.shown(value):
            yield value


def _line(entry: EntryRecord, names: dict[str, str], desk: Desk) -> console_views.LogLine:
    return console_views.LogLine(
        id=entry.id,
        at=seconds_of(entry.at) or 0,
        act=entry.act,
        actor="the operator" if entry.actor.startswith("os:") else names.get(entry.actor, entry.actor),
        by_path=f"{LOG}?{urlencode({'actor': entry.actor})}" if entry.actor else "",
        subject=names.get(entry.subject, entry.subject),
        path=_path(entry, desk),
        client=entry.client,
        address=entry.address,
        detail=tuple(
            [
                LogDetail(name=name, text=_said(name, value, names))
                for name, value in flat(entry.detail).items()
                if value not in (None, "", [])
            ]
        ),
    )


def _path(entry: EntryRecord, desk: Desk) -> str:
    """Return the page of what an entry is about where there is one that whoever looks may open, and otherwise what else happened to it."""
    if ids.read(ids.API, entry.subject) is not None and desk.may("apis.show"):
        return f"{APIS}/{entry.subject}"
    if entry.act == Act.GRANT_MADE and ids.read(ids.GRANT, entry.subject) is not None and desk.may("grants.show"):
        return f"{ACCESS}/{entry.subject}"
    if entry.act in (Act.CLIENT_MADE, Act.CLIENT_CHANGED, Act.CLIENT_DISABLED, Act.CLIENT_ENABLED) and desk.may("clients.show"):
        return f"{CLIENTS}/{quote(entry.subject, safe='')}"
    return f"{LOG}?{urlencode({'subject': entry.subject})}" if entry.subject else ""


def _said(name: str, value: object, names: dict[str, str]) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and name.endswith(MOMENTS):
        return stamp(value)
    return _text(value, names)


def _text(value: object, names: dict[str, str]) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join([_text(one, names) for one in value]) or "nothing"
    if isinstance(value, dict):
        return ", ".join([f"{name}: {_text(one, names)}" for name, one in value.items()]) or "nothing"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "yes", False: "no"}[value]
    return names.get(str(value), str(value))


PAGES: Final = (ConsolePage(room=LOG, show=show_list, asks=("audit.list", "audit.names")),)
