"""When grants were last used, for the people who gave them: noted in memory, written in batches, lost for an hour at a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.ledger.scope_notes import ScopeNotes
from gatewright.store import Query, StoreError

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

FINE: Final = 3600  # seconds within which a second use is not written again: people are told days
MOST: Final = 50_000  # grants in memory between two flushes, and grants whose last writing is remembered
BATCH: Final = 200  # rows a transaction: some milliseconds of the writer's time

# `used_at` is in no index, and only ever grows: another node may have seen a later use.
_USED: Final = Query(None, "UPDATE consent_grant SET used_at = :at WHERE id = :id AND (used_at IS NULL OR used_at < :at)")


class LastUse:
    """The `Uses` port, for one process; `used` costs a dict access."""

    __slots__ = ("_waiting", "_written", "scopes")

    def __init__(self) -> None:
        self.scopes: Final = ScopeNotes()
        self._waiting: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def used(self, grant: int, now: int) -> None:
        """Note that something under a grant was used."""
        if now - self._written.get(grant, -FINE) >= FINE and (grant in self._waiting or len(self._waiting) < MOST):
            self._waiting[grant] = now

    async def flush(self, store: Store) -> int:
        """Write what was noted; return how many grants that were. What cannot be written is tried again later."""
        taken, self._waiting = self._waiting, {}
        # In order of their ids, so that two nodes never wait for each other.
        left = sorted(taken.items())
        while left:
            part, left = left[:BATCH], left[BATCH:]
            try:
                await store.run(_write, part)
            except StoreError:
                for grant, at in part + left:
                    self._waiting.setdefault(grant, at)
                raise
            if len(self._written) + len(part) > MOST:
                self._written.clear()
            self._written.update(part)
        return len(taken)


async def _write(tx: Tx, part: list[tuple[int, int]]) -> None:
    for grant, at in part:
        await tx.do(_USED, id=grant, at=at)
