"""What clients are told: what became of it, telling it again, and the address that it goes to."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, convert

from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.operation import Operation, Paged
from gatewright.management.clients import ClientAt
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import client_at, number_of, place
from gatewright.webhooks import book
from gatewright.webhooks.records import EventRow

READ: Final = "gw:clients:read"
WRITE: Final = "gw:clients:write"
_ClientId = Annotated[str, Meta(description="The client's id.", max_length=200)]


class EventAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which event of which client."""

    client_id: _ClientId
    event: Annotated[str, Meta(description="The event's id, `ev_…`.", max_length=100)]


class EventsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events of which client."""

    client_id: _ClientId
    state: Annotated[Literal["", "waiting", "delivered", "given_up"], Meta(description="Only those in this state.")] = ""
    type: Annotated[str, Meta(description="Only those of this type.", max_length=100)] = ""


class EventRecord(Struct, frozen=True, kw_only=True):
    """An event, and how its delivery stands. What an address answered beside its status is not kept."""

    id: str
    type: str
    at: str
    state: str
    tries: int
    next_at: str | None
    last_at: str | None
    outcome: str | None
    status: int | None


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt at a delivery."""

    at: str
    outcome: str
    status: int | None
    milliseconds: int


class EventShown(EventRecord, frozen=True, kw_only=True):
    """An event with its data and each attempt at its delivery."""

    data: dict[str, Any]
    attempts: tuple[Attempt, ...]


class EndpointRecord(Struct, frozen=True, kw_only=True):
    """Where a client's events go."""

    event_url: str
    state: Annotated[str, Meta(description="`open`, `gone` (it answered 410), `removed` or `client_disabled`.")]
    failures: Annotated[int, Meta(description="Turns in a row that got nothing through.")]
    quiet_until: str | None


class NewEventSecret(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a new secret takes the place of the one before."""

    end_others: Annotated[bool, Meta(description="The one before signs no more from this moment, instead of a day from now.")] = False


class MadeEventSecret(Struct, frozen=True, kw_only=True):
    """A secret that signs events, just made."""

    id: str
    created_at: str
    secret: str


class Again(Struct, frozen=True):
    """How many events will be delivered again."""

    replayed: int


async def list_events(errand: Errand, where: EventsWhere) -> list[EventRecord]:
    """List what a client is told, the latest first."""
    client = await client_at(errand, where.client_id)
    before = place(ids.EVENT, where.after, book.NEWEST)
    found = await errand.source.all(
        book.LIST, client=client.id, tenant=errand.tenant, state=where.state, type=where.type, before=before, count=where.count
    )
    return [convert(_told(event), EventRecord) for event in found]


async def show_event(errand: Errand, where: EventAt) -> EventShown:
    """Show an event with its data and each attempt at its delivery."""
    event = await _event(errand, where)
    attempts = await errand.source.all(book.ATTEMPTS, event=event.id, tenant=errand.tenant)
    tried = [Attempt(at=stamp(one.at), outcome=one.outcome, status=one.status, milliseconds=one.milliseconds) for one in attempts]
    data = {"client_id": where.client_id, **msgspec.json.decode(event.data)}
    return convert({**_told(event), "data": data, "attempts": tried}, EventShown)


async def replay_event(errand: Errand, where: EventAt) -> EventShown:
    """Deliver an event again, under the id that it had: a receiver that has it already can tell."""
    event = await _event(errand, where)
    await book.replay(errand.deed, event.client, where.client_id, event.id)
    return await show_event(errand, where)


async def replay_given_up(errand: Errand, where: ClientAt) -> Again:
    """Deliver again every event of a client that was given up."""
    client = await client_at(errand, where.client_id)
    return Again(await book.replay_given_up(errand.deed, client.id, where.client_id))


async def test_event(errand: Errand, where: ClientAt) -> None:
    """Send a client an event of the type "test", to see it arrive."""
    client = await client_at(errand, where.client_id)
    if not await book.test(errand.deed, client.id, where.client_id):
        raise Refused(f"nothing is sent to {where.client_id}: it has no event_url, or its address is not open")


async def show_endpoint(errand: Errand, where: ClientAt) -> EndpointRecord:
    """Show where a client's events go, and whether anything is sent there now."""
    client = await client_at(errand, where.client_id)
    row = await errand.source.one(book.ENDPOINT, id=client.id, tenant=errand.tenant)
    if row is None:
        raise NotThere(f"{where.client_id} has no event_url, so it is told nothing")
    state = "client_disabled" if row.blocked_at is not None else row.disabled_because or "open"
    quiet = stamp(row.quiet_until) if row.open and row.failures and row.quiet_until > errand.at.now else None
    return EndpointRecord(event_url=row.url, state=state, failures=row.failures, quiet_until=quiet)


async def enable_endpoint(errand: Errand, where: ClientAt) -> EndpointRecord:
    """Send again to an address that answered 410."""
    client = await client_at(errand, where.client_id)
    await book.enable(errand.deed, client.id, where.client_id)
    return await show_endpoint(errand, where)


async def create_secret(errand: Errand, where: ClientAt, body: NewEventSecret) -> MadeEventSecret:
    """Make the secret that signs a client's events, or a new one; the one before signs along for a day."""
    client = await client_at(errand, where.client_id)
    row = await errand.source.one(book.ENDPOINT, id=client.id, tenant=errand.tenant)
    if row is None:
        raise NotThere(f"{where.client_id} has no event_url, so it is told nothing")
    tx, overlap = errand.deed.tx, 0 if body.end_others else book.ROTATION
    number = await book.rotate_secret(tx, errand.at, errand.tools.wrapper, row, actor=errand.caller.by, overlap=overlap)
    found = await book.live_secrets(tx, errand.tools.wrapper, errand.tenant, client.id, errand.at.now)
    made = next(text for kept, text in found if kept.id == number)
    return MadeEventSecret(id=ids.show(ids.WEBHOOK_SECRET, number), created_at=stamp(errand.at.now), secret=made.reveal())


async def _event(errand: Errand, where: EventAt) -> EventRow:
    client = await client_at(errand, where.client_id)
    number = number_of(ids.EVENT, where.event, "event")
    found = await errand.source.one(book.EVENT, id=number, client=client.id, tenant=errand.tenant)
    if found is None:
        raise NotThere(f"{where.client_id} has no event {where.event}")
    return found


def _told(event: EventRow) -> dict[str, Any]:
    return {
        "id": ids.show(ids.EVENT, event.id),
        "type": event.type,
        "at": stamp(event.at),
        "state": event.state,
        "tries": event.tries,
        "next_at": None if event.next_at is None else stamp(event.next_at),
        "last_at": None if event.last_at is None else stamp(event.last_at),
        "outcome": event.last_outcome,
        "status": event.last_status,
    }


_SECRETS: Final = "/clients/{client_id}/event-secrets"
_EVENTS: Final = "/clients/{client_id}/events"
_ENDPOINT: Final = "/clients/{client_id}/event-endpoint"
OPERATIONS: Final = (
    Operation(name="events.list", method="GET", path=_EVENTS, scope=READ, run=list_events, where=EventsWhere, gives=EventRecord, many=True),
    Operation(name="events.show", method="GET", path=f"{_EVENTS}/{{event}}", scope=READ, run=show_event, where=EventAt, gives=EventShown),
    Operation(
        name="events.replay",
        method="POST",
        path=f"{_EVENTS}/{{event}}/replay",
        scope=WRITE,
        run=replay_event,
        where=EventAt,
        gives=EventShown,
        acts=(Act.EVENTS_REPLAYED,),
        find=show_event,
    ),
    Operation(
        name="events.replay_given_up",
        method="POST",
        path=f"{_EVENTS}/replay",
        scope=WRITE,
        run=replay_given_up,
        where=ClientAt,
        gives=Again,
        acts=(Act.EVENTS_REPLAYED,),
    ),
    Operation(
        name="events.test", method="POST", path=f"{_EVENTS}/test", scope=WRITE, run=test_event, where=ClientAt, acts=(Act.EVENTS_TESTED,)
    ),
    Operation(name="events.endpoint", method="GET", path=_ENDPOINT, scope=READ, run=show_endpoint, where=ClientAt, gives=EndpointRecord),
    Operation(
        name="events.enable",
        method="POST",
        path=f"{_ENDPOINT}/enable",
        scope=WRITE,
        run=enable_endpoint,
        where=ClientAt,
        gives=EndpointRecord,
        acts=(Act.EVENTS_ENABLED,),
        find=show_endpoint,
    ),
    Operation(
        name="events.secrets.create",
        method="POST",
        path=_SECRETS,
        scope=WRITE,
        run=create_secret,
        where=ClientAt,
        body=NewEventSecret,
        gives=MadeEventSecret,
        acts=(Act.EVENT_SECRET_MADE,),
    ),
)
