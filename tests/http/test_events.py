"""From what somebody did at one node to the app that is told of it by another: whole houses, a real receiver, on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.clients.book import client_named, disable_client
from gatewright.jobs.runner import JOBS, Jobs
from gatewright.ledger import grants
from gatewright.ledger.cleanup import SECONDS, Uninstalled, farewell
from gatewright.ledger.listing import grants_of
from gatewright.oauth.grant_types.install_cleanup import NAME
from gatewright.users.book import disable_user, user_by_email
from tests.http.talk import BANK, BANK_API, BUDDY, tokens
from tests.support.house import GLOBEX, Node, basic, open_nodes, platform
from tests.webhooks.receiver import Receiver, receiver

PRIVATE = {"fetch.private_networks": ("127.0.0.0/8",)}
INSTALL = 990_001
IN = ids.show(ids.INSTALL, INSTALL)


@pytest.fixture
async def inbox() -> AsyncIterator[Receiver]:
    async with receiver() as opened:
        yield opened


@pytest.fixture
async def both(place: str, inbox: Receiver) -> AsyncIterator[list[Node]]:
    """Two nodes over one store, whose operator allows loopback; an app listens, and one of its scopes is marked for clean-up."""
    text = platform("acme").replace('client_name = "Budget Buddy"\n', f'client_name = "Budget Buddy"\nevent_url = "{inbox.url()}"\n')
    text = text.replace('"read:balance" = "See your balance"', '"read:balance" = { text = "See your balance", cleanup = true }')
    async with open_nodes(place, 2, options=PRIVATE) as opened:
        await opened[0].apply(text)
        await opened[1].hear()
        yield opened


async def work(node: Node) -> None:
    """What the node does by the clock: find what is to be told, tell it."""
    jobs = Jobs(node.house)
    for name in ("tell", "deliver"):
        assert await jobs.once(next(job for job in JOBS if job.name == name))
    await node.house.courier.settled()


def told(inbox: Receiver) -> list[tuple[str, dict[str, Any]]]:
    return [(came.event["type"], came.event["data"]) for came in inbox.came]


async def test_a_user_who_takes_access_back_at_one_node_is_told_of_by_another(both: list[Node], inbox: Receiver) -> None:
    first, second = both
    got = await tokens(first)
    (grant,) = await grants_of(first.house.store, await first.tenant())
    at = first.house.clock.moment()
    assert await first.house.grants.end(at, tenant=grant.tenant, number=grant.id, because="withdrawn", actor="us_x")
    await work(second)
    ((type, data),) = told(inbox)
    assert (type, data["grant_id"], data["because"]) == ("grant.revoked", ids.show(ids.GRANT, grant.id), "withdrawn")
    assert data["client_id"] == "budget-buddy"
    assert not any(secret in inbox.came[0].body.decode() for secret in (got["access_token"], got["refresh_token"], "ann@", "Ann"))
    await work(first)
    assert len(inbox.came) == 1


async def test_a_disabled_user_is_told_of_once(both: list[Node], inbox: Receiver) -> None:
    first, second = both
    await tokens(first)

    async def disable(deed: Deed) -> bool:
        user = await user_by_email(deed.tx, deed.tenant, "ann@acme.test")
        assert user is not None
        return await disable_user(deed, user)

    assert await first.manage(await first.tenant(), disable)
    await work(second)
    await work(first)
    ((type, data),) = told(inbox)
    assert (type, set(data)) == ("user.disabled", {"client_id", "user_id"})


async def uninstalled(node: Node) -> None:
    """The marketplace's part: the grant of an installation ends, and its app is told."""
    (grant,) = await grants_of(node.house.store, await node.tenant())

    async def unit(deed: Deed) -> None:
        await grants.end(deed.tx, deed.at, tenant=deed.tenant, number=grant.id, because="uninstalled", actor=deed.actor)
        gone = Uninstalled(
            tenant=deed.tenant, client=grant.client, account=grant.account, person=grant.person, install=INSTALL, had=grant.scopes
        )
        await farewell(deed.tx, deed.at, gone, deed.actor)

    await node.manage(grant.tenant, unit)


async def test_an_uninstalled_app_is_told_cleans_up_and_is_told_the_end(both: list[Node], inbox: Receiver) -> None:
    first, second = both
    got = await tokens(first, "openid read:balance transfer:funds")
    await uninstalled(first)
    dead = await second.post("/introspect", {"token": got["access_token"]}, BANK_API)
    assert dead.json == {"active": False}
    await work(second)
    ((type, data),) = told(inbox)
    assert (type, data["install_id"], data["cleanup_scopes"]) == ("install.deleting", IN, ["read:balance"])
    ask = {"grant_type": NAME, "install_id": data["install_id"]}
    reply = (await second.post("/token", ask, BUDDY)).json
    assert (reply["scope"], reply["expires_in"]) == ("read:balance", SECONDS)
    said = (await first.post("/introspect", {"token": reply["access_token"]}, BANK_API)).json
    assert (said["active"], said["sub"], said["aud"], said["scope"]) == (True, IN, BANK, "read:balance")
    assert "username" not in said
    first.time.pass_(SECONDS)
    over = await first.post("/introspect", {"token": reply["access_token"]}, BANK_API)
    assert over.json == {"active": False}
    assert (await first.post("/token", ask, BUDDY)).error == (400, "invalid_grant")
    why = (await first.post("/-/why", {"token": reply["access_token"]}, BANK_API)).json
    assert why["cause"] == "grant_ended"
    await work(first)
    assert [type for type, _ in told(inbox)] == ["install.deleting", "install.deleted"]


async def test_a_blocked_app_gets_neither_token_nor_event(both: list[Node], inbox: Receiver) -> None:
    first, second = both
    await tokens(first, "openid read:balance")
    await uninstalled(first)
    reply = (await first.post("/token", {"grant_type": NAME, "install_id": IN}, BUDDY)).json

    async def blocked(deed: Deed) -> bool:
        row = await client_named(deed.tx, deed.tenant, "budget-buddy")
        assert row is not None
        return await disable_client(deed, row)

    assert await first.manage(await first.tenant(), blocked)
    await second.hear()
    said = await second.post("/introspect", {"token": reply["access_token"]}, BANK_API)
    assert said.json == {"active": False}
    assert (await second.post("/token", {"grant_type": NAME, "install_id": IN}, BUDDY)).status in (400, 401)
    first.time.pass_(SECONDS)
    await work(second)
    assert inbox.came == []


async def test_another_tenants_client_of_the_same_name_gets_nothing(both: list[Node]) -> None:
    first, _ = both
    await tokens(first, "openid read:balance")
    await uninstalled(first)
    other = basic("budget-buddy", "gws_the-secret-of-every-client-of-one-tenant-elsewhere")
    answer = await first.post("/token", {"grant_type": NAME, "install_id": IN}, other, host=GLOBEX)
    assert answer.error == (400, "invalid_grant")


async def test_discovery_tells_of_the_grant_type(both: list[Node]) -> None:
    document = (await both[0].get("/.well-known/oauth-authorization-server")).json
    assert NAME in document["grant_types_supported"]


async def test_jobs_that_stop_leave_the_courier_to_its_house(both: list[Node], inbox: Receiver) -> None:
    inbox.answers = lambda _: None
    first, _ = both
    await tokens(first)
    await uninstalled(first)
    jobs = Jobs(first.house)
    await jobs.once(next(job for job in JOBS if job.name == "deliver"))
    await jobs.stop()
    await first.house.courier.close()
