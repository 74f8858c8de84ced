"""Apps and installs through the management API: made, published, withdrawn, kept out; listed, ended and handed over, by account too."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.base import ids
from tests.http.staff import a_grant
from tests.http.test_apps import MORE, scope_of
from tests.http.window import Window
from tests.management.desk import API, OWN, Manager, person, service
from tests.support.apps import MANIFEST, add_app, installed, signed_in
from tests.support.house import Node

NEW: dict[str, Any] = {"app": "weekly", "manifest": MANIFEST, "developer": "ben@acme.test"}
ROBOT = "robot@service.acme.test"


async def own_admin(node: Node, account: str = "acme-dev") -> Manager:
    """Ann, who decides who works in acme-dev."""
    return await person(node, "ann@acme.test", " ".join(OWN), account)


async def ann(node: Node) -> Window:
    return await signed_in(node)


async def test_an_app_is_made_published_and_shown_on_both_engines(both: Node) -> None:
    ops = await service(both)
    made = await ops.must("POST", "/apps", NEW)
    assert made["client_secret"].startswith("gws_")
    assert (made["app"], made["version"], made["status"], made["developer"]) == ("weekly", "1.0.0", "offered", "ben@acme.test")
    assert "client_secret" not in await ops.must("GET", "/apps/weekly")
    more = {**MANIFEST, "version": "1.1.0", "auth": {**MANIFEST["auth"], "scopes": MORE}}
    published = await ops.must("POST", "/apps/weekly/versions", {"manifest": more})
    assert published["version"] == "1.1.0"
    versions = (await ops.must("GET", "/apps/weekly/versions"))["items"]
    assert [one["version"] for one in versions] == ["1.1.0", "1.0.0"]
    page = await ops.must("GET", "/apps/weekly/versions?count=1")
    rest = await ops.must("GET", page["next"].partition(API)[2])
    assert [one["number"] for one in (*page["items"], *rest["items"])] == ["2", "1"]
    assert [one["app"] for one in (await ops.must("GET", "/apps"))["items"]] == ["weekly"]
    for act, status in (("withdraw", "withdrawn"), ("offer", "offered"), ("block", "blocked"), ("unblock", "offered")):
        assert (await ops.must("POST", f"/apps/weekly/{act}"))["status"] == status
    assert (await ops.change("/apps/weekly", {"redirect_match": "subpath", "developer": None}))["weaknesses"] == [
        "pkce_optional",
        "redirect_subpath",
        "token_until_revoked",
    ]


async def test_a_preview_says_who_is_offered_the_next_version_and_whose_access_ends_when_the_app_is_kept_out(node: Node) -> None:
    ops = await service(node)
    await add_app(node, scopes=["read:balance"])
    await installed(node)
    same = {**MANIFEST, "version": "1.0.1", "auth": {**MANIFEST["auth"], "scopes": ["read:balance"]}}
    more = {**MANIFEST, "version": "1.1.0", "auth": {**MANIFEST["auth"], "scopes": MORE}}
    assert (await ops.must("POST", "/apps/reporter/versions?preview", {"manifest": same}))["hits"] == []
    told = await ops.must("POST", "/apps/reporter/versions?preview", {"manifest": more})
    assert told["hits"] == [{"count": 1, "what": "users who may be asked again"}]
    assert [(one["client"], one["grants"]) for one in told["clients"]] == [("reporter", 0)]
    told = await ops.must("POST", "/apps/reporter/block?preview")
    assert told["hits"] == [{"count": 1, "what": "live grants"}]
    assert (await ops.must("GET", "/apps/reporter"))["version"] == "1.0.0"


async def test_every_fault_of_a_manifest_is_told_at_its_place(ops: Manager) -> None:
    wrong = {**MANIFEST, "versoin": "1", "auth": {"redirect_uri": "", "scopes": [3, {"scop": "x"}]}}
    problem = await ops.problem("POST", "/apps", {"app": "weekly", "manifest": wrong})
    assert problem["status"] == 422
    assert len(problem["errors"]) == 5
    unfit = {**MANIFEST, "auth": {"redirect_uri": "http://x.example/", "scopes": ["read:balanse", "gw:users:read"]}}
    problem = await ops.problem("POST", "/apps", {"app": "oauth", "manifest": unfit})
    assert problem["status"] == 422
    problem = await ops.problem("POST", "/apps", {"app": "weekly", "manifest": unfit})
    assert len(problem["errors"]) == 3
    assert "no scope" in str(problem["errors"]), "no app asks for the management API"
    assert (await ops.must("GET", "/apps"))["items"] == []


async def test_what_was_published_never_changes(ops: Manager) -> None:
    await ops.must("POST", "/apps", NEW)
    assert (await ops.problem("POST", "/apps", NEW))["status"] == 409
    other = {**MANIFEST, "name": "Other"}
    assert "give this one another version" in (await ops.problem("POST", "/apps/weekly/versions", {"manifest": other}))["detail"]


async def test_the_client_of_an_app_is_changed_through_the_app_alone(ops: Manager) -> None:
    await ops.must("POST", "/apps", NEW)
    shown = await ops.ask("GET", "/clients/weekly")
    assert shown.json in (await ops.must("GET", "/clients"))["items"]
    answer = await ops.problem("PATCH", "/clients/weekly", {"client_name": "X"}, {"if-match": shown.header("etag") or ""})
    assert answer["status"] == 422
    assert "made from its manifest" in str(answer["errors"])


async def test_installs_are_listed_and_ended(ops: Manager) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node))
    for query in ("?app=reporter", "?account=acme-dev", "?user=ann@acme.test", "?app=reporter&account=acme-dev&user=ann@acme.test"):
        assert [one["id"] for one in (await ops.must("GET", f"/installs{query}"))["items"]] == [bought["install_id"]]
    (found,) = (await ops.must("GET", "/installs"))["items"]
    assert (found["app"], found["state"], found["acts_for"], found["scopes"]) == (
        "reporter",
        "active",
        "ann@acme.test",
        ["read:balance", "transfer:funds"],
    )
    for query in ("?account=acme-prod", "?user=ben@acme.test", "?app=budget-buddy"):
        assert (await ops.must("GET", f"/installs{query}"))["items"] == []
    await ops.must("DELETE", f"/installs/{bought['install_id']}")
    assert await scope_of(ops.node, bought["access_token"]) is None
    assert (await ops.problem("DELETE", f"/installs/{bought['install_id']}"))["status"] == 404


async def test_an_account_admin_looks_after_the_apps_of_the_account_and_of_no_other(node: Node) -> None:
    await add_app(node)
    window = await ann(node)
    dev, prod = await installed(node, window, "acme-dev"), await installed(node, window, "acme-prod")
    admin = await own_admin(node)
    (found,) = (await admin.must("GET", "/accounts/acme-dev/installs"))["items"]
    assert found["id"] == dev["install_id"]
    for path in ("/accounts/acme-prod/installs", f"/accounts/acme-dev/installs/{prod['install_id']}"):
        assert (await admin.problem("GET", path))["status"] == 404
    assert (await admin.problem("GET", "/installs"))["status"] == 403
    assert (await admin.problem("DELETE", f"/accounts/acme-dev/installs/{prod['install_id']}"))["status"] == 404
    await admin.must("DELETE", f"/accounts/acme-dev/installs/{dev['install_id']}")
    assert await scope_of(node, dev["access_token"]) is None
    assert await scope_of(node, prod["access_token"]) is not None


async def test_an_install_is_handed_over_and_keeps_its_token(ops: Manager) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node), "acme-prod")
    place = f"/installs/{bought['install_id']}"
    handed = await ops.must("POST", f"{place}/hand-over", {"user": ROBOT})
    assert (handed["acts_for"], handed["installed_by"]) == (ROBOT, "ann@acme.test")
    await ops.must("DELETE", "/users/ann@acme.test")
    assert await scope_of(ops.node, bought["access_token"]) == "read:balance transfer:funds"
    assert (await ops.problem("POST", f"{place}/hand-over", {"user": ROBOT}))["status"] == 409


async def test_nobody_hands_over_more_than_he_holds(node: Node) -> None:
    await add_app(node, scopes=["read:reports"])
    ops = await service(node)
    await ops.must("POST", "/accounts/acme-dev/service-users", {"email": "r@acme.test", "roles": ["Organizer"]})
    bought = await installed(node, await ann(node))
    place = f"/accounts/acme-dev/installs/{bought['install_id']}/hand-over"
    await ops.must("POST", "/accounts/acme-dev/members", {"user": "ben@acme.test", "roles": ["Account admin"]})
    ben = await person(node, "ben@acme.test", " ".join(OWN), "acme-dev")
    assert (await ben.problem("POST", place, {"user": "r@acme.test"}))["status"] == 403
    admin = await own_admin(node)
    assert (await admin.must("POST", place, {"user": "r@acme.test"}))["acts_for"] == "r@acme.test"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users/ann@acme.test/disable", None),
        ("DELETE", "/users/ann@acme.test", None),
        ("POST", "/accounts/acme-dev/disable", None),
        ("DELETE", "/accounts/acme-dev", None),
        ("DELETE", "/accounts/acme-dev/members/ann@acme.test", None),
        ("POST", "/grants/end", {"client": "reporter"}),
        ("POST", "/grants/narrow", {"client": "reporter", "scopes": ["read:balance", "transfer:funds"]}),
        ("POST", "/accounts/acme-dev/grants/end", {}),
    ],
)
async def test_whatever_ends_a_party_ends_the_install_with_it(ops: Manager, method: str, path: str, body: object) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node))
    await ops.must(method, path, body)
    assert await scope_of(ops.node, bought["access_token"]) is None
    assert await ops.node.number("SELECT COUNT(*) FROM install WHERE ended_at IS NULL") == 0


async def test_ending_the_grant_of_an_app_uninstalls_it(ops: Manager) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node))
    (grant,) = (await ops.must("GET", "/grants?client=reporter"))["items"]
    shown = await ops.ask("GET", f"/grants/{grant['id']}")
    await ops.must("PATCH", f"/grants/{grant['id']}", {"scopes": ["read:balance"]}, {"if-match": shown.header("etag") or ""})
    assert await scope_of(ops.node, bought["access_token"]) == "read:balance"
    await ops.must("DELETE", f"/grants/{grant['id']}")
    assert await ops.node.number("SELECT COUNT(*) FROM install WHERE ended_because = 'by_admin'") == 1


async def test_a_grant_is_named_by_its_installation_too(ops: Manager) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node))
    where = f"/grants/{bought['install_id']}"
    shown = await ops.ask("GET", where)
    assert shown.json["id"].startswith("gr_")
    await ops.must("PATCH", where, {"scopes": ["read:balance"]}, {"if-match": shown.header("etag") or ""})
    assert await scope_of(ops.node, bought["access_token"]) == "read:balance"
    await ops.must("DELETE", where)
    assert await scope_of(ops.node, bought["access_token"]) is None
    assert (await ops.problem("GET", where))["status"] == 404
    assert (await ops.problem("GET", "/grants/in_00000000000000000000000000"))["status"] == 404


async def test_an_app_that_was_given_nothing_names_nobody_elses_grant(ops: Manager) -> None:
    await add_app(ops.node, "plain", name="Plain", auth=None)
    window = await signed_in(ops.node)
    await window.allow_all(await window.open("/plain/install"), "acme-dev")
    install = await ops.node.number("SELECT id FROM install WHERE consent_grant = 0")
    assert install is not None
    given, _ = await a_grant(ops.node)
    shown, admin = ids.show(ids.INSTALL, install), await own_admin(ops.node)
    for door, path in ((ops, "/grants"), (admin, "/accounts/acme-dev/grants")):
        for name in (shown, "gr_0000000000000", "in_0000000000000"):
            for method in ("GET", "DELETE"):
                assert (await door.problem(method, f"{path}/{name}"))["status"] == 404
    patched = await ops.problem("PATCH", f"/grants/{shown}", {"scopes": ["openid"]}, {"if-match": "*"})
    assert patched["status"] == 404
    assert (await ops.must("GET", f"/grants/{given}"))["id"] == given


async def test_a_grant_that_was_handed_over_is_narrowed_like_any_other(ops: Manager) -> None:
    await add_app(ops.node)
    bought = await installed(ops.node, await ann(ops.node), "acme-prod")
    await ops.must("POST", f"/installs/{bought['install_id']}/hand-over", {"user": ROBOT})
    (grant,) = (await ops.must("GET", "/grants?client=reporter"))["items"]
    shown = await ops.ask("GET", f"/grants/{grant['id']}")
    await ops.must("PATCH", f"/grants/{grant['id']}", {"scopes": ["read:balance"]}, {"if-match": shown.header("etag") or ""})
    assert await scope_of(ops.node, bought["access_token"]) == "read:balance"
    assert await ops.node.number("SELECT COUNT(*) FROM consent_grant WHERE ended_at IS NULL AND acting <> 0") == 1
    explained = await ops.must("GET", f"/explain?client=reporter&user={ROBOT}&account=acme-prod")
    assert explained["client"] == "reporter"
