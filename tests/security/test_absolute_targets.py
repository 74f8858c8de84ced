"""A request that names a host twice: in its target and in its Host header. Nobody in front of us may read the other one of the two."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.security.test_limits import Line
from tests.support.house import Node

PATH = "/.well-known/openid-configuration"


class Caller:
    """One connection to a node, as it is over the wire."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._answered = asyncio.Event()
        self._line = Line(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as the library has it
        await self._node.gate(scope, receive, send)
        self._answered.set()

    async def status(self, target: str, *lines: str) -> int:
        """Send a request; return the status of its answer."""
        self._answered.clear()
        self._line.wire.sent.clear()
        await self._line.send("\r\n".join((f"GET {target} HTTP/1.1", *lines, "", "")).encode())
        async with asyncio.timeout(10):
            await self._answered.wait()
        return int(self._line.wire.sent.split(b" ")[1])


async def status_of(node: Node, target: str, *lines: str) -> int:
    return await Caller(node).status(target, *lines)


@pytest.mark.proves("RFC 9112", "3.2.2")
@pytest.mark.parametrize(
    "target",
    [
        f"http://id.acme.test{PATH}",
        f"https://ID.acme.test{PATH}?x=1",
        f"https://id.acme.test:443{PATH}",
        f"HTTP://id.acme.test:80{PATH}",
        PATH,
        f"{PATH}?x=http://id.globex.test/",
    ],
)
async def test_a_target_with_the_host_of_its_header_is_answered(node: Node, target: str) -> None:
    assert await status_of(node, target, "Host: id.acme.test") == 200


@pytest.mark.proves("RFC 9112", "3.2.2")
@pytest.mark.parametrize(
    "target",
    [
        f"http://id.globex.test{PATH}",
        f"http://id.acme.test:8443{PATH}",
        f"http://id.acme.test@id.globex.test{PATH}",
        f"http://user@id.acme.test{PATH}",
        f"http://id.globex.test/id.acme.test{PATH}",
        f"http://id.globex.test/?://id.acme.test{PATH}",
        f"http://login.acme.test{PATH}",
    ],
)
async def test_a_target_with_another_host_than_its_header_is_refused(node: Node, target: str) -> None:
    assert await status_of(node, target, "Host: id.acme.test") == 400


@pytest.mark.parametrize("lines", [(), ("Host:",), ("Host: id.acme.test", "Host: id.acme.test"), ("Host: id.globex.test",)])
async def test_a_target_does_not_stand_for_a_host_header(node: Node, lines: tuple[str, ...]) -> None:
    assert await status_of(node, f"http://id.acme.test{PATH}", *lines) == 400


async def test_on_one_connection_each_request_has_a_target_of_its_own(node: Node) -> None:
    caller = Caller(node)
    for target, status in ((f"http://id.globex.test{PATH}", 400), (PATH, 200), (f"http://id.globex.test{PATH}", 400)):
        assert await caller.status(target, "Host: id.acme.test") == status
