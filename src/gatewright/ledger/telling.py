"""What apps are told of their grants: each change in its own transaction, and one act that ended thousands afterwards, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base import ids
from gatewright.base.faults import raise_all
from gatewright.ledger.standing import SCOPE_NAMES
from gatewright.oauth.catalogue import BUILT_IN, ids_of
from gatewright.store import Query, StoreBusy, StoreUnavailable
from gatewright.webhooks.outbox import FanOut, listens, pending, record_event, seen
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.base.moment import Clock, Moment
    from gatewright.ledger.grants import Grant
    from gatewright.store import Store, Tx

BATCH: Final = 100  # grants told in one transaction: some milliseconds of the writer's time
ROUNDS: Final = 100

# An installation has events of its own for these.
_TOLD_OTHERWISE: Final = frozenset({"uninstalled", "reinstalled"})
_TYPES: Final = {type.label: type for type in EventType}


class Ended(Struct, frozen=True):
    """A grant that ended, as far as its client is told of it. `acting` is the installation where `source` is a clean-up."""

    id: int
    client: int
    person: int
    account: int
    source: str
    acting: int


class Changed(Struct, frozen=True):
    """A live grant, as far as its client is told what it has now."""

    id: int
    tenant: int
    client: int
    person: int
    account: int
    granted: str
    declined: str


_OF: Final = "SELECT id, client, person, account, source, acting FROM consent_grant WHERE tenant = :tenant AND id > :seen"
_OTHERS: Final = "AND (account = :account OR CAST(:account AS BIGINT) = 0) AND (client = :client OR CAST(:client AS BIGINT) = 0)"
_PERSONS: Final = f"AND person = :person {_OTHERS}"
_ACCOUNTS: Final = "AND account = :account AND (client = :client OR CAST(:client AS BIGINT) = 0)"
_ENDED: Final = "AND ended_at = :at AND ended_because = :because ORDER BY id LIMIT :count"
_HELD: Final = "AND made_at <= :at AND (ended_at IS NULL OR ended_at >= :at) AND source <> 'cleanup' ORDER BY id LIMIT :count"
_ENDED_OF_PERSON: Final = Query(Ended, f"{_OF} {_PERSONS} {_ENDED}")
_ENDED_OF_ACCOUNT: Final = Query(Ended, f"{_OF} {_ACCOUNTS} {_ENDED}")
_ENDED_OF_OTHER: Final = Query(Ended, f"{_OF} {_OTHERS} {_ENDED}")
_HELD_OF_PERSON: Final = Query(Ended, f"{_OF} {_PERSONS} {_HELD}")
_HELD_OF_ACCOUNT: Final = Query(Ended, f"{_OF} {_ACCOUNTS} {_HELD}")
_NOW: Final = """SELECT id, tenant, client, person, account, granted, declined FROM consent_grant
                  WHERE tenant = :tenant AND id > :seen"""
# One that was changed once more since then is told of by that change.
_SINCE: Final = "AND changed_at = :at AND ended_at IS NULL AND source <> 'cleanup' ORDER BY id LIMIT :count"
_CHANGED_OF_PERSON: Final = Query(Changed, f"{_NOW} {_PERSONS} {_SINCE}")
_CHANGED_OF_ACCOUNT: Final = Query(Changed, f"{_NOW} {_ACCOUNTS} {_SINCE}")
_CHANGED_OF_OTHER: Final = Query(Changed, f"{_NOW} {_OTHERS} {_SINCE}")


async def changed(tx: Tx, at: Moment, grant: Grant | Changed, *, when: int | None = None) -> None:
    """Tell a client that it was given more, or less; `when` is the moment of an act that changed many, which is told once."""
    if not await listens(tx, grant.tenant, grant.client):
        return
    names = {scope.id: scope.name for scope in BUILT_IN} | {
        scope.id: scope.name for scope in await tx.all(SCOPE_NAMES, tenant=grant.tenant)
    }
    data = {
        "grant_id": ids.show(ids.GRANT, grant.id),
        **parties(grant.person, grant.account),
        "scopes": [names[number] for number in sorted(ids_of(grant.granted)) if number in names],
        "declined_scopes": [names[number] for number in sorted(ids_of(grant.declined)) if number in names],
    }
    kind = EventType.GRANT_UPDATED
    once = None if when is None else f"{kind.label} {data['grant_id']} {when}"
    await record_event(tx, at, tenant=grant.tenant, client=grant.client, type=kind, data=data, once=once, when=when)


async def ended(tx: Tx, at: Moment, tenant: int, grant: Ended, because: str, when: int | None = None) -> None:
    """Tell a client that what it was given has ended: of each grant once, and of an installation as such."""
    if grant.source == "cleanup":
        await deleted(tx, at, tenant, grant, when=when)
    elif because not in _TOLD_OTHERWISE:
        shown = ids.show(ids.GRANT, grant.id)
        data = {"grant_id": shown, **parties(grant.person, grant.account), "because": because}
        kind = EventType.GRANT_REVOKED
        await record_event(tx, at, tenant=tenant, client=grant.client, type=kind, data=data, once=f"{kind.label} {shown}", when=when)


async def deleted(tx: Tx, at: Moment, tenant: int, grant: Ended, *, because: str = "uninstalled", when: int | None = None) -> None:
    """Tell a client that an installation is gone for good; `acting` of the grant is the installation."""
    shown = ids.show(ids.INSTALL, grant.acting)
    data = {"install_id": shown, **parties(grant.person, grant.account), "because": because}
    kind = EventType.INSTALL_DELETED
    await record_event(tx, at, tenant=tenant, client=grant.client, type=kind, data=data, once=f"{kind.label} {shown}", when=when)


def parties(person: int, account: int) -> dict[str, object]:
    """Return whom a grant is about, as events name them."""
    return {
        "account_id": ids.show(ids.ACCOUNT, account) if account else None,
        "user_id": ids.show(ids.USER, person) if person else None,
    }


async def fan_out(store: Store, clock: Clock) -> int:
    """Tell what one act did to many grants; return how many grants were looked at. What a crash leaves is told by whoever comes next.

    An act that cannot be told is stepped over until the next call, so that those behind it need not wait; its fault is raised at the end.
    """
    told, rounds, failed = 0, 0, 0
    faults: list[Exception] = []
    while rounds < ROUNDS:
        act = await pending(store, failed)
        if act is None:
            break
        try:
            told += await _tell_some(store, clock, act)
        except (StoreBusy, StoreUnavailable):
            raise  # no other act would fare better
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this act's
            fault.add_note(f"at the act {act.id}, {act.type}, of the tenant {act.tenant}, told up to the grant {act.seen}")
            faults.append(fault)
            failed = act.id
        else:
            rounds += 1
    raise_all(faults, "acts that could not be told")
    return told


async def _tell_some(store: Store, clock: Clock, act: FanOut) -> int:
    """Tell of the next grants that an act concerned; return how many."""
    found = await (_changed(store, act) if act.type == EventType.GRANT_UPDATED.label else _concerned(store, act))
    last = found[-1].id if len(found) == BATCH else None
    await store.run(_tell, clock.moment(), act, found, last)
    return len(found)


async def _changed(store: Store, act: FanOut) -> Sequence[Changed]:
    if act.person:
        return await store.all(_CHANGED_OF_PERSON, person=act.person, **_common(act))
    return await store.all(_CHANGED_OF_ACCOUNT if act.account else _CHANGED_OF_OTHER, **_common(act))


def _common(act: FanOut) -> dict[str, int]:
    return {"tenant": act.tenant, "seen": act.seen, "at": act.at, "account": act.account, "client": act.client, "count": BATCH}


async def _concerned(store: Store, act: FanOut) -> Sequence[Ended]:
    common = _common(act)
    if act.type == EventType.GRANT_REVOKED.label:
        if act.person:
            return await store.all(_ENDED_OF_PERSON, person=act.person, because=act.because, **common)
        return await store.all(_ENDED_OF_ACCOUNT if act.account else _ENDED_OF_OTHER, because=act.because, **common)
    if act.person:
        return await store.all(_HELD_OF_PERSON, person=act.person, **common)
    return await store.all(_HELD_OF_ACCOUNT, **common)


async def _tell(tx: Tx, at: Moment, act: FanOut, found: Sequence[Ended | Changed], last: int | None) -> None:
    if not await seen(tx, act, last):
        return  # another node told of these
    kind = _TYPES[act.type]
    if kind in (EventType.GRANT_REVOKED, EventType.GRANT_UPDATED):
        for grant in found:
            if isinstance(grant, Changed):
                await changed(tx, at, grant, when=act.at)
            else:
                await ended(tx, at, act.tenant, grant, act.because, act.at)
        return
    data = {
        name: shown
        for name, shown in {"user_id": ids.show(ids.USER, act.person), "account_id": ids.show(ids.ACCOUNT, act.account)}.items()
        if name in kind.members
    }
    for client in dict.fromkeys([grant.client for grant in found]):
        once = f"{kind.label} {act.id}"
        await record_event(tx, at, tenant=act.tenant, client=client, type=kind, data=data, once=once, when=act.at)
