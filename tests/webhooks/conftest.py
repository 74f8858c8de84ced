"""A tenant over the product's own schema on each engine, with an app that listens."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatewright.audit.deed import Deed
from gatewright.oauth.client import Client
from gatewright.store import Store, Tx
from gatewright.webhooks import book
from tests.support import builders as b
from tests.support.engines import engine, nodes, postgres_server, schema, store, templates, url
from tests.support.world import Playground, secret_of

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]

URL = "https://app.example/events"


@pytest.fixture
async def ground(store: Store) -> Playground:
    """A tenant with a person, over the engine's store."""
    return await Playground(store).furnish()


@pytest.fixture
async def app(ground: Playground) -> Client:
    """A client that is told of what happens."""
    return await listening(ground)


async def listening(ground: Playground, url: str = URL, number: int = b.CLIENT, name: str = "budget-buddy") -> Client:
    """Register a client, and have its events sent to an address."""
    made = b.a_client(number, secrets=(secret_of(1),))
    made = await ground.add(replace(made, client_id=name))

    async def follow(tx: Tx) -> None:
        await book.follow(Deed(tx, ground.clock.moment(), b.TENANT, "os:test"), number, name, None, url)

    await ground.store.run(follow)
    return made
