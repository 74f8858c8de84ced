"""The revocation feed of running servers: killed, started again, stopped, with two nodes; what was acknowledged reaches every guard."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from tests.support.running import Deployment, free_port
from tests.survival.propagation import quantile
from tests.survival.revocation import SECONDS, at_once, bought, claims, following, http_to, known, one_by_one, revoke


async def test_a_guard_goes_on_after_its_server_was_killed_and_misses_nothing(deployment: Deployment) -> None:
    port = free_port()
    with deployment.serve() as other:
        node = deployment.start(port=port)
        node.ready()
        async with AsyncExitStack() as stack:
            here, there = [await stack.enter_async_context(http_to(one)) for one in (other, node)]
            follower = await stack.enter_async_context(following(node, there, max_away=5))
            tokens = await bought(here, 30)
            for token in tokens[:10]:
                await revoke(here, token)
            await known([follower], tokens[:10])
            node.kill()
            for token in tokens[10:20]:
                await revoke(here, token)
            with deployment.serve(port=port):
                for token in tokens[20:]:
                    await revoke(here, token)
                await known([follower], tokens)
                assert await follower.until_current(SECONDS)
                assert follower.resets == 0
                assert not follower.revoked(claims((await bought(here, 1))[0]))


async def test_a_server_that_stops_lets_its_guards_go_at_once_and_they_find_the_next(deployment: Deployment) -> None:
    port = free_port()
    with deployment.serve() as other:
        node = deployment.start(port=port)
        node.ready()
        async with AsyncExitStack() as stack:
            here, there = [await stack.enter_async_context(http_to(one)) for one in (other, node)]
            followers = [await stack.enter_async_context(following(node, there)) for _ in range(20)]
            begun = time.monotonic()
            await asyncio.to_thread(node.stop)
            assert time.monotonic() - begun < 10, "feeds have no end to be waited for"
            tokens = await bought(here, 5)
            for token in tokens:
                await revoke(here, token)
            with deployment.serve(port=port):
                await known(followers, tokens)


async def test_revocations_reach_a_guard_at_another_server_within_a_second(deployment: Deployment) -> None:
    with deployment.serve() as here, deployment.serve(port=free_port()) as there:
        assert quantile(await one_by_one((here, there), 20, cut=False), 0.5) < 1.0
        if deployment.store_url:
            assert quantile(await one_by_one((here, there), 10, cut=True), 0.5) < 1.0
        # A machine that stands still makes a round late; a server that is slow makes them all late.
        rounds = [await at_once((here, there), 10, 20) for _ in range(3)]
        assert min(after for _, after in rounds) < 2.0, rounds
