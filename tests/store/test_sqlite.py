"""What only SQLite can do wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from gatewright.store import StoreBusy, StoreError, StoreUnavailable, open_store, sqlite_file
from gatewright.store.sqlite import SqliteStore
from gatewright.store.sqlite_file import connect, path_of
from tests.store.things import ADD, COUNT, LIST, READ, SET_EACH, TAKE, add


@pytest.fixture(params=["sqlite"])
def engine() -> str:
    return "sqlite"


@pytest.fixture
def store(store: SqliteStore) -> SqliteStore:
    return store


async def test_writes_that_wait_together_are_committed_together(store: SqliteStore) -> None:
    await asyncio.gather(*[store.verb(ADD, id=number, name="x", n=0) for number in range(10, 110)])
    await asyncio.gather(*[store.run(add, number) for number in range(110, 118)])
    assert store.counts.commits <= 8
    assert await store.one(COUNT) == 109


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(store: SqliteStore) -> None:
    await store.verb(ADD, id=10, name="x", n=0)
    writing = store._writer._connection
    writing.pragma("max_page_count", writing.pragma("page_count"))
    big = store.verb(ADD, id=11, name="x" * 100_000, n=0)
    small = [store.verb(SET_EACH, id=1, n=number) for number in range(20)]
    answers = await asyncio.gather(big, *small, store.run(add, 12), return_exceptions=True)
    assert isinstance(answers[0], StoreUnavailable)
    assert [answer for answer in answers[1:-1] if answer is not None] == []
    assert answers[-1] == 1
    writing.pragma("max_page_count", 1 << 30)
    await store.verb(ADD, id=11, name="x" * 100_000, n=0)
    assert [thing.id for thing in await store.all(LIST)] == [1, 10, 11, 12]


async def test_a_lock_that_another_process_holds_is_waited_for_but_not_for_ever(url: str) -> None:
    store = await open_store(url, folder=None, patience=0.05)
    other = connect(path_of(url))
    try:
        other.execute("BEGIN IMMEDIATE")
        calls = [store.verb(TAKE, id=1, attempt=f"{n}", now=1) for n in range(20)]
        answers = await asyncio.gather(*calls, store.run(add, 10), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreBusy}
        assert await store.one(READ, id=1) is not None
        assert len(await store.all(LIST)) == 1
        other.execute("COMMIT")
        assert await store.verb(TAKE, id=1, attempt="a", now=1) is not None
    finally:
        other.close()
        await store.close()


async def test_a_lock_that_comes_free_in_time_costs_nothing_but_time(url: str) -> None:
    store = await open_store(url, folder=None)
    other = connect(path_of(url))
    try:
        other.execute("BEGIN IMMEDIATE")
        call = asyncio.create_task(store.verb(TAKE, id=1, attempt="a", now=1))
        for _ in range(100):
            await store.one(READ, id=1)
            await asyncio.sleep(0)
        assert not call.done()
        other.execute("COMMIT")
        assert await call is not None
    finally:
        other.close()
        await store.close()


def test_the_file_is_for_its_owner_and_safe_against_power_cuts(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    connection = connect(path)
    connection.execute("CREATE TABLE x (y)")
    assert [file.stat().st_mode & 0o777 for file in sorted(tmp_path.glob("new.*"))] == [0o600] * 3
    assert (connection.pragma("journal_mode"), connection.pragma("synchronous")) == ("wal", 2)
    connection.close()


async def test_less_safety_is_said(url: str) -> None:
    store = await open_store(url, folder=None, synchronous="NORMAL")
    assert "synchronous is not FULL" in (await store.ready()).warnings[0]
    await store.close()


async def test_what_cannot_be_opened_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere/x\.sqlite3 cannot be opened: No such file or directory"):
        await open_store(f"sqlite://{tmp_path}/nowhere/x.sqlite3")
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        await open_store(f"sqlite://{tmp_path}")
    (tmp_path / "text").write_text("This is no database, but long enough that it could be one. " * 20)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_store(f"sqlite://{tmp_path}/text")


async def test_a_library_that_damages_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "OLDEST", (99, 0, 0))
    with pytest.raises(StoreUnavailable, match="at least"):
        connect(tmp_path / "x.sqlite3")


async def test_a_relative_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:here%20it%20is.sqlite3", folder=None)
    await store.close()
    assert (tmp_path / "here it is.sqlite3").is_file()


async def test_reading_holds_no_snapshot_so_that_the_log_can_be_folded_in(store: SqliteStore, url: str) -> None:
    for number in range(10, 30):
        await store.verb(ADD, id=number, name="x", n=0)
        await store.one(READ, id=number)
        await store.all(LIST)
    other = connect(path_of(url))
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall() == [(0, 0, 0)]
    other.close()


async def test_a_statement_that_fails_to_be_read_is_a_store_error(store: SqliteStore) -> None:
    store._connection.set_authorizer(lambda *_: apsw.SQLITE_DENY)
    with pytest.raises(StoreError):
        await store.one(COUNT)
    with pytest.raises(StoreError):
        await store.ready()
    store._connection.set_authorizer(None)
    assert await store.one(COUNT) == 1
