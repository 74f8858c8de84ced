"""Taking away what can mean nothing to anybody any more. A row outlives its last token by a month, so that old tokens are known as old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.oauth.handle import LONGEST
from gatewright.oauth.refresh import REPLAY_HORIZON
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Tx

KEPT_AFTER: Final = LONGEST + REPLAY_HORIZON


class Due(Struct, frozen=True):
    """What of an authorization tells how long it is still worth keeping."""

    id: int
    opened_by: str
    opened_at: int
    ended_at: int | None
    standing_digest: str | None
    refresh_idle_until: int | None
    refresh_until: int | None

    def kept_until(self, now: int) -> int:
        """Return when to look at the row again; not after now when it can go."""
        if self.ended_at is not None:
            return self.ended_at + KEPT_AFTER
        if self.standing_digest is not None or self.opened_by == "client_credentials":
            # Nothing in the row says when it was last used, and it has no end of its own.
            return now + KEPT_AFTER
        last = self.opened_at if self.refresh_idle_until is None else self.refresh_idle_until
        return (last if self.refresh_until is None else min(last, self.refresh_until)) + KEPT_AFTER


DUE: Final = Query(
    Due,
    """SELECT id, opened_by, opened_at, ended_at, standing_digest, refresh_idle_until, refresh_until FROM authorization_row
        WHERE sweep_at <= :now ORDER BY sweep_at LIMIT :count""",
)
LATER: Final = Query(None, "UPDATE authorization_row SET sweep_at = :sweep_at WHERE id = :id")
DROP: Final = Query(None, "DELETE FROM authorization_row WHERE id = :id")
DROP_MARKS: Final = Query(None, "DELETE FROM mark WHERE name IN (SELECT name FROM mark WHERE until < :before ORDER BY until LIMIT :count)")


async def sweep_authorizations(tx: Tx, now: int, count: int) -> int:
    """Look at the authorizations that are due, at most `count`; return how many. A unit of work, to be repeated while it is full."""
    due = await tx.all(DUE, now=now, count=count)
    for row in due:
        again = row.kept_until(now)
        if again > now:
            await tx.do(LATER, id=row.id, sweep_at=again)
        else:
            await tx.do(DROP, id=row.id)
    return len(due)


async def sweep_marks(tx: Tx, now: int, count: int) -> int:
    """Drop marks of what has expired, at most `count`; return how many. An hour is left for clocks that disagree."""
    return await tx.do(DROP_MARKS, before=now - 3600, count=count)
