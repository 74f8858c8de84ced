"""Who still needs what weakens security, so that it can be switched off."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gatewright.audit.weaknesses import KINDS, WeaknessUse, uses
from gatewright.base.calendar import day, stamp
from gatewright.base.check import Fault, Faults, choice
from gatewright.base.operation import Operation, Paged
from gatewright.clients import book as clients
from gatewright.management.errand import Errand
from gatewright.users import book as users

READ: Final = "gw:clients:read"


class UsesWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which uses."""

    weakness: Annotated[str, Meta(description="`password_grant` or `out_of_band` alone.", max_length=100)] = ""


class UseRecord(Struct, frozen=True, kw_only=True):
    """A client, and the user for whom it used a weakness: since when, when last, and until when it may."""

    id: Annotated[str, Meta(description="Its place in the list.")]
    weakness: str
    client_id: str | None
    user: Annotated[str | None, Meta(description="The user's e-mail address.")]
    kind: Annotated[str | None, Meta(description="`person` or `service`.")]
    since: str
    last_at: str
    times: int
    until: Annotated[str | None, Meta(description="The last day of the client's exception.")]
    reason: str | None


async def list_uses(errand: Errand, where: UsesWhere) -> list[UseRecord]:
    """List which clients and users still need what weakens security, the latest use first."""
    if where.weakness and where.weakness not in KINDS:
        sentence = f'there is no weakness "{where.weakness}" whose uses are written down'
        raise Faults((Fault("weakness", sentence, choice(where.weakness, list(KINDS)), None, ("weakness",)),))
    found = await uses(errand.source, errand.tenant, where.weakness, after=where.after, count=where.count)
    return [await _told(errand, use) for use in found]


async def _told(errand: Errand, use: WeaknessUse) -> UseRecord:
    client = await errand.source.one(clients.BY_ID, id=use.client, tenant=errand.tenant)
    user = await errand.source.one(users.BY_ID, id=use.person, tenant=errand.tenant) if use.person else None
    exception = client.terms.password_grant if client is not None and use.weakness == "password_grant" else None
    return UseRecord(
        id=use.place,
        weakness=use.weakness,
        client_id=None if client is None else client.client_id,
        user=None if user is None else user.email,
        kind=None if user is None else user.kind,
        since=stamp(use.first_at),
        last_at=stamp(use.last_at),
        times=use.total,
        until=None if exception is None else day(exception.until - 1),
        reason=None if exception is None else exception.reason,
    )


OPERATIONS: Final = (
    Operation(
        name="weaknesses.list", method="GET", path="/weaknesses", scope=READ, run=list_uses, where=UsesWhere, gives=UseRecord, many=True
    ),
)
