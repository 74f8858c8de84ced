"""The end of an installation on each engine: a crash leaves all of it or nothing, and of two nodes one ends it."""

from __future__ import annotations

import asyncio

from gatewright.ledger.cleanup import BATCH, SECONDS, CleanUps, Uninstalled, farewell
from gatewright.store import Query, Store, Tx
from tests.protocol.cleaning import HAD, IN, INSTALL, cleanup, listening_app, uninstalled
from tests.support import builders as b
from tests.support.clock import NOON
from tests.support.crash import crash_everywhere
from tests.support.engines import Nodes
from tests.support.world import Playground
from tests.webhooks.recorded import recorded

LEFT = Query(
    str,
    """SELECT 'grant ' || source || ' ' || COALESCE(ended_because, 'live') FROM consent_grant
       UNION ALL SELECT 'event ' || type FROM webhook_event
       UNION ALL SELECT 'audit ' || act FROM audit
        ORDER BY 1""",
)


async def test_a_crash_while_an_app_is_told_goodbye_leaves_nothing_of_it(ground: Playground) -> None:
    client = await listening_app(ground)
    gone = Uninstalled(tenant=b.TENANT, client=client.id, account=b.ACCOUNT, person=b.PERSON, install=INSTALL, had=HAD)

    async def act(store: Store) -> int | None:
        return await store.run(farewell, ground.clock.moment(), gone, "os:test")

    async def nothing(n: int) -> None:
        assert await ground.store.all(LEFT) == []

    until, crashes = await crash_everywhere(ground.store, act, nothing)
    assert until == NOON + SECONDS
    assert crashes >= 6
    assert await ground.store.all(LEFT) == ["audit install_cleanup.opened", "event install.deleting", "grant cleanup live"]


async def test_a_crash_while_the_minutes_end_leaves_them_to_be_ended(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    ground.clock.pass_(SECONDS)

    async def act(store: Store) -> int:
        return await CleanUps(store).end_due(ground.clock)

    async def still_there(n: int) -> None:
        assert await ground.store.all(LEFT) == ["audit install_cleanup.opened", "event install.deleting", "grant cleanup live"]

    ended, _ = await crash_everywhere(ground.store, act, still_there)
    assert ended == 1
    assert [type for type, _ in await recorded(ground.store)] == ["install.deleting", "install.deleted"]


async def test_of_two_nodes_that_end_the_same_minutes_one_tells_of_it(ground: Playground, nodes: Nodes) -> None:
    client = await listening_app(ground)

    async def many(tx: Tx) -> None:
        for number in range(BATCH + 5):
            gone = Uninstalled(tenant=b.TENANT, client=client.id, account=b.ACCOUNT, person=b.PERSON, install=INSTALL + number, had=HAD)
            await farewell(tx, ground.clock.moment(), gone, "os:test")

    await ground.store.run(many)
    ground.clock.pass_(SECONDS)
    ended = await asyncio.gather(*[CleanUps(store).end_due(ground.clock) for store in (ground.store, await nodes())])
    assert sum(ended) == BATCH + 5
    assert [type for type, _ in await recorded(ground.store)].count("install.deleted") == BATCH + 5


async def test_two_requests_for_the_token_at_once_are_both_answered(ground: Playground) -> None:
    await uninstalled(ground, await listening_app(ground))
    replies = await asyncio.gather(*[cleanup(ground, scope="read:balance") for _ in range(5)])
    assert {reply["scope"] for reply in replies} == {"read:balance"}
    assert IN.startswith("in_")
