"""Each scope has a place of its own at its API, for good (`docs/decisions/0005`)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from gatewright.store import SCHEMA, Query, Store, Tx, migrate, open_store
from tests.platform.played import SMALL, Played
from tests.support.clock import NOON
from tests.support.engines import Nodes

PLACES = Query(str, "SELECT name || ' ' || place FROM scope ORDER BY api, place")


async def test_a_scope_is_put_behind_all_that_were_before_it_retired_ones_too(played: Played) -> None:
    await played.apply(SMALL)
    assert await played.store.all(PLACES) == ["read:a 0", "read:b 1"]
    fewer = SMALL.replace('"read:b" = "Read b"\n', "").replace(', "read:b"', "")
    await played.apply("prune = true\n" + fewer)
    await played.apply(fewer.replace('"read:a" = "Read a"', '"read:a" = "Read a"\n"read:c" = "Read c"'))
    assert await played.store.all(PLACES) == ["read:a 0", "read:b 1", "read:c 2"]


async def test_scopes_made_by_two_nodes_at_once_have_two_places(nodes: Nodes, tmp_path: Path) -> None:
    one, other = await nodes(), await nodes()
    await Played(one, tmp_path).apply(SMALL)
    texts = [SMALL.replace('"read:a" = "Read a"', f'"read:a" = "Read a"\n"new:{name}" = "New {name}"') for name in ("x", "y")]
    await asyncio.gather(*[Played(store, tmp_path).apply(text) for store, text in zip((one, other), texts, strict=True)])
    found = await one.all(PLACES)
    assert {text.split()[0] for text in found} == {"read:a", "read:b", "new:x", "new:y"}
    assert sorted(text.split()[1] for text in found) == ["0", "1", "2", "3"]


async def test_scopes_that_were_there_before_get_their_places_in_order(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(SCHEMA / "0001_first.sql", old)
    url = f"sqlite://{tmp_path / 'store.sqlite3'}"
    await migrate(url, now=NOON, folder=old)
    store: Store = await open_store(url, folder=old)

    async def fill(tx: Tx) -> None:
        for number, api in ((5, 1), (9, 2), (7, 1), (8, 2), (6, 1)):
            text = f"INSERT INTO scope VALUES ({number}, 1, {api}, '{api}:{number}', '', 'normal', 'account', '', 0, NULL)"  # noqa: S608 - numbers
            await tx.do(Query(None, text))

    await store.run(fill)
    await store.close()
    await migrate(url, now=NOON)
    store = await open_store(url)
    assert await store.all(PLACES) == ["1:5 0", "1:6 1", "1:7 2", "2:8 0", "2:9 1"]
    await store.close()
