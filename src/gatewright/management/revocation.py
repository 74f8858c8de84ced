"""How soon what was revoked is refused at each API. It stands beside the API's record, as it changes while nobody changes the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from gatewright.apis.rules import FEED_SECONDS
from gatewright.audit.usage import last_used
from gatewright.base import duration, ids
from gatewright.base.calendar import stamp
from gatewright.base.operation import Operation
from gatewright.endings.records import FOLLOWED
from gatewright.management.apis import READ
from gatewright.management.errand import Errand
from gatewright.management.names import known
from gatewright_guard.feed import MAX_AWAY
from gatewright_guard.introspect import MAX_STALE

if TYPE_CHECKING:
    from gatewright.apis.book import ApiRow
    from gatewright.store import Store, Tx


class RevocationRecord(Struct, frozen=True, kw_only=True):
    """After how long at most the API refuses what was revoked, and what is lost opens nothing, by how it checks its tokens; null where
    it has none to check so.
    """

    api: Annotated[str, Meta(description="The API's id, `ap_…`.")]
    introspected: Annotated[str, Meta(description="Where it asks about each token: what its guard reuses an answer (`max_stale`).")]
    kept: Annotated[str | None, Meta(description="Where a proxy asks about each request and may keep the answer (`verify_max_age`).")]
    followed: Annotated[
        str | None,
        Meta(
            description="Where it verifies signatures and its guard follows the revocation feed: what ended is refused, and what became "
            "less is asked about."
        ),
    ]
    unheard: Annotated[str | None, Meta(description="The same, while the line is cut unnoticed (`max_away`).")]
    alone: Annotated[
        str | None,
        Meta(description="Where it verifies signatures and nothing else: the life of a token, beside what clocks may differ (`leeway`)."),
    ]
    followed_at: Annotated[str | None, Meta(description="When a guard of it was last told by the feed that it knows everything.")]


class RevocationWhere(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which API."""

    api: Annotated[str, Meta(description="Of this API alone, by its id or its audience.", max_length=300)] = ""


async def list_revocation(errand: Errand, where: RevocationWhere) -> list[RevocationRecord]:
    """List how soon what was revoked is refused, API by API."""
    names = await known(errand)
    rows = [names.api(where.api)] if where.api else list(names.apis.values())
    return [await revocation(errand.source, errand.tenant, row, errand.at.now) for row in rows]


async def revocation(source: Store | Tx, tenant: int, row: ApiRow, now: int) -> RevocationRecord:
    """Return after how long at most an API refuses what was revoked, and whether a guard of it listens."""
    alone = max(row.token_lifetime if row.token_format == "jwt" else 0, row.jwt_until - now)
    followed_at = await last_used(source, tenant, row.id, FOLLOWED)
    return RevocationRecord(
        api=ids.show(ids.API, row.id),
        introspected=duration.show(int(MAX_STALE)),
        kept=duration.show(row.verify_max_age) if row.table else None,
        followed=duration.show(FEED_SECONDS) if alone > 0 else None,
        unheard=duration.show(int(MAX_AWAY)) if alone > 0 else None,
        alone=duration.show(alone) if alone > 0 else None,
        followed_at=None if followed_at is None else stamp(followed_at),
    )


async def within(source: Store | Tx, tenant: int, row: ApiRow, now: int) -> str:
    """Return the same in a few words: the time within which what was revoked is refused, by how the API checks its tokens."""
    found = await revocation(source, tenant, row, now)
    ways = [
        (found.introspected, "introspected"),
        (found.kept, "at the proxy"),
        (found.followed, "with the feed"),
        (found.alone, "without"),
    ]
    return ", ".join(f"{time} {how}" for time, how in ways if time is not None)


OPERATIONS: Final = (
    Operation(
        name="apis.revocation",
        method="GET",
        path="/revocation",
        scope=READ,
        run=list_revocation,
        where=RevocationWhere,
        gives=RevocationRecord,
        many=True,
        key="api",
    ),
)
