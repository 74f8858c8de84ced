"""Something that can be taken away: a grant of which one scope was used lately and another one was not, and an API that knows."""

from __future__ import annotations

from typing import Any

from gatewright.accounts.book import account_named
from gatewright.clients.book import client_named
from gatewright.ledger.grants import Giving
from gatewright.store import Query, Tx
from tests.support.approving import user
from tests.support.house import Node

DAY = 86_400
LONG = 200 * DAY


async def idle_grant(node: Node) -> int:
    """Let Ann give Budget Buddy two scopes half a year ago, of which it has used one today; return the grant."""
    tenant, at = await node.tenant(), node.house.clock.moment()
    catalogue = await node.house.world.directory.catalogue(tenant)
    read, send = (catalogue.scopes_by_name[name] for name in ("read:balance", "transfer:funds"))
    client = await client_named(node.house.store, tenant, "budget-buddy")
    account = await account_named(node.house.store, tenant, "acme-dev")
    assert client is not None
    assert account is not None
    giving = Giving(
        tenant=tenant,
        client=client.id,
        source="user",
        actor="us_x",
        person=(await user(node, "ann@acme.test")).id,
        account=account.id,
        granted=frozenset({read.id, send.id}),
    )
    grant = await node.house.grants.give(at, giving)
    statements: tuple[tuple[str, dict[str, int]], ...] = (
        ("UPDATE api SET usage = 1 WHERE id = :api", {"api": read.api}),
        ("UPDATE consent_grant SET made_at = :then, changed_at = :then WHERE id = :id", {"then": at.now - LONG, "id": grant.id}),
        (
            "INSERT INTO usage_report (api, tenant, since, last_at) VALUES (:api, :tenant, :since, :now)",
            {"api": read.api, "tenant": tenant, "since": at.now - LONG, "now": at.now},
        ),
        (
            "INSERT INTO scope_use (consent_grant, scope, tenant, day, days) VALUES (:id, :scope, :tenant, :day, 1)",
            {"id": grant.id, "scope": read.id, "tenant": tenant, "day": at.now // DAY},
        ),
    )

    async def unit(tx: Tx) -> None:
        for text, args in statements:
            query: Query[Any] = Query(None, text)
            await tx.do(query, **args)

    await node.house.store.run(unit)
    return grant.id
