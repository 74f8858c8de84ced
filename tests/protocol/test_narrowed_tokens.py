"""An opaque token that was narrowed holds what its reply said, however many ways of narrowing there are (`security-rules` 6)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatewright.oauth.catalogue import Api, Catalogue, Scope
from gatewright.oauth.errors import InvalidScope
from tests.protocol.asking import as_api, introspected
from tests.protocol.test_client_credentials import a_service
from tests.support import builders as b
from tests.support.world import Playground

COUNT = 175


def many(count: int = COUNT, first: int = 0) -> list[Scope]:
    """An API's scopes; the ids of the later ones are not always higher, since several nodes make them."""
    return [Scope(10_000 + number * 37 % 9973, f"do:{number}", b.BANK.id, "Do something", place=number) for number in range(first, count)]


def define(ground: Playground, scopes: list[Scope]) -> None:
    ground.directory.catalogues[b.TENANT] = Catalogue([b.BANK], scopes, [])


async def held(ground: Playground, token: str) -> set[str]:
    return set((await introspected(ground, token, as_api(ground)))["scope"].split())


async def test_every_one_of_two_hundred_narrowings_holds_what_its_reply_said(ground: Playground) -> None:
    scopes = many()
    define(ground, scopes)
    await ground.add_service_user(9001, b.ACCOUNT)
    await ground.add(a_service(scopes=tuple(scope.id for scope in scopes), service_user=9001))
    for number in range(200):
        asked = {scopes[(number * step + step) % COUNT].name for step in range(1, 2 + number % 40)}
        reply = await ground.serve(scope=" ".join(sorted(asked)))
        assert set(reply["scope"].split()) == asked
        assert len(reply["access_token"]) <= 200
        assert await held(ground, reply["access_token"]) == asked


async def test_a_narrowed_token_gains_and_loses_nothing_when_its_row_grows(ground: Playground) -> None:
    scopes = many(6)
    define(ground, scopes)
    await ground.add_service_user(9001, b.ACCOUNT)
    few = [scopes[1], scopes[3], scopes[5]]
    client = await ground.add(a_service(scopes=tuple(scope.id for scope in few), service_user=9001))
    reply = await ground.serve(scope="do:3")
    await ground.add(replace(client, settings=replace(client.settings, scopes=()), scopes=frozenset(scope.id for scope in scopes)))
    define(ground, [*scopes, *many(9, first=6)])
    ground.clock.pass_(1)
    await ground.serve(scope="do:0")
    assert (await ground.row()).ceiling == {scope.id for scope in scopes}, "the row has grown"
    assert await held(ground, reply["access_token"]) == {"do:3"}


async def test_a_scope_that_was_retired_leaves_its_place_to_nobody(ground: Playground) -> None:
    scopes = many(4)
    define(ground, scopes)
    await ground.add_service_user(9001, b.ACCOUNT)
    await ground.add(a_service(scopes=tuple(scope.id for scope in scopes), service_user=9001))
    token = (await ground.serve(scope="do:1 do:2"))["access_token"]
    define(ground, [scopes[0], scopes[2], scopes[3], *many(5, first=4)])
    assert await held(ground, token) == {"do:2"}


async def test_what_no_token_can_name_is_refused_and_uses_nothing_up(ground: Playground) -> None:
    scopes = many(600)
    define(ground, scopes)
    client = await ground.add(scopes=tuple(scope.id for scope in scopes))
    pair = await ground.exchange(await ground.code(client, *[scope.id for scope in scopes]))
    assert len(pair["access_token"]) <= 200
    wanted = " ".join(scope.name for scope in scopes[550:590])
    with pytest.raises(InvalidScope, match="ask for fewer, or for all"):
        await ground.renew(pair["refresh_token"], scope=wanted)
    again = await ground.renew(pair["refresh_token"], scope="do:580 do:599")
    assert await held(ground, again["access_token"]) == {"do:580", "do:599"}


async def test_places_of_other_apis_do_not_count(ground: Playground) -> None:
    other = Api(id=777, audience="https://other.acme.test", name="Other", roles="off", token_format="opaque")
    twin = Scope(20_001, "twin", other.id, "Stand at the same place", place=0)
    ground.directory.catalogues[b.TENANT] = Catalogue([b.BANK, other], [*many(2), twin], [])
    client = await ground.add(scopes=(10_000, 10_037, 20_001))
    pair = await ground.exchange(await ground.code(client, 10_000, 10_037, 20_001), resource=b.BANK.audience)
    narrow = await ground.renew(pair["refresh_token"], scope="do:0", resource=b.BANK.audience)
    assert await held(ground, narrow["access_token"]) == {"do:0"}
