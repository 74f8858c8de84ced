"""The SQL of tenants and domains, each statement beside the verb that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.audit.book import Act
from gatewright.audit.deed import TENANT_KIND, Deed, Refused
from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.base.change import sides
from gatewright.endings.book import narrowed
from gatewright.endings.records import Lost, Narrowing
from gatewright.oauth.issuer import PathPreset, Policy
from gatewright.store import Query
from gatewright.tenants.records import DomainKind, DomainRow, Look, ReleasedRow, TenantRow
from gatewright.tenants.rules import Origin, is_loopback, name_of

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

BY_SLUG: Final = Query(TenantRow, "SELECT id, slug, name, paths, brand, policy, created_at, disabled_at FROM tenant WHERE slug = :slug")
BY_ID: Final = Query(TenantRow, "SELECT id, slug, name, paths, brand, policy, created_at, disabled_at FROM tenant WHERE id = :id")
EVERY: Final = Query(
    TenantRow, "SELECT id, slug, name, paths, brand, policy, created_at, disabled_at FROM tenant WHERE id > :after ORDER BY id LIMIT :count"
)
DOMAINS: Final = Query(
    DomainRow,
    "SELECT id, tenant, origin, host, position, kind, name, look FROM domain WHERE tenant = :tenant ORDER BY kind DESC, position, id",
)
DOMAIN_OF_HOST: Final = Query(DomainRow, "SELECT id, tenant, origin, host, position, kind, name, look FROM domain WHERE host = :host")
RELEASED: Final = Query(ReleasedRow, "SELECT host, tenant, origin, released_at FROM released_domain WHERE host = :host")
_MAKE: Final = Query(
    None,
    """INSERT INTO tenant (id, slug, name, paths, brand, policy, created_at) VALUES (:id, :slug, :name, :paths, :brand, :policy, :now)""",
)
_CHANGE: Final = Query(None, "UPDATE tenant SET name = :name, paths = :paths, brand = :brand, policy = :policy WHERE id = :id")
_ADD_DOMAIN: Final = Query(
    None,
    """INSERT INTO domain (id, tenant, origin, host, position, created_at, kind)
       VALUES (:id, :tenant, :origin, :host, :position, :now, :kind)""",
)
_CHANGE_DOMAIN: Final = Query(None, "UPDATE domain SET name = :name, look = :look WHERE id = :id AND tenant = :tenant")
_PLACE_DOMAIN: Final = Query(None, "UPDATE domain SET position = :position WHERE id = :id AND tenant = :tenant")
# A claim is over once the operator has said whose the domain is.
_DROP_CLAIM: Final = Query(None, "DELETE FROM domain_claim WHERE tenant = :tenant AND host = :host")
_REMOVE_DOMAIN: Final = Query(None, "DELETE FROM domain WHERE id = :id AND tenant = :tenant")
_RELEASE: Final = Query(
    None,
    """INSERT INTO released_domain (host, tenant, origin, released_at) VALUES (:host, :tenant, :origin, :now)
       ON CONFLICT (host) DO UPDATE SET tenant = excluded.tenant, origin = excluded.origin, released_at = excluded.released_at""",
)
_TAKE_BACK: Final = Query(None, "DELETE FROM released_domain WHERE host = :host")


DEFAULT_POLICY: Final = Policy()


async def tenant_named(store: Store | Tx, slug: str) -> TenantRow | None:
    """Return a tenant by its slug."""
    return await store.one(BY_SLUG, slug=slug)


async def make_tenant(deed: Deed, slug: str, name: str, paths: tuple[PathPreset, ...], look: Look, rules: Policy = DEFAULT_POLICY) -> None:
    """Make the tenant that the deed is for."""
    document = msgspec.json.encode(look).decode()
    policy = msgspec.json.encode(rules).decode()
    await deed.tx.do(_MAKE, id=deed.tenant, slug=slug, name=name, paths=" ".join(paths), brand=document, policy=policy, now=deed.at.now)
    await deed.note(Act.TENANT_MADE, ids.show(ids.TENANT, deed.tenant), slug=slug, name=name)


async def change_tenant(deed: Deed, name: str, paths: tuple[PathPreset, ...], look: Look, rules: Policy) -> None:
    """Set what an admin may change of a tenant, domains aside."""
    row = await deed.tx.one(BY_ID, id=deed.tenant)
    old = {} if row is None else _told(row.name, row.presets, row.look, row.rules)
    brand, policy = msgspec.json.encode(look).decode(), msgspec.json.encode(rules).decode()
    await deed.tx.do(_CHANGE, id=deed.tenant, name=name, paths=" ".join(paths), brand=brand, policy=policy)
    await deed.note(Act.TENANT_CHANGED, ids.show(ids.TENANT, deed.tenant), name=name, **sides(old, _told(name, paths, look, rules)))
    await deed.announce(TENANT_KIND)


def _told(name: str, paths: tuple[PathPreset, ...], look: Look, rules: Policy) -> dict[str, object]:
    return {"name": name, "paths": list(paths), **msgspec.to_builtins(look), "scopes_policy": rules.scopes_policy}


async def add_domain(deed: Deed, origin: Origin, position: int, *, kind: DomainKind = "issuer", proved: bool = False) -> int:
    """Make an origin an issuer of the tenant, or a host of its API, and return its id.

    Without a proof in the domain name system it is the operator's word.

    Raises:
        Refused: a tenant has this host already, or gave it up a short while ago.
    """
    taken = await deed.tx.one(DOMAIN_OF_HOST, host=origin.host)
    if taken is not None:
        raise Refused(f"the domain {origin.url} belongs to {'this tenant' if taken.tenant == deed.tenant else 'another tenant'} already")
    # Asked second, so that what is released between the two questions is seen by one of them.
    sentence = await release_fault(deed, origin.host)
    if sentence is not None:
        raise Refused(f"the domain {origin.url} {sentence}; `gatewright domains free {origin.host}` lets it go earlier")
    await deed.tx.do(_TAKE_BACK, host=origin.host)
    number = deed.at.id()
    await deed.tx.do(
        _ADD_DOMAIN,
        id=number,
        tenant=deed.tenant,
        origin=origin.url,
        host=origin.host,
        position=position,
        now=deed.at.now,
        kind=kind,
    )
    if not proved:
        await deed.tx.do(_DROP_CLAIM, tenant=deed.tenant, host=origin.host)
    await deed.note(Act.DOMAIN_ADDED, origin.url, kind=kind, verified_by="txt" if proved else "operator")
    await deed.announce(TENANT_KIND)
    return number


async def place_domain(deed: Deed, domain: DomainRow, position: int) -> None:
    """Move a domain in the order of the tenant's domains."""
    await deed.tx.do(_PLACE_DOMAIN, id=domain.id, tenant=deed.tenant, position=position)
    await deed.announce(TENANT_KIND)


async def change_domain(deed: Deed, number: int, origin: str, name: str, look: Look) -> None:
    """Set what of a domain differs from its tenant: its name, and how its pages look."""
    document = "" if look == Look() else msgspec.json.encode(look).decode()
    await deed.tx.do(_CHANGE_DOMAIN, id=number, tenant=deed.tenant, name=name, look=document)
    await deed.note(Act.DOMAIN_CHANGED, origin, name=name)
    await deed.announce(TENANT_KIND)


async def remove_domain(deed: Deed, domain: DomainRow) -> None:
    """Stop answering at a domain; what was issued there is refused everywhere from now on, and no other tenant may have it for a while."""
    await deed.tx.do(_REMOVE_DOMAIN, id=domain.id, tenant=deed.tenant)
    if held_when_released(domain.host):
        await deed.tx.do(_RELEASE, host=domain.host, tenant=deed.tenant, origin=domain.origin, now=deed.at.now)
    await narrowed(deed.tx, deed.at, Narrowing(tenant=deed.tenant, lost=Lost(iss=domain.origin)))
    await deed.note(Act.DOMAIN_REMOVED, domain.origin)
    await deed.announce(TENANT_KIND)


def held_when_released(host: str) -> bool:
    """Tell whether a domain is kept from other tenants once it is released; this machine itself is nobody's."""
    return not is_loopback(name_of(host))


async def release_fault(deed: Deed, host: str) -> str | None:
    """Return why a host that another tenant gave up cannot be taken yet, or None."""
    released = await deed.tx.one(RELEASED, host=host)
    if released is None or not released.kept_from(deed.tenant, deed.at.now):
        return None
    return f"was another tenant's until {day(released.released_at)} and may go to nobody else before {day(released.held_until)}"


async def free(deed: Deed, host: str) -> bool:
    """Let a host that was given up go to another tenant at once; tell whether it was kept back."""
    if not await deed.tx.do(_TAKE_BACK, host=host):
        return False
    await deed.note(Act.DOMAIN_FREED, host)
    return True
