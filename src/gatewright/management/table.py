"""Every operation there is, in the order in which it is described. What is not in this list cannot be managed."""

from __future__ import annotations

from typing import Final

from gatewright.base.operation import Operation
from gatewright.management import (
    accounts,
    apis,
    apps,
    clients,
    counts,
    decisions,
    events,
    explain,
    grants,
    installs,
    keys,
    log,
    revocation,
    roles,
    scope_use,
    tenant,
    users,
    weaknesses,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *tenant.OPERATIONS,
    *counts.OPERATIONS,
    *apis.OPERATIONS,
    *revocation.OPERATIONS,
    *roles.OPERATIONS,
    *accounts.OPERATIONS,
    *users.OPERATIONS,
    *clients.OPERATIONS,
    *apps.OPERATIONS,
    *installs.OPERATIONS,
    *weaknesses.OPERATIONS,
    *events.OPERATIONS,
    *grants.OPERATIONS,
    *scope_use.OPERATIONS,
    *keys.OPERATIONS,
    *log.OPERATIONS,
    *explain.OPERATIONS,
    *decisions.OPERATIONS,
)
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
