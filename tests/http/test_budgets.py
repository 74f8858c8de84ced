"""What each endpoint asks of the store, on both engines. Counted, never timed: one statement more is seen here first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.http.talk import BANK, BANK_API, BUDDY, a_code, exchange, serve, tokens
from tests.http.window import Window, asking
from tests.support.approving import sign_in
from tests.support.house import Answer, Form, Node, basic, bearer

READ = {"reads": 1}
READ_AND_WRITE = {"reads": 1, "verbs": 1}
NOTHING: dict[str, int] = {}


async def spent(node: Node, act: Callable[[], Awaitable[Answer]], status: int = 200) -> dict[str, int]:
    """What a request asked of the store."""
    async with node.unmoved():
        before, answer, after = node.counts, await act(), node.counts
    assert answer.status == status, answer
    asked = {name: after[name] - before[name] for name in ("reads", "listings", "verbs", "units")}
    return {name: count for name, count in asked.items() if count}


async def renewed(node: Node, token: str, **more: str) -> Answer:
    """A refresh."""
    return await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more}, BUDDY)


@pytest.fixture
async def warm(pair: list[Node]) -> Node:
    """A node whose caches hold what the token path needs."""
    node = pair[0]
    await tokens(node)
    await tokens(node, "openid create:events")
    for path in ("/jwks", "/.well-known/openid-configuration"):
        await node.get(path)
    await serve(node)
    return node


async def test_a_service_gets_its_token_without_a_statement(warm: Node) -> None:
    await serve(warm)
    assert await spent(warm, lambda: serve(warm)) == NOTHING
    warm.time.pass_(1)
    assert await spent(warm, lambda: serve(warm)) == READ, "once a second its row is looked at again"
    assert await spent(warm, lambda: serve(warm)) == NOTHING


async def test_an_opaque_token_of_a_service_costs_no_more(warm: Node) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": "read:balance"}
    await warm.post("/token", form, basic("night-job"))
    assert await spent(warm, lambda: warm.post("/token", form, basic("night-job"))) == NOTHING


async def test_a_code_is_exchanged_with_one_read_and_one_write(warm: Node) -> None:
    for scope in ("openid email read:balance", "openid create:events", "read:balance", "openid"):
        form = exchange(await a_code(warm, scope))
        assert await spent(warm, partial(warm.post, "/token", form, BUDDY)) == READ_AND_WRITE, scope
    assert await spent(warm, lambda: warm.post("/token", exchange("gwc_x"), BUDDY), 400) == NOTHING


async def test_a_refresh_is_one_read_and_one_write(warm: Node) -> None:
    token = (await tokens(warm))["refresh_token"]
    assert await spent(warm, lambda: renewed(warm, token)) == READ_AND_WRITE
    assert await spent(warm, lambda: renewed(warm, token)) == READ, "a repeat writes nothing"


async def test_a_narrower_refresh_costs_no_more_once_its_scopes_are_known(warm: Node) -> None:
    got = await renewed(warm, (await tokens(warm))["refresh_token"], scope="openid read:balance")
    assert await spent(warm, lambda: renewed(warm, got.json["refresh_token"], scope="openid read:balance")) == READ_AND_WRITE


@pytest.mark.parametrize("scope", ["openid email read:balance", "openid create:events", "openid use:app"])
async def test_introspection_and_userinfo_are_one_read_whatever_the_token(warm: Node, scope: str) -> None:
    token = (await tokens(warm, scope))["access_token"]
    await warm.post("/introspect", {"token": token}, BUDDY)
    assert await spent(warm, lambda: warm.post("/introspect", {"token": token}, BUDDY)) == READ
    assert await spent(warm, lambda: warm.get("/userinfo", bearer(token))) == READ


async def test_an_api_asks_with_one_read(warm: Node) -> None:
    token = (await tokens(warm))["access_token"]
    await warm.post("/introspect", {"token": token}, BANK_API)
    assert await spent(warm, lambda: warm.post("/introspect", {"token": token}, BANK_API)) == READ
    assert await spent(warm, lambda: warm.post("/-/why", {"token": token, "scope": "transfer:funds"}, BANK_API)) == READ
    narrow = await renewed(warm, (await tokens(warm))["refresh_token"], scope="read:balance")
    await warm.post("/introspect", {"token": narrow.json["access_token"]}, BANK_API)
    assert await spent(warm, lambda: warm.post("/introspect", {"token": narrow.json["access_token"]}, BANK_API)) == READ


async def test_what_is_made_up_costs_no_statement(warm: Node) -> None:
    acts: list[tuple[Callable[[], Awaitable[Answer]], int]] = [
        (lambda: warm.post("/introspect", {"token": "gwa_" + "A" * 120}, BANK_API), 200),
        (lambda: warm.post("/revoke", {"token": "gwa_" + "A" * 120}, BUDDY), 200),
        (lambda: warm.get("/userinfo", bearer("gwa_" + "A" * 120)), 401),
        (lambda: warm.get("/userinfo", bearer("x.y.z")), 401),
        (lambda: warm.post("/token", exchange("gwc_x"), basic("budget-buddy", "wrong")), 401),
        (lambda: warm.post("/token", {"grant_type": "refresh_token", "refresh_token": "gwr_x"}, BUDDY), 400),
        (lambda: warm.get("/nothing/here"), 404),
        (lambda: warm.get("/jwks"), 200),
        (lambda: warm.get("/.well-known/openid-configuration"), 200),
        (lambda: warm.ask("OPTIONS", "/token"), 204),
    ]
    for act, status in acts:
        await act()
        assert await spent(warm, act, status) == NOTHING


async def test_revoking_is_one_read_and_one_transaction_with_its_entry_in_the_audit(warm: Node) -> None:
    got = await tokens(warm)
    assert await spent(warm, lambda: warm.post("/revoke", {"token": got["access_token"]}, BUDDY)) == READ_AND_WRITE
    assert await spent(warm, lambda: warm.post("/revoke", {"token": got["access_token"]}, BUDDY)) == READ
    assert await spent(warm, lambda: warm.post("/revoke", {"token": got["refresh_token"]}, BUDDY)) == READ_AND_WRITE
    assert await spent(warm, lambda: warm.post("/revoke", {"token": got["refresh_token"]}, BUDDY)) == READ


async def test_a_browser_that_is_signed_in_and_has_said_yes_costs_three_statements(warm: Node) -> None:
    window = Window(warm, cookies={"__Host-gw_session": await sign_in(warm)})
    await window.allow_all(await window.open(asking()))
    cost = await spent(warm, lambda: window.send("GET", asking(account="acme-dev")), 303)
    assert sum(cost.values()) <= 4
    assert cost == {"reads": 2, "verbs": 1}


async def test_a_stranger_at_the_front_door_writes_nothing(warm: Node) -> None:
    await Window(warm).open(asking())
    window = Window(warm)
    began = await window.send("GET", asking())
    assert await spent(warm, lambda: window.send("GET", asking()), 303) == NOTHING
    assert await spent(warm, lambda: window.send("GET", began.header("location") or "")) == NOTHING
    assert await spent(warm, lambda: warm.get("/authorize"), 400) == NOTHING


async def test_a_host_that_nobody_has_costs_one_look(warm: Node) -> None:
    assert await spent(warm, lambda: warm.ask("GET", "/", host="evil.test"), 421) == READ
    assert await spent(warm, lambda: warm.ask("GET", "/", host="evil test"), 421) == NOTHING


async def test_every_answer_fits_where_clients_keep_it(warm: Node) -> None:
    got = await tokens(warm, "openid profile email offline_access read:balance transfer:funds", resource=BANK)
    assert len(got["access_token"]) <= 200
    assert len(got["refresh_token"]) <= 70
    assert len(await a_code(warm)) <= 70
    assert len((await tokens(warm, "openid use:app"))["access_token"]) <= 70
    assert len((await serve(warm)).json["access_token"]) <= 900
