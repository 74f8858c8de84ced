"""An API's secrets over time: what one is good for until it ends, at every door and on every node, and how one replaces another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from gatewright.base.calendar import seconds_of
from tests.management.desk import Manager, at, managed, service
from tests.support.house import ENVIRON, Node, basic, open_nodes
from tests.support.listening import listening

BANK: Final = "https://bank.acme.test"
SECRETS: Final = f"/apis/{at(BANK)}/secrets"
OLD: Final = ENVIRON["BANK_SECRET"]
HOUR: Final = 3600
DOORS: Final = ("introspect", "why", "usage", "verify", "feed")


@pytest.fixture
async def pair(place: str) -> AsyncIterator[list[Node]]:
    """Two managed nodes over one store, on each engine in turn."""
    async with open_nodes(place, 2) as (one, other):
        await managed(one)
        await other.hear()
        yield [one, other]


async def proves(node: Node, secret: str, door: str = "introspect") -> bool:
    """Whether a door of a node takes a secret for one of the bank's."""
    credentials = basic(BANK, secret)
    if door == "verify":
        said = (("x-original-method", "GET"), ("x-original-uri", "/"), ("x-original-host", "bank.acme.test"))
        answer = await node.ask("GET", "/-/verify", headers=(("gatewright-api", credentials[1]), *said))
        assert answer.status in (401, 403), "401 is about the caller, who has no token"
        return answer.status == 401
    if door == "feed":
        async with listening(node, credentials) as ear:
            assert ear.status in (200, 401)
            return ear.status == 200
    address = "/introspect" if door == "introspect" else f"/-/{door}"
    answer = await node.post(address, {"token": "gwa_x", "report": "x"}, credentials)
    assert answer.status == 401 or answer.json.get("error") != "invalid_client", answer
    return answer.status != 401


async def everywhere(node: Node, secret: str) -> dict[str, bool]:
    """At which doors of a node a secret is one of the bank's."""
    return {door: await proves(node, secret, door) for door in DOORS}


async def made(ops: Manager, **wish: object) -> dict[str, Any]:
    """What is told of one more secret of the bank."""
    found: dict[str, Any] = await ops.must("POST", SECRETS, wish)
    return found


async def labels(ops: Manager, path: str = SECRETS) -> list[str]:
    """The labels of the secrets that are listed as live."""
    return [one["label"] for one in (await ops.must("GET", path))["items"]]


ALL: Final = dict.fromkeys(DOORS, True)
NONE: Final = dict.fromkeys(DOORS, False)


async def test_an_apis_secret_proves_nothing_at_any_door_after_its_end(pair: list[Node]) -> None:
    node, other = pair
    secret = (await made(await service(node), expires_in="60s"))["api_secret"]
    await other.hear()
    for one in (node, node, other):  # the second time from what was kept
        assert await everywhere(one, secret) == ALL
    node.time.pass_(59)
    assert await everywhere(node, secret) == ALL
    node.time.pass_(1)
    assert await everywhere(node, secret) == NONE, "nobody changed anything, so what was kept is still kept"
    assert await everywhere(other, secret) == NONE
    assert await everywhere(node, OLD) == ALL


async def test_a_node_that_never_saw_a_secret_before_its_end_takes_it_no_more_than_others(place: str) -> None:
    async with open_nodes(place) as (node,):
        await managed(node)
        secret = (await made(await service(node), expires_in="60s"))["api_secret"]
    async with open_nodes(place, name="later") as (later,):
        later.time.pass_(60)
        assert await everywhere(later, secret) == NONE
        assert await everywhere(later, OLD) == ALL


async def test_while_changes_are_not_heard_an_ended_secret_proves_nothing_either(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = (await made(await service(node), expires_in="60s"))["api_secret"]
    monkeypatch.setattr("gatewright.store.changes.FRESH", 0.0)
    assert not node.house.feed.fresh
    assert await everywhere(node, secret) == ALL
    node.time.pass_(60)
    assert await everywhere(node, secret) == NONE
    assert await everywhere(node, OLD) == ALL


async def test_an_open_feed_ends_when_its_secret_runs_out(node: Node) -> None:
    secret = (await made(await service(node), expires_in="60s"))["api_secret"]
    async with listening(node, basic(BANK, secret)) as ear:
        await ear.current()
        node.time.pass_(60)
        await ear.until(lambda: ear.cut, "the end")


async def test_an_overlap_ends_an_apis_present_secret_when_it_is_over(pair: list[Node]) -> None:
    node, other = pair
    assert await everywhere(other, OLD) == ALL
    ops = await service(node)
    new = (await made(ops, label="next", overlap="1h"))["api_secret"]
    listed = (await ops.must("GET", SECRETS))["items"]
    ends = [None if one["expires_at"] is None else seconds_of(one["expires_at"]) for one in listed]
    assert ends == [node.time.now + HOUR, None]
    await other.hear()
    for one in pair:
        assert (await everywhere(one, OLD), await everywhere(one, new)) == (ALL, ALL)
    node.time.pass_(HOUR)
    for one in pair:
        assert (await everywhere(one, OLD), await everywhere(one, new)) == (NONE, ALL)
    assert await labels(await service(node)) == ["next"]


async def test_an_overlap_never_makes_an_apis_secret_live_longer_than_it_would(both: Node) -> None:
    ops = await service(both)
    short = (await made(ops, expires_in="60s", end_others=True))["api_secret"]
    await made(ops, overlap="1h")
    both.time.pass_(60)
    assert await everywhere(both, short) == NONE


async def test_others_of_an_api_end_at_once_where_that_is_asked(both: Node) -> None:
    ops = await service(both)
    assert await everywhere(both, OLD) == ALL
    new = (await made(ops, end_others=True))["api_secret"]
    assert (await everywhere(both, OLD), await everywhere(both, new)) == (NONE, ALL)


async def test_an_api_has_two_secrets_that_prove_it_and_no_third(both: Node) -> None:
    ops = await service(both)
    short = (await made(ops, label="short", expires_in="60s"))["api_secret"]
    for wish in ({}, {"overlap": "1h"}, {"expires_in": "60s"}):
        said = (await ops.problem("POST", SECRETS, wish))["detail"]
        assert "https://bank.acme.test has two live secrets already: cs_" in said, wish
    assert await labels(ops) == ["platform file", "short"]
    both.time.pass_(60)
    assert await labels(ops) == ["platform file"], "what proves nothing is not live"
    third = (await made(ops, label="third"))["api_secret"]
    assert [await proves(both, one) for one in (OLD, short, third)] == [True, False, True]
    assert "two live secrets" in (await ops.problem("POST", SECRETS, {}))["detail"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (
            {"overlap": "1h", "end_others": True},
            "overlap lets the present secret go on for a while, end_others ends it now: say one of them",
        ),
        ({"label": "two\nlines"}, "a label is one line of text"),
        ({"expires_in": "0s"}, "would be over before it begins: name a later date"),
        ({"overlap": "0s"}, "which is past: name a later date, or let it end now"),
    ],
)
async def test_an_api_is_refused_a_secret_in_the_words_in_which_a_client_is(node: Node, wish: dict[str, object], says: str) -> None:
    ops = await service(node)
    refused = [await ops.problem("POST", path, wish) for path in (SECRETS, "/clients/image-copier/secrets")]
    assert says in refused[0]["detail"]
    assert [one["detail"] for one in refused] == [refused[0]["detail"]] * 2
    assert [one["status"] for one in refused] == [refused[0]["status"]] * 2
    assert await labels(ops) == ["platform file"]
    assert await proves(node, OLD)


async def test_a_clients_secret_that_ran_out_is_not_listed_as_live(node: Node) -> None:
    ops, path = await service(node), "/clients/image-copier/secrets"
    await ops.must("POST", path, {"label": "short", "expires_in": "60s"})
    assert await labels(ops, path) == ["platform file", "short"]
    node.time.pass_(60)
    assert await labels(ops, path) == ["platform file"]


async def test_a_secret_that_ends_while_it_is_proved_is_not_remembered_as_proved(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = await service(node)
    leaked = await made(ops, label="leaked")
    directory = node.house.world.directory
    read = directory.api_credentials

    async def and_then_it_ends(tenant: int, number: int) -> object:
        found = await read(tenant, number)
        monkeypatch.setattr(directory, "api_credentials", read)
        await ops.must("DELETE", f"{SECRETS}/{leaked['id']}")
        return found

    with monkeypatch.context() as silence:
        silence.setattr("gatewright.store.changes.FRESH", 0.0)
        monkeypatch.setattr(directory, "api_credentials", and_then_it_ends)
        assert await proves(node, leaked["api_secret"], "verify"), "it was live when it was looked at"
        assert not await proves(node, leaked["api_secret"], "verify")
    await node.hear()
    assert node.house.feed.fresh
    assert await everywhere(node, leaked["api_secret"]) == NONE
    assert await everywhere(node, OLD) == ALL


async def test_a_secret_whose_end_is_set_is_proved_anew(node: Node) -> None:
    assert await proves(node, OLD, "verify")
    await made(await service(node), overlap="60s")
    assert await proves(node, OLD, "verify")
    node.time.pass_(60)
    assert not await proves(node, OLD, "verify")


async def test_a_secret_with_an_end_costs_no_read_before_it_or_after(node: Node) -> None:
    secret = (await made(await service(node), expires_in="60s"))["api_secret"]
    for live in (True, False):
        assert await proves(node, secret) is live
        async with node.unmoved():
            before = node.counts
            assert [await proves(node, secret), await proves(node, OLD)] == [live, True]
            assert node.counts == before
        node.time.pass_(60)
