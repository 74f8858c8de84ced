"""Which live grants are meant: those of a client, a user, an account, or one by its id; how an index finds them, all or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store.query import Value

Way = Literal["grant", "person", "client", "account", "tenant"]

BATCH: Final = 2000  # grants a statement: some milliseconds of the writer's time, and far from where PostgreSQL's patience ends


class Target(Struct, frozen=True, kw_only=True):
    """Live grants of a tenant that fit all that is named; 0 names nothing."""

    tenant: int
    grant: int = 0
    client: int = 0
    person: int = 0
    account: int = 0

    @property
    def way(self) -> Way:
        """By which index they are found: the first that leaves the fewest to look at."""
        if self.grant:
            return "grant"
        return "person" if self.person else "client" if self.client else "account" if self.account else "tenant"

    @property
    def args(self) -> dict[str, Value]:
        """The parameters of a statement made of `MEANT`."""
        keys = {"grant": self.grant, "person": self.person, "client": self.client, "account": self.account, "tenant": self.tenant}
        return {"tenant": self.tenant, "key": keys[self.way], "client": self.client, "account": self.account}


_FITS: Final = """tenant = :tenant AND ended_at IS NULL
          AND (CAST(:client AS BIGINT) = 0 OR client = :client) AND (CAST(:account AS BIGINT) = 0 OR account = :account)"""
MEANT: Final[Mapping[Way, str]] = {
    "grant": f"id = :key AND {_FITS}",
    "person": f"person = :key AND {_FITS}",
    "client": f"client = :key AND {_FITS}",
    "account": f"account = :key AND {_FITS}",
    "tenant": f"tenant = :key AND {_FITS}",
}
"""The condition of the grants that a target means, written once for each way to find them by an index."""

NEXT: Final[Mapping[Way, Query[int]]] = {
    way: Query(
        int,
        f"SELECT max(id) FROM (SELECT id FROM consent_grant WHERE {meant} AND id > :after ORDER BY id LIMIT :count) AS part",  # noqa: S608 - our own words
    )
    for way, meant in MEANT.items()
    if way != "tenant"
}
"""Where the part ends that begins after an id: nowhere (NULL) when there is none."""
