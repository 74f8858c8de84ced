"""Which scopes of a grant decided a call, and on which day the last time: what APIs report, written in one statement a report.

A report that comes twice changes nothing, since only the latest day is kept; what never comes is asked for by nobody. What follows
from it is decided in `oauth.scope_use`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.scope_use import GAP, Counted, Reporting, Uses
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.store import Store, Tx

FRESH: Final = 3600  # seconds within which another report is not noted: people are told days
# A list travels as JSON, so that a report is one statement however much is in it. The engines take it apart by other words, which no
# common ones can replace: what both understand (pieces of a text by their places) PostgreSQL does in the square of the length.
_IDS: Final = "SELECT value AS id FROM json_each(:ids)"
_IDS_POSTGRES: Final = "SELECT CAST(value AS BIGINT) AS id FROM jsonb_array_elements_text(CAST(CAST(:ids AS TEXT) AS JSONB))"
_PAIRS: Final = "SELECT json_extract(value, '$[0]') AS g, json_extract(value, '$[1]') AS s FROM json_each(:pairs)"
_PAIRS_POSTGRES: Final = """SELECT CAST(value ->> 0 AS BIGINT) AS g, CAST(value ->> 1 AS BIGINT) AS s
                               FROM jsonb_array_elements(CAST(CAST(:pairs AS TEXT) AS JSONB))"""


class _Under(Struct, frozen=True):
    authorization: int
    grant: int | None
    granted: str | None


class _Use(Struct, frozen=True):
    grant: int
    scope: int
    day: int


# Only of live grants, and of the tenant whose API asks. Row by row by their keys, whatever an engine believes of its tables: a planner
# that knows nothing of them yet would walk all grants of the tenant for each, so the tenant is asked of the authorization alone.
_UNDER: Final = """SELECT f.id, f.consent_grant,
               (SELECT g.granted FROM consent_grant AS g WHERE g.id = f.consent_grant AND g.ended_at IS NULL)
          FROM (SELECT l.id, (SELECT a.consent_grant FROM authorization_row AS a WHERE a.id = l.id AND a.tenant = :tenant) AS consent_grant
                  FROM ({ids}) AS l) AS f"""
UNDER: Final = Query(_Under, _UNDER.format(ids=_IDS), postgres=_UNDER.format(ids=_IDS_POSTGRES))
_USED: Final = """INSERT INTO scope_use (consent_grant, scope, tenant, day, days)
        SELECT p.g, p.s, CAST(:tenant AS BIGINT), CAST(:day AS BIGINT), 1 FROM ({pairs}) AS p WHERE true
            ON CONFLICT (consent_grant, scope) DO UPDATE SET day = excluded.day, days = scope_use.days + 1
         WHERE scope_use.day < excluded.day"""
USED: Final = Query(None, _USED.format(pairs=_PAIRS), postgres=_USED.format(pairs=_PAIRS_POSTGRES))
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
_OF_GRANTS: Final = """SELECT u.consent_grant, u.scope, u.day FROM ({ids}) AS l JOIN scope_use AS u ON u.consent_grant = l.id
         WHERE u.tenant = :tenant"""
OF_GRANTS: Final = Query(_Use, _OF_GRANTS.format(ids=_IDS), postgres=_OF_GRANTS.format(ids=_IDS_POSTGRES))


def _json(numbers: list[int] | list[tuple[int, int]]) -> str:
    return msgspec.json.encode(numbers).decode()


async def note(store: Store, tenant: int, api: int, used: Mapping[int, frozenset[int]], *, day: int, lost: bool, now: int) -> Counted:
    """Write down which scopes (already known to be the API's own) were used under which authorizations on a day.

    Counted is what lies under live grants of the tenant that hold the scope; the rest is passed over.
    """
    under = await store.all(UNDER, tenant=tenant, ids=_json(sorted(used))) if used else []
    found = [(row.grant, scope) for row in under if row.grant is not None for scope in used[row.authorization] & ids_of(row.granted or "")]
    # In order, so that two nodes never wait for each other.
    await store.run(_write, tenant, api, sorted(set(found)), day, lost=lost, now=now)
    return Counted(frozenset([grant for grant, _ in found]), len(found))


async def _write(tx: Tx, tenant: int, api: int, pairs: list[tuple[int, int]], day: int, *, lost: bool, now: int) -> None:
    if pairs:
        await tx.do(USED, pairs=_json(pairs), tenant=tenant, day=day)
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
        for row in await source.all(OF_GRANTS, tenant=tenant, ids=_json(sorted(grants))):
            found.setdefault(row.grant, {})[row.scope] = row.day
    return found
