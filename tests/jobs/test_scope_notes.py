"""Which scopes decided calls at the verify address is noted in memory and written as an API's own report is, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from gatewright.ledger.scope_notes import ScopeNotes
from gatewright.ledger.scope_use import FRESH, reporting, uses_of
from gatewright.oauth.catalogue import Api, Catalogue, Scope
from gatewright.oauth.scope_use import DAY, GAP, Reporting
from gatewright.store import Query, Store, StoreError
from gatewright_guard.report import MOST
from tests.jobs.test_sweep import _GRANT, authorization, put
from tests.support.engines import Nodes

NOW = 1_900_000_000
TODAY = NOW // DAY
TENANT = 1
BANK = Api(id=200, audience="https://bank.acme.test", name="Bank", usage=True)
EVENTS = Api(id=201, audience="https://events.acme.test", name="Events", usage=True)
READ, SEND = Scope(301, "read", BANK.id, "Read"), Scope(302, "send", BANK.id, "Send", aliases=("transfer",))
OTHER = Scope(303, "events", EVENTS.id, "Events")
KNOWN = Catalogue([BANK, EVENTS], [READ, SEND, OTHER], [])


async def granted(store: Store, *numbers: int, scopes: str = "301 302 303") -> None:
    """A grant of these scopes for each of these authorizations."""
    for number in numbers:
        await put(store, _GRANT.replace("'1', '', ''", f"'{scopes}', '', ''"), id=number, expires_at=None, ended_at=None)
        await authorization(store, number, consent_grant=number)


def call(notes: ScopeNotes, authorization: int, *scopes: str, now: int = NOW) -> None:
    """One call that was asked about and let through."""
    notes.asked(TENANT, BANK.id, now)
    notes.used(TENANT, BANK, authorization, scopes, KNOWN, now)


async def since(store: Store) -> Reporting | None:
    return (await reporting(store, TENANT, KNOWN)).get(BANK.id)


async def test_what_decided_is_written_by_grant_scope_and_day(store: Store) -> None:
    await granted(store, 1, 2)
    notes = ScopeNotes()
    for _ in range(3):
        call(notes, 1, "read")
        call(notes, 2, "read", "transfer")
    assert await notes.flush(store) == 2
    assert await uses_of(store, TENANT, [1, 2]) == {1: {301: TODAY}, 2: {301: TODAY, 302: TODAY}}
    assert await since(store) == Reporting(BANK.id, NOW, NOW)


async def test_the_same_use_of_a_day_is_written_once(store: Store) -> None:
    await granted(store, 1)
    notes = ScopeNotes()
    written = []
    for now in (NOW, NOW + 10, NOW + DAY, NOW + DAY + 10):
        call(notes, 1, "read", now=now)
        written.append(await notes.flush(store))
    assert written == [1, 0, 1, 0]
    assert await store.one(Query(int, "SELECT days FROM scope_use WHERE scope = :scope"), scope=301) == 2


async def test_a_use_before_midnight_that_is_written_after_it_was_yesterday(store: Store) -> None:
    await granted(store, 1)
    notes = ScopeNotes()
    midnight = (TODAY + 1) * DAY
    call(notes, 1, "read", now=midnight - 1)
    call(notes, 1, "send", now=midnight)
    assert await notes.flush(store) == 2
    assert await uses_of(store, TENANT, [1]) == {1: {301: TODAY, 302: TODAY + 1}}


async def test_another_apis_scope_and_a_name_of_nothing_are_no_use(store: Store) -> None:
    await granted(store, 1)
    notes = ScopeNotes()
    call(notes, 1, "events", "sc_nothing")
    assert await notes.flush(store) == 0
    assert await uses_of(store, TENANT, [1]) == {}
    assert await since(store) is not None, "that it was asked about is known all the same"


async def test_an_api_that_is_only_asked_about_reports_that_nothing_was_used(store: Store) -> None:
    notes = ScopeNotes()
    for now in range(NOW, NOW + 3 * FRESH, 60):
        notes.asked(TENANT, BANK.id, now)
        await notes.flush(store)
    assert await since(store) == Reporting(BANK.id, NOW, NOW + 2 * FRESH)


async def test_an_api_of_which_nobody_asks_reports_nothing(store: Store) -> None:
    notes = ScopeNotes()
    notes.asked(TENANT, BANK.id, NOW)
    assert [await notes.flush(store) for _ in range(3)] == [0, 0, 0]
    later = NOW + GAP + FRESH + 1
    notes.asked(TENANT, BANK.id, later)
    await notes.flush(store)
    assert await since(store) == Reporting(BANK.id, later, later), "nothing is known of the days in which nobody asked"
    assert EVENTS.id not in await reporting(store, TENANT, KNOWN)


async def test_what_could_not_be_written_is_written_the_next_time(nodes: Nodes) -> None:
    closed, store = await nodes(), await nodes()
    await granted(store, 1)
    await closed.close()
    notes = ScopeNotes()
    call(notes, 1, "read")
    with pytest.raises(StoreError):
        await notes.flush(closed)
    call(notes, 1, "send")
    assert await notes.flush(store) == 1
    assert await uses_of(store, TENANT, [1]) == {1: {301: TODAY, 302: TODAY}}


async def test_what_had_to_be_forgotten_begins_the_time_anew(store: Store) -> None:
    await granted(store, 1, 2, 3)
    notes = ScopeNotes(kept=2)
    call(notes, 1, "read")
    await notes.flush(store)
    later = NOW + 2 * FRESH
    for number in (1, 2, 3):
        call(notes, number, "read", "send", now=later)
    assert await notes.flush(store) == 2
    assert await since(store) == Reporting(BANK.id, later, later)
    call(notes, 3, "read", "send", now=later + 2 * FRESH)
    assert await notes.flush(store) == 1, "what was forgotten is noted again when it is used again"
    assert await since(store) == Reporting(BANK.id, later, later + 2 * FRESH), "and the loss is told once"


async def test_many_are_written_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright.ledger.scope_notes.MOST", 3)
    assert MOST == 400
    await granted(store, *range(1, 9))
    notes = ScopeNotes()
    for number in range(1, 9):
        call(notes, number, "read")
    units = store.counts.units
    assert await notes.flush(store) == 8
    assert store.counts.units - units == 3
    assert len(await uses_of(store, TENANT, range(1, 9))) == 8
