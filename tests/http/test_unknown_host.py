"""A host that no tenant has: strangers learn nothing, whoever sits at this machine learns where the server is, the log hears of it."""

from __future__ import annotations

import pytest

from gatewright.tenants.loopback import unreached
from tests.support.house import PEER, Node

HERE = "http://127.0.0.1:8600"
HEAD = '[tenant]\nslug = "acme"\nname = "Acme"\n'
BARE = (421, "no tenant is served under this host name\n")
TOLD = (421, f"no tenant is served under this host name; this server is {HERE} or http://localhost:8700 here\n")


@pytest.fixture
async def local(node: Node) -> Node:
    await node.apply(f'{HEAD}domains = ["https://id.acme.test", "http://localhost:8700", "{HERE}"]\n')
    return node


async def told(node: Node, host: str, peer: str, *headers: tuple[str, str]) -> tuple[int, str]:
    answer = await node.ask("GET", "/", host=host, peer=peer, headers=headers)
    return answer.status, answer.text


@pytest.mark.parametrize(("host", "peer"), [("127.0.0.1:8601", "127.0.0.1"), ("localhost:8600", "::1"), ("[::1]", "127.0.0.1")])
async def test_a_caller_at_this_machine_is_told_where_the_server_is(local: Node, host: str, peer: str) -> None:
    assert await told(local, host, peer) == TOLD


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        ("localhost:8601", PEER, ()),
        ("id.stranger.test", "127.0.0.1", ()),
        ("no host at all", "127.0.0.1", ()),
        ("localhost:8601", "127.0.0.1", (("x-forwarded-for", PEER),)),
        ("localhost:8601", "127.0.0.1", (("forwarded", f"for={PEER}"),)),
        ("localhost:8601", "127.0.0.1", (("via", "1.1 front"),)),
    ],
)
async def test_anybody_else_is_told_nothing(local: Node, host: str, peer: str, headers: tuple[tuple[str, str], ...]) -> None:
    assert await told(local, host, peer, *headers) == BARE


async def test_where_no_tenant_answers_at_this_machine_there_is_nothing_to_tell(node: Node) -> None:
    assert await told(node, "127.0.0.1:8600", "127.0.0.1") == BARE


async def test_the_log_has_one_line_a_minute_however_many_come(node: Node) -> None:
    def lines() -> list[str]:
        return [line for line in node.lines if "host.unknown" in line]

    for number in range(40):
        await told(node, f"id-{number}.test", PEER)
    assert len(lines()) == 1
    assert '"host":"id-0.test","requests":1' in lines()[0]
    node.time.pass_(60)
    await told(node, "last.test", PEER)
    assert len(lines()) == 2
    assert '"host":"last.test","requests":40' in lines()[1]


async def test_only_a_server_that_nobody_reaches_is_warned_of(node: Node) -> None:
    store = node.house.store
    assert await unreached(store, "127.0.0.1", 8700) is None, "https is a front's work"
    assert await unreached(store, "10.0.0.1", 8700) is None
