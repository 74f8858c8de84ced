"""Whole or not at all: a crash at any statement of any act leaves everything as it was, its audit entry and its kept answer too."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.base.operation import Operation
from gatewright.clients.book import change_client, client_named
from gatewright.management.errand import Caller
from gatewright.management.perform import Asked, Office, perform
from gatewright.management.table import OPERATIONS
from gatewright.store import SCHEMA, Query
from gatewright.webhooks import book
from tests.management.desk import administration
from tests.management.idle import idle_grant
from tests.management.samples import BODIES, PLACES
from tests.support import apps
from tests.support.crash import crash_everywhere
from tests.support.house import Node, basic

CHANGES = [operation for operation in OPERATIONS if operation.changes and not operation.alone]


@cache
def rows_of(table: str, columns: str) -> Query[str]:
    """All rows of a table as one text."""
    row = " || '|' || ".join(f"COALESCE(CAST({column} AS TEXT), '-')" for column in columns.split())
    return Query(str, f"SELECT {row} FROM {table} ORDER BY 1")  # noqa: S608 - our own words


COLUMNS = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
DROPPED = re.compile(r"^DROP TABLE (\w+)", re.MULTILINE)
ADDED = re.compile(r"^ALTER TABLE (\w+) ADD (?:COLUMN )?(\w+)", re.MULTILINE)


@cache
def tables() -> dict[str, str]:
    """The tables with their columns, as the schema says."""
    found: dict[str, str] = {}
    for file in sorted(SCHEMA.glob("*.sql")):
        text = file.read_text()
        found |= {table: " ".join(line.split()[0] for line in body.strip().splitlines()) for table, body in COLUMNS.findall(text)}
        for table, column in ADDED.findall(text):
            found[table] += f" {column}"
        for table in DROPPED.findall(text):
            del found[table]
    return found


async def dump(node: Node) -> dict[str, list[str]]:
    """Everything that is in the store."""
    return {table: await node.house.store.all(rows_of(table, columns)) for table, columns in tables().items()}


async def grant_of(node: Node) -> tuple[str, str]:
    """A live grant, for an account."""
    await node.post("/token", {"grant_type": "client_credentials", "scope": "read:reports"}, basic("night-job"))
    office = await office_of(node)
    page = await perform(next(one for one in OPERATIONS if one.name == "grants.list"), Asked(where={"client": "night-job"}), office)
    return page.value[0].id, "acme-prod"


async def office_of(node: Node) -> Office:
    """Where the operator works; answers are kept as over HTTP."""
    house = node.house
    return Office(house.store, house.clock.moment(), await node.tenant(), Caller(actor="os:tester"), house, house.vault)


async def secret_of(node: Node, kind: str, place: dict[str, str]) -> str:
    """A live secret."""
    listing = next(one for one in OPERATIONS if one.name == f"{kind}.secrets.list")
    where = {name: place[name] for name in listing.places}
    return str((await perform(listing, Asked(where=where), await office_of(node))).value[0].id)


async def market_of(node: Node, operation: Operation, places: dict[str, str]) -> dict[str, object] | None:
    """Make what an operation on an app or an install is about; the body where the usual one would change nothing."""
    if not {"app", "install"}.intersection(operation.places):
        return None
    await apps.add_app(node)
    first = {"apps.offer": "apps.withdraw", "apps.unblock": "apps.block"}.get(operation.name)
    if first is not None:
        await perform(next(one for one in OPERATIONS if one.name == first), Asked(where={"app": places["app"]}), await office_of(node))
    if "install" in operation.places:
        places["install"] = (await apps.installed(node, await apps.signed_in(node), places["account"]))["install_id"]
    return {"redirect_match": "subpath", "developer": "ben@acme.test"} if operation.name == "apps.change" else None


_GIVEN_UP = Query(None, "UPDATE webhook_event SET state = 'given_up', next_at = NULL")
_GONE = Query(None, "UPDATE webhook_endpoint SET disabled_at = 1, disabled_because = 'gone'")


async def events_of(node: Node, operation: Operation, places: dict[str, str]) -> None:
    """Let the client have what an operation on events is about: an address, an event that was given up, or one that is gone."""
    if not operation.name.startswith("events."):
        return

    async def unit(deed: Deed) -> None:
        row = await client_named(deed.tx, deed.tenant, places["client_id"])
        assert row is not None
        await change_client(deed, row, replace(row.terms, event_url="https://copier.example/events"))
        await book.test(deed, row.id, row.client_id)
        (event,) = await deed.tx.all(book.LIST, client=row.id, tenant=deed.tenant, state="", type="", before=book.NEWEST, count=1)
        places["event"] = ids.show(ids.EVENT, event.id)
        await deed.tx.do(_GONE if operation.name == "events.enable" else _GIVEN_UP)

    await node.manage(await node.tenant(), unit)


@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.name)
async def test_a_crash_anywhere_leaves_everything_as_it_was(both: Node, operation: Operation) -> None:
    if operation.name == "domains.check":
        pytest.skip("it asks a name server: tests/platform/test_claims.py crashes its unit")
    places = {**PLACES, "api": "https://bank.acme.test"}
    body = BODIES.get(operation.name)
    if "grant" in operation.places:
        places["grant"], places["account"] = await grant_of(both)
        body = {"scopes": ["read:reports"]} if operation.name == "grants.narrow" else body
    body = await market_of(both, operation, places) or body
    await events_of(both, operation, places)
    if operation.name == "grants.shrink":
        await idle_grant(both)
    if "secret_id" in operation.places:
        places["secret_id"] = await secret_of(both, operation.name.partition(".")[0], places)
    if operation.name in ("users.set_password", "members.end"):
        places |= {"user": "ben@acme.test"}
    where = {name: places[name] for name in operation.places}
    asked = Asked(where=where, body=body, if_match=("*",), key="the same key" if operation.method == "POST" else "")
    office = await office_of(both)
    before = await dump(both)

    async def act(store: Any) -> object:  # noqa: ANN401 - a store that crashes
        return await perform(operation, asked, Office(store, office.at, office.tenant, office.caller, office.tools, office.vault))

    async def check(n: int) -> None:
        assert await dump(both) == before, f"something was left behind by a crash at statement {n}"

    _, crashes = await crash_everywhere(both.house.store, act, check)
    assert crashes > 1
    if operation.name not in ("grants.narrow", "clients.enable", "apis.enable", "accounts.enable", "users.enable", "service_users.enable"):
        assert await dump(both) != before


async def test_a_tenants_admin_sees_and_reaches_nothing_of_another(both: Node) -> None:
    from tests.management.desk import GLOBEX, Manager, service

    ops = await service(both)
    await both.apply(administration("globex", '["https://id.globex.test"]').replace('"globex-dev"', '"globex-hq"').replace("ann@", "anna@"))
    form = {"grant_type": "client_credentials", "scope": "gw:users:read gw:clients:read gw:audit:read gw:users:write"}
    token = (await both.post("/token", form, basic("ops", "gws_the-secret-of-every-client-of-one-tenant"), host=GLOBEX)).json[
        "access_token"
    ]
    theirs = Manager(both, token, GLOBEX)
    for path in ("/users", "/clients", "/audit"):
        ours, foreign = (await ops.must("GET", f"{path}?count=1000"))["items"], (await theirs.must("GET", f"{path}?count=1000"))["items"]
        ids = {str(one.get("id", one.get("created_at"))) for one in ours}
        assert not ids & {str(one["id"]) for one in foreign if "id" in one}
    user = (await ops.must("GET", "/users?email=ann@acme.test"))["items"][0]["id"]
    assert (await theirs.problem("GET", f"/users/{user}"))["status"] == 404
    assert (await theirs.problem("POST", f"/users/{user}/disable"))["status"] == 404
    key = {"idempotency-key": "one-and-the-same"}
    await ops.must("POST", "/clients/image-copier/secrets", {}, key)
    assert (await theirs.problem("POST", "/clients/image-copier/secrets", {}, key))["status"] == 403, "the key is each tenant's own"
