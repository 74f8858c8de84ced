"""The audit log: what happened, by whom, through what, from where and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gatewright.audit.book import NEWEST, Act, Entry, entries
from gatewright.base import ids
from gatewright.base.calendar import seconds_of, stamp
from gatewright.base.check import Fault, Faults, choice
from gatewright.base.operation import Operation, Paged
from gatewright.management.called import called
from gatewright.management.errand import Errand
from gatewright.management.names import place

READ: Final = "gw:audit:read"
MOST_NAMES: Final = 500
_AT_ONCE: Final = 500  # entries read in one statement of an export

Time = Annotated[
    str,
    Meta(
        description="A moment in UTC (RFC 3339).",
        pattern=r"^(|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\Z",
        extra={"form": "a moment in UTC is expected"},
        examples=["2026-11-21T07:05:00Z"],
    ),
]
_Act = Annotated[str, Meta(description="This act alone, such as `client.made`.", max_length=100)]
_Actor = Annotated[str, Meta(description="What this one did: `us_…`, a client's id, or `os:NAME`.", max_length=300)]
_Subject = Annotated[str, Meta(description="What was done to this one.", max_length=300)]
_Client = Annotated[str, Meta(description="What was done through this client.", max_length=200)]


class EntriesWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which entries."""

    act: _Act = ""
    actor: _Actor = ""
    subject: _Subject = ""
    client: _Client = ""
    since: Time = ""
    until: Time = ""


class ExportWhere(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which entries are exported."""

    act: _Act = ""
    actor: _Actor = ""
    subject: _Subject = ""
    client: _Client = ""
    since: Time = ""
    until: Time = ""


class NamesWhere(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which names."""

    ids: Annotated[str, Meta(description="Ids as the log has them, separated by commas, at most 500.", max_length=MOST_NAMES * 17)]


class NameRecord(Struct, frozen=True, kw_only=True):
    """What an id is called: a user's e-mail address, an account's slug, a client's public id, an API's audience, a scope's or role's
    name.
    """

    id: str
    name: str


class EntryRecord(Struct, frozen=True, kw_only=True):
    """One act; nothing in it is a secret."""

    id: str
    at: str
    actor: str
    client: str
    address: str
    act: str
    subject: str
    detail: dict[str, Any]


async def list_entries(errand: Errand, where: EntriesWhere) -> list[EntryRecord]:
    """List what happened, by whom and when, the latest first."""
    before = place(ids.AUDIT, where.after, NEWEST)
    found = await entries(errand.source, errand.tenant, before=before, count=where.count, **_wanted(where))
    return [_told(entry) for entry in found]


async def list_names(errand: Errand, where: NamesWhere) -> list[NameRecord]:
    """List what the ids in the audit log are called today: of what is still there, and of what the caller may read."""
    found = await called(errand, where.ids.split(","))
    return [NameRecord(id=shown, name=name) for shown, name in found.items()]


async def export_entries(errand: Errand, where: ExportWhere) -> AsyncIterator[EntryRecord]:
    """Give the whole audit log as JSON lines, the latest first: one entry in each line, read as it is sent."""
    before, wanted = NEWEST, _wanted(where)
    while True:
        found = await entries(errand.source, errand.tenant, before=before, count=_AT_ONCE, **wanted)
        for entry in found:
            yield _told(entry)
        if len(found) < _AT_ONCE:
            return
        before = found[-1].id


def _wanted(where: EntriesWhere | ExportWhere) -> dict[str, int | str]:
    known = [act.value for act in Act]
    if where.act and where.act not in known:
        raise Faults((Fault("act", f'there is no act "{where.act}"', choice(where.act, known), None, ("act",)),))
    plain: dict[str, int | str] = {"act": where.act, "actor": where.actor, "subject": where.subject, "client": where.client}
    return {**plain, "since": _moment("since", where.since, 0), "until": _moment("until", where.until, NEWEST)}


def _moment(name: str, text: str, otherwise: int) -> int:
    found = seconds_of(text) if text else otherwise
    if found is None:
        raise Faults((Fault(name, "there is no such day or hour", "", None, (name,)),))
    return found


def _told(entry: Entry) -> EntryRecord:
    return EntryRecord(
        id=ids.show(ids.AUDIT, entry.id),
        at=stamp(entry.at),
        actor=entry.actor,
        client=entry.client,
        address=entry.address,
        act=entry.act,
        subject=entry.subject,
        detail=msgspec.json.decode(entry.detail),
    )


OPERATIONS: Final = (
    Operation(
        name="audit.list", method="GET", path="/audit", scope=READ, run=list_entries, where=EntriesWhere, gives=EntryRecord, many=True
    ),
    Operation(
        name="audit.names", method="GET", path="/audit/names", scope=READ, run=list_names, where=NamesWhere, gives=NameRecord, many=True
    ),
    Operation(
        name="audit.export",
        method="GET",
        path="/audit/export",
        scope=READ,
        run=export_entries,
        where=ExportWhere,
        gives=EntryRecord,
        lines=True,
    ),
)
