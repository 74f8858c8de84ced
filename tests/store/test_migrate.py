"""Migrations go forward, once, whole, whoever starts and whoever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright.store import SCHEMA, Query, SchemaError, Store, StoreUnavailable, migrate, open_store
from gatewright.store.migrate import Migration, migrations
from tests.support.engines import NOW, Nodes
from tests.support.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "0001_first.sql": "CREATE TABLE a (id ID, name TEXT);\nINSERT INTO a (id, name) VALUES (1, 'x');\nCREATE INDEX a_b ON a (name);\n",
    "0002_second.sql": "ALTER TABLE a ADD n BIGINT;\nUPDATE a SET n = 1;\nINSERT INTO a (id, n) SELECT 2, 2;\nCREATE TABLE b (x TEXT);\n",
}
STATEMENTS = 7
SUM = Query(int, "SELECT CAST(sum(n) AS BIGINT) FROM a")
EMPTY = Query(int, "SELECT count(*) FROM b")
ROWS = Query(str, "SELECT CAST(number AS TEXT) || name || CAST(at AS TEXT) FROM migration ORDER BY number")


@pytest.fixture
def url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if engine == "sqlite":
        yield f"sqlite://{tmp_path / 'empty.sqlite3'}"
        return
    on: Server = request.getfixturevalue("postgres_server")
    url = on.database()
    yield url
    on.drop(url)


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    folder = tmp_path / "schema"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


async def check(store: Store) -> None:
    assert await store.one(SUM) == 3
    assert await store.one(EMPTY) == 0


async def test_an_empty_database_is_brought_to_the_present(url: str, schema: Path, nodes: Nodes) -> None:
    said: list[str] = []
    assert await migrate(url, now=NOW, folder=schema, say=said.append) == 2
    assert said[0] == "schema 1 of 2, first: statement 1 of 3"
    assert len(said) == STATEMENTS
    store = await nodes()
    await check(store)
    assert await store.all(ROWS) == [f"1first{NOW}", f"2second{NOW}"]


async def test_what_is_done_is_not_done_again(url: str, schema: Path, nodes: Nodes) -> None:
    said: list[str] = []
    await migrate(url, now=NOW, folder=schema)
    assert await migrate(url, now=NOW, folder=schema, say=said.append) == 2
    assert said == []
    await check(await nodes())


async def test_a_database_may_be_brought_half_way_and_then_on(url: str, schema: Path, nodes: Nodes) -> None:
    assert await migrate(url, now=NOW, folder=schema, until=1) == 1
    with pytest.raises(SchemaError, match="lacks 1 of 2"):
        await nodes()
    assert await migrate(url, now=NOW, folder=schema) == 2
    await check(await nodes())


async def test_many_may_start_at_once(url: str, schema: Path, nodes: Nodes) -> None:
    assert await asyncio.gather(*[migrate(url, now=NOW, folder=schema) for _ in range(4)]) == [2] * 4
    await check(await nodes())


async def started(url: str, schema: Path, last: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.migrating", url, str(schema), str(last)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'guard' / 'src'}"},
        stdin=PIPE,
        stdout=PIPE,
    )


async def heard(process: Process, word: bytes, times: int = 1) -> None:
    """Waits until a process has said something that often."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while times:
            line = await process.stdout.readline()
            assert line, f"the process ended before it said {word!r}"
            times -= word in line


@pytest.mark.parametrize("last", range(1, STATEMENTS + 1))
async def test_killed_at_any_statement_the_next_one_finishes_it(url: str, schema: Path, nodes: Nodes, last: int) -> None:
    first = await started(url, schema, last)
    await heard(first, b": statement ", last)
    second = await started(url, schema, 0)
    await heard(second, b"waiting for it")
    await first.communicate(b"die\n")
    assert first.returncode == -signal.SIGKILL
    await second.communicate()
    assert second.returncode == 0
    await check(await nodes())
    assert await migrate(url, now=NOW, folder=schema) == 2


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(url: str, schema: Path, nodes: Nodes) -> None:
    await migrate(url, now=NOW, folder=schema)
    (schema / "0001_first.sql").write_text("CREATE TABLE a (id ID);\n")
    for opening in (migrate(url, now=NOW, folder=schema), nodes()):
        with pytest.raises(SchemaError, match=r"0001_first was changed after it was applied"):
            await opening


async def test_a_database_of_a_newer_program_is_refused(url: str, schema: Path, nodes: Nodes) -> None:
    await migrate(url, now=NOW, folder=schema)
    (schema / "0002_second.sql").unlink()
    for opening in (migrate(url, now=NOW, folder=schema), nodes()):
        with pytest.raises(SchemaError, match="at schema 2, and this version of Gatewright knows schemas up to 1"):
            await opening


async def test_a_database_that_was_never_set_up_is_named(url: str, nodes: Nodes) -> None:
    with pytest.raises(SchemaError, match="gatewright migrate"):
        await nodes()


async def test_a_file_that_fails_leaves_nothing_of_itself(url: str, schema: Path, nodes: Nodes) -> None:
    (schema / "0002_second.sql").write_text("CREATE TABLE b (id ID);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(SchemaError, match=r"migration 0002_second, statement 2: .*nowhere"):
        await migrate(url, now=NOW, folder=schema)
    (schema / "0002_second.sql").write_text(FILES["0002_second.sql"])
    await migrate(url, now=NOW, folder=schema)
    await check(await nodes())


def test_numbers_without_a_gap_are_demanded(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no migrations"):
        migrations(tmp_path)
    (tmp_path / "0002_second.sql").write_text("")
    with pytest.raises(SchemaError, match="0001_… was expected"):
        migrations(tmp_path)
    (tmp_path / "0002_second.sql").rename(tmp_path / "first.sql")
    with pytest.raises(SchemaError, match=r"first\.sql"):
        migrations(tmp_path)


def test_a_file_is_cut_where_a_line_ends_in_a_semicolon() -> None:
    text = "-- one; two;\nCREATE TABLE a (id ID, b TEXT); -- ID;\nINSERT INTO a VALUES (1, 'x;\nID -- y');\n/* ;\n*/\nSELECT 1; SELECT 2;"
    assert Migration(1, "x", "", text).statements("INTEGER PRIMARY KEY") == [
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT)",
        "INSERT INTO a VALUES (1, 'x;\nID -- y')",
        "SELECT 1; SELECT 2",
    ]


async def test_a_url_of_no_engine_is_named() -> None:
    for url in ("mysql://x/y", "sqlite://", "sqlite://host/x", "sqlite:///x?mode=ro"):
        with pytest.raises(StoreUnavailable, match="sqlite:///"):
            await migrate(url, now=NOW)
        with pytest.raises(StoreUnavailable, match="sqlite:///"):
            await open_store(url)


async def test_the_products_own_schema_applies(url: str) -> None:
    assert await migrate(url, now=NOW, folder=SCHEMA) == len(migrations(SCHEMA))
    store = await open_store(url)
    await store.close()
