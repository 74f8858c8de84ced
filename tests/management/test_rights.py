"""Who may what: a token's scopes, an account's own admin, and that nobody gives what he does not hold."""

from __future__ import annotations

import pytest

from gatewright.management.table import OPERATIONS
from gatewright.oauth.catalogue import MANAGEMENT_SCOPES
from tests.management.desk import API, OWN, Manager, administration, person, service
from tests.support.house import GLOBEX, Node, basic, bearer

PLACES = {
    "client_id": "budget-buddy", "account": "acme-dev", "user": "ann@acme.test", "role": "Organizer", "scope": "read:balance",
    "api": "https%3A%2F%2Fbank.acme.test", "host": "id.acme.test", "grant": "gr_0000000000000", "secret_id": "cs_0000000000000", "kid": "k",
    "app": "reporter", "install": "in_0000000000000",
    "event": "ev_0000000000000", "decision": "x",
}  # fmt: skip


def somewhere(path: str) -> str:
    """An address of an operation."""
    return path.format_map(PLACES)


async def test_nobody_does_anything_without_a_token(node: Node) -> None:
    for operation in OPERATIONS:
        answer = await node.ask(operation.method, API + somewhere(operation.path))
        assert answer.status == 401, operation.name
        assert answer.header("www-authenticate") == 'Bearer realm="gatewright"'


async def test_each_operation_needs_its_own_scope_and_says_which(ops: Manager) -> None:
    for operation in OPERATIONS:
        other = "gw:keys:read" if operation.scope != "gw:keys:read" else "gw:audit:read"
        weak = await service(ops.node, scope=other)
        answer = await weak.ask(operation.method, somewhere(operation.path))
        assert answer.status == 403, operation.name
        assert f'scope="{operation.scope}"' in (answer.header("www-authenticate") or "")
        assert operation.scope in {scope.name for scope in MANAGEMENT_SCOPES}


async def test_a_token_for_another_api_or_of_another_tenant_is_no_good(node: Node) -> None:
    answer = await node.post("/token", {"grant_type": "client_credentials", "scope": "read:images"}, basic("image-copier"))
    other = Manager(node, answer.json["access_token"])
    assert (await other.problem("GET", "/clients"))["detail"] == "the access token is for another API"
    ops = await service(node)
    assert (await Manager(node, ops.token, GLOBEX).problem("GET", "/clients"))["status"] == 401
    assert (await Manager(node, "gwa_nonsense").problem("GET", "/clients"))["status"] == 401


async def test_a_disabled_admin_has_no_power_from_that_moment(ops: Manager) -> None:
    admin = await person(ops.node, "root@acme.test", "gw:clients:read", "acme-hq")
    assert (await admin.must("GET", "/clients"))["items"]
    await ops.must("POST", "/users/root@acme.test/disable")
    assert (await admin.problem("GET", "/clients"))["status"] == 401


async def test_what_a_person_may_follows_the_role_at_once(ops: Manager) -> None:
    admin = await person(ops.node, "root@acme.test", "gw:clients:read gw:roles:read", "acme-hq")
    await ops.change("/roles/Platform%20admin", {"scopes": ["gw:roles:read"]})
    assert (await admin.problem("GET", "/clients"))["status"] == 403
    assert (await admin.must("GET", "/roles"))["items"]


async def test_a_first_party_client_asks_for_management_all_the_same(node: Node) -> None:
    from tests.support.approving import authorized, sign_in

    said: list[tuple[frozenset[str], frozenset[str]]] = []
    browser = await sign_in(node, "root@acme.test")
    await authorized(node, browser, "events-web", "openid", said=said)
    assert said == [], "a first-party client does not ask"
    more = {"account": "acme-hq", "resource": "urn:gatewright:management"}
    await authorized(node, browser, "events-web", "gw:clients:read", said=said, more=more)
    assert said == [(frozenset({"gw:clients:read"}), frozenset({"gw:clients:read"}))]


async def test_the_page_that_asks_says_what_would_be_managed(node: Node) -> None:
    from tests.http.window import Window, asking

    window = Window(node)
    scope = "openid gw:clients:read gw:clients:write"
    page = await window.sign_in(await window.open(asking("events-web", scope)), "root@acme.test")
    assert "Register and change apps and services, and make their secrets" in page.text
    assert "Gatewright management" in page.text
    assert "High risk" in page.text
    answer = await window.allow_all(page, "acme-hq")
    assert (answer.header("location") or "").startswith("https://events.example/callback")


# ---------------------------------------------------------------- an account's own admin


async def own_admin(node: Node) -> Manager:
    """Ann, who decides who works in acme-dev."""
    return await person(node, "ann@acme.test", " ".join(OWN), "acme-dev")


async def test_an_account_admin_decides_who_belongs_to_the_account_and_nothing_else(node: Node) -> None:
    ann = await own_admin(node)
    members = "/accounts/acme-dev/members"
    assert [one["email"] for one in (await ann.must("GET", members))["items"]] == ["ann@acme.test"]
    assert (await ann.must("POST", members, {"user": "ben@acme.test", "roles": ["Participant"]}))["roles"] == ["Participant"]
    assert (await ann.change(f"{members}/ben@acme.test", {"roles": []}))["roles"] == []
    robot = await ann.must("POST", "/accounts/acme-dev/service-users", {"email": "r@acme.test", "roles": ["Participant"]})
    await ann.must("POST", f"/accounts/acme-dev/service-users/{robot['user']}/disable")
    await ann.must("DELETE", f"{members}/ben@acme.test")


async def test_another_account_is_to_an_account_admin_like_one_that_does_not_exist(node: Node) -> None:
    ann = await own_admin(node)
    for operation in OPERATIONS:
        if not operation.delegated or "{account}" not in operation.path:
            continue
        answers = []
        for account in ("acme-prod", "no-such-account"):
            path = operation.path.format_map(PLACES | {"account": account})
            problem = await ann.problem(operation.method, path, *_body(operation.name))
            answers.append((problem["status"], problem["detail"].replace(account, "…")))
        assert answers == [(404, "there is no account …")] * 2, operation.name


def _body(name: str) -> tuple[object, dict[str, str]]:
    bodies = {
        "members.add": {"user": "ben@acme.test"}, "members.change": {"roles": []}, "access.end_all": {},
        "service_users.create": {"email": "x@acme.test"}, "account_apps.hand_over": {"user": "robot@service.acme.test"},
    }  # fmt: skip
    return bodies.get(name), {"if-match": "*"}


async def test_what_is_not_delegated_is_beyond_an_account_admin(node: Node) -> None:
    ann = await own_admin(node)
    for operation in OPERATIONS:
        if not operation.delegated:
            assert (await ann.problem(operation.method, somewhere(operation.path)))["status"] == 403, operation.name


@pytest.mark.parametrize("role", ["Organizer", "Platform admin"])
async def test_an_account_admin_gives_no_role_that_holds_more_than_he_does(ops: Manager, role: str) -> None:
    await ops.must("POST", "/roles", {"name": "More", "scopes": ["create:events", "gw:members:write"]})
    await ops.change("/accounts/acme-dev/members/ann@acme.test", {"roles": ["Account admin"]})
    ann = await own_admin(ops.node)
    problem = await ann.problem("POST", "/accounts/acme-dev/members", {"user": "ben@acme.test", "roles": [role]})
    assert problem["type"] == "urn:gatewright:problem:not_held"
    assert (await ops.problem("GET", "/accounts/acme-dev/members/ben@acme.test"))["status"] == 404, "nothing was done"
    assert (await ann.problem("POST", "/accounts/acme-dev/members", {"user": "ben@acme.test", "roles": ["More"]}))["status"] == 403


async def test_a_service_that_is_tied_to_an_account_stays_there(ops: Manager) -> None:
    names = ["gw:accounts:read", "gw:members:read"]
    new = {"client_id": "tied", "client_name": "Tied", "type": "service", "party": "first", "scopes": names, "account": "acme-dev"}
    secret = (await ops.must("POST", "/clients", new))["client_secret"]
    form = {"grant_type": "client_credentials", "scope": " ".join(names)}
    tied = Manager(ops.node, (await ops.node.post("/token", form, basic("tied", secret))).json["access_token"])
    assert (await tied.must("GET", "/accounts/acme-dev/members"))["items"]
    assert (await tied.problem("GET", "/accounts/acme-prod/members"))["status"] == 404
    assert (await tied.problem("GET", "/accounts"))["status"] == 403


TIED = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]

[[clients]]
client_id = "tied"
client_name = "Tied"
type = "service"
party = "first"
account = "acme-dev"
scopes = ["gw:accounts:read", "gw:members:read"]
secret = { env = "CLIENT_SECRET" }
"""


# ---------------------------------------------------------------- nobody gives what he does not hold


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "/roles", {"name": "Mine", "scopes": ["gw:keys:write"]}),
        ("PATCH", "/roles/Organizer", {"scopes": ["gw:keys:write"]}),
        ("POST", "/clients", {"client_id": "x", "client_name": "X", "type": "service", "party": "first", "scopes": ["gw:keys:write"]}),
        ("PATCH", "/clients/ops", {"client_name": "Mine"}),
        ("POST", "/clients/ops/secrets", {}),
        ("POST", "/clients/ops/enable", None),
        ("PUT", "/users/root@acme.test/password", {"password": "mine now"}),
        ("PATCH", "/users/root@acme.test", {"name": "Me"}),
        ("POST", "/users/root@acme.test/enable", None),
        ("POST", "/users", {"email": "me@acme.test", "memberships": [{"account": "acme-hq", "roles": ["Platform admin"]}]}),
    ],
)
async def test_nobody_raises_himself_by_a_detour(node: Node, method: str, path: str, document: object) -> None:
    reader = await service(node, "reader", "gw:clients:write gw:roles:write gw:users:write gw:clients:read")
    problem = await reader.problem(method, path, document, {"if-match": "*"})
    assert problem["type"] == "urn:gatewright:problem:not_held", problem
    assert "gw:" in problem["detail"]


async def test_a_third_party_client_has_no_scope_of_management_unless_it_is_set(ops: Manager) -> None:
    new = {"client_id": "third", "client_name": "Third", "redirect_uris": ["https://third.example/cb"], "scopes": ["gw:clients:read"]}
    problem = await ops.problem("POST", "/clients", new)
    assert problem["errors"][0]["pointer"] == "/scopes"
    made = await ops.must("POST", "/clients", {**new, "third_party_management": True})
    assert made["weaknesses"] == ["third_party_management"]


async def test_all_that_is_allowed_does_not_mean_management(node: Node) -> None:
    await node.apply(
        TIED.replace('client_id = "tied"', 'client_id = "tied"\nscopes_policy = "all_allowed"').replace(
            'scopes = ["', 'scopes = ["read:images", "'
        )
    )
    answer = await node.post("/token", {"grant_type": "client_credentials"}, basic("tied"))
    assert answer.json["scope"] == "read:images"


async def test_whoever_makes_users_does_not_place_them(node: Node) -> None:
    reader = await service(node, "reader", "gw:users:write")
    new = {"email": "me@acme.test", "memberships": [{"account": "acme-dev", "roles": ["Participant"]}]}
    assert "gw:accounts:write" in (await reader.problem("POST", "/users", new))["detail"]
    assert (await reader.must("POST", "/users", {"email": "me@acme.test"}))["status"] == "active"


async def test_an_account_admin_learns_of_nobody_elsewhere(node: Node) -> None:
    ann = await own_admin(node)
    for email in ("ben@acme.test", "nobody@acme.test"):
        assert (await ann.must("GET", f"/accounts/acme-dev/grants?user={email}"))["items"] == []
        assert await ann.must("POST", "/accounts/acme-dev/grants/end", {"user": email}) == {"ended": 0}
        problem = await ann.problem("GET", f"/explain?client=budget-buddy&account=acme-dev&user={email}")
        assert problem["detail"] == f"there is no user {email}"
        assert (await ann.problem("GET", f"/accounts/acme-dev/members/{email}"))["detail"] == f"there is no user {email}"


async def test_an_account_admin_learns_of_no_service_user_elsewhere(node: Node) -> None:
    ann = await own_admin(node)
    problem = await ann.problem("GET", "/explain?client=night-job&account=acme-dev")
    assert (problem["status"], problem["detail"]) == (404, "night-job acts for no user of this account")
    assert "robot" not in str(problem)
    assert (await ann.must("GET", "/explain?client=image-copier&account=acme-dev"))["user"] is None


async def test_an_account_admin_is_told_of_the_service_users_of_his_own(node: Node) -> None:
    ops = await service(node)
    ann = await own_admin(node)
    await ops.must("POST", "/users", {"email": "bot@service.acme.test", "kind": "service", "memberships": [{"account": "acme-dev"}]})
    await ops.change("/clients/night-job", {"service_user": "bot@service.acme.test"})
    assert (await ann.must("GET", "/explain?client=night-job&account=acme-dev"))["user"] == "bot@service.acme.test"


async def test_the_log_names_the_route_and_nobodys_address(ops: Manager) -> None:
    await ops.problem("GET", "/users/somebody@acme.test")
    assert "somebody@acme.test" not in "".join(ops.node.lines)
    assert any('"/-/api/v1/users/{user}"' in line for line in ops.node.lines)


async def test_a_cookie_opens_nothing(ops: Manager) -> None:
    from tests.support.approving import sign_in

    cookie = await sign_in(ops.node, "root@acme.test")
    answer = await ops.node.get(f"{API}/clients", ("cookie", f"__Host-gw_session={cookie}"))
    assert answer.status == 401
    assert (await ops.node.get(f"{API}/clients", bearer(ops.token))).status == 200


async def test_the_names_of_ids_are_told_of_what_the_caller_may_read_in_his_own_tenant(ops: Manager) -> None:
    ann = (await ops.must("GET", "/users/ann@acme.test"))["id"]
    account = (await ops.must("GET", "/accounts/acme-dev"))["id"]
    api = (await ops.must("GET", f"/apis/{PLACES['api']}"))["id"]
    made = (await ops.must("GET", "/audit?act=client.made&subject=budget-buddy"))["items"][0]["detail"]["row"]
    everything = {ann: "ann@acme.test", account: "acme-dev", api: "https://bank.acme.test", made: "budget-buddy"}
    path = f"/audit/names?ids={','.join([*everything, 'us_0000000000001', 'cs_0000000000001', 'nonsense', ''])}"

    async def told(asker: Manager) -> dict[str, str]:
        return {one["id"]: one["name"] for one in (await asker.must("GET", path))["items"]}

    assert await told(ops) == everything
    assert await told(await service(ops.node, scope="gw:audit:read")) == {}
    assert await told(await service(ops.node, scope="gw:audit:read gw:clients:read")) == {made: "budget-buddy"}
    await ops.node.apply(administration("globex", '["https://id.globex.test"]').replace("globex-dev", "globex-prod"))
    assert await told(await service(ops.node, host=GLOBEX)) == {}, "another tenant's ids are nobody's there"
    await ops.must("DELETE", "/users/ann@acme.test")
    assert ann not in await told(ops)
    refused = await ops.problem("GET", f"/audit/names?ids={'x' * 8501}")
    assert refused["status"] == 422
