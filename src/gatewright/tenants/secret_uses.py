"""When and from where each secret was last used: kept in memory and written in batches, so that the token path writes nothing."""

from __future__ import annotations

from typing import Final

from gatewright.store import Query, Store, StoreError, Tx

SECRETS_KEPT: Final = 50_000  # distinct secrets between two flushes; beyond that new ones are not noted
BATCH: Final = 200
LONGEST_ADDRESS: Final = 64  # characters of an IPv6 address with a zone

_NOTE: Final = Query(
    None,
    """UPDATE credential SET used_at = :at, used_from = :address
        WHERE id = :id AND tenant = :tenant AND (used_at IS NULL OR used_at <= :at)""",
)

Use = tuple[int, int, str]
"""Tenant, moment and address."""


class SecretUses:
    """The last use of each secret in one process since the last flush; `used` costs a dict access."""

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses: dict[int, Use] = {}

    def used(self, tenant: int, secret: int, address: str, now: int) -> None:
        """Note that a secret was shown and is the right one."""
        uses = self._uses
        if secret in uses or len(uses) < SECRETS_KEPT:
            uses[secret] = (tenant, now, address[:LONGEST_ADDRESS])

    async def flush(self, store: Store) -> int:
        """Write what was noted; return of how many secrets. What cannot be written is kept for the next time."""
        taken, self._uses = self._uses, {}
        waiting = sorted(taken.items())
        while waiting:
            part, waiting = waiting[:BATCH], waiting[BATCH:]
            try:
                await store.run(_note, part)
            except StoreError:
                self._uses = {**dict(part + waiting), **self._uses}
                raise
        return len(taken)


async def _note(tx: Tx, part: list[tuple[int, Use]]) -> None:
    for secret, (tenant, at, address) in part:
        await tx.do(_NOTE, id=secret, tenant=tenant, at=at, address=address)
