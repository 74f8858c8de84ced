"""Whom a change takes something from, counted before it is made. Only what shrinks is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.platform.current import Current
from gatewright.platform.steps import Change, Hit, user_key
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

_GRANTS_OF_CLIENT: Final = Query(int, "SELECT count(*) FROM consent_grant WHERE tenant = :tenant AND client = :client AND ended_at IS NULL")
_GRANTS_WITH_SCOPE: Final = Query(
    int,
    """SELECT count(*) FROM consent_grant
        WHERE tenant = :tenant AND ended_at IS NULL AND ' ' || granted || ' ' LIKE :pattern""",
)
_GRANTS_OF_CLIENT_WITH_SCOPE: Final = Query(
    int,
    """SELECT count(*) FROM consent_grant
        WHERE tenant = :tenant AND client = :client AND ended_at IS NULL AND ' ' || granted || ' ' LIKE :pattern""",
)
_GRANTS_OF_USER: Final = Query(int, "SELECT count(*) FROM consent_grant WHERE person = :person AND tenant = :tenant AND ended_at IS NULL")
_GRANTS_OF_MEMBER: Final = Query(
    int, "SELECT count(*) FROM consent_grant WHERE person = :person AND account = :account AND tenant = :tenant AND ended_at IS NULL"
)
_GRANTS_OF_ACCOUNT: Final = Query(
    int, "SELECT count(*) FROM consent_grant WHERE tenant = :tenant AND account = :account AND ended_at IS NULL"
)
_MEMBERS_OF_ACCOUNT: Final = Query(
    int, "SELECT count(*) FROM membership WHERE account = :account AND tenant = :tenant AND ended_at IS NULL"
)
_MEMBERS_WITH_ROLE: Final = Query(
    int, "SELECT count(*) FROM membership WHERE tenant = :tenant AND ended_at IS NULL AND ' ' || roles || ' ' LIKE :pattern"
)
_CLIENTS_WITH_SCOPE: Final = Query(
    int,
    """SELECT count(*) FROM client
        WHERE tenant = :tenant AND disabled_at IS NULL
          AND (settings LIKE :first OR settings LIKE :middle OR settings LIKE :last OR settings LIKE :only)""",
)


async def counted(store: Store | Tx, tenant: int, change: Change, current: Current) -> Change:
    """Return a change with whom it hits; those that hit nobody are as they were."""
    if change.sign == "+" or not tenant:
        return change
    hits = [hit for hit in await _hits(store, tenant, change, current) if hit.count]
    return msgspec.structs.replace(change, hits=tuple(hits))


async def _hits(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    match change.kind:
        case "client":
            return await _client(store, tenant, change, current)
        case "role":
            return await _role(store, tenant, change, current)
        case "scope" if change.sign == "-":
            return await _scope(store, tenant, current.scopes[change.name].id)
        case "api" if change.sign == "-":
            owned = [row.id for row in current.scopes.values() if row.api == current.apis[change.name].id]
            return _summed([hit for number in owned for hit in await _scope(store, tenant, number)])
        case "user" if change.sign == "-":
            person = current.users[user_key(change.name)].id
            return [Hit(await _count(store, _GRANTS_OF_USER, tenant=tenant, person=person), "live grants")]
        case "membership":
            return await _membership(store, tenant, change, current)
        case "account" if change.sign == "-":
            account = current.accounts[change.name].id
            members = await _count(store, _MEMBERS_OF_ACCOUNT, tenant=tenant, account=account)
            return [Hit(members, "members"), Hit(await _count(store, _GRANTS_OF_ACCOUNT, tenant=tenant, account=account), "live grants")]
    return []


async def _client(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    client = current.clients[change.name].id
    if change.sign == "-":
        return [Hit(await _count(store, _GRANTS_OF_CLIENT, tenant=tenant, client=client), "live grants")]
    hits = []
    for name in _lost(change, "scopes"):
        number = next(number for number, known in current.scope_names.items() if known == name)
        count = await _count(store, _GRANTS_OF_CLIENT_WITH_SCOPE, tenant=tenant, client=client, pattern=f"% {number} %")
        hits.append(Hit(count, f"live grants with {name}"))
    if _narrowed(change):
        hits.append(Hit(await _count(store, _GRANTS_OF_CLIENT, tenant=tenant, client=client), "live grants"))
    return hits


def _narrowed(change: Change) -> bool:
    """Tell whether a client's users or addresses were cut, beside its scopes."""
    lists = [detail for detail in change.details if detail.key in ("roles", "allowed_ips", "grant_types")]
    for detail in lists:
        before, after = set(detail.before or []), set(detail.after or [])
        if detail.key in ("roles", "allowed_ips") and after and (not before or before - after):
            return True
        if detail.key == "grant_types" and before - after:
            return True
    return False


async def _role(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    lost = _lost(change, "scopes")
    if change.sign != "-" and not lost:
        return []
    what = "members who hold it" if change.sign == "-" else f"members who lose {', '.join(lost)}"
    pattern = f"% {current.roles[change.name].id} %"
    return [Hit(await _count(store, _MEMBERS_WITH_ROLE, tenant=tenant, pattern=pattern), what)]


async def _scope(store: Store | Tx, tenant: int, scope: int) -> list[Hit]:
    # The ids of a client's scopes stand in its settings as a JSON list, so that one of them is between brackets or commas.
    forms = {"first": f'%"scopes":[{scope},%', "middle": f"%,{scope},%", "last": f"%,{scope}]%", "only": f'%"scopes":[{scope}]%'}
    clients = await store.one(_CLIENTS_WITH_SCOPE, tenant=tenant, **forms)
    grants = await _count(store, _GRANTS_WITH_SCOPE, tenant=tenant, pattern=f"% {scope} %")
    return [Hit(clients or 0, "clients"), Hit(grants, "live grants")]


async def _membership(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    lost = _lost(change, "roles")
    if change.sign != "-" and not lost:
        return []
    email, _, slug = change.name.rpartition(" in ")
    person, account = current.users[user_key(email)].id, current.accounts[slug].id
    return [Hit(await _count(store, _GRANTS_OF_MEMBER, tenant=tenant, person=person, account=account), "live grants")]


async def _count(store: Store | Tx, query: Query[int], **args: int | str) -> int:
    rows = await store.all(query, **args)
    return rows[0] if rows else 0


def _lost(change: Change, key: str) -> list[str]:
    detail = next((detail for detail in change.details if detail.key == key), None)
    return [] if detail is None else [name for name in detail.before or [] if name not in (detail.after or [])]


def _summed(hits: list[Hit]) -> list[Hit]:
    totals: dict[str, int] = {}
    for hit in hits:
        totals[hit.what] = totals.get(hit.what, 0) + hit.count
    return [Hit(count, what) for what, count in totals.items()]
