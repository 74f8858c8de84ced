"""Every operation of the management API: what it takes from holders of JWTs is told to their APIs; a new one must say what it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from gatewright.management.table import BY_NAME, OPERATIONS
from tests.management.desk import Manager, at, managed, service
from tests.management.samples import BODIES, PLACES
from tests.support.crowd import EVENTS, START, Crowd
from tests.support.house import Answer, Node, open_nodes, sqlite_copy

# In the crowd's platform. An entry is one request; "" of a place is filled in by `_found`.
HERE: Final = {
    "client_id": "events-reader", "account": "acme-dev", "user": "ann@acme.test", "role": "Organizer", "scope": "view:events",
    "api": at(EVENTS), "app": "reporter", "install": "", "grant": "", "secret_id": "",
}  # fmt: skip
ROBOT: Final = {"account": "acme-prod", "user": "robot@service.acme.test"}
TAKES: Final[dict[str, list[tuple[dict[str, str], Any]]]] = {
    "apis.change": [({}, {"token": {"roles": False, "format": "jwt", "lifetime": "15m"}})],
    "scopes.change": [({"scope": "read:images"}, {"reach": "account"}), ({}, {"aliases": []})],
    "scopes.retire": [({}, None)],
    "roles.change": [({}, {"scopes": ["watch:events"]}), ({"role": "Chief"}, {"scopes": ["read:images"]})],
    "roles.retire": [({}, None)],
    "accounts.disable": [({}, None)],
    "accounts.delete": [({}, None)],
    "members.change": [({}, {"roles": []})],
    "members.end": [({}, None)],
    "service_users.disable": [(ROBOT, None)],
    "service_users.delete": [(ROBOT, None)],
    "users.disable": [({}, None)],
    "users.delete": [({}, None)],
    "users.set_password": [({}, {"password": "another password"})],
    "clients.change": [
        ({}, {"scopes": ["openid", "view:events"]}),
        ({}, {"roles": ["Participant"]}),
        ({"client_id": "try-it"}, {"demo_scopes": "marked"}),
        ({"client_id": "events-job"}, {"scopes": ["view:events"]}),
    ],
    "clients.disable": [({}, None), ({"client_id": "events-job"}, None)],
    "clients.secrets.leaked": [({}, {})],
    "apps.block": [({}, None)],
    "installs.end": [({}, None)],
    "installs.hand_over": [({}, {"user": "helper@service.acme.test"})],
    "account_apps.end": [({}, None)],
    "account_apps.hand_over": [({}, {"user": "helper@service.acme.test"})],
    "grants.end_all": [({}, {"user": "ann@acme.test"}), ({}, {"client": "events-reader"})],
    "grants.narrow_all": [
        ({}, {"user": "ann@acme.test", "scopes": ["view:events"]}),
        ({}, {"account": "acme-dev", "scopes": ["view:events"]}),
    ],
    "grants.narrow": [({}, {"scopes": ["view:events"]})],
    "grants.end": [({}, None)],
    "access.end_all": [({}, {})],
    "access.end": [({}, None)],
}
NOTHING: Final = {
    "tenant.change": "names, looks and lifetimes: what is out keeps its end",
    "domains.add": "nobody has anything of it yet",
    "domains.check": "it looks at DNS",
    "domains.change": "names and looks",
    "domains.remove": "no other domain's introspection knows its tokens: tests/http/test_told.py",
    "apis.create": "nobody has anything of it yet",
    "apis.disable": "its guard is no API any more: the feed ends, and the guard knows nothing within `max_away`",
    "apis.enable": "it gives",
    "scopes.create": "nobody has it yet",
    "scopes.rename": "the old name is understood until its alias is ended",
    "apis.secrets.create": "of the API itself",
    "apis.secrets.end": "of the API itself",
    "roles.create": "nobody has it yet",
    "accounts.create": "nobody is there yet",
    "accounts.change": "a name",
    "accounts.enable": "it gives",
    "members.add": "it gives",
    "service_users.create": "it has nothing yet",
    "service_users.enable": "it gives",
    "users.create": "it has nothing yet",
    "users.change": "what is told of the user",
    "users.enable": "it gives",
    "clients.create": "it has nothing yet",
    "clients.enable": "it gives",
    "clients.secrets.create": "what was bought with an older one goes on",
    "clients.secrets.end": "the same",
    "apps.create": "it has nothing yet",
    "apps.change": "its looks and where it is sent back to",
    "apps.publish": "who has it installed keeps what they had",
    "apps.withdraw": "the same",
    "apps.offer": "it gives",
    "apps.unblock": "it gives",
    "events.replay": "of events",
    "events.replay_given_up": "of events",
    "events.test": "of events",
    "events.enable": "of events",
    "events.secrets.create": "of events",
    "grants.shrink": "nothing is known to be unused here; where it is: tests/http/test_told.py",
    "keys.rotate": "what the old key signed is good",
    "keys.retire": "told by the key itself: tests/http/test_told.py",
}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A managed node."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        yield await managed(opened)


async def gathered(node: Node) -> tuple[Crowd, Manager]:
    """Everybody has tokens, and an admin may do anything."""
    crowd = await Crowd.gathered(node, START)
    node.time.pass_(61)
    assert await crowd.losers() == set()
    ops = await service(node)
    await ops.must("POST", "/accounts/acme-dev/service-users", {"email": "helper@service.acme.test", "roles": ["Organizer"]})
    return crowd, ops


async def _found(ops: Manager, name: str, crowd: Crowd, client: str) -> str:
    match name:
        case "install":
            return crowd.install
        case "grant":
            items = (await ops.must("GET", f"/grants?client={client}"))["items"]
            return str(next(one["id"] for one in items if "view:events" in one["scopes"]))
        case _:
            return str((await ops.must("GET", f"/clients/{client}/secrets"))["items"][0]["id"])


async def done(ops: Manager, name: str, crowd: Crowd, where: dict[str, str], body: Any) -> Answer:  # noqa: ANN401 - JSON
    """Do an operation."""
    operation = BY_NAME[name]
    places = {**PLACES, **HERE, **where}
    for place in operation.places:
        if not places[place]:
            places[place] = await _found(ops, place, crowd, places["client_id"])
    heads = {"if-match": "*"} if operation.careful else None
    answer = await ops.ask(operation.method, operation.path.format_map(places), body, heads)
    await ops.node.hear()
    return answer


def test_every_operation_that_changes_something_says_what_it_takes() -> None:
    changing = {operation.name for operation in OPERATIONS if operation.changes}
    assert changing == TAKES.keys() | NOTHING.keys()
    assert not TAKES.keys() & NOTHING.keys()
    assert all(NOTHING.values())


@pytest.mark.parametrize(("name", "which"), [(name, which) for name, cases in TAKES.items() for which in range(len(cases))])
async def test_what_an_operation_takes_is_told(node: Node, name: str, which: int) -> None:
    crowd, ops = await gathered(node)
    where, body = TAKES[name][which]
    answer = await done(ops, name, crowd, where, body)
    assert answer.status in (200, 204), answer
    assert await crowd.losers(), "it takes something"
    assert await crowd.untouched(), "not everybody is asked about"


async def test_what_takes_nothing_takes_nothing(node: Node) -> None:
    crowd, ops = await gathered(node)
    for name in NOTHING:
        if name in ("domains.remove", "apis.disable", "keys.retire"):
            continue
        await done(ops, name, crowd, {}, BODIES.get(name))
        assert await crowd.losers() == set(), name
        assert await crowd.untouched() == set(crowd.tokens), name
