"""Two nodes asked for the same in the same moment, on both engines: one outcome, however it falls, and nobody meets a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import cycle

from gatewright_guard.jose import read_jwks, verify
from tests.http.talk import BUDDY, a_code, exchange, serve, tokens
from tests.http.window import Window, asking
from tests.support.approving import authorized, sign_in
from tests.support.house import Answer, Form, Node, bearer

FRESH = """
[tenant]
slug = "fresh"
name = "Fresh"
domains = ["https://id.fresh.test"]

[[apis]]
audience = "https://api.fresh.test"
name = "Fresh"
token = { format = "jwt" }
[apis.scopes]
"do:things" = { text = "Do things", reach = "tenant" }

[[clients]]
client_id = "image-copier"
client_name = "Copier"
type = "service"
grant_types = ["client_credentials"]
scopes = ["do:things"]
secret = { env = "CLIENT_SECRET" }
"""


async def at_once(*asks: Awaitable[Answer]) -> list[Answer]:
    """Everything in the same moment."""
    answers = await asyncio.gather(*asks)
    assert not [answer for answer in answers if answer.status >= 500], answers
    return list(answers)


def turns(pair: list[Node], count: int) -> list[Node]:
    """The nodes, one after the other."""
    found = cycle(pair)
    return [next(found) for _ in range(count)]


async def test_the_first_tokens_of_a_service_come_from_one_authorization(pair: list[Node]) -> None:
    answers = await at_once(*[serve(node) for node in turns(pair, 20)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["access_token"] for answer in answers}) == 20
    rows = "SELECT COUNT(*) FROM authorization_row WHERE opened_by = 'client_credentials' AND ended_at IS NULL"
    assert await pair[0].number(rows) == 1
    assert await pair[0].number("SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NULL AND source = 'operator'") == 1


async def test_of_wrong_proofs_at_once_ten_are_answered_and_the_code_is_its_owners_still(pair: list[Node]) -> None:
    code = await a_code(pair[0])
    wrong = exchange(code, code_verifier="w" * 43)
    answers = await asyncio.gather(*[node.post("/token", wrong, BUDDY) for node in turns(pair, 40)])
    assert sorted({answer.error for answer in answers}) == [(400, "invalid_grant"), (503, "temporarily_unavailable")]
    assert sum(answer.status == 400 for answer in answers) == 10
    assert {answer.header("retry-after") for answer in answers} == {None, "1"}
    assert (await pair[1].post("/token", exchange(code), BUDDY, peer="198.51.100.20")).status == 200


async def test_the_first_key_of_a_tenant_is_one_whoever_needs_it_first(pair: list[Node]) -> None:
    await pair[0].apply(FRESH)
    answers = await at_once(*[serve(node, "do:things", "id.fresh.test") for node in turns(pair, 8)])
    published = (await pair[0].get("/jwks", host="id.fresh.test")).json
    assert [key["alg"] for key in published["keys"]].count("ES256") == 1
    assert len({verify(answer.json["access_token"], read_jwks(published)).header.kid for answer in answers}) == 1


async def test_of_many_exchanges_one_wins_and_everything_ends(pair: list[Node]) -> None:
    code = await a_code(pair[0])
    answers = await at_once(*[node.post("/token", exchange(code), BUDDY) for node in turns(pair, 12)])
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == 1
    for node in pair:
        assert (await node.get("/userinfo", bearer(won[0].json["access_token"]))).status == 401
    assert await pair[0].number("SELECT COUNT(*) FROM audit WHERE act = 'code.replayed'") == 1


async def test_of_many_refreshes_all_go_on_with_one_chain(pair: list[Node]) -> None:
    got = await tokens(pair[0])
    form: Form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"], "scope": "openid read:balance"}
    answers = await at_once(*[node.post("/token", form, BUDDY) for node in turns(pair, 12)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert {answer.json["scope"] for answer in answers} == {"openid read:balance"}
    for answer in answers:
        told = (await pair[1].post("/introspect", {"token": answer.json["access_token"]}, BUDDY)).json
        assert set(told["scope"].split()) == {"openid", "read:balance"}
    assert await pair[0].number("SELECT MAX(generation) FROM authorization_row") == 1


async def test_a_thief_and_the_owner_at_once_leave_nothing_alive(pair: list[Node]) -> None:
    first = (await tokens(pair[0]))["refresh_token"]
    second = (await _renewed(pair[0], first)).json["refresh_token"]
    third = (await _renewed(pair[0], second)).json["refresh_token"]
    await at_once(_renewed(pair[0], third), _renewed(pair[1], first))
    assert (await _renewed(pair[0], third)).error == (400, "invalid_grant")
    assert await pair[0].number("SELECT COUNT(*) FROM authorization_row WHERE ended_because = 'replay'") == 1


async def _renewed(node: Node, token: str) -> Answer:
    return await node.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, BUDDY)


async def test_a_grant_that_is_taken_back_while_it_is_used_leaves_nothing_alive(pair: list[Node]) -> None:
    one, other = pair
    code = await a_code(one)
    number = await one.number("SELECT MAX(id) FROM consent_grant WHERE source = 'user'")
    assert number is not None
    ending = other.house.grants.end(other.house.clock.moment(), tenant=await one.tenant(), number=number, because="withdrawn", actor="us_x")
    answer, _ = await asyncio.gather(one.post("/token", exchange(code), BUDDY), ending)
    if answer.status == 200:
        assert (await one.get("/userinfo", bearer(answer.json["access_token"]))).status == 401
        assert (await _renewed(other, answer.json["refresh_token"])).error == (400, "invalid_grant")
    else:
        assert answer.error == (400, "invalid_grant")


async def test_two_tabs_that_say_yes_at_once_make_one_grant_and_two_codes(pair: list[Node]) -> None:
    cookie = await sign_in(pair[0])
    told = await asyncio.gather(*[authorized(node, cookie, "budget-buddy", "openid read:balance") for node in turns(pair, 6)])
    assert len({one["code"] for one in told}) == 6
    assert await pair[0].number("SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NULL AND source = 'user'") == 1
    answers = await at_once(*[node.post("/token", exchange(one["code"]), BUDDY) for node, one in zip(turns(pair, 6), told, strict=True)])
    assert {answer.status for answer in answers} == {200}


async def test_a_token_revoked_from_two_sides_is_revoked(pair: list[Node]) -> None:
    got = await tokens(pair[0])
    answers = await at_once(*[node.post("/revoke", {"token": got["access_token"]}, BUDDY) for node in turns(pair, 6)])
    answers += await at_once(*[node.post("/revoke", {"token": got["refresh_token"]}, BUDDY) for node in turns(pair, 6)])
    assert {answer.status for answer in answers} == {200}
    assert (await pair[1].get("/userinfo", bearer(got["access_token"]))).status == 401


async def test_the_same_browser_on_two_nodes_is_one_browser(pair: list[Node]) -> None:
    one, other = pair
    window = Window(one)
    page = await window.open(asking(account="acme-dev"))
    window.node = other
    page = await window.sign_in(page)
    window.node = one
    sent = await window.allow_all(page)
    code = (sent.header("location") or "").partition("code=")[2].partition("&")[0]
    assert (await other.post("/token", exchange(code), BUDDY)).status == 200
