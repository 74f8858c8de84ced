"""Changes that hit somebody, over the management API: scopes renamed and put into other words, grants narrowed, rules tried out."""

from typing import Any

import pytest

from gatewright.management.table import OPERATIONS
from tests.http.talk import tokens
from tests.management.desk import Manager, at
from tests.support.house import basic


async def test_a_scope_is_renamed_and_understood_by_both_names_until_the_old_one_is_dropped(ops: Manager) -> None:
    made = await ops.must("POST", "/scopes/read:balance/rename", {"name": "balance:read"})
    assert (made["name"], made["aliases"]) == ("balance:read", ["read:balance"])
    assert (await ops.must("GET", "/scopes/read:balance"))["id"] == made["id"]
    bought = await tokens(ops.node, "openid read:balance")
    assert bought["scope"] == "openid balance:read read:balance"
    said = await ops.must("PATCH", "/scopes/balance:read", {"aliases": [], "texts": {"de": "Sehen"}}, {"if-match": "*"})
    assert (said["aliases"], said["texts"]) == ([], {"de": "Sehen"})
    assert (await ops.problem("GET", "/scopes/read:balance"))["status"] == 404
    problem = await ops.problem("POST", f"/apis/{at('https://bank.acme.test')}/scopes", {"name": "read:balance", "text": "X"})
    assert "never used again" in problem["errors"][0]["rule"]


async def test_a_scope_that_is_to_go_says_whom_that_hits(ops: Manager) -> None:
    await tokens(ops.node, "openid read:balance")
    await ops.node.house.usage.flush(ops.node.house.store, ops.node.house.clock.moment().now)
    told = await ops.must("PATCH", "/scopes/read:balance?preview", {"retires": "2027-03-01"}, {"if-match": "*"})
    assert told["changes"] == [{"key": "retires", "before": None, "after": "2027-03-01"}]
    assert {"count": 1, "what": "live grants"} in told["hits"]
    told = await ops.must("POST", "/scopes/read:balance/retire?preview")
    assert {"count": 1, "what": "live grants"} in told["hits"]
    assert next(hit for hit in told["hits"] if hit["what"] == "clients")["count"] > 1
    told = await ops.must("POST", f"/apis/{at('https://bank.acme.test')}/disable?preview")
    assert {"count": 1, "what": "live grants"} in told["hits"]
    told = await ops.must("POST", "/clients/budget-buddy/disable?preview")
    assert told["hits"] == [{"count": 1, "what": "live grants"}]
    (client,) = told["clients"]
    assert (client["client"], client["grants"]) == ("budget-buddy", 1)
    assert client["last_used"].startswith("2027-01-15T")
    told = await ops.must("POST", "/roles/Organizer/retire?preview")
    assert told["hits"][0] == {"count": 3, "what": "members who hold it"}


@pytest.mark.parametrize(
    "stricter",
    [
        {"redirect_uris": ["https://budget.example/elsewhere"]},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"refresh": {"idle": "1h"}},
        {"allowed_ips": ["203.0.113.0/24"]},
        {"unknown_scopes": "refuse"},
        {"pkce": "required"},
        {"scopes_policy": "required"},
        {"redirect_match": "exact"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_whatever_holds_a_client_to_more_says_whose_access_hangs_on_it(ops: Manager, stricter: dict[str, Any]) -> None:
    await tokens(ops.node, "openid read:balance")
    (name,) = stricter
    loose = {"unknown_scopes": "ignore", "pkce": "optional", "scopes_policy": "all_allowed", "redirect_match": "subpath"}.get(name)
    if loose is not None:
        await ops.change("/clients/budget-buddy", {name: loose})
        told = await ops.must("PATCH", "/clients/budget-buddy?preview", {**stricter, "report_only": [name]}, {"if-match": "*"})
        assert told["hits"] == [], "what is tried out hits nobody"
    told = await ops.must("PATCH", "/clients/budget-buddy?preview", stricter, {"if-match": "*"})
    assert told["hits"] == [{"count": 1, "what": "live grants"}]
    assert [one["client"] for one in told["clients"]] == ["budget-buddy"]


def test_whatever_takes_something_from_somebody_can_say_whom_it_hits() -> None:
    defined = ("scopes.", "roles.", "apis.", "clients.", "apps.")
    takes = [one for one in OPERATIONS if one.name.startswith(defined) and one.name.endswith((".retire", ".disable", ".block"))]
    assert len(takes) == 5
    assert [one.name for one in takes if one.impact is None] == []


async def test_many_grants_are_narrowed_at_once_after_a_look(ops: Manager) -> None:
    await tokens(ops.node, "openid read:balance transfer:funds")
    what = {"client": "budget-buddy", "scopes": ["transfer:funds"]}
    told = await ops.must("POST", "/grants/narrow?preview", what)
    assert told["hits"] == [{"count": 1, "what": "live grants"}, {"count": 1, "what": "users"}]
    assert await ops.must("POST", "/grants/narrow", what) == {"narrowed": 1, "ended": 0}
    (grant,) = (await ops.must("GET", "/grants?client=budget-buddy"))["items"]
    assert grant["scopes"] == ["openid", "read:balance"]
    wrong = await ops.problem("POST", "/grants/narrow", {"client": "budget-buddy", "scopes": ["transfer:found"]})
    assert 'did you mean "transfer:funds"' in wrong["errors"][0]["cure"]
    assert (await ops.problem("POST", "/grants/narrow", {"scopes": ["transfer:funds"]}))["status"] == 422


async def test_a_rule_is_tried_out_and_says_who_would_break(ops: Manager) -> None:
    changed = await ops.must("PATCH", "/clients/night-job", {"report_only": ["scopes_policy"]}, {"if-match": "*"})
    assert changed["weaknesses"] == ["scopes_policy_report_only"]
    answer = await ops.node.post("/token", {"grant_type": "client_credentials", "resource": "https://bank.acme.test"}, basic("night-job"))
    assert answer.status == 200
    await ops.node.house.usage.flush(ops.node.house.store, ops.node.house.clock.moment().now)
    (found,) = (await ops.must("GET", "/report-only?client=night-job"))["items"]
    assert (found["rule"], found["would_break"], found["refused"]) == ("scopes_policy", True, 1)
    assert "no scope was requested" in found["example"]
