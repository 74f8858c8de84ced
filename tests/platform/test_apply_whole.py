"""An apply is whole or not at all, whatever happens in the middle of it or beside it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gatewright.platform.apply import Applied, apply
from gatewright.platform.reading import read_text
from gatewright.store import Query, Store
from tests.platform.played import EXAMPLE, SMALL, Played
from tests.support.crash import crash_everywhere

TABLES = ["tenant", "domain", "api", "scope", "role", "account", "person", "membership", "client", "credential"]
TABLES += ["applied", "audit", "change"]
COUNTS = {name: Query(int, f"SELECT count(*) FROM {name}") for name in TABLES}  # noqa: S608 - our own names
RIVAL = Query(None, "UPDATE client SET settings = replace(settings, 'Web', 'Wob') WHERE client_id = 'web'")

Nodes = Callable[[], Awaitable[Store]]


async def counted(store: Store) -> dict[str, int]:
    return {name: (await store.all(query))[0] for name, query in COUNTS.items()}


async def test_a_crash_anywhere_in_the_first_apply_leaves_nothing_behind(played: Played) -> None:
    empty = await counted(played.store)
    reading = read_text(SMALL, played.file)

    async def act(store: Any) -> Applied:  # noqa: ANN401 - a store that crashes
        return await apply(store, reading, played.clock.moment(), played.environ, "os:tester")

    async def check(_: int) -> None:
        assert await counted(played.store) == empty

    applied, crashes = await crash_everywhere(played.store, act, check)
    assert crashes > 40
    assert len(applied.secrets) == 1
    assert (await played.apply(SMALL)).plan.changes == ()


async def test_a_crash_anywhere_in_a_pruning_leaves_everything_as_it_was(played: Played) -> None:
    await played.apply(SMALL)
    before = await counted(played.store)
    reading = read_text("prune = true\n" + SMALL.split("[[apis]]")[0], played.file)

    async def act(store: Any) -> Applied:  # noqa: ANN401 - a store that crashes
        return await apply(store, reading, played.clock.moment(), played.environ, "os:tester")

    async def check(_: int) -> None:
        assert await counted(played.store) == before
        assert not (await played.client()).disabled

    await crash_everywhere(played.store, act, check)
    assert (await played.client()).disabled


async def test_two_applies_at_once_do_it_once(played: Played, nodes: Nodes) -> None:
    text = EXAMPLE.read_text()
    others = [await nodes() for _ in range(3)]

    async def one(store: Store) -> Applied:
        return await apply(store, read_text(text, played.file), played.clock.moment(), played.environ, "os:tester")

    done = await asyncio.gather(one(played.store), *map(one, others))
    assert len(done) == 4
    counts = await counted(played.store)
    assert (counts["tenant"], counts["client"], counts["person"], counts["credential"]) == (1, 7, 3, 8)
    assert (await played.apply(text)).plan.changes == ()


class Meddling:
    """A store in which somebody else changes a client between the look and the transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def run(self, unit: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it comes
        await self._store.verb(RIVAL)
        return await self._store.run(unit, *args, **kwargs)


async def test_what_was_changed_between_look_and_write_is_seen(played: Played) -> None:
    await played.apply(SMALL)
    store: Any = Meddling(played.store)
    await apply(store, read_text(SMALL + 'consent = "always"\n', played.file), played.clock.moment(), played.environ, "os:tester")
    settings = (await played.client()).settings
    assert (settings.client_name, settings.consent) == ("Web", "always")
