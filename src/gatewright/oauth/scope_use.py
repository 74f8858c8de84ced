"""What is known of the use of each scope of a grant, and which of them can be taken away without anybody missing them. Pure.

APIs report which scopes decided their calls (`docs/decisions/0022`). "Never used" is said only where that is known: the scope's API
reports, has reported without a gap for the whole time that is spoken of, and the grant has been as it is for as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from gatewright.oauth.catalogue import Catalogue

DAY: Final = 86_400
SPAN: Final = 90  # days that are spoken of unless somebody names others: a quarter, so that what is done once a quarter is seen
GAP: Final = 3 * DAY  # seconds of silence after which nothing is known of what was before: a weekend, and a day to notice

Uses = Mapping[int, Mapping[int, int]]
"""Grant → scope → the day (days since 1970) of its last reported use."""


class Reporting(Struct, frozen=True):
    """An API that reports: since when without a gap, and when it last did (epoch seconds)."""

    api: int
    since: int
    last_at: int


class Counted(Struct, frozen=True):
    """What came of a report: the grants under which something was used, and how many of the uses those were."""

    grants: frozenset[int] = frozenset()
    uses: int = 0


class Use(StrEnum):
    """What can be said of a scope's use."""

    USED = "used"
    UNUSED = "unused"
    NEVER = "never"
    UNKNOWN = "unknown"


class ScopeUse(Struct, frozen=True):
    """One scope of a grant: `last_day` (days since 1970) is that of its last use, `since` (epoch seconds) from when on every use is known.

    Of an API that does not report `since` is None; where too little is known because the grant was changed, it is when.
    """

    scope: int
    use: Use
    last_day: int | None = None
    since: int | None = None


class Held(Struct, frozen=True, kw_only=True):
    """What of a grant matters here. `changed_at` is when somebody last said what it holds."""

    scopes: frozenset[int]
    changed_at: int
    days: Mapping[int, int]


def use_of(scope: int, held: Held, reporting: Reporting | None, now: int, span: int = SPAN) -> ScopeUse:
    """Return what is known of one scope, for the last `span` days."""
    last = held.days.get(scope)
    if last is not None and last >= now // DAY - span:
        return ScopeUse(scope, Use.USED, last, None if reporting is None else reporting.since)
    if reporting is None or reporting.last_at < now - GAP:
        return ScopeUse(scope, Use.UNKNOWN, last)
    # A scope that was given yesterday is not one that nobody needed for a quarter of a year.
    since = max(reporting.since, held.changed_at)
    if since > now - span * DAY:
        return ScopeUse(scope, Use.UNKNOWN, last, since)
    return ScopeUse(scope, Use.NEVER if last is None else Use.UNUSED, last, reporting.since)


def uses(held: Held, catalogue: Catalogue, reports: Mapping[int, Reporting], now: int, span: int = SPAN) -> tuple[ScopeUse, ...]:
    """Return what is known of each scope of a grant, in the order of their names elsewhere."""
    known = catalogue.scopes
    return tuple([use_of(number, held, reports.get(known[number].api), now, span) for number in sorted(held.scopes) if number in known])


def idle(held: Held, catalogue: Catalogue, reports: Mapping[int, Reporting], now: int, span: int = SPAN) -> frozenset[int]:
    """Return the scopes that nobody would miss: known to be unused for `span` days, and implied by none that stays.

    What another scope implies would be asked for again together with it.
    """
    unused = frozenset([one.scope for one in uses(held, catalogue, reports, now, span) if one.use in (Use.UNUSED, Use.NEVER)])
    return unused - catalogue.implied(held.scopes - unused)
