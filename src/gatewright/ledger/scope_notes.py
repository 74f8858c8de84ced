"""Which scopes decided calls at the verify address: noted in memory, written as an API's own reports are, lost for seconds at a crash.

Of each authorization and scope the first use of a day is kept and nothing of the others (`docs/decisions/0022`). An API whose calls are
asked about reports by that; one of which nobody asks says nothing, so that of its scopes nothing is said either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.ledger.scope_use import FRESH, note
from gatewright.oauth.scope_use import DAY
from gatewright.store import StoreError
from gatewright_guard.report import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewright.oauth.catalogue import Api, Catalogue
    from gatewright.store import Store

KEPT: Final = 100_000  # authorizations remembered at once, and as many that wait to be written

_Of = tuple[int, int]  # tenant and API
_Used = dict[int, frozenset[int]]  # authorization → scopes


class ScopeNotes:
    """The `ScopeUses` port, for one process; `used` costs a look into a set."""

    __slots__ = ("_asked", "_kept", "_known", "_lost", "_today", "_told", "_waiting")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._today = -1
        self._known: set[tuple[int, tuple[str, ...]]] = set()
        self._waiting: dict[tuple[int, int, int], _Used] = {}  # by tenant, API and day
        self._asked: dict[_Of, int] = {}
        self._told: dict[_Of, int] = {}
        self._lost: set[_Of] = set()

    def asked(self, tenant: int, api: int, now: int) -> None:
        """Note that somebody asked about a call to an API, whatever came of it."""
        self._asked[tenant, api] = now

    def used(self, tenant: int, api: Api, authorization: int, scopes: tuple[str, ...], catalogue: Catalogue, now: int) -> None:
        """Note that a call was let through by these scopes."""
        today = now // DAY
        if today != self._today or len(self._known) >= self._kept:
            # What is told twice changes nothing.
            self._today, self._known = today, set()
        key = (authorization, scopes)
        if key in self._known:
            return
        self._known.add(key)
        own = frozenset([number for number in catalogue.ids_named(scopes) if catalogue.scopes[number].api == api.id])
        if not own:
            return
        waiting = self._waiting.setdefault((tenant, api.id, today), {})
        if authorization not in waiting and sum(map(len, self._waiting.values())) >= self._kept:
            self._lost.add((tenant, api.id))
            return
        waiting[authorization] = waiting.get(authorization, frozenset()) | own

    async def flush(self, store: Store) -> int:
        """Write what was noted; return how many authorizations that were. What cannot be written is tried again later."""
        written = 0
        for of in [of for of in self._asked if self._due(of)]:
            for day, part in self._taken(of):
                lost = of in self._lost
                try:
                    await note(store, *of, part, day=day, lost=lost, now=self._asked[of])
                except StoreError:
                    waiting = self._waiting.setdefault((*of, day), {})
                    for authorization, scopes in part.items():
                        waiting[authorization] = waiting.get(authorization, frozenset()) | scopes
                    raise
                if lost:
                    self._lost.discard(of)
                self._told[of] = self._asked[of]
                written += len(part)
        return written

    def _due(self, of: _Of) -> bool:
        return self._asked[of] - self._told.get(of, -FRESH) >= FRESH or of in self._lost or any(place[:2] == of for place in self._waiting)

    def _taken(self, of: _Of) -> Iterator[tuple[int, _Used]]:
        """Take what waits of an API, in the parts that are written at once; one empty part where nothing does."""
        days = sorted([day for tenant, api, day in self._waiting if (tenant, api) == of])
        if not days:
            yield self._asked[of] // DAY, {}
        for day in days:
            while waiting := self._waiting.get((*of, day)):
                yield day, {authorization: waiting.pop(authorization) for authorization in sorted(waiting)[:MOST]}
            self._waiting.pop((*of, day), None)
