"""Guesses at a client's secret that somebody chose, and at what a code is bound to, counted as sign-ins are (`security-rules` 22, 64)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base.networks import network_of
from gatewright.signin.throttle import Slowed, forgive

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.signin.throttle import Counter, Throttle
    from gatewright.store import Store

MOST_HELD: Final = 4096  # codes that must wait, remembered by one process
_Shown = tuple[int, int, str]


class RoomGuesses:
    """The `Guesses` port."""

    __slots__ = ("_held", "_store", "_throttle")

    def __init__(self, store: Store, throttle: Throttle) -> None:
        self._store = store
        self._throttle = throttle
        self._held: dict[_Shown, int] = {}

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

    def code_wait(self, code: int, client: int, address: str, now: int) -> int:
        """Return how many seconds a client must wait there before it shows this code again.

        Asked of memory alone, since everybody who exchanges a code passes here: each process learns from the store when a wrong
        proof comes, so of many processes each looks at one more than it should.
        """
        if not self._held:
            return 0
        return max(0, self._held.get((code, client, network_of(address)), 0) - now)

    async def code_missed(self, tenant: int, code: int, client: int, address: str, at: Moment) -> int:
        """Count a code shown with a wrong proof; return how many seconds too early it came."""
        network = network_of(address)
        counters = (self._throttle.code_counter(tenant, code, client, network),)
        try:
            await self._throttle.enter(tenant, counters, at)
        except Slowed as slowed:
            self._hold((code, client, network), at.now + slowed.seconds, at.now)
            return slowed.seconds
        try:
            await self._throttle.may(counters, at.now)
        except Slowed as slowed:
            self._hold((code, client, network), at.now + slowed.seconds, at.now)
        return 0

    def _hold(self, shown: _Shown, until: int, now: int) -> None:
        if len(self._held) >= MOST_HELD:
            self._held = {key: end for key, end in self._held.items() if end > now}
        if len(self._held) >= MOST_HELD:
            # The store still knows: forgetting costs each of them one look more.
            self._held.clear()
        self._held[shown] = until
