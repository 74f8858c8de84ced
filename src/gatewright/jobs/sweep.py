"""Deletes rows that nothing can ask for any more, in small batches, so that no table grows for ever and no request waits."""

from __future__ import annotations

from typing import Final

from gatewright.store import Query, Store, Tx
from gatewright.tenants.records import HOLD
from gatewright.webhooks.rules import GIVE_UP_AFTER

BATCH: Final = 500  # rows a transaction: some milliseconds of the writer's time
ROUNDS: Final = 200
CHANGES_KEPT: Final = 86_400  # seconds; a node that slept longer than this reads everything anew
ENDED_KEPT: Final = 30 * 86_400  # seconds: how long a replay is still known as one, and a session is still listed for an audit
MARKS_KEPT: Final = 60  # seconds; for a node whose clock is behind, a token that was revoked is still in time
USES_KEPT: Final = 400 * 86_400  # seconds for which it is told that a client or user still needs a weakness

REQUESTS_KEPT: Final = 3600  # seconds for which a device is told that its code has expired, and not that it is unknown
COUNTS_KEPT: Final = 400 * 86_400  # seconds: a year, and the same month of the year before


def _oldest(table: str, key: str, condition: str) -> Query[None]:
    return Query(None, f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {BATCH})")  # noqa: S608 - our own words


# What is still needed of the authorizations that are due: a row that ended so short a time ago, and one that may still be used.
_NEEDED: Final = f"""(ended_at >= :now - {ENDED_KEPT} OR (ended_at IS NULL AND (
                opened_by = 'client_credentials' OR standing_digest IS NOT NULL
                OR (refresh_secret IS NOT NULL AND COALESCE(refresh_idle_until, :now) >= :now - {ENDED_KEPT})
            )))"""

# A rotation does not touch `sweep_at` (its index would cost more than the rotation), and an end comes when it comes, so what was
# renewed or ended meanwhile is put off here: a replay is known as one for so long after the end, whatever ended it. The row of a
# back-end client and of a token that is good until revoked live for as long as nobody ends them.
_POSTPONE: Final = Query(
    None,
    f"""
    UPDATE authorization_row
       SET sweep_at = {ENDED_KEPT} + CASE WHEN ended_at IS NOT NULL THEN ended_at
                                          WHEN opened_by = 'client_credentials' OR standing_digest IS NOT NULL THEN :now
                                          ELSE COALESCE(refresh_idle_until, :now) END
     WHERE id IN (
        SELECT id FROM authorization_row WHERE sweep_at < :now AND {_NEEDED} LIMIT {BATCH}
    )
    """,  # noqa: S608 - our own words
)

_EMPTY: Final = "NOT EXISTS (SELECT 1 FROM authorization_row AS a WHERE a.consent_grant = consent_grant.id)"
_NO_USES: Final = "NOT EXISTS (SELECT 1 FROM scope_use AS u WHERE u.consent_grant = consent_grant.id)"


def _uses_of_gone(condition: str) -> Query[None]:
    """Return what deletes the uses of grants that are about to go."""
    empty = _EMPTY.replace("consent_grant.id", "g.id")
    return Query(
        None,
        f"""DELETE FROM scope_use WHERE (consent_grant, scope) IN (
                SELECT u.consent_grant, u.scope FROM consent_grant AS g JOIN scope_use AS u ON u.consent_grant = g.id
                 WHERE {condition} AND {empty} LIMIT {BATCH})""",  # noqa: S608 - our own words
    )


# What waited for three days is given up, also where nothing could be tried: the address was quiet, or the client disabled.
_GIVE_UP: Final = Query(
    None,
    f"""
    UPDATE webhook_event SET state = 'given_up', next_at = NULL
     WHERE id IN (SELECT id FROM webhook_event WHERE next_at IS NOT NULL AND since < :now LIMIT {BATCH})
    """,  # noqa: S608 - our own words
)

# Authorizations go once their last token is dead and the replay horizon has passed (`sweep_at`), then grants without any.
SWEEPS: Final = (
    ("mark", _oldest("mark", "name", "until < :now"), MARKS_KEPT),
    ("ending", _oldest("ending", "id", "until < :now"), 0),
    ("repeat", _oldest("repeat", "name", "until < :now"), 0),
    ("device_request", _oldest("device_request", "id", "expires_at < :now"), REQUESTS_KEPT),
    ("throttle", _oldest("throttle", "name", "until < :now"), 0),
    ("weakness_use", _oldest("weakness_use", "name", "last_at < :now"), USES_KEPT),
    ("change", _oldest("change", "seq", "at < :now"), CHANGES_KEPT),
    # By whole days, which stay where they are in their index however often a counter grows.
    ("usage_count", _oldest("usage_count", "name", "day < CAST(:now AS BIGINT) / 86400"), COUNTS_KEPT),
    ("released_domain", _oldest("released_domain", "host", "released_at < :now"), HOLD),
    ("session", _oldest("session", "id", "until < :now"), ENDED_KEPT),
    # Asked once more: a run puts off only so many.
    ("authorization_row", _oldest("authorization_row", "id", f"sweep_at < :now AND CASE WHEN {_NEEDED} THEN 0 ELSE 1 END = 1"), 0),
    # Before the grants themselves, by which they are found.
    ("scope_use", _uses_of_gone("g.ended_at < :now"), ENDED_KEPT),
    ("scope_use", _uses_of_gone("g.ended_at IS NULL AND g.expires_at < :now"), ENDED_KEPT),
    ("install", _oldest("install", "id", "install.ended_at < :now"), ENDED_KEPT),
    ("consent_grant", _oldest("consent_grant", "id", f"ended_at < :now AND {_EMPTY} AND {_NO_USES}"), ENDED_KEPT),
    ("consent_grant", _oldest("consent_grant", "id", f"ended_at IS NULL AND expires_at < :now AND {_EMPTY} AND {_NO_USES}"), ENDED_KEPT),
    ("webhook_attempt", _oldest("webhook_attempt", "id", "at < :now"), ENDED_KEPT),
    ("webhook_event", _oldest("webhook_event", "id", "since < :now AND next_at IS NULL"), ENDED_KEPT),
    ("webhook_secret", _oldest("webhook_secret", "id", "expires_at <= :now"), ENDED_KEPT),
)

# A secret that ran out is no more to be read than one that was ended.
_FORGET_TEXTS: Final = Query(
    None,
    f"""UPDATE credential SET wrapped = NULL WHERE id IN (
            SELECT id FROM credential WHERE wrapped IS NOT NULL AND expires_at IS NOT NULL AND expires_at <= :now LIMIT {BATCH}
        )""",  # noqa: S608 - our own words
)


async def sweep(store: Store, now: int) -> dict[str, int]:
    """Delete what is past its time; return how many rows of each table went."""
    gone: dict[str, int] = {}
    for query, kept in ((_POSTPONE, 0), (_FORGET_TEXTS, 0), (_GIVE_UP, GIVE_UP_AFTER)):
        for _ in range(ROUNDS):
            if await store.run(_batch, query, now - kept) < BATCH:
                break
    for table, query, kept in SWEEPS:
        for _ in range(ROUNDS):
            count = await store.run(_batch, query, now - kept)
            gone[table] = gone.get(table, 0) + count
            if count < BATCH:
                break
    return {table: count for table, count in gone.items() if count}


async def _batch(tx: Tx, query: Query[None], before: int) -> int:
    return await tx.do(query, now=before)
