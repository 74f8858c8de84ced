"""Clients of years ago through the management API: the same settings, the same sentences, and who still needs them."""

from __future__ import annotations

from tests.http.doors import bought, furnished
from tests.management.desk import service
from tests.support.house import Node

EXCEPTION = {"until": "2027-12-31", "reason": "the connector is being rewritten"}


async def test_every_field_of_the_dialog_is_set_shown_and_put_back(both: Node) -> None:
    ops = await service(both)
    made = await ops.must(
        "POST",
        "/clients",
        {
            "client_id": "old-app",
            "client_name": "Old",
            "redirect_uris": ["https://old-app.example/cb", "urn:ietf:wg:oauth:2.0:oob"],
            "out_of_band": True,
            "password_grant": EXCEPTION,
            "allowed_ips": ["192.0.2.0/24", "2001:db8::/32"],
            "scopes": ["read:balance"],
        },
    )
    assert made["password_grant"] == EXCEPTION
    assert made["grant_types"] == ["authorization_code", "refresh_token", "password"]
    assert set(made["weaknesses"]) == {"password_grant", "out_of_band"}
    longer = await ops.change("/clients/old-app", {"password_grant": {"until": "2028-06-30", "reason": "not yet"}})
    assert longer["password_grant"] == {"until": "2028-06-30", "reason": "not yet"}
    gone = await ops.change(
        "/clients/old-app",
        {
            "password_grant": None,
            "grant_types": ["authorization_code", "refresh_token"],
            "out_of_band": False,
            "redirect_uris": ["https://old-app.example/cb"],
        },
    )
    assert (gone["password_grant"], gone["weaknesses"]) == (None, [])


async def test_what_the_file_refuses_is_refused_in_the_same_sentences(both: Node) -> None:
    ops = await service(both)
    problem = await ops.problem(
        "POST",
        "/clients",
        {
            "client_id": "x",
            "client_name": "X",
            "redirect_uris": ["urn:ietf:wg:oauth:2.0:oob"],
            "grant_types": ["authorization_code", "password"],
        },
    )
    said = " ".join(fault["rule"] for fault in problem["errors"])
    assert "the password grant is an exception with an end" in said
    assert "to allow that: out_of_band = true" in said
    late = {
        "client_id": "x",
        "client_name": "X",
        "redirect_uris": ["https://x.example/cb"],
        "password_grant": EXCEPTION | {"until": "2199-01-01"},
    }
    assert "within two years" in str(await ops.problem("POST", "/clients", late))


async def test_scopes_are_marked_for_demo_clients_and_tenants_have_a_default_policy(both: Node) -> None:
    ops = await service(both)
    assert (await ops.change("/scopes/view:events", {"demo": True}))["demo"] is True
    assert (await ops.change("/scopes/view:events", {"text": "See all events"}))["demo"] is True, "what is left out stays"
    assert (await ops.must("GET", "/tenant"))["scopes_policy"] == "required"
    assert (await ops.change("/tenant", {"scopes_policy": "all_allowed"}))["scopes_policy"] == "all_allowed"
    made = await ops.must("POST", "/clients", {"client_id": "lax", "client_name": "Lax", "redirect_uris": ["https://lax.example/cb"]})
    assert made["scopes_policy"] == "all_allowed"
    await ops.change("/tenant", {"scopes_policy": "required"})
    assert (await ops.must("GET", "/clients/lax"))["scopes_policy"] == "all_allowed"


async def test_who_still_uses_the_password_grant_is_a_list(both: Node) -> None:
    await furnished(both)
    ops = await service(both)
    assert (await ops.must("GET", "/weaknesses"))["items"] == []
    for _ in range(2):
        await bought(both)
        both.time.pass_(60)
    (row,) = (await ops.must("GET", "/weaknesses?weakness=password_grant"))["items"]
    assert (row["client_id"], row["user"], row["kind"], row["times"]) == ("connector", "connector@service.acme.test", "service", 2)
    assert (row["until"], row["reason"]) == ("2027-12-31", "the connector is being rewritten")
    assert (await ops.must("GET", "/weaknesses?weakness=out_of_band"))["items"] == []
    assert "did you mean" in str(await ops.problem("GET", "/weaknesses?weakness=password_grnt"))
