"""Explaining a decision: it is the one decision, asked ahead of time, with the factor that said no and who could say yes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.management.desk import OWN, Manager, person, service
from tests.support.approving import authorized, sign_in
from tests.support.house import Node


async def told(ops: Manager, **question: str) -> dict[str, dict[str, Any]]:
    """The verdicts by scope."""
    from urllib.parse import urlencode

    answer = await ops.must("GET", f"/explain?{urlencode(question)}")
    return {one["scope"]: one for one in answer["scopes"]}


ANN = {"user": "ann@acme.test", "account": "acme-dev"}


async def test_each_factor_that_says_no_is_named_with_who_could_change_it(both: Node) -> None:
    ops = await service(both)
    found = await told(ops, client="budget-buddy", **ANN, scope="read:balance create:events read:images no:such")
    assert found["read:balance"]["verdict"] == "not_consented"
    assert found["read:images"]["factor"] == "client"
    assert found["no:such"]["factor"] == "catalogue"
    ben = {"user": "ann@acme.test", "account": "acme-prod"}
    found = await told(ops, client="budget-buddy", **ben, scope="create:events")
    assert (found["create:events"]["verdict"], found["create:events"]["factor"]) == ("role_lacks_scope", "role")
    assert found["create:events"]["who"].endswith("(Organizer)")
    assert (await told(ops, client="budget-buddy", user="ben@acme.test", account="acme-dev", scope="view:events"))["view:events"][
        "verdict"
    ] == "membership_ended"


async def test_what_was_given_and_declined_is_told(ops: Manager) -> None:
    browser = await sign_in(ops.node)
    await authorized(ops.node, browser, "budget-buddy", "openid read:balance create:events", untick=["create:events"])
    found = await told(ops, client="budget-buddy", **ANN, scope="openid read:balance create:events")
    assert {name: one["verdict"] for name, one in found.items()} == {
        "openid": "granted", "read:balance": "granted", "create:events": "declined_by_user",
    }  # fmt: skip
    whole = await ops.must("GET", "/explain?client=budget-buddy&user=ann@acme.test&account=acme-dev&scope=openid+read:balance")
    assert (whole["granted"], whole["asked"]) == ("openid read:balance", False)
    assert whole["grant"].startswith("gr_")


async def test_a_first_party_client_asks_only_for_management(ops: Manager) -> None:
    found = await told(ops, client="events-web", **ANN, scope="create:events gw:members:read")
    assert found["create:events"]["verdict"] == "granted"
    assert found["gw:members:read"]["verdict"] == "not_consented"


async def test_a_service_is_explained_without_a_user_or_with_its_own(ops: Manager) -> None:
    assert (await told(ops, client="image-copier", scope="read:images"))["read:images"]["verdict"] == "granted"
    found = await told(ops, client="night-job", scope="read:reports read:balance")
    assert {one["verdict"] for one in found.values()} == {"granted"}
    assert (await told(ops, client="budget-buddy", scope="openid"))["openid"]["factor"] == "user"


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/clients/budget-buddy/disable", "client_disabled"),
        ("/users/ann@acme.test/disable", "user_disabled"),
        ("/accounts/acme-dev/disable", "account_disabled"),
    ],
)
async def test_what_is_disabled_closes_everything(ops: Manager, path: str, verdict: str) -> None:
    await ops.must("POST", path)
    assert {one["verdict"] for one in (await told(ops, client="budget-buddy", **ANN)).values()} == {verdict}


async def test_a_member_is_explained_to_those_alone_who_may_read_members(node: Node) -> None:
    grants = await service(node, scope="gw:grants:read")
    query = "/explain?client=budget-buddy&user=ann@acme.test&account=acme-dev"
    assert (await grants.problem("GET", query))["type"] == "urn:gatewright:problem:not_held"
    ann = await person(node, "ann@acme.test", " ".join(OWN), "acme-dev")
    assert (await ann.must("GET", query))["account"] == "acme-dev"
    assert (await ann.problem("GET", query.replace("acme-dev", "acme-prod")))["status"] == 404
    assert (await ann.problem("GET", "/explain?client=budget-buddy"))["status"] == 404
    other = await person(node, "ann@acme.test", "gw:access:read", "acme-dev")
    assert (await other.problem("GET", query))["status"] == 403
