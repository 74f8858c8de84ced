"""What may be said of the use of a scope, and what may be taken away: only what is known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gatewright.oauth.catalogue import OPENID, Catalogue
from gatewright.oauth.scope_use import DAY, GAP, SPAN, Held, Reporting, Use, idle, use_of, uses
from tests.support import builders as b

TODAY = 20_000
NOW = TODAY * DAY + 40_000
LONG_AGO = NOW - 200 * DAY
READ, SEND = b.READ_BALANCE.id, b.TRANSFER.id
REPORTS = {b.BANK.id: Reporting(b.BANK.id, LONG_AGO, NOW - 600)}


def held(days: dict[int, int] | None = None, scopes: frozenset[int] = frozenset({READ, SEND}), changed_at: int = LONG_AGO) -> Held:
    return Held(scopes=scopes, changed_at=changed_at, days=days or {})


@pytest.mark.parametrize(
    ("last", "since", "heard", "changed", "use"),
    [
        (TODAY, LONG_AGO, NOW, LONG_AGO, Use.USED),
        (TODAY - SPAN, LONG_AGO, NOW, LONG_AGO, Use.USED),
        (TODAY - SPAN - 1, LONG_AGO, NOW, LONG_AGO, Use.UNUSED),
        (None, LONG_AGO, NOW, LONG_AGO, Use.NEVER),
        # A use is a use, whatever is not known.
        (TODAY, NOW, LONG_AGO, NOW, Use.USED),
        # It has reported for so long, and not a second less.
        (None, NOW - SPAN * DAY, NOW, LONG_AGO, Use.NEVER),
        (None, NOW - SPAN * DAY + 1, NOW, LONG_AGO, Use.UNKNOWN),
        (TODAY - SPAN - 1, NOW - SPAN * DAY + 1, NOW, LONG_AGO, Use.UNKNOWN),
        # It still reports.
        (None, LONG_AGO, NOW - GAP, LONG_AGO, Use.NEVER),
        (None, LONG_AGO, NOW - GAP - 1, LONG_AGO, Use.UNKNOWN),
        # The grant has been so for as long.
        (None, LONG_AGO, NOW, NOW - SPAN * DAY, Use.NEVER),
        (None, LONG_AGO, NOW, NOW - SPAN * DAY + 1, Use.UNKNOWN),
    ],
)
def test_unused_is_said_only_where_it_is_known(last: int | None, since: int, heard: int, changed: int, use: Use) -> None:
    days = {} if last is None else {READ: last}
    told = use_of(READ, held(days, changed_at=changed), Reporting(b.BANK.id, since, heard), NOW)
    assert (told.use, told.last_day) == (use, last)
    if use is Use.UNKNOWN and heard >= NOW - GAP:
        assert told.since == max(since, changed)


def test_of_an_api_that_does_not_report_nothing_is_known_but_what_it_once_said() -> None:
    assert [one.use for one in uses(held(), b.CATALOGUE, {}, NOW)] == [Use.UNKNOWN, Use.UNKNOWN]
    told = use_of(READ, held({READ: TODAY - 300}), None, NOW)
    assert (told.use, told.last_day, told.since) == (Use.UNKNOWN, TODAY - 300, None)


def test_what_is_used_or_not_known_stays() -> None:
    every = frozenset({OPENID, READ, SEND, b.VIEW_EVENTS.id})
    grant = held({READ: TODAY - 3}, every)
    assert idle(grant, b.CATALOGUE, REPORTS, NOW) == {SEND}, "neither OpenID's scopes nor those of an API that does not report"
    assert idle(grant, b.CATALOGUE, {}, NOW) == frozenset()


@pytest.mark.parametrize(("span", "taken"), [(7, {READ, SEND}), (30, {READ, SEND}), (31, {SEND}), (90, {SEND}), (201, set())])
def test_the_span_can_be_another(span: int, taken: set[int]) -> None:
    assert idle(held({READ: TODAY - 31}), b.CATALOGUE, REPORTS, NOW, span) == taken


def catalogue(**implies: tuple[int, ...]) -> Catalogue:
    scopes: dict[str, Any] = {"read": b.READ_BALANCE, "send": b.TRANSFER}
    return Catalogue([b.BANK], [replace(scope, implies=implies.get(name, ())) for name, scope in scopes.items()], [])


def test_what_a_scope_that_stays_implies_is_not_taken() -> None:
    # Who holds it would be asked for both again.
    assert idle(held({SEND: TODAY}), catalogue(send=(READ,)), REPORTS, NOW) == frozenset()
    assert idle(held({READ: TODAY}), catalogue(send=(READ,)), REPORTS, NOW) == {SEND}, "the stronger one goes, the weaker one is enough"


def test_a_scope_that_is_defined_no_more_is_no_concern() -> None:
    assert uses(held(scopes=frozenset({READ, 999})), b.CATALOGUE, REPORTS, NOW)[0].scope == READ
    assert idle(held(scopes=frozenset({READ, 999})), b.CATALOGUE, REPORTS, NOW) == {READ}
