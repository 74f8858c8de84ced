"""Installs whose user, account, membership, app or grant has ended: their access is dead already, and here they end too.

An act that ends one of these calls `settle` in its own transaction where the number is small; a job finds whatever is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from gatewright.ledger.standing import LAPSED, LAPSED_OF_ACCOUNT, LAPSED_OF_APP, LAPSED_OF_USER, PAGE_OF_INSTALLS, Lapsed
from gatewright.market.installs import BY_ID, end_install

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Clock, Moment
    from gatewright.oauth.authorization import EndedBecause
    from gatewright.store import Store, Tx

BATCH: Final = 100  # installs a transaction of the job
PAGE: Final = 1000  # installs that one statement of the job looks at: some milliseconds
MOST_OF_JOB: Final = 10_000  # installs that one run ends, but for those of its last page; the next run goes on
MOST: Final = 1000  # installs that one act ends with itself
BY_ITSELF: Final = "gatewright"  # the actor of what nobody did


async def settle_all(store: Store, clock: Clock) -> int:
    """End installs of which a party has ended; return how many. A job: what there is to do is looked for where nobody waits."""
    total, after = 0, 0
    while total < MOST_OF_JOB and (page := await store.all(PAGE_OF_INSTALLS, after=after, count=PAGE)):
        lapsed = await store.all(LAPSED, after=after, upto=page[-1])
        for start in range(0, len(lapsed), BATCH):
            total += await store.run(end_lapsed, clock.moment(), lapsed[start : start + BATCH], BY_ITSELF)
        after = page[-1]
    return total


async def settle(tx: Tx, at: Moment, *, tenant: int, app: int = 0, account: int = 0, acting: int = 0, actor: Actor) -> int:
    """End the installs of a user (in an account), of an account, or of an app, of which a party has ended; return how many.

    A part of the unit of work of the act that ended it.
    """
    if acting:
        lapsed = await tx.all(LAPSED_OF_USER, acting=acting, account=account, count=MOST)
    elif account:
        lapsed = await tx.all(LAPSED_OF_ACCOUNT, account=account, count=MOST)
    else:
        lapsed = await tx.all(LAPSED_OF_APP, tenant=tenant, app=app, count=MOST)
    return await end_lapsed(tx, at, [one for one in lapsed if one.tenant == tenant], actor)


async def end_lapsed(tx: Tx, at: Moment, lapsed: list[Lapsed], actor: Actor) -> int:
    """End installs that were found to have lapsed; return how many were live. A unit of work, or a part of one."""
    ended = 0
    for one in lapsed:
        install = await tx.one(BY_ID, id=one.id, tenant=one.tenant)
        if install is not None:
            ended += await end_install(tx, at, install, because=cast("EndedBecause", one.because), actor=actor)
    return ended
