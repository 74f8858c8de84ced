"""A backup holds everything of one moment, and comes back on either engine, whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatewright.store import SCHEMA, BackupError, Query, Store, Tx, backup, migrate, open_store, restore, verify
from gatewright.store.backup import _whole
from tests.store.things import ADD, COUNT, LIST, ONCE, ORPHAN, RAISE_ALL, READ, Thing, add
from tests.support.engines import NOW
from tests.support.postgres import Server

BIG = (1 << 63) - 1
NAMES = ["Zoë 🦊", "", "'\"\\\n\t[{", None]
CHILDREN = Query(int, "SELECT count(*) FROM child")
ONCES = Query(Thing, "SELECT tenant, name, n, attempt FROM once")

Fresh = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Makes empty databases, of the same engine or the other."""
    if request.param == "sqlite":
        yield [f"sqlite://{tmp_path / name}" for name in ("one.sqlite3", "other.sqlite3")].pop
        return
    on: Server = request.getfixturevalue("postgres_server")
    urls = [on.database() for _ in range(2)]  # made here, outside of the loop
    yield list(urls).pop
    for url in urls:
        on.drop(url)


def hidden(folder: Path) -> list[str]:
    """Names what a backup might have left lying about."""
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


async def filled(store: Store) -> None:
    for number, name in enumerate(NAMES, 10):
        await store.verb(ADD, id=number, name=name, n=-number)
    await store.verb(ADD, id=BIG, name="big", n=-BIG - 1)
    await store.verb(ONCE, tenant=1, name="x", attempt="a")

    async def orphan(tx: Tx) -> None:
        await tx.do(ORPHAN, id=1, thing=10)

    await store.run(orphan)


async def test_everything_comes_back_on_either_engine(store: Store, url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    await filled(store)
    path, target, said = tmp_path / "backup.gz", fresh(), list[str]()
    rows = await backup(url, path, now=NOW, folder=schema)
    assert rows == {"thing": 6, "once": 1, "child": 1, "change_head": 1, "change": 0}
    assert path.stat().st_mode & 0o777 == 0o600
    assert hidden(tmp_path) == []
    assert await restore(target, path, now=NOW, folder=schema, say=said.append) == rows
    assert "restoring thing" in said
    other = await open_store(target, folder=schema)
    try:
        assert await other.all(LIST) == await store.all(LIST)
        assert await other.all(ONCES) == await store.all(ONCES)
        assert await other.one(CHILDREN) == 1
        assert await other.one(READ, id=BIG) == Thing(BIG, "big", -BIG - 1)
        await other.run(add, 20)
    finally:
        await other.close()


async def test_what_a_killed_backup_left_is_in_nobodys_way(url: str, schema: Path, tmp_path: Path) -> None:
    left = tmp_path / f".backup.gz.{os.getpid()}.part"  # in a container the next process often has the same number
    left.write_bytes(b"half")
    await backup(url, tmp_path / "backup.gz", now=NOW, folder=schema)
    verify(tmp_path / "backup.gz")
    assert hidden(tmp_path) == [left.name]
    assert left.read_bytes() == b"half"


def test_of_two_backups_of_one_number_neither_takes_the_others_part(tmp_path: Path) -> None:
    path = tmp_path / "backup.gz"

    def at_once() -> None:
        with _whole(path) as first:
            first.write(b"first\n")
            with _whole(path) as second:
                second.write(b"second\n")

    with pytest.raises(BackupError, match="is not overwritten"):
        at_once()
    assert gzip.decompress(path.read_bytes()) == b"second\n"
    assert hidden(tmp_path) == []


async def test_a_backup_is_of_one_moment_while_others_write(store: Store, url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    await store.run(add, 2, 3000)

    async def write() -> None:
        while True:
            await store.verb(RAISE_ALL)

    writing = asyncio.create_task(write())
    while store.counts.verbs < 5:  # noqa: ASYNC110 - until the writing is under way
        await asyncio.sleep(0)
    path, target = tmp_path / "backup.gz", fresh()
    await backup(url, path, now=NOW, folder=schema)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await restore(target, path, now=NOW, folder=schema)
    other = await open_store(target, folder=schema)
    try:
        assert len({thing.n for thing in await other.all(LIST)}) == 1
    finally:
        await other.close()


async def test_an_older_backup_is_brought_to_the_present(store: Store, url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    await filled(store)
    path, target = tmp_path / "backup.gz", fresh()
    await backup(url, path, now=NOW, folder=schema)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "0001_things.sql").write_text((schema / "0001_things.sql").read_text())
    (newer / "0002_more.sql").write_text("ALTER TABLE thing ADD COLUMN more BIGINT;\nUPDATE thing SET more = n + 1 WHERE n < 100;\n")
    await restore(target, path, now=NOW, folder=newer)
    other = await open_store(target, folder=newer)
    try:
        assert await other.one(Query(int, "SELECT more FROM thing WHERE id = 11")) == -10
    finally:
        await other.close()
    again = tmp_path / "again.gz"
    await backup(target, again, now=NOW, folder=newer)
    with pytest.raises(BackupError, match="holds schema 2, and this version of Gatewright knows schemas up to 1"):
        await restore(fresh(), again, now=NOW, folder=schema)


async def test_only_an_empty_database_is_filled(store: Store, url: str, schema: Path, tmp_path: Path) -> None:
    path = tmp_path / "backup.gz"
    await backup(url, path, now=NOW, folder=schema)
    await filled(store)
    with pytest.raises(BackupError, match="not empty"):
        await restore(url, path, now=NOW, folder=schema)
    assert await store.one(COUNT) == 6


async def test_a_file_is_not_overwritten_and_nothing_is_no_backup(url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    path = tmp_path / "backup.gz"
    path.write_text("mine")
    with pytest.raises(BackupError, match="there already"):
        await backup(url, path, now=NOW, folder=schema)
    assert path.read_text() == "mine"
    with pytest.raises(BackupError, match="never set up"):
        await backup(fresh(), tmp_path / "other.gz", now=NOW, folder=schema)
    with pytest.raises(BackupError, match="cannot be written: No such file"):
        await backup(url, tmp_path / "nowhere" / "backup.gz", now=NOW, folder=schema)


def altered(raw: bytes, how: str) -> bytes:
    lines = gzip.decompress(raw).splitlines(keepends=True)
    match how:
        case "cut":
            return raw[: len(raw) // 2]
        case "a byte":
            return raw[:60] + bytes([raw[60] ^ 1]) + raw[61:]
        case "a value":
            lines = [line.replace(b"Zo", b"Bo") for line in lines]
        case "a row":
            lines = [line for line in lines if b"Zo" not in line]
        case "its end":
            lines = lines[:-1]
        case "nothing":
            return b""
        case "text":
            return b"no backup at all"
        case "another format":
            lines[0] = lines[0].replace(b'"version":1', b'"version":2')
        case _:
            lines = lines[1:]
    return gzip.compress(b"".join(lines))


HOW = ["cut", "a byte", "a value", "a row", "its end", "nothing", "text", "another format", "its head"]


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("how", HOW)
async def test_a_file_that_was_cut_or_altered_is_refused(
    store: Store, url: str, schema: Path, tmp_path: Path, fresh: Fresh, how: str
) -> None:
    await filled(store)
    path, target = tmp_path / "backup.gz", fresh()
    await backup(url, path, now=NOW, folder=schema)
    assert verify(path)[0].engine == "sqlite"
    path.write_bytes(altered(path.read_bytes(), how))
    with pytest.raises(BackupError, match=r"backup\.gz"):
        await restore(target, path, now=NOW, folder=schema)
    await migrate(target, now=NOW, folder=schema)  # it is as empty as before


async def test_a_file_of_other_tables_leaves_the_database_empty(url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    path, target = tmp_path / "backup.gz", fresh()
    await backup(url, path, now=NOW, folder=schema)
    with pytest.raises(BackupError, match="does not have so"):
        await restore(target, path, now=NOW, folder=SCHEMA)
    await backup_of_nothing(target, tmp_path / "other.gz", schema)


async def backup_of_nothing(url: str, path: Path, schema: Path) -> None:
    with pytest.raises(BackupError, match="never set up"):
        await backup(url, path, now=NOW, folder=schema)


async def test_the_products_own_schema_is_saved_and_restored(fresh: Fresh, tmp_path: Path) -> None:
    url, target, path = fresh(), fresh(), tmp_path / "backup.gz"
    await migrate(url, now=NOW)
    rows = await backup(url, path, now=NOW)
    assert await restore(target, path, now=NOW) == rows
    store = await open_store(target)
    await store.close()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_memory_is_bounded_whatever_the_size(store: Store, url: str, schema: Path, tmp_path: Path, fresh: Fresh) -> None:
    await store.run(add, 10, 30_000)
    path, target = tmp_path / "backup.gz", fresh()
    tracemalloc.start()
    try:
        await backup(url, path, now=NOW, folder=schema)
        await restore(target, path, now=NOW, folder=schema)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
