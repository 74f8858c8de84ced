"""Which scopes of a grant decided a call, and on which day the last time: what APIs report, written in one statement a report.

A report that comes twice changes nothing, since only the latest day is kept; what never comes is asked for by nobody. What follows
from it is decided in `oauth.scope_use`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.scope_use import GAP, Counted, Reporting, Uses
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.store import Store, Tx

FRESH: Final = 3600  # seconds within which another report is not noted: people are told days
_WIDTH: Final = 19  # digits of the greatest id

# A list of numbers travels as one text, each number in so many digits: the one way that both engines read in one statement.
_NTH: Final = "CAST(substr(CAST(:{list} AS TEXT), n.i * {width} + 1, {width}) AS BIGINT)"
_COUNT: Final = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST(:count AS BIGINT))"


class _Under(Struct, frozen=True):
    authorization: int
    grant: int
    granted: str


class _Use(Struct, frozen=True):
    grant: int
    scope: int
    day: int


def _nth(name: str) -> str:
    return _NTH.format(list=name, width=_WIDTH)


# Only of live grants, and of the tenant whose API asks.
UNDER: Final = Query(
    _Under,
    f"""{_COUNT} SELECT a.id, g.id, g.granted
          FROM n JOIN authorization_row AS a ON a.id = {_nth("ids")}
                 JOIN consent_grant AS g ON g.id = a.consent_grant
         WHERE a.tenant = :tenant AND g.tenant = :tenant AND g.ended_at IS NULL""",  # noqa: S608 - our own words
)
USED: Final = Query(
    None,
    f"""{_COUNT} INSERT INTO scope_use (consent_grant, scope, tenant, day, days)
        SELECT {_nth("grants")}, {_nth("scopes")}, CAST(:tenant AS BIGINT), CAST(:day AS BIGINT), 1 FROM n WHERE true
            ON CONFLICT (consent_grant, scope) DO UPDATE SET day = excluded.day, days = scope_use.days + 1
         WHERE scope_use.day < excluded.day""",  # noqa: S608 - our own words
)
# A silence that was too long, or a loss that was told, begins the time anew for which something is known.
REPORTED: Final = Query(
    None,
    """INSERT INTO usage_report (api, tenant, since, last_at) VALUES (:api, :tenant, :now, :now)
           ON CONFLICT (api) DO UPDATE
          SET since = CASE WHEN usage_report.last_at < CAST(:gap AS BIGINT) THEN excluded.since ELSE usage_report.since END,
              last_at = excluded.last_at
        WHERE usage_report.last_at < CAST(:fresh AS BIGINT)""",
)
_REPORTING: Final = Query(Reporting, "SELECT api, since, last_at FROM usage_report WHERE tenant = :tenant")
_ANEW: Final = Query(None, "DELETE FROM usage_report WHERE api = :api AND tenant = :tenant")
_OF_GRANTS: Final = Query(
    _Use,
    f"""{_COUNT} SELECT u.consent_grant, u.scope, u.day FROM n JOIN scope_use AS u ON u.consent_grant = {_nth("grants")}
         WHERE u.tenant = :tenant""",  # noqa: S608 - our own words
)


def _packed(numbers: Iterable[int]) -> str:
    return "".join([f"{number:0{_WIDTH}d}" for number in numbers])


async def note(store: Store, tenant: int, api: int, used: Mapping[int, frozenset[int]], *, day: int, lost: bool, now: int) -> Counted:
    """Write down which scopes (already known to be the API's own) were used under which authorizations on a day.

    Counted is what lies under live grants of the tenant that hold the scope; the rest is passed over.
    """
    under = await store.all(UNDER, tenant=tenant, ids=_packed(sorted(used)), count=len(used)) if used else []
    found = [(row.grant, scope) for row in under for scope in used[row.authorization] & ids_of(row.granted)]
    # In order, so that two nodes never wait for each other.
    await store.run(_write, tenant, api, sorted(set(found)), day, lost=lost, now=now)
    return Counted(frozenset([grant for grant, _ in found]), len(found))


async def _write(tx: Tx, tenant: int, api: int, pairs: list[tuple[int, int]], day: int, *, lost: bool, now: int) -> None:
    if pairs:
        grants, scopes = _packed([grant for grant, _ in pairs]), _packed([scope for _, scope in pairs])
        await tx.do(USED, grants=grants, scopes=scopes, count=len(pairs), tenant=tenant, day=day)
    gap, fresh = (now + 1, now + 1) if lost else (now - GAP, now - FRESH)
    await tx.do(REPORTED, api=api, tenant=tenant, now=now, gap=gap, fresh=fresh)


async def begin_anew(tx: Tx, tenant: int, api: int) -> None:
    """Forget since when an API reports: it was switched off or on, and what was before tells nothing of the time between. A unit."""
    await tx.do(_ANEW, tenant=tenant, api=api)


async def reporting(source: Store | Tx, tenant: int, catalogue: Catalogue) -> dict[int, Reporting]:
    """Return which APIs report, by their ids, and since when; not those for which it is switched off."""
    known = catalogue.apis
    return {row.api: row for row in await source.all(_REPORTING, tenant=tenant) if row.api in known and known[row.api].usage}


async def uses_of(source: Store | Tx, tenant: int, grants: Collection[int]) -> Uses:
    """Return the day of the last use of each scope of some grants, as far as APIs reported one."""
    found: dict[int, dict[int, int]] = {}
    if grants:
        for row in await source.all(_OF_GRANTS, tenant=tenant, grants=_packed(sorted(grants)), count=len(grants)):
            found.setdefault(row.grant, {})[row.scope] = row.day
    return found
