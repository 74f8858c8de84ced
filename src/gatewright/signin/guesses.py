"""Guesses at a client's secret that somebody chose, counted as sign-ins are: by secret and network, by secret, by network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.signin.browsers import network_of
from gatewright.signin.throttle import Slowed, forgive

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.signin.throttle import Counter, Throttle
    from gatewright.store import Store


class RoomGuesses:
    """The `Guesses` port (`security-rules` 64)."""

    __slots__ = ("_store", "_throttle")

    def __init__(self, store: Store, throttle: Throttle) -> None:
        self._store = store
        self._throttle = throttle

    async def enter(self, tenant: int, secret: int, address: str, at: Moment) -> int:
        """Count an attempt that begins now; return how many seconds too early it comes."""
        try:
            await self._throttle.enter(tenant, self._counters(tenant, secret, address), at)
        except Slowed as slowed:
            return slowed.seconds
        return 0

    async def leave(self, tenant: int, secret: int, address: str, *, right: bool) -> None:
        """Count no failure after all."""
        counters = self._counters(tenant, secret, address)
        if right:
            await self._store.run(forgive, counters)
        else:
            await self._throttle.take_back(counters)

    def _counters(self, tenant: int, secret: int, address: str) -> tuple[Counter, ...]:
        # With a NUL, so that nobody who types this as a name signs in under it.
        return self._throttle.counters(tenant, f"client secret\0{secret}", network_of(address), "")
