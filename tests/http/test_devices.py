"""Devices over HTTP (RFC 8628): headers, addresses, two nodes on both engines, and what a network may do."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.oauth.device import GRANT_TYPE, MOST_OF_NETWORK
from tests.http.strangers import TELEVISION
from tests.http.window import Window
from tests.support.approving import sign_in
from tests.support.house import ACME, Answer, Node

ASKED = {"client_id": "living-room", "scope": "openid"}


async def begin(node: Node, path: str = "/device_authorization", peer: str = "203.0.113.7") -> Answer:
    return await node.post(path, ASKED, peer=peer)


async def poll(node: Node, begun: dict[str, Any]) -> Answer:
    return await node.post("/token", {"grant_type": GRANT_TYPE, "device_code": begun["device_code"], "client_id": "living-room"})


async def let_in(node: Node, begun: dict[str, Any]) -> Answer:
    """Allow what a device asks for, at a browser where somebody is signed in already."""
    window = Window(node)
    window.cookies["__Host-gw_session"] = await sign_in(node)
    page = await window.submit(await window.open(f"/device?user_code={begun['user_code']}"), {"choice": "continue"})
    return await window.submit(page, {"choice": "allow"})


@pytest.mark.proves("RFC 8628", "3.2")
@pytest.mark.parametrize(
    "path", ["/device_authorization", "/o/device-authorization/", "/o/device-authorization", "/oauth/device_authorization"]
)
async def test_the_answer_is_json_that_no_cache_keeps_at_every_address(node: Node, path: str) -> None:
    await node.apply(TELEVISION.format(slug="acme"))
    answer = await begin(node, path)
    assert (answer.status, answer.header("content-type"), answer.header("cache-control")) == (200, "application/json", "no-store")
    assert answer.json["verification_uri"] == f"https://{ACME}/device"


@pytest.mark.proves("RFC 8628", "3.2")
async def test_a_refusal_looks_like_one_of_the_token_endpoint(node: Node) -> None:
    await node.apply(TELEVISION.format(slug="acme"))
    for form, status, error in (
        ({}, 401, "invalid_client"),
        ({"client_id": "living-room"}, 400, "invalid_scope"),
        ({"client_id": "phone-app", "scope": "openid"}, 400, "unauthorized_client"),
    ):
        answer = await node.post("/device_authorization", form)
        assert (answer.status, answer.json["error"], answer.header("cache-control")) == (status, error, "no-store")
        assert answer.json["error_description"]
    waiting = await poll(node, (await begin(node)).json)
    assert (waiting.status, waiting.json["error"]) == (400, "authorization_pending")


async def test_a_network_that_is_full_is_told_when_to_come_back(node: Node) -> None:
    await node.apply(TELEVISION.format(slug="acme"))
    for number in range(MOST_OF_NETWORK):
        assert (await begin(node, peer=f"198.51.100.{number}")).status == 200
    full = await begin(node, peer="198.51.100.200")
    assert (full.status, full.json["error"], full.header("retry-after")) == (503, "temporarily_unavailable", "60")
    assert (await begin(node, peer="203.0.113.8")).status == 200


async def test_one_node_asks_another_answers_and_the_first_has_tokens(pair: list[Node]) -> None:
    one, other = pair
    await one.apply(TELEVISION.format(slug="acme"))
    await other.apply(TELEVISION.format(slug="acme"))
    begun = (await begin(one)).json
    assert (await poll(other, begun)).json["error"] == "authorization_pending"
    assert "go back to your device" in (await let_in(other, begun)).text
    bought = await poll(one, begun)
    assert (bought.status, bought.json["scope"]) == (200, "openid")
    told = await other.get("/userinfo", ("authorization", f"Bearer {bought.json['access_token']}"))
    assert told.status == 200
    assert (await poll(one, begun)).json["error"] == "invalid_grant"


async def test_at_another_tenants_page_a_code_is_none(node: Node) -> None:
    for slug in ("acme", "globex"):
        await node.apply(TELEVISION.format(slug=slug))
    theirs = await node.post("/device_authorization", ASKED, host="id.globex.test")
    window = Window(node)
    window.cookies["__Host-gw_session"] = await sign_in(node)
    page = await window.submit(await window.open(f"/device?user_code={theirs.json['user_code']}"), {"choice": "continue"})
    assert (page.status, "No device waits with this code" in page.text) == (400, True)
