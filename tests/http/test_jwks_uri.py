"""The keys that clients publish themselves: a name server of theirs that hangs holds up nothing of ours."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatewright.oauth.ports import FetchFailed
from tests.support.house import Node


async def test_keys_are_made_while_the_name_server_of_a_jwks_uri_hangs(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, asked, answers = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hanging(*_: object, **__: object) -> list[object]:
        loop.call_soon_threadsafe(asked.set)
        answers.wait(60)
        return []

    await node.get("/jwks")
    tenant = await node.tenant()
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    # One thread is as good as the many that many such names would hold.
    loop.set_default_executor(ThreadPoolExecutor(1))
    looked_up = asyncio.create_task(node.house.world.fetch.json("https://keys.example/jwks"))
    try:
        async with asyncio.timeout(20):
            await asked.wait()
            assert await node.house.signer.rotate(node.house.clock.moment(), tenant, actor="os:test")
    finally:
        answers.set()
    with pytest.raises(FetchFailed):
        await looked_up
