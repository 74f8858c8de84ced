"""How much of what a tenant has, for a first look."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gatewright.base.operation import Nowhere, Operation
from gatewright.management.errand import Errand
from gatewright.store import Query

READ: Final = "gw:tenant:read"
MOST: Final = 10_000
"""How far is counted: a first look costs the same on a platform with a million grants."""

_APIS: Final = Query(int, "SELECT count(*) FROM api WHERE tenant = :tenant AND disabled_at IS NULL")
_SCOPES: Final = Query(int, "SELECT count(*) FROM scope WHERE tenant = :tenant AND retired_at IS NULL")
_ROLES: Final = Query(int, "SELECT count(*) FROM role WHERE tenant = :tenant AND retired_at IS NULL")
_CLIENTS: Final = Query(
    int, "SELECT count(*) FROM (SELECT 1 FROM client WHERE tenant = :tenant AND disabled_at IS NULL LIMIT :most) AS found"
)
_ACCOUNTS: Final = Query(
    int, "SELECT count(*) FROM (SELECT 1 FROM account WHERE tenant = :tenant AND deleted_at IS NULL LIMIT :most) AS found"
)
_USERS: Final = Query(int, "SELECT count(*) FROM (SELECT 1 FROM person WHERE tenant = :tenant AND deleted_at IS NULL LIMIT :most) AS found")
_GRANTS: Final = Query(
    int, "SELECT count(*) FROM (SELECT 1 FROM consent_grant WHERE tenant = :tenant AND ended_at IS NULL LIMIT :most) AS found"
)


class CountsRecord(Struct, frozen=True, kw_only=True):
    """How many there are of what is live; of clients, accounts, users and grants, 10001 stands for more than 10000."""

    apis: int
    scopes: Annotated[int, Meta(description="Those of the tenant's own APIs.")]
    roles: int
    clients: int
    accounts: int
    users: Annotated[int, Meta(description="People and service users.")]
    grants: int


async def count(errand: Errand, where: Nowhere) -> CountsRecord:
    """Count what the tenant has, as far as 10,000 of each kind."""
    source, tenant, most = errand.source, errand.tenant, MOST + 1
    return CountsRecord(
        apis=await source.one(_APIS, tenant=tenant) or 0,
        scopes=await source.one(_SCOPES, tenant=tenant) or 0,
        roles=await source.one(_ROLES, tenant=tenant) or 0,
        clients=await source.one(_CLIENTS, tenant=tenant, most=most) or 0,
        accounts=await source.one(_ACCOUNTS, tenant=tenant, most=most) or 0,
        users=await source.one(_USERS, tenant=tenant, most=most) or 0,
        grants=await source.one(_GRANTS, tenant=tenant, most=most) or 0,
    )


OPERATIONS: Final = (Operation(name="tenant.counts", method="GET", path="/counts", scope=READ, run=count, gives=CountsRecord),)
