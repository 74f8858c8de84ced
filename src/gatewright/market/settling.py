"""Installs whose user, account, membership, app or grant has ended: their access is dead already, and here they end too.

An act that ends one of these calls `settle` in its own transaction where the number is small; a job finds whatever is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from gatewright.ledger.standing import LAPSED
from gatewright.market.installs import BY_ID, end_install

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Clock, Moment
    from gatewright.oauth.authorization import EndedBecause
    from gatewright.store import Store, Tx

BATCH: Final = 100  # installs a transaction
ROUNDS: Final = 100
BY_ITSELF: Final = "gatewright"  # the actor of what nobody did


async def settle_all(store: Store, clock: Clock) -> int:
    """End every install of which a party has ended; return how many. A job."""
    total = 0
    for _ in range(ROUNDS):
        ended = await store.run(settle, clock.moment())
        total += ended
        if ended < BATCH:
            break
    return total


async def settle(
    tx: Tx, at: Moment, *, tenant: int = 0, app: int = 0, account: int = 0, acting: int = 0, actor: Actor = BY_ITSELF, count: int = BATCH
) -> int:
    """End the installs of an app, an account or a user of which a party has ended; return how many. A unit of work, or a part of one."""
    lapsed = await tx.all(LAPSED, tenant=tenant, app=app, account=account, acting=acting, count=count)
    ended = 0
    for one in lapsed:
        install = await tx.one(BY_ID, id=one.id, tenant=one.tenant)
        if install is not None:
            ended += await end_install(tx, at, install, because=cast("EndedBecause", one.because), actor=actor)
    return ended
