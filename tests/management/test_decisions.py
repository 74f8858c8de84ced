"""Why a call was refused, for whoever got the link in a ticket: the operator, the tenant's admin, an account's admin; and nobody else."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import httpx
import msgspec
import pytest

from gatewright_guard.decide import Refusal, needs
from gatewright_guard.guard import Guard, Request
from tests.http.talk import BANK, BANK_API, tokens
from tests.http.window import Window
from tests.management.desk import OWN, Manager, administration, person, service
from tests.support.house import ENVIRON, GLOBEX, Node

NOTHING: Final = "there is no such decision here: pass the link as it stands in the API's answer"


async def refused(node: Node, where: str = "acme-dev", **params: str) -> dict[str, str]:
    """What the bank's guard learns of a call that it refuses, with a token for an account of Ann's."""
    token = (await tokens(node, account=where))["access_token"]
    answer = await node.post("/-/why", {"token": token, "scope": "transfer:funds", **params}, BANK_API)
    assert answer.status == 200, answer
    return answer.json


def at(text: str) -> str:
    """The place of a decision."""
    return f"/decisions/{quote(text, safe='')}"


async def test_the_link_tells_the_checks_to_whoever_reads_grants(both: Node) -> None:
    said = await refused(both)
    ops = await service(both)
    found = await ops.must("GET", at(said["more"]))
    assert (found["decision"], found["cause"]) == (said["decision"], "scope_not_requested")
    assert (found["client"], found["user"], found["account"]) == ("budget-buddy", "ann@acme.test", "acme-dev")
    assert (found["api"], found["token"], found["would_pass"]) == ("https://bank.acme.test", "handle", False)
    (scope,) = found["scopes"]
    assert (scope["scope"], scope["then"], scope["now"]) == ("transfer:funds", "scope_not_requested", "scope_not_requested")
    assert [one["check"] for one in scope["checks"] if one["then"] == "no"] == ["Did the app ask for the scope?"]
    assert found == await ops.must("GET", at(said["more"].rpartition("/")[2]))
    await ops.must("DELETE", f"/grants/{found['grant']}")
    after = await ops.must("GET", at(said["more"]))
    assert (after["checks"][0]["then"], after["checks"][0]["now"]) == ("yes", "no")
    assert after["cure"] == "Send the user to the authorization page again."


async def test_the_page_opens_for_the_user_on_both_engines(both: Node) -> None:
    said = await refused(both)
    window = Window(both)
    path = said["more"].removeprefix("https://id.acme.test")
    page = await window.open(path)
    page = await window.sign_in(page)
    assert page.status == 200
    assert said["decision"] in page.text
    assert "The app did not ask for the scope that was needed." in page.text
    stranger = Window(both)
    await stranger.sign_in(await stranger.open(path), "ben@acme.test", ENVIRON["BEN_PASSWORD"])
    assert (await stranger.open(path)).status == 404


async def test_the_guard_hands_the_id_and_the_link_to_its_caller(ops: Manager) -> None:
    node = ops.node
    token = (await tokens(node))["access_token"]
    client = httpx.AsyncClient(transport=httpx.ASGITransport(node.gate), base_url="https://id.acme.test")
    credentials = (BANK, ENVIRON["BANK_SECRET"])
    async with (
        client,
        Guard("https://id.acme.test", BANK, credentials=credentials, http=client, clock=lambda: float(node.time.now)) as guard,
    ):
        refusal = await guard.check(Request(authorization=(f"Bearer {token}",)), needs("transfer:funds"))
    assert isinstance(refusal, Refusal)
    assert refusal.more is not None
    found = await ops.must("GET", at(refusal.more))
    assert (refusal.reason, refusal.decision) == (found["cause"], found["decision"])


async def test_the_id_alone_leads_to_the_line_in_the_log(ops: Manager) -> None:
    said = await refused(ops.node)
    problem = await ops.problem("GET", at(said["decision"]))
    assert problem["status"] == 404
    assert "log" in problem["detail"]
    line = next(line for line in ops.node.lines if said["decision"] in line)
    found = await ops.must("GET", at(said["more"]))
    event = msgspec.json.decode(line)
    assert event["event"] == "call.refused"
    assert (event["authorization"], event["client"], event["cause"]) == (found["authorization"], "budget-buddy", "scope_not_requested")
    text = said["more"].rpartition("/")[2]
    assert text not in "".join(ops.node.lines)


async def test_an_account_admin_sees_those_of_the_account_alone(node: Node) -> None:
    said = await refused(node)
    ann = await person(node, "ann@acme.test", " ".join(OWN), "acme-dev")
    assert (await ann.must("GET", at(said["more"]) + "?account=acme-dev"))["user"] == "ann@acme.test"
    assert (await ann.problem("GET", at(said["more"])))["status"] == 404
    access = await person(node, "ann@acme.test", "gw:access:read", "acme-dev")
    assert (await access.must("GET", at(said["more"]) + "?account=acme-dev"))["user"] is None
    # The account that is named is hers, and the decision is of another.
    other = await refused(node, "acme-prod")
    assert (await ann.problem("GET", at(other["more"]) + "?account=acme-dev"))["detail"] == NOTHING
    assert (await (await service(node)).must("GET", at(other["more"])))["account"] == "acme-prod"


async def test_what_another_account_was_is_told_to_the_tenant_and_not_to_an_account(node: Node) -> None:
    said = await refused(node, account="secret-co")
    assert said["cause"] == "wrong_account"
    ops = await service(node)
    ann = await person(node, "ann@acme.test", " ".join(OWN), "acme-dev")
    whole = msgspec.json.encode(await ops.must("GET", at(said["more"])))
    own = msgspec.json.encode(await ann.must("GET", at(said["more"]) + "?account=acme-dev"))
    assert b"secret-co" in whole
    assert b"secret-co" not in own


@pytest.mark.parametrize("text", ["x", "https://id.acme.test/-/decision/", "https://id.acme.test/-/decision/AAAA", "gwa_AAAA"])
async def test_what_is_none_is_told_to_be_none(ops: Manager, text: str) -> None:
    problem = await ops.problem("GET", at(text))
    assert (problem["status"], problem["detail"]) == (404, NOTHING)


async def test_a_link_of_one_tenant_is_nothing_to_another(both: Node) -> None:
    said = await refused(both)
    await both.apply(administration("globex", '["https://id.globex.test"]').replace('"globex-dev"', '"globex-hq"').replace("ann@", "anna@"))
    globex = await service(both, host=GLOBEX)
    assert (await globex.problem("GET", at(said["more"])))["detail"] == NOTHING


async def test_without_the_scope_nothing_is_told(node: Node) -> None:
    said = await refused(node)
    nobody = await service(node, "reader", "gw:apis:read")
    assert (await nobody.problem("GET", at(said["more"])))["status"] == 403


async def test_it_is_told_for_a_week(node: Node) -> None:
    said = await refused(node)
    node.time.pass_(7 * 86400 + 1)
    await node.hear()
    ops = await service(node)
    problem = await ops.problem("GET", at(said["more"]))
    assert problem["status"] == 404
    assert "7 days" in problem["detail"]
