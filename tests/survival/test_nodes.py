"""Two nodes on one PostgreSQL: what is decided at one holds at the other, at once or within a second, as it was promised."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.postgres import Server, name_of
from tests.support.running import Deployment, Node, free_port
from tests.support.visitor import Page, Visitor
from tests.support.waiting import until
from tests.survival.load import ASKING, OWN, exchange_of, refresh_of, request
from tests.survival.platform import CLIENT_SECRET, DESK
from tests.survival.propagation import cut_listening, listening, measured, quantile

Nodes = tuple[Node, Node]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, prepared_on_postgres: Deployment, postgres_server: Server) -> Iterator[Nodes]:
    """Two servers of one deployment."""
    url = postgres_server.database(name_of(prepared_on_postgres.store_url))
    deployment = prepared_on_postgres.copy(tmp_path_factory.mktemp("nodes") / "data", url)
    with deployment.serve() as here, deployment.serve(port=free_port()) as there:
        yield here, there
    postgres_server.drop(url)


@pytest.fixture
def here(nodes: Nodes) -> Iterator[httpx.Client]:
    with nodes[0].client() as http:
        yield http


@pytest.fixture
def there(nodes: Nodes) -> Iterator[httpx.Client]:
    with nodes[1].client() as http:
        yield http


@pytest.fixture
def deployment(nodes: Nodes) -> Iterator[Deployment]:
    """The deployment, which is as it was when the test is over."""
    yield nodes[0].deployment
    nodes[0].deployment.gatewright("users", "enable", "organizer@acme.test")
    nodes[0].deployment.gatewright("users", "roles", "organizer@acme.test", "--account", "acme-dev", "Reader", "Writer")


@pytest.fixture
def tokens(here: httpx.Client, there: httpx.Client, deployment: Deployment) -> dict[str, Any]:
    """Tokens whose code came from one node and was exchanged at the other."""
    arrived = Visitor(here, deployment.issuer).authorize(request("asking-app"))
    answer = there.post("/token", data=exchange_of(arrived.params["code"]), auth=ASKING)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def asked(node: httpx.Client, tokens: dict[str, Any]) -> dict[str, Any]:
    """Ask a node about an access token."""
    found: dict[str, Any] = node.post("/introspect", data={"token": tokens["access_token"]}, auth=DESK).json()
    return found


@pytest.mark.parametrize("cut", [False, True], ids=["notified", "with the line cut"])
async def test_a_client_that_was_edited_is_seen_within_a_second(nodes: Nodes, cut: bool) -> None:
    times = await measured(nodes, 20, cut=cut)
    assert quantile(times, 0.5) < 1.0, times


async def test_two_servers_on_one_file_see_each_others_changes_within_a_second(on_sqlite: Deployment) -> None:
    with on_sqlite.serve() as here, on_sqlite.serve(port=free_port()) as there:
        times = await measured((here, there), 10, cut=False)
    assert quantile(times, 0.5) < 1.0, times


def test_a_line_that_was_cut_is_taken_up_again(nodes: Nodes) -> None:
    url = nodes[0].deployment.store_url
    until(lambda: len(asyncio.run(listening(url))) == len(nodes), "both nodes to listen, whose lines another test may have cut", 10)
    before = asyncio.run(cut_listening(url))
    until(lambda: len(asyncio.run(listening(url)) - before) == len(nodes), "both to listen again", 10)


def test_a_key_that_follows_another_is_published_everywhere(here: httpx.Client, there: httpx.Client, deployment: Deployment) -> None:
    for http in (here, there):
        http.post("/token", data={"grant_type": "client_credentials", "scope": "read:clock"}, auth=("service", CLIENT_SECRET))
    before = {key["kid"] for key in there.get("/jwks").json()["keys"]}
    deployment.gatewright("keys", "rotate")
    until(lambda: {key["kid"] for key in there.get("/jwks").json()["keys"]} > before, "the next keys")
    until(lambda: here.get("/jwks").json() == there.get("/jwks").json(), "the same keys everywhere")


def test_a_grant_that_was_ended_is_over_at_once(
    here: httpx.Client, there: httpx.Client, deployment: Deployment, tokens: dict[str, Any]
) -> None:
    assert asked(there, tokens)["active"]
    page = here.get("/-/access")
    for form in Page(page.text).forms:
        if form.has("grant"):
            assert Visitor(here, deployment.issuer).send(page, form, {}).status_code == 303
    assert asked(there, tokens) == {"active": False}
    refused = there.post("/token", data=refresh_of(tokens["refresh_token"]), auth=ASKING)
    assert refused.json()["error"] == "invalid_grant"


def test_a_user_who_was_disabled_is_out_at_once(there: httpx.Client, deployment: Deployment, tokens: dict[str, Any]) -> None:
    deployment.gatewright("users", "disable", "organizer@acme.test")
    assert asked(there, tokens) == {"active": False}
    deployment.gatewright("users", "enable", "organizer@acme.test")
    assert asked(there, tokens) == {"active": False}, "what was ended does not come back"


def test_a_role_that_was_lost_takes_its_scopes_along_at_once(
    here: httpx.Client, there: httpx.Client, deployment: Deployment, tokens: dict[str, Any]
) -> None:
    deployment.gatewright("users", "roles", "organizer@acme.test", "--account", "acme-dev", "Reader")
    assert asked(there, tokens)["scope"] == asked(here, tokens)["scope"] == "read:notes"
    renewed = there.post("/token", data=refresh_of(tokens["refresh_token"]), auth=ASKING).json()
    assert renewed["scope"].split() == ["openid", "read:notes"]


def test_a_token_that_was_revoked_is_dead_at_once(here: httpx.Client, there: httpx.Client, tokens: dict[str, Any]) -> None:
    assert here.post("/revoke", data={"token": tokens["access_token"]}, auth=ASKING).status_code == httpx.codes.OK
    assert asked(there, tokens) == {"active": False}


def test_two_nodes_that_refresh_at_once_give_the_same_refresh_token(nodes: Nodes, here: httpx.Client, there: httpx.Client) -> None:
    arrived = Visitor(here, nodes[0].deployment.issuer).authorize(request("own-app"))
    tokens = here.post("/token", data=exchange_of(arrived.params["code"]), auth=OWN).json()
    first, second = at_once(here, there, refresh_of(tokens["refresh_token"]))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["refresh_token"] == second.json()["refresh_token"] != tokens["refresh_token"]
    assert first.json()["access_token"] != second.json()["access_token"]


def test_two_nodes_that_exchange_a_code_at_once_sell_it_once(nodes: Nodes, here: httpx.Client, there: httpx.Client) -> None:
    code = Visitor(here, nodes[0].deployment.issuer).authorize(request("own-app")).params["code"]
    assert sorted(answer.status_code for answer in at_once(here, there, exchange_of(code))) == [200, 400]


def at_once(here: httpx.Client, there: httpx.Client, form: dict[str, str]) -> list[httpx.Response]:
    """Send the same to both token endpoints at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda http: http.post("/token", data=form, auth=OWN), (here, there)))
