"""Every operation does what it says, through the management API, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.management.desk import Manager, at, managed, service
from tests.support.house import Node, basic, open_nodes, sqlite_copy
from tests.support.names import name_server

BANK = at("https://bank.acme.test")


async def acts(ops: Manager, **filters: str) -> list[str]:
    """What the audit log tells, the latest first."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return [entry["act"] for entry in (await ops.must("GET", f"/audit?{query}"))["items"]]


@pytest.mark.proves("RFC 7396", "2")
async def test_clients_are_registered_changed_stopped_and_let_in_again(both: Node) -> None:
    ops = await service(both)
    made = await ops.must(
        "POST",
        "/clients",
        {"client_id": "new-app", "client_name": "New", "redirect_uris": ["https://new.example/cb"], "scopes": ["openid", "read:balance"]},
    )
    assert made["client_secret"].startswith("gws_")
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    changed = await ops.change("/clients/new-app", {"refresh": {"idle": "7d"}, "scopes": ["openid"], "account": None})
    assert changed["refresh"]["idle"] == "7d"
    assert changed["scopes"] == ["openid"]
    assert changed["redirect_uris"] == ["https://new.example/cb"], "what is left out stays"
    merge = {"if-match": "*", "content-type": "application/merge-patch+json"}
    assert (await ops.must("PATCH", "/clients/new-app", {"post_logout_redirect_uris": None}, merge))["post_logout_redirect_uris"] == []
    assert (await ops.change("/clients/new-app", {"refresh": None, "pkce": "optional"}))["weaknesses"] == ["pkce_optional"]
    assert (await ops.must("POST", "/clients/new-app/disable"))["status"] == "disabled"
    assert (await ops.must("POST", "/clients/new-app/enable"))["status"] == "active"
    assert (await ops.must("GET", "/clients/new-app"))["client_name"] == "New"
    assert set(await acts(ops, subject="new-app")) == {
        "client.made", "secret.added", "client.changed", "client.disabled", "client.enabled",
    }  # fmt: skip


async def test_secrets_of_a_client_live_side_by_side_until_one_is_ended(both: Node) -> None:
    ops = await service(both)
    path = "/clients/image-copier/secrets"
    made = await ops.must("POST", path, {"label": "second", "expires_in": "1d"})
    form = {"grant_type": "client_credentials", "scope": "read:images"}
    assert (await both.post("/token", form, basic("image-copier", made["client_secret"]))).status == 200
    assert (await both.post("/token", form, basic("image-copier"))).status == 200
    assert [one["label"] for one in (await ops.must("GET", path))["items"]] == ["platform file", "second"]
    await ops.must("DELETE", f"{path}/{made['id']}")
    assert (await both.post("/token", form, basic("image-copier", made["client_secret"]))).status == 401
    last = await ops.must("POST", path, {"end_others": True})
    assert [one["id"] for one in (await ops.must("GET", path))["items"]] == [last["id"]]
    assert (await both.post("/token", form, basic("image-copier"))).status == 401


async def test_apis_scopes_and_roles_are_made_changed_and_taken_away(both: Node) -> None:
    ops = await service(both)
    api = await ops.must("POST", "/apis", {"audience": "https://new.acme.test", "name": "New", "scopes": {"read:new": "Read"}})
    assert (api["scopes"], api["token"]["lifetime"]) == (["read:new"], "15m")
    path = f"/apis/{api['id']}"
    assert (await ops.change(path, {"token": {"format": "opaque"}, "name": "Newer"}))["token"]["format"] == "opaque"
    assert (await ops.change(path, {"token": None}))["token"] == {"format": "jwt", "lifetime": "15m", "alg": "ES256", "roles": False}
    made = await ops.must("POST", f"{path}/scopes", {"name": "write:new", "text": "Write", "implies": ["read:new"]})
    assert made["implies"] == ["read:new"]
    assert (await ops.change("/scopes/write:new", {"risk": "high", "implies": None}))["implies"] == []
    assert (await ops.must("GET", f"/scopes?api={api['id']}"))["items"][1]["risk"] == "high"
    role = await ops.must("POST", "/roles", {"name": "Writer of news", "scopes": ["write:new"]})
    assert (await ops.change("/roles/Writer%20of%20news", {"scopes": ["read:new", "write:new"]}))["scopes"] == ["read:new", "write:new"]
    assert (await ops.must("POST", f"/roles/{role['id']}/retire"))["status"] == "retired"
    assert (await ops.must("POST", "/scopes/write:new/retire"))["status"] == "retired"
    assert (await ops.must("POST", f"{path}/disable"))["status"] == "disabled"
    assert (await ops.must("POST", f"{path}/enable"))["status"] == "active"
    secret = await ops.must("POST", f"{path}/secrets", {})
    assert secret["api_secret"].startswith("gwp_")
    await ops.must("DELETE", f"{path}/secrets/{secret['id']}")
    assert (await ops.must("GET", f"{path}/secrets"))["items"] == []


async def test_an_api_has_a_table_of_routes_that_counts_as_a_whole(both: Node) -> None:
    ops = await service(both)
    first = {"path": "/health", "public": True}
    second = {"path": "/{account}/x", "methods": ["GET"], "scopes": ["read:new"], "account_in": "account"}
    new = {"audience": "https://new.acme.test", "name": "New", "scopes": {"read:new": "Read"}, "routes": [first, second]}
    api = await ops.must("POST", "/apis", new)
    usual: dict[str, object] = {"host": None, "methods": [], "scopes": [], "any_of": [], "account_in": None, "public": False}
    assert (api["routes"], api["verify_max_age"]) == ([usual | first, usual | second], "0s")
    path = f"/apis/{api['id']}"
    assert (await ops.change(path, {"name": "Newer"}))["routes"] == api["routes"]
    changed = await ops.change(path, {"routes": [second], "verify_max_age": "5s"})
    assert (changed["routes"], changed["verify_max_age"]) == ([usual | second], "5s")
    await ops.must("POST", "/scopes/read:new/rename", {"name": "see:new"})
    assert (await ops.must("GET", path))["routes"][0]["scopes"] == ["see:new"]
    for row, place in (({"path": "x"}, "/routes/1/path"), ({"path": "/x", "scopes": ["view:events"]}, "/routes/1/scopes/0")):
        faults = await ops.problem("PATCH", path, {"routes": [first, row]}, {"if-match": "*"})
        assert [one["pointer"].removeprefix("#") for one in faults["errors"]] == [place]
    emptied = await ops.change(path, {"routes": None, "verify_max_age": None})
    assert (emptied["routes"], emptied["verify_max_age"]) == ([], "0s")
    assert (await acts(ops, subject=api["id"])).count("api.changed") == 6


async def test_users_are_made_with_a_password_changed_and_deleted(both: Node) -> None:
    ops = await service(both)
    new = {
        "email": "Carl@acme.test", "name": "Carl", "password": "a password of Carl's", "profile": {"nickname": "C"},
        "memberships": [{"account": "acme-dev", "roles": ["Participant"]}],
    }  # fmt: skip
    made = await ops.must("POST", "/users", new)
    assert made["has_password"]
    path = f"/users/{made['id']}"
    assert (await ops.must("GET", f"{path}/memberships"))["items"][0]["roles"] == ["Participant"]
    assert (await ops.change(path, {"name": "Carlo"}))["profile"] == {"nickname": "C"}
    await ops.must("PUT", f"{path}/password", {"password": "another one"})
    assert (await ops.must("POST", f"{path}/disable"))["status"] == "disabled"
    assert [one["email"] for one in (await ops.must("GET", "/users?status=disabled"))["items"]] == ["Carl@acme.test"]
    assert (await ops.must("POST", f"{path}/enable"))["status"] == "active"
    assert (await ops.must("GET", "/users?email=carl@ACME.test"))["items"][0]["name"] == "Carlo"
    await ops.must("DELETE", path)
    assert (await ops.problem("GET", path))["status"] == 404
    assert "password.set" in await acts(ops, subject=made["id"])


async def test_a_password_is_no_short_one_and_not_the_address(both: Node) -> None:
    ops = await service(both)
    for password in ("x", "1234567", "organizer", "Organizer@acme.test"):
        faults = await ops.problem("POST", "/users", {"email": "organizer@acme.test", "password": password})
        assert [one["pointer"] for one in faults["errors"]] == ["/password"], password
    await ops.must("POST", "/users", {"email": "organizer@acme.test"})
    for password in ("x", "1234567", "organizer", "Organizer@acme.test"):
        faults = await ops.problem("PUT", "/users/organizer@acme.test/password", {"password": password})
        assert [one["pointer"] for one in faults["errors"]] == ["/password"], password
    assert (await ops.must("GET", "/users/organizer@acme.test"))["has_password"] is False
    await ops.must("PUT", "/users/organizer@acme.test/password", {"password": "organizer's"})


async def test_accounts_have_members_and_service_users(both: Node) -> None:
    ops = await service(both)
    await ops.must("POST", "/accounts", {"slug": "acme-new", "name": "New"})
    assert (await ops.change("/accounts/acme-new", {"name": "Newer"}))["name"] == "Newer"
    members = "/accounts/acme-new/members"
    assert (await ops.must("POST", members, {"user": "ben@acme.test", "roles": ["Participant"]}))["roles"] == ["Participant"]
    assert (await ops.change(f"{members}/ben@acme.test", {"roles": []}))["roles"] == []
    robot = await ops.must("POST", "/accounts/acme-new/service-users", {"email": "r2@acme.test", "roles": ["Participant"]})
    assert robot["kind"] == "service"
    there = f"/accounts/acme-new/service-users/{robot['user']}"
    assert (await ops.must("POST", f"{there}/disable"))["status"] == "disabled"
    assert (await ops.must("POST", f"{there}/enable"))["status"] == "active"
    assert [one["email"] for one in (await ops.must("GET", f"{members}?kind=service"))["items"]] == ["r2@acme.test"]
    await ops.must("DELETE", there)
    await ops.must("DELETE", f"{members}/ben@acme.test")
    assert (await ops.must("GET", members))["items"] == []
    assert (await ops.must("POST", "/accounts/acme-new/disable"))["status"] == "disabled"
    assert (await ops.must("POST", "/accounts/acme-new/enable"))["status"] == "active"
    await ops.must("DELETE", "/accounts/acme-new")
    assert (await ops.problem("GET", "/accounts/acme-new"))["status"] == 404


async def test_the_tenant_and_its_domains_are_changed(both: Node) -> None:
    ops = await service(both)
    assert (await ops.change("/tenant", {"name": "Acme 2", "brand": {"color": "#123456"}}))["brand"] == {"color": "#123456"}
    assert (await ops.change("/tenant", {"brand": None}))["brand"] == {}
    claimed = await ops.must("POST", "/domains", {"origin": "https://third.acme.test"})
    assert (claimed["state"], claimed["verified_by"], claimed["position"]) == ("pending", None, None)
    assert claimed["record_name"] == "_gatewright-challenge.third.acme.test"
    assert len((await ops.must("GET", "/tenant"))["domains"]) == 2, "and nothing answers there before it is proved"
    assert [one["state"] for one in (await ops.must("GET", "/domains"))["items"]] == ["verified", "verified", "pending"]
    await ops.must("DELETE", "/domains/third.acme.test")
    assert len((await ops.must("GET", "/domains"))["items"]) == 2


async def test_a_domain_looks_otherwise_than_its_tenant(both: Node) -> None:
    ops = await service(both)
    path = "/domains/login.acme.test"
    assert await ops.must("GET", path) == {"origin": "https://login.acme.test", "host": "login.acme.test", "name": None, "brand": {}}
    assert (await ops.change(path, {"name": "Acme sign-in", "brand": {"color": "#123456"}}))["brand"] == {"color": "#123456"}
    assert (await ops.change(path, {"brand": None}))["name"] == "Acme sign-in"
    assert (await ops.change(path, {"name": None}))["name"] is None
    assert "domain.changed" in await acts(ops, subject="https://login.acme.test")
    assert (await ops.problem("GET", "/domains/nobody.acme.test"))["status"] == 404


async def test_keys_are_rotated_and_retired(both: Node) -> None:
    ops = await service(both)
    made = (await ops.must("POST", "/keys/rotate"))["made"]
    assert {key["state"] for key in made} == {"next"}
    assert (await ops.must("POST", "/keys/rotate"))["made"] == [], "each has its successor"
    kid = made[0]["kid"]
    await ops.must("DELETE", f"/keys/{kid}")
    assert kid not in [key["kid"] for key in (await ops.must("GET", "/keys"))["items"]]
    assert (await ops.problem("DELETE", f"/keys/{kid}"))["status"] == 404


async def test_a_claimed_domain_is_proved_by_its_record(tmp_path: Path) -> None:
    with name_server() as names:
        async with open_nodes(sqlite_copy(tmp_path), options={"domains.resolvers": [names.address]}) as (opened,):
            ops = await service(await managed(opened))
            claimed = await ops.must("POST", "/domains", {"origin": "https://id.shop.example"})
            path = "/domains/id.shop.example/check"
            waiting = await ops.must("POST", path)
            assert (waiting["state"], waiting["found"]) == ("pending", "_gatewright-challenge.id.shop.example has no TXT record")
            names.texts[claimed["record_name"]] = [claimed["record_value"]]
            proved = await ops.must("POST", path)
            assert (proved["state"], proved["verified_by"], proved["position"]) == ("verified", "txt", 2)
            assert (await opened.get("/.well-known/openid-configuration", host="id.shop.example")).status == 200
            assert (await ops.problem("POST", "/domains/id.acme.test/check"))["status"] == 404
            assert (await ops.problem("POST", "/domains", {"origin": "https://co.uk"}))["status"] == 409


async def test_a_secret_is_replaced_with_an_overlap_and_reported_leaked(both: Node) -> None:
    ops = await service(both)
    path = "/clients/image-copier/secrets"
    await ops.must("POST", path, {"label": "next", "overlap": "7d"})
    old, new = (await ops.must("GET", path))["items"]
    assert (old["expires_at"], new["expires_at"], new["label"]) == ("2027-01-22T08:00:00Z", None, "next")
    assert new["made_by"] == "ops"
    assert "two live secrets already" in (await ops.problem("POST", path, {}))["detail"]
    assert (await ops.problem("POST", path, {"overlap": "7d", "end_others": True}))["status"] == 409
    await ops.must("POST", f"{path}/{old['id']}/leaked", {})
    assert [one["id"] for one in (await ops.must("GET", path))["items"]] == [new["id"]]
    assert {"secret.leaked", "client.access_ended"} <= set(await acts(ops, subject="image-copier"))
    assert (await ops.problem("POST", f"{path}/cs_0000000000000/leaked", {}))["status"] == 404


async def test_whose_a_client_is_is_shown_and_changed(both: Node) -> None:
    ops = await service(both)
    assert (await ops.must("GET", "/clients/budget-buddy"))["owner"] == {"user": None, "account": None}
    changed = await ops.change("/clients/budget-buddy", {"owner": {"user": "ann@acme.test", "account": "acme-dev"}})
    assert changed["owner"] == {"user": "ann@acme.test", "account": "acme-dev"}
    assert (await ops.change("/clients/budget-buddy", {"owner": None}))["owner"] == {"user": None, "account": None}


async def test_the_management_api_answers_at_an_api_host(both: Node) -> None:
    await both.apply('[tenant]\nslug = "acme"\nname = "Acme"\ndomains = ["https://id.acme.test"]\napi_hosts = ["https://api.acme.test"]\n')
    ops = await service(both)
    there = Manager(both, ops.token, "api.acme.test")
    assert (await there.must("GET", "/tenant"))["api_hosts"] == ["https://api.acme.test"]
    assert (await Manager(both, "x", "api.acme.test").problem("GET", "/tenant"))["status"] == 401
