"""Where a client's events go, what signs them, and what became of them: the SQL of it, each statement beside its act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.audit.book import Act, Actor, record
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.base.moment import Moment
from gatewright.base.secret import Secret
from gatewright.store.query import Query
from gatewright.webhooks.outbox import record_event
from gatewright.webhooks.ports import Wraps
from gatewright.webhooks.records import AttemptRow, EndpointRow, EventRow, EventType, SecretRow
from gatewright.webhooks.rules import new_secret

if TYPE_CHECKING:
    from gatewright.store.port import Store, Tx

LIVE_SECRETS: Final = 2
ROTATION: Final = 86_400  # seconds for which the old secret still signs after a new one was made
PURPOSE: Final = "webhook secret"
NEWEST: Final = (1 << 63) - 1
_NONCE: Final = 12

_ENDPOINT_COLUMNS: Final = (
    "id, tenant, client_id, url, created_at, leased_by, quiet_until, failures, disabled_at, disabled_because, blocked_at"
)
_EVENT_COLUMNS: Final = "id, client, type, data, at, state, since, tries, next_at, last_at, last_outcome, last_status"

ENDPOINT: Final = Query(EndpointRow, f"SELECT {_ENDPOINT_COLUMNS} FROM webhook_endpoint WHERE id = :id AND tenant = :tenant")  # noqa: S608 - the columns are ours
_OPEN: Final = Query(
    None,
    """INSERT INTO webhook_endpoint (id, tenant, client_id, url, created_at, leased_by, quiet_until, failures)
       VALUES (:id, :tenant, :client_id, :url, :now, '', 0, 0)
           ON CONFLICT (id) DO UPDATE SET url = excluded.url, failures = 0, quiet_until = 0, disabled_at = NULL, disabled_because = NULL
            WHERE webhook_endpoint.tenant = excluded.tenant""",
)
_CLOSE: Final = Query(
    None,
    """UPDATE webhook_endpoint SET disabled_at = :now, disabled_because = 'removed'
        WHERE id = :id AND tenant = :tenant AND (disabled_at IS NULL OR disabled_because <> 'removed')""",
)
_ENABLE: Final = Query(
    None,
    """UPDATE webhook_endpoint SET disabled_at = NULL, disabled_because = NULL, failures = 0, quiet_until = 0
        WHERE id = :id AND tenant = :tenant AND disabled_because = 'gone'""",
)
_BLOCK: Final = Query(None, "UPDATE webhook_endpoint SET blocked_at = :now WHERE id = :id AND tenant = :tenant AND blocked_at IS NULL")
_UNBLOCK: Final = Query(
    None, "UPDATE webhook_endpoint SET blocked_at = NULL WHERE id = :id AND tenant = :tenant AND blocked_at IS NOT NULL"
)

SECRETS: Final = Query(
    SecretRow,
    """SELECT id, wrapped, created_at, expires_at FROM webhook_secret
        WHERE client = :client AND tenant = :tenant AND (expires_at IS NULL OR expires_at > :now) ORDER BY id DESC""",
)
_ADD_SECRET: Final = Query(
    None,
    """INSERT INTO webhook_secret (id, tenant, client, wrapped, created_at) VALUES (:id, :tenant, :client, :wrapped, :now)""",
)
_END_OLD: Final = Query(
    None,
    """UPDATE webhook_secret SET expires_at = :expires_at
        WHERE client = :client AND tenant = :tenant AND id <> :kept AND (expires_at IS NULL OR expires_at > :expires_at)""",
)

LIST: Final = Query(
    EventRow,
    f"""SELECT {_EVENT_COLUMNS} FROM webhook_event
         WHERE client = :client AND tenant = :tenant AND id < :before
           AND (CAST(:state AS TEXT) = '' OR state = :state) AND (CAST(:type AS TEXT) = '' OR type = :type)
      ORDER BY id DESC LIMIT :count""",  # noqa: S608 - the columns are ours
)
EVENT: Final = Query(EventRow, f"SELECT {_EVENT_COLUMNS} FROM webhook_event WHERE id = :id AND client = :client AND tenant = :tenant")  # noqa: S608 - the columns are ours
ATTEMPTS: Final = Query(
    AttemptRow,
    "SELECT id, at, outcome, status, milliseconds FROM webhook_attempt WHERE event = :event AND tenant = :tenant ORDER BY id LIMIT 200",
)
_REPLAY: Final = Query(
    None,
    """UPDATE webhook_event SET state = 'waiting', since = :now, tries = 0, next_at = :now
        WHERE id = :id AND client = :client AND tenant = :tenant""",
)
_REPLAY_GIVEN_UP: Final = Query(
    None,
    """UPDATE webhook_event SET state = 'waiting', since = :now, tries = 0, next_at = :now
        WHERE client = :client AND tenant = :tenant AND state = 'given_up'""",
)


async def follow(deed: Deed, client: int, client_id: str, old: str | None, new: str | None) -> None:
    """Send a client's events where its settings say, from now on: to another address, or nowhere. Part of the client's change."""
    if old == new:
        return
    if new is None:
        await deed.tx.do(_CLOSE, id=client, tenant=deed.tenant, now=deed.at.now)
    else:
        await deed.tx.do(_OPEN, id=client, tenant=deed.tenant, client_id=client_id, url=new, now=deed.at.now)


async def block(deed: Deed, client: int) -> None:
    """Send a disabled client nothing, and record nothing for it."""
    await deed.tx.do(_BLOCK, id=client, tenant=deed.tenant, now=deed.at.now)


async def unblock(deed: Deed, client: int) -> None:
    """Send to a client that was enabled again what was waiting, and what comes."""
    await deed.tx.do(_UNBLOCK, id=client, tenant=deed.tenant)


async def enable(deed: Deed, client: int, client_id: str) -> bool:
    """Send again to an address that said it is gone for good; tell whether it had."""
    if not await deed.tx.do(_ENABLE, id=client, tenant=deed.tenant):
        return False
    await deed.note(Act.EVENTS_ENABLED, client_id)
    return True


async def replay(deed: Deed, client: int, client_id: str, number: int) -> bool:
    """Deliver one event again, under the same name, whatever became of it before; tell whether there is such an event."""
    if not await deed.tx.do(_REPLAY, id=number, client=client, tenant=deed.tenant, now=deed.at.now):
        return False
    await deed.note(Act.EVENTS_REPLAYED, client_id, event=ids.show(ids.EVENT, number))
    return True


async def test(deed: Deed, client: int, client_id: str) -> bool:
    """Tell a client nothing but that it can be told; tell whether there is an address to tell it to."""
    if not await record_event(deed.tx, deed.at, tenant=deed.tenant, client=client, type=EventType.TEST, data={}):
        return False
    await deed.note(Act.EVENTS_TESTED, client_id)
    return True


async def replay_given_up(deed: Deed, client: int, client_id: str) -> int:
    """Deliver again every event that was given up; return how many."""
    count = await deed.tx.do(_REPLAY_GIVEN_UP, client=client, tenant=deed.tenant, now=deed.at.now)
    if count:
        await deed.note(Act.EVENTS_REPLAYED, client_id, events=count)
    return count


async def live_secrets(store: Store | Tx, wraps: Wraps, tenant: int, client: int, now: int) -> list[tuple[SecretRow, Secret]]:
    """Return the secrets that sign a client's deliveries now, the newest first."""
    rows = await store.all(SECRETS, client=client, tenant=tenant, now=now)
    return [(row, Secret(wraps.unwrap(PURPOSE, tenant, _name(client, row.id), row.wrapped).decode())) for row in rows[:LIVE_SECRETS]]


async def read_secrets(deed: Deed, wraps: Wraps, client: int, client_id: str) -> list[tuple[SecretRow, Secret]]:
    """Return the secrets that sign now, for somebody to read: each reading is in the audit log (`security-rules` 46)."""
    found = await live_secrets(deed.tx, wraps, deed.tenant, client, deed.at.now)
    await deed.note(Act.EVENT_SECRET_READ, client_id, secret_ids=[ids.show(ids.WEBHOOK_SECRET, row.id) for row, _ in found])
    return found


async def rotate_secret(tx: Tx, at: Moment, wraps: Wraps, endpoint: EndpointRow, *, actor: Actor, overlap: int = ROTATION) -> int:
    """Make a client a new secret; the one before it signs along for `overlap` seconds more. A unit of work."""
    number, client = at.id(), endpoint.id
    plain, nonce = new_secret(at.dice).reveal().encode(), at.dice.bytes(_NONCE)
    wrapped = wraps.wrap(PURPOSE, endpoint.tenant, _name(client, number), plain, nonce=nonce)
    await tx.do(_ADD_SECRET, id=number, tenant=endpoint.tenant, client=client, wrapped=wrapped, now=at.now)
    await tx.do(_END_OLD, client=client, tenant=endpoint.tenant, kept=number, expires_at=at.now + overlap)
    detail = {"secret_id": ids.show(ids.WEBHOOK_SECRET, number)}
    await record(tx, at, tenant=endpoint.tenant, actor=actor, act=Act.EVENT_SECRET_MADE, subject=endpoint.client_id, detail=detail)
    return number


async def first_secret(tx: Tx, at: Moment, wraps: Wraps, endpoint: EndpointRow, *, actor: Actor) -> None:
    """Make a client's first secret, unless somebody else just did. A unit of work."""
    if not await tx.all(SECRETS, client=endpoint.id, tenant=endpoint.tenant, now=at.now):
        await rotate_secret(tx, at, wraps, endpoint, actor=actor)


async def endpoint_of(store: Store | Tx, tenant: int, client: int, client_id: str) -> EndpointRow:
    """Return where a client's events go.

    Raises:
        Refused: it never named an address.
    """
    found = await store.one(ENDPOINT, id=client, tenant=tenant)
    if found is None:
        raise Refused(f"{client_id} has no event_url, so it is told nothing: set event_url in its settings")
    return found


async def events_of(
    store: Store,
    tenant: int,
    client: int,
    *,
    state: str = "",
    type: EventType | None = None,
    before: int = NEWEST,
    count: int = 100,
) -> list[EventRow]:
    """Return a client's events that were recorded before the one with the id `before`, the latest first."""
    label = "" if type is None else type.label
    return await store.all(LIST, client=client, tenant=tenant, state=state, type=label, before=before, count=count)


def _name(client: int, secret: int) -> str:
    return f"{client}:{secret}"
