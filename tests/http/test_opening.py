"""A house is opened over its own store only: each process that starts looks, since the key file may have been changed meanwhile."""

from __future__ import annotations

import pytest

from gatewright.app import open_house, root_key
from gatewright.base.digest import b64
from gatewright.base.log import Log
from gatewright.keys.book import belongs
from gatewright.keys.root import KeyFault
from gatewright.store import open_store
from tests.support.house import ENVIRON, NodeClock, Time, loaded, open_nodes

OTHER_KEY = b64(bytes(range(1, 33)))


async def test_a_process_that_finds_another_root_key_opens_nothing(place: str) -> None:
    clock = NodeClock(Time(), "other")
    log = Log(clock, write=lambda _line: None)
    with pytest.raises(KeyFault, match="made with another root key"):
        async with open_house(loaded(place), clock, log, {**ENVIRON, "GATEWRIGHT_KEY": OTHER_KEY}):
            pytest.fail("it was opened")


async def test_the_right_root_key_costs_one_read_and_writes_nothing(place: str) -> None:
    async with open_nodes(place) as (node,):
        assert (node.house.store.counts.verbs, node.house.store.counts.units) == (0, 0)
        store = await open_store(place)
        try:
            await belongs(store, root_key(loaded(place), ENVIRON))
            assert (store.counts.reads, store.counts.verbs, store.counts.units) == (1, 0, 0)
        finally:
            await store.close()
