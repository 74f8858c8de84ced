"""What the token path asks of the rooms: bounded, fresh, and no dearer for ten thousand tenants."""

from collections.abc import Awaitable, Callable

import msgspec

from gatewright.apis.catalogues import Catalogues
from gatewright.audit.deed import API_KIND, CATALOGUE_KIND, CLIENT_KIND, TENANT_KIND
from gatewright.clients.registry import Registry
from gatewright.oauth.client import ClientSettings
from gatewright.store import Query, Store, Tx
from gatewright.store.changes import Change, ChangeFeed
from gatewright.tenants.sites import Sites
from tests.platform.played import SMALL, Played

CHANGES = Query(Change, "SELECT seq, tenant, kind, subject, at FROM change ORDER BY seq")
Nodes = Callable[[], Awaitable[Store]]

MANY_TENANTS = Query(
    None,
    """INSERT INTO tenant (id, slug, name, paths, brand, policy, created_at)
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       SELECT i, 't' || i, 'T', 'standard', '{}', '{}', 0 FROM n""",
)
MANY_DOMAINS = Query(
    None,
    """INSERT INTO domain (id, tenant, origin, host, position, created_at)
       SELECT id, id, 'https://' || slug || '.test', slug || '.test', 0, 0 FROM tenant""",
)
MANY_CLIENTS = Query(
    None,
    """INSERT INTO client (id, tenant, client_id, settings, epoch, created_at, changed_at)
       WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
       SELECT 100000 + t.id * 10 + n.i, t.id, 'client-' || n.i, :settings, 0, 0, 0 FROM tenant t CROSS JOIN n""",
)


async def hear(store: Store, *rooms: Sites | Catalogues | Registry) -> None:
    """Have every change so far told to the rooms."""
    for change in await store.all(CHANGES):
        for room in rooms:
            room.changed(change.kind, change.tenant, change.subject)


async def test_a_kept_answer_costs_no_read(played: Played) -> None:
    await played.apply(SMALL)
    tenant = await played.tenant()
    sites, catalogues = Sites(played.store, lambda: True), Catalogues(played.store, played.clock, lambda: True)
    registry = Registry(played.store, lambda: True)

    async def ask() -> None:
        assert await sites.find(b"id.acme.test") is not None
        client = await registry.client(tenant, "web")
        assert client is not None
        assert await registry.client_by_row(tenant, client.id) is client
        api = next(iter((await catalogues.get(tenant)).apis))
        assert await catalogues.api_credentials(tenant, api) == ()

    await ask()
    before = (played.store.counts.reads, played.store.counts.listings)
    await ask()
    assert (played.store.counts.reads, played.store.counts.listings) == before
    # Loading a tenant costs a handful of statements, whatever it defines.
    assert sum(before) <= 20


async def test_every_management_write_is_heard(played: Played) -> None:
    await played.apply(SMALL)
    tenant = await played.tenant()
    sites, catalogues = Sites(played.store, lambda: True), Catalogues(played.store, played.clock, lambda: True)
    registry = Registry(played.store, lambda: True)
    assert await sites.find(b"id.acme.test") is not None
    assert (await sites.look(tenant)).color is None
    client = await registry.client(tenant, "web")
    assert client is not None
    catalogue = await catalogues.get(tenant)
    api = next(iter(catalogue.apis))
    assert await catalogues.api_credentials(tenant, api) == ()
    played.environ["API"] = "x" * 40
    text = SMALL.replace('name = "Acme"', 'name = "New"\nbrand = { color = "#123456" }').replace('"Read a"', '"Reads a"')
    text = text.replace('client_name = "Web"', 'client_name = "Wob"').replace('name = "API"', 'name = "API"\nsecret = { env = "API" }')
    await played.apply(text)
    issuer = await sites.find(b"id.acme.test")
    assert issuer is not None
    assert issuer.name == "Acme"
    assert await registry.client(tenant, "web") is client
    await hear(played.store, sites, catalogues, registry)
    renamed = await sites.find(b"id.acme.test")
    assert renamed is not None
    assert renamed.name == "New"
    assert (await sites.look(tenant)).color == "#123456"
    found = await registry.client(tenant, "web")
    assert found is not None
    assert found.settings.client_name == "Wob"
    assert (await catalogues.get(tenant)).scopes_by_name["read:a"].text == "Reads a"
    assert len(await catalogues.api_credentials(tenant, api)) == 1
    kinds = {change.kind for change in await played.store.all(CHANGES)}
    assert kinds == {TENANT_KIND, CATALOGUE_KIND, CLIENT_KIND, API_KIND}


async def test_the_rooms_of_another_node_hear_of_a_change(played: Played, nodes: Nodes) -> None:
    await played.apply(SMALL)
    tenant, other = await played.tenant(), await nodes()
    feed = ChangeFeed(other)
    registry = Registry(other, lambda: feed.fresh)
    feed.on_change(lambda change: registry.changed(change.kind, change.tenant, change.subject))
    await feed.start()
    try:
        assert await registry.client(tenant, "web") is not None
        await played.apply(SMALL.replace('client_name = "Web"', 'client_name = "Wob"'))
        await feed.look()
        found = await registry.client(tenant, "web")
        assert found is not None
        assert found.settings.client_name == "Wob"
    finally:
        await feed.close()


async def test_unknown_hosts_and_clients_are_not_remembered(played: Played) -> None:
    sites, registry = Sites(played.store, lambda: True), Registry(played.store, lambda: True)
    assert await sites.find(b"id.acme.test") is None
    assert await registry.client(1, "web") is None
    await played.apply(SMALL)
    tenant = await played.tenant()
    assert await sites.find(b"id.acme.test") is not None
    assert await registry.client(tenant, "web") is not None
    assert await registry.client(tenant + 1, "web") is None
    for name in ("", "\0", "x" * 5000, "wéb", "\ud800"):
        assert await registry.client(tenant, name) is None


async def test_a_disabled_tenant_answers_nowhere(played: Played) -> None:
    await played.apply(SMALL)
    await played.store.verb(Query(None, "UPDATE tenant SET disabled_at = 1"))
    assert await Sites(played.store, lambda: True).find(b"id.acme.test") is None


async def test_ten_thousand_tenants_cost_no_more_memory_than_the_bounds(played: Played) -> None:
    settings = msgspec.json.encode(ClientSettings(client_name="C")).decode()

    async def fill(tx: Tx) -> None:
        await tx.do(MANY_TENANTS)
        await tx.do(MANY_DOMAINS)
        await tx.do(MANY_CLIENTS, settings=settings)

    await played.store.run(fill)
    sites, registry = Sites(played.store, lambda: True, limit=50), Registry(played.store, lambda: True, limit=50)
    for number in range(1, 10_001, 40):
        assert await sites.find(f"t{number}.test".encode()) is not None
        client = await registry.client(number, "client-7")
        assert client is not None
        assert client.tenant == number
    assert (len(sites), len(registry)) == (50, 50)
