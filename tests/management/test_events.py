"""What a client is told, as whoever manages it sees and repeats it."""

from __future__ import annotations

from typing import Any

from gatewright.store import Query
from tests.management.desk import API, Manager, at, service
from tests.support.apps import add_app, installed, signed_in
from tests.support.house import Node

EVENTS = "/clients/budget-buddy/events"


async def listening(node: Node) -> Manager:
    """A manager of a tenant in which a client is told of what happens."""
    ops = await service(node)
    await ops.change("/clients/budget-buddy", {"event_url": "https://budget.example/events"})
    return ops


async def test_an_event_is_sent_listed_shown_and_repeated(both: Node) -> None:
    ops = await listening(both)
    await ops.must("POST", f"{EVENTS}/test")
    await ops.must("POST", f"{EVENTS}/test")
    later, first = (await ops.must("GET", f"{EVENTS}?type=test"))["items"]
    assert (first["type"], first["state"], first["tries"], first["outcome"]) == ("test", "waiting", 0, None)
    page = await ops.must("GET", f"{EVENTS}?type=test&count=1")
    assert page["items"] == [later]
    assert (await ops.must("GET", page["next"].partition(API)[2]))["items"] == [first]
    shown = await ops.must("GET", f"{EVENTS}/{first['id']}")
    assert (shown["data"], shown["attempts"]) == ({"client_id": "budget-buddy"}, [])
    await both.house.store.run(_gave_up)
    assert len((await ops.must("GET", f"{EVENTS}?state=given_up"))["items"]) == 2
    assert (await ops.must("POST", f"{EVENTS}/{first['id']}/replay"))["state"] == "waiting"
    assert (await ops.must("POST", f"{EVENTS}/replay")) == {"replayed": 1}


async def _gave_up(tx: Any) -> None:  # noqa: ANN401 - a transaction
    await tx.do(Query(None, "UPDATE webhook_event SET state = 'given_up', next_at = NULL"))


async def test_the_address_is_shown_and_enabled_again(both: Node) -> None:
    ops = await listening(both)
    path = "/clients/budget-buddy/event-endpoint"
    shown = await ops.must("GET", path)
    assert shown == {"event_url": "https://budget.example/events", "state": "open", "failures": 0, "quiet_until": None}
    await both.house.store.run(_gone)
    assert (await ops.must("GET", path))["state"] == "gone"
    assert (await ops.problem("POST", f"{EVENTS}/test"))["status"] == 409
    assert (await ops.must("POST", f"{path}/enable"))["state"] == "open"
    await ops.change("/clients/budget-buddy", {"event_url": ""})
    assert (await ops.must("GET", path))["state"] == "removed"


async def _gone(tx: Any) -> None:  # noqa: ANN401 - a transaction
    await tx.do(Query(None, "UPDATE webhook_endpoint SET disabled_at = 1, disabled_because = 'gone'"))


async def test_what_is_not_there_is_not_there(node: Node) -> None:
    ops = await listening(node)
    assert (await ops.problem("GET", "/clients/image-copier/event-endpoint"))["detail"].startswith("image-copier has no event_url")
    assert (await ops.problem("GET", f"{EVENTS}/ev_0000000000001"))["status"] == 404
    assert (await ops.problem("GET", f"{EVENTS}/gr_0000000000001"))["status"] == 404
    assert (await ops.problem("POST", f"{EVENTS}/ev_0000000000001/replay"))["status"] == 404
    assert (await ops.problem("GET", f"{EVENTS}?state=lost"))["status"] == 422
    problem = await ops.problem("PATCH", "/clients/budget-buddy", {"event_url": "http://budget.example"}, {"if-match": "*"})
    assert problem["errors"][0]["pointer"] == "/event_url"


async def test_the_events_of_one_client_are_not_there_under_another(node: Node) -> None:
    ops = await listening(node)
    await ops.must("POST", f"{EVENTS}/test")
    (event, *_) = (await ops.must("GET", EVENTS))["items"]
    assert (await ops.problem("GET", f"/clients/image-copier/events/{event['id']}"))["status"] == 404
    assert (await ops.must("GET", "/clients/image-copier/events"))["items"] == []


async def test_an_installation_is_ended_with_or_without_a_clean_up(node: Node) -> None:
    ops = await service(node)
    await ops.change(f"/scopes/{at('read:balance')}", {"cleanup": True})
    await add_app(node, event_url="https://reporter.example/events")
    window = await signed_in(node)
    for query, type in (("", "install.deleting"), ("?cleanup=none", "install.deleted")):
        bought = await installed(node, window)
        await ops.must("DELETE", f"/installs/{bought['install_id']}{query}")
        last = (await ops.must("GET", "/clients/reporter/events"))["items"][0]
        assert last["type"] == type
        assert (await ops.problem("DELETE", f"/installs/{bought['install_id']}?cleanup=some"))["status"] == 422
