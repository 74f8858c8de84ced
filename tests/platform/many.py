"""Grants by the thousand, as consents would have left them."""

from __future__ import annotations

from gatewright.store import Query, Store, Tx

TENANT, CLIENT, OTHER_CLIENT, ACCOUNT, OTHER_ACCOUNT = 1001, 2001, 2002, 6001, 6002
_ADD = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at, changed_at)
       VALUES (:id, :tenant, :client, :account, :person, 0, :granted, '', '', :source, 1, 1)""",
)
_JOIN = Query(
    None, "INSERT INTO membership (id, tenant, person, account, roles, created_at) VALUES (:id, :tenant, :person, :account, :roles, 0)"
)
STATE = Query(str, "SELECT id || ':' || granted || ':' || COALESCE(ended_because, '') FROM consent_grant ORDER BY id")


async def add_grants(
    store: Store,
    count: int,
    *,
    first: int = 1,
    tenant: int = TENANT,
    client: int = CLIENT,
    account: int = ACCOUNT,
    granted: str = "1 201 202",
    source: str = "user",
    person: int = 50_000,
) -> list[int]:
    """Put live grants there, each of a user of its own from `person` on; return their ids."""

    async def unit(tx: Tx) -> None:
        for number in range(first, first + count):
            who = person + number if source != "operator" else 0
            await tx.do(_ADD, id=number, tenant=tenant, client=client, account=account, person=who, granted=granted, source=source)

    await store.run(unit)
    return list(range(first, first + count))


async def add_members(store: Store, first: int, count: int, *, tenant: int, account: int, roles: str) -> None:
    """Let the users of such grants work in an account."""

    async def unit(tx: Tx) -> None:
        for number in range(first, first + count):
            await tx.do(_JOIN, id=number, tenant=tenant, person=50_000 + number, account=account, roles=roles)

    await store.run(unit)


async def state(store: Store) -> dict[int, tuple[str, str]]:
    """Every grant: what it gives, and why it ended."""
    found = [line.split(":") for line in await store.all(STATE)]
    return {int(number): (granted, because) for number, granted, because in found}
