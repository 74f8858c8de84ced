"""Looks at the records that prove whose a domain is: once a day at each, more often where one is awaited or missing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gatewright.base.log import Event
from gatewright.store import StoreError
from gatewright.tenants.claims import DUE, check

if TYPE_CHECKING:
    from gatewright.app import House
    from gatewright.tenants.claims import ClaimRow

A_ROUND: Final = 100
AT_ONCE: Final = 10


async def check_domains(house: House) -> int:
    """Look at the claims whose time has come; return at how many. One that fails is looked at again, and hinders no other."""
    due = await house.store.all(DUE, now=house.clock.moment().now, count=A_ROUND)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(row: ClaimRow) -> None:
        async with places:
            try:
                state, told = await check(house.store, house.clock.moment(), house.txt, house.world.sealer, row)
            except StoreError as fault:
                house.log.tell(Event.JOB_FAILED, job="domains", why=str(fault))
                return
        if state is not None and state != row.state:
            house.log.tell(Event.DOMAIN_MOVED, origin=row.origin, before=row.state, after=state, why=told)

    await asyncio.gather(*map(one, due))
    return len(due)
