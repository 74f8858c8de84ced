"""What the verify address lets pass is use of the scopes that decided it, where that is kept of the API, and of nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatewright.ledger.scope_use import uses_of
from gatewright.store import Query
from tests.http.talk import tokens
from tests.http.test_verify import ROUTES, asked
from tests.support.house import Node, bearer, open_nodes, sqlite_copy

KEPT = ROUTES.replace('name = "Acme Bank"', 'name = "Acme Bank"\nusage = true')


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Node]:
    """A node whose bank has a table of routes, and of which use is kept."""
    async with open_nodes(sqlite_copy(tmp_path)) as (opened,):
        await opened.apply(KEPT)
        yield opened


async def used(node: Node) -> set[str]:
    """The names of the scopes whose use is known."""
    await node.house.uses.scopes.flush(node.house.store)
    grants = await node.house.store.all(Query(int, "SELECT id FROM consent_grant"))
    catalogue = await node.house.world.directory.catalogue(await node.tenant())
    found = await uses_of(node.house.store, await node.tenant(), grants)
    return {catalogue.scopes[number].name for days in found.values() for number in days}


async def test_what_a_call_needed_is_used_and_what_its_token_has_besides_is_not(shop: Node) -> None:
    token = (await tokens(shop, "openid read:balance transfer:funds"))["access_token"]
    assert (await asked(shop, "/acme-dev/balance", bearer(token))).status == 200
    assert await used(shop) == {"read:balance"}
    assert (await asked(shop, "/both", bearer(token))).status == 200
    assert await used(shop) == {"read:balance", "transfer:funds"}


async def test_of_alternatives_the_first_that_the_token_has_is_used(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    assert (await asked(shop, "/any", bearer(token))).status == 200
    assert await used(shop) == {"read:balance"}


async def test_what_is_refused_or_open_or_needs_no_scope_is_no_use(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    for target, status in (("/both", 403), ("/other/balance", 403), ("/nowhere", 403), ("/health", 200), ("/me", 200)):
        assert (await asked(shop, target, bearer(token))).status == status, target
    assert (await asked(shop, "/acme-dev/balance")).status == 401
    assert await used(shop) == set()
    assert await shop.number("SELECT count(*) FROM usage_report") == 1, "that it was asked about is known all the same"


async def test_nothing_is_kept_where_it_is_not_switched_on(shop: Node) -> None:
    token = (await tokens(shop))["access_token"]
    await shop.apply(ROUTES.replace('name = "Acme Bank"', 'name = "Acme Bank"\nusage = false'))
    await shop.hear()
    assert (await asked(shop, "/acme-dev/balance", bearer(token))).status == 200
    assert await used(shop) == set()
    assert await shop.number("SELECT count(*) FROM usage_report") == 0


async def test_who_is_no_api_is_not_counted_as_asking(shop: Node) -> None:
    assert (await asked(shop, "/health", by=("gatewright-api", "Basic d3Jvbmc6d3Jvbmc="))).status == 403
    assert await used(shop) == set()
    assert await shop.number("SELECT count(*) FROM usage_report") == 0
