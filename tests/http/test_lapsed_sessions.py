"""What lasts as long as a session ends when the session lapses, and no token of it outlives that: by idling, or on its last day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.http.talk import exchange
from tests.support.approving import authorized, issuer_of, sign_in
from tests.support.house import ENVIRON, Node, basic, open_nodes, platform
from tests.support.listening import read

EVENTS_API: Final = basic("https://events.acme.test", ENVIRON["EVENTS_SECRET"])
DAY_APP: Final = """
[[clients]]
client_id = "day-app"
client_name = "Day app"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://day-app.example/callback"]
scopes = ["openid", "offline_access", "view:events"]
refresh = { when = "offline" }
secret = { env = "CLIENT_SECRET" }
"""
IDLE, ABSOLUTE = 12 * 3600, 7 * 86400
LIFE: Final = 900


@pytest.fixture
async def node(place: str) -> AsyncIterator[Node]:
    """One node, on each engine in turn, with an app that has access as long as its user is signed in."""
    async with open_nodes(place) as (opened,):
        await opened.apply(platform("acme") + DAY_APP)
        yield opened


async def bought(node: Node, cookie: str, scope: str = "openid view:events") -> dict[str, Any]:
    told = await authorized(node, cookie, "day-app", scope)
    answer = await node.post("/token", exchange(told["code"], "day-app"), basic("day-app"))
    assert answer.status == 200, answer
    return answer.json


async def renewed(node: Node, has: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON, or the error
    answer = await node.post("/token", {"grant_type": "refresh_token", "refresh_token": has["refresh_token"]}, basic("day-app"))
    return answer.json if answer.status == 200 else answer.error


async def active(node: Node, has: dict[str, Any]) -> bool:
    return bool((await node.post("/introspect", {"token": has["access_token"]}, EVENTS_API)).json["active"])


async def visit(node: Node, cookie: str) -> bool:
    """The browser comes to the server."""
    issuer = await issuer_of(node)
    return await node.house.sessions.find(issuer, cookie, node.house.clock.moment()) is not None


async def test_no_jwt_outlives_the_idle_end_of_its_session(node: Node) -> None:
    begun = node.time.now
    has = await bought(node, await sign_in(node))
    assert read(has["access_token"]).exp == begun + LIFE
    node.time.pass_(IDLE - 300)
    last = await renewed(node, has)
    assert read(last["access_token"]).exp == begun + IDLE
    assert last["expires_in"] == 300
    node.time.pass_(299)
    assert await active(node, last)
    node.time.pass_(1)
    assert not await active(node, last)
    assert await renewed(node, last) == (400, "invalid_grant")


async def test_a_visit_lengthens_the_session_and_what_is_issued_then(node: Node) -> None:
    begun, cookie = node.time.now, await sign_in(node)
    has = await bought(node, cookie)
    node.time.pass_(IDLE - 300)
    assert await visit(node, cookie)
    last = await renewed(node, has)
    assert read(last["access_token"]).exp == begun + IDLE - 300 + LIFE
    node.time.pass_(600)
    assert await active(node, last)


async def test_none_outlives_its_last_day(node: Node) -> None:
    begun, cookie = node.time.now, await sign_in(node)
    has = await bought(node, cookie)
    while node.time.now < begun + ABSOLUTE - IDLE:
        node.time.pass_(IDLE // 2)
        assert await visit(node, cookie)
    node.time.pass_(begun + ABSOLUTE - 60 - node.time.now)
    last = await renewed(node, has)
    assert read(last["access_token"]).exp == begun + ABSOLUTE
    node.time.pass_(60)
    assert not await active(node, last)
    assert not await visit(node, cookie)


async def test_what_goes_on_without_the_session_does(node: Node) -> None:
    begun = node.time.now
    has = await bought(node, await sign_in(node), "openid offline_access view:events")
    node.time.pass_(IDLE - 300)
    last = await renewed(node, has)
    assert read(last["access_token"]).exp == begun + IDLE - 300 + LIFE
    node.time.pass_(600)
    assert await active(node, last)
    assert (await renewed(node, last))["access_token"]
