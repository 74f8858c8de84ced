"""Clients kept to addresses (seed 003): at every endpoint where they authenticate or where their tokens reach us, and at no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.http.doors import furnished
from tests.http.talk import BANK_API, tokens
from tests.http.window import Window, asking
from tests.management.desk import API, managed, service
from tests.support.apps import add_app, installed
from tests.support.house import CLIENT_SECRET, ENVIRON, Answer, Node, basic, bearer, open_nodes, sqlite_copy

INSIDE, MAPPED, OUTSIDE = "203.0.113.7", "::ffff:203.0.113.7", "198.51.100.1"
Place = Callable[[Node, str, str], Awaitable[Answer]]


async def at_token(node: Node, _: str, peer: str) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    return await node.post("/token", form, basic("office-only"), peer=peer)


async def at_revoke(node: Node, token: str, peer: str) -> Answer:
    return await node.post("/revoke", {"token": token}, basic("office-only"), peer=peer)


async def at_introspect(node: Node, token: str, peer: str) -> Answer:
    return await node.post("/introspect", {"token": token}, basic("office-only"), peer=peer)


async def at_userinfo(node: Node, token: str, peer: str) -> Answer:
    return await node.ask("GET", "/userinfo", headers=(bearer(token),), peer=peer)


async def at_me(node: Node, token: str, peer: str) -> Answer:
    return await node.ask("GET", "/v1/me", headers=(bearer(token),), peer=peer)


async def at_device_authorization(node: Node, _: str, peer: str) -> Answer:
    return await node.post("/device_authorization", {"scope": "openid"}, basic("office-only"), peer=peer)


# Where it proves itself, and where a token of its is shown that is good, so that another one would not help.
PLACES = [
    (at_token, 401),
    (at_revoke, 401),
    (at_introspect, 401),
    (at_device_authorization, 401),
    (at_userinfo, 403),
    (at_me, 403),
]


@pytest.mark.parametrize(("place", "status"), PLACES)
async def test_from_elsewhere_it_is_refused_wherever_it_comes_and_from_its_own_place_answered(
    node: Node, place: Place, status: int
) -> None:
    token = (await tokens(node, "openid read:balance", "office-only"))["access_token"]
    assert (await place(node, token, OUTSIDE)).status == status
    for peer in (INSIDE, MAPPED):
        assert (await place(node, token, peer)).status in (200, 400), "an unknown refresh token is another matter"


def refused_here(answer: Answer) -> bool:
    """Whether it says that the token is good, but not from there."""
    challenge = answer.header("www-authenticate") or ""
    told = 'error="insufficient_scope"' in challenge and "may not be used from this address" in challenge
    return answer.status == 403 and told and "scope=" not in challenge.replace("insufficient_scope", "")


async def test_userinfo_says_that_another_token_would_not_help(node: Node) -> None:
    token = (await tokens(node, "openid read:balance", "office-only"))["access_token"]
    for place in (at_userinfo, at_me):
        assert refused_here(await place(node, token, OUTSIDE))
    node.time.pass_(86_400)
    assert (await at_userinfo(node, token, OUTSIDE)).status == 401, "this one is over, wherever it is shown"


async def test_whoever_manages_is_told_the_same(node: Node) -> None:
    await managed(node)
    ops = await service(node)
    await ops.change("/clients/ops", {"allowed_ips": [INSIDE]})
    for path in (f"{API}/clients", "/-/clients/budget-buddy/secret"):
        assert refused_here(await node.ask("GET", path, headers=(bearer(ops.token),), peer=OUTSIDE))
    assert (await ops.ask("GET", "/clients")).status == 200


async def test_where_an_app_uninstalls_itself_it_is_the_same(node: Node) -> None:
    await add_app(node)
    place = f"/-/installs/{(await installed(node))['install_id']}"
    token = (await tokens(node, "openid read:balance", "office-only"))["access_token"]
    assert refused_here(await node.ask("DELETE", place, headers=(bearer(token),), peer=OUTSIDE))
    assert (await node.ask("DELETE", place, headers=(bearer(token),), peer=INSIDE)).error == (401, "invalid_token"), "it is no app's"


@pytest.mark.parametrize(("address", "active"), [(INSIDE, True), (MAPPED, True), (OUTSIDE, False), ("", False), ("nowhere", False)])
async def test_an_api_that_says_where_its_caller_is_gets_the_same_answer(node: Node, address: str, active: bool) -> None:
    token = (await tokens(node, "openid read:balance", "office-only"))["access_token"]
    asked = await node.post("/introspect", {"token": token, "ip_address": address or " "}, BANK_API)
    assert asked.json["active"] is active
    why = await node.post("/-/why", {"token": token, "ip_address": address or " "}, BANK_API)
    assert why.json["cause"] == ("granted" if active else "ip_not_allowed")


async def test_the_users_browser_may_be_anywhere(node: Node) -> None:
    window = Window(node)
    answer = await window.open(asking("office-only", "openid read:balance"))
    assert answer.status == 200
    assert answer.header("location") is None


async def test_a_password_is_not_looked_at_from_elsewhere(node: Node) -> None:
    await furnished(node)
    await node.apply(
        f'{_HEAD}[[clients]]\nclient_id = "connector"\nclient_name = "Connector"\nallowed_ips = "203.0.113.0/24, 2001:db8::/32"\n'
    )
    form = {
        "grant_type": "password",
        "client_id": "connector",
        "client_secret": CLIENT_SECRET,
        "username": "connector@service.acme.test",
        "password": ENVIRON["ANN_PASSWORD"],
    }
    assert (await node.post("/oauth/token", form, peer=OUTSIDE)).error == (401, "invalid_client")
    assert not await node.number("SELECT COUNT(*) FROM throttle")
    for peer in (INSIDE, MAPPED, "2001:db8::7"):
        assert (await node.post("/oauth/token", form, peer=peer)).status == 200


_HEAD = '[tenant]\nslug = "acme"\nname = "Acme"\ndomains = ["https://id.acme.test", "https://login.acme.test"]\n'


async def test_the_true_address_is_believed_from_configured_proxies_alone(tmp_path: Path) -> None:
    url = sqlite_copy(tmp_path)
    claimed = ("x-forwarded-for", f"{INSIDE}")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    async with open_nodes(url) as (node,):
        answer = await node.post("/token", form, basic("office-only"), claimed, peer=OUTSIDE)
        assert answer.error == (401, "invalid_client")
    async with open_nodes(url, options={"listen.trusted_proxies": ["10.0.0.0/8"]}) as (node,):
        assert (await node.post("/token", form, basic("office-only"), claimed, peer="10.1.2.3")).error == (400, "invalid_grant")
        assert (await node.post("/token", form, basic("office-only"), claimed, peer=OUTSIDE)).error == (401, "invalid_client")
        spoofed = ("x-forwarded-for", f"{INSIDE}, {OUTSIDE}")
        assert (await node.post("/token", form, basic("office-only"), spoofed, peer="10.1.2.3")).error == (401, "invalid_client")
