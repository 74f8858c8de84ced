"""The outbox: what is written here is part of the transaction that made it true, and is delivered if and only if that committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.base.moment import Moment
from gatewright.store.query import Query
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.store.port import Store, Tx


class FanOut(Struct, frozen=True):
    """One act that concerns many grants; those up to `seen` were told."""

    id: int
    tenant: int
    type: str
    because: str
    person: int
    account: int
    client: int
    at: int
    seen: int


_RECORD: Final = Query(
    None,
    """INSERT INTO webhook_event (id, tenant, client, type, data, at, state, since, tries, next_at, once)
       SELECT CAST(:id AS BIGINT), p.tenant, p.id, :type, :data, CAST(:at AS BIGINT), 'waiting', CAST(:now AS BIGINT), 0,
              CAST(:now AS BIGINT), CAST(:once AS TEXT)
         FROM webhook_endpoint AS p
        WHERE p.id = :client AND p.tenant = :tenant AND p.disabled_at IS NULL AND p.blocked_at IS NULL
       ON CONFLICT DO NOTHING""",
)
_LISTENS: Final = Query(
    int, "SELECT 1 FROM webhook_endpoint WHERE id = :client AND tenant = :tenant AND disabled_at IS NULL AND blocked_at IS NULL"
)
_FAN_OUT: Final = Query(
    None,
    """INSERT INTO webhook_fan_out (id, tenant, type, because, person, account, client, at, seen)
       SELECT CAST(:id AS BIGINT), CAST(:tenant AS BIGINT), :type, :because, CAST(:person AS BIGINT), CAST(:account AS BIGINT),
              CAST(:client AS BIGINT), CAST(:at AS BIGINT), 0
        WHERE EXISTS (SELECT 1 FROM webhook_endpoint AS p
                       WHERE p.tenant = :tenant AND p.disabled_at IS NULL AND p.blocked_at IS NULL)""",
)


_PENDING: Final = Query(
    FanOut,
    """SELECT id, tenant, type, because, person, account, client, at, seen FROM webhook_fan_out
        WHERE id > :beyond ORDER BY id LIMIT 1""",
)
_MOVE: Final = Query(None, "UPDATE webhook_fan_out SET seen = :last WHERE id = :id AND seen = :seen")
_FINISH: Final = Query(None, "DELETE FROM webhook_fan_out WHERE id = :id AND seen = :seen")


async def record_event(
    tx: Tx,
    at: Moment,
    *,
    tenant: int,
    client: int,
    type: EventType,
    data: Mapping[str, object],
    once: str | None = None,
    when: int | None = None,
) -> bool:
    """Have a client told of something, in the transaction of the change; tell whether there is an address to tell it to.

    One statement, and nothing where the client has no `event_url`. `once` names what a client is told once, whoever records it;
    `when` is the moment of the change where that is not now.

    Raises:
        ValueError: the members of `data` are not those of the type, which is a mistake in our code.
    """
    if set(data) != set(type.members):
        raise ValueError(f"the event {type.label} has the members {', '.join(type.members)}")
    text = msgspec.json.encode(data).decode()
    moment = at.now if when is None else when
    return await tx.do(_RECORD, id=at.id(), tenant=tenant, client=client, type=type.label, data=text, at=moment, now=at.now, once=once) == 1


async def listens(source: Store | Tx, tenant: int, client: int) -> bool:
    """Tell whether a client is told anything, where it would cost something to say it."""
    return await source.one(_LISTENS, tenant=tenant, client=client) is not None


async def record_mass(
    tx: Tx,
    at: Moment,
    *,
    tenant: int,
    type: EventType,
    because: str = "",
    person: int = 0,
    account: int = 0,
    client: int = 0,
) -> None:
    """Have every client told that holds a grant of a person, an account or a client, however many: one row, from which a job tells them.

    With GRANT_REVOKED: of each grant that ended in this moment because of `because`; with GRANT_UPDATED: of each that was changed in it.
    With any other type: once to each client.
    """
    await tx.do(
        _FAN_OUT,
        id=at.id(),
        tenant=tenant,
        type=type.label,
        because=because,
        person=person,
        account=account,
        client=client,
        at=at.now,
    )


async def pending(store: Store, beyond: int = 0) -> FanOut | None:
    """Return the oldest act that is still to be told, of those after the act `beyond`, or None."""
    return await store.one(_PENDING, beyond=beyond)


async def seen(tx: Tx, act: FanOut, last: int | None) -> bool:
    """Note that an act was told up to the grant `last`, or wholly; tell whether nobody else did so meanwhile. Part of a unit."""
    if last is None:
        return await tx.do(_FINISH, id=act.id, seen=act.seen) == 1
    return await tx.do(_MOVE, id=act.id, seen=act.seen, last=last) == 1
