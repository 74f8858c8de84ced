"""Which issuer is asked, or which host of a tenant's API? Found by the Host of a request, from a bounded memory of a second's age."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.audit.deed import TENANT_KIND
from gatewright.base.kept import Kept
from gatewright.oauth.issuer import ApiHost, Issuer, PathPreset, Policy
from gatewright.store import Query
from gatewright.tenants.book import BY_ID
from gatewright.tenants.records import DomainKind, Look
from gatewright.tenants.rules import host_key

if TYPE_CHECKING:
    from gatewright.store import Store

LIMIT: Final = 2000  # a host with a thousand path presets is no bigger than one with one, so this bounds bytes as well

Site = Issuer | ApiHost


class _Found(Struct, frozen=True):
    tenant: int
    origin: str
    host: str
    name: str
    paths: str
    policy: str
    kind: DomainKind
    domain_name: str


_SITE: Final = Query(
    _Found,
    """SELECT d.tenant, d.origin, d.host, t.name, t.paths, t.policy, d.kind, d.name
         FROM domain d JOIN tenant t ON t.id = d.tenant
        WHERE d.host = :host AND t.disabled_at IS NULL""",
)
_ISSUERS: Final = Query(
    _Found,
    """SELECT d.tenant, d.origin, d.host, t.name, t.paths, t.policy, d.kind, d.name
         FROM domain d JOIN tenant t ON t.id = d.tenant
        WHERE d.tenant = :tenant AND d.kind = 'issuer' AND t.disabled_at IS NULL ORDER BY d.position, d.id""",
)
_OWN_LOOK: Final = Query(str, "SELECT look FROM domain WHERE tenant = :tenant AND host = :host")


class Sites:
    """The hosts of a deployment. One that nobody has is looked for each time, so that a new domain answers at once."""

    def __init__(self, store: Store, fresh: Callable[[], bool], limit: int = LIMIT) -> None:
        self._store = store
        self._sites: Kept[str, Site] = Kept(self._load, limit=limit, fresh=fresh)
        self._looks: Kept[tuple[int, str], Look] = Kept(self._load_look, limit=limit, fresh=fresh)
        self._keys: dict[bytes, str | None] = {}

    async def at(self, host_header: bytes) -> Site | None:
        """Return what answers under a Host header, or None when no tenant has that host."""
        key = self._keys.get(host_header)
        if key is None:
            key = host_key(host_header)
            if key is None:
                return None
        found = await self._sites.get(key)
        if found is not None and host_header not in self._keys:
            self._remember(host_header, key)
        return found

    async def find(self, host_header: bytes) -> Issuer | None:
        """Return the issuer that answers under a Host header, or None when none does."""
        found = await self.at(host_header)
        return found if isinstance(found, Issuer) else None

    async def look(self, tenant: int, host: str = "") -> Look:
        """Return how the pages of a tenant's domain look: as the tenant's do, except for what is the domain's own."""
        return await self._looks.get((tenant, host)) or Look()

    def changed(self, kind: str, tenant: int, subject: int) -> None:
        """Hear that something was changed, here or elsewhere."""
        if kind == TENANT_KIND:
            self._sites.forget_where(lambda _, site: site.tenant == tenant)
            self._looks.forget_where(lambda place, _: place[0] == tenant)

    def __len__(self) -> int:
        return len(self._sites)

    def forget_all(self) -> None:
        """Read everything anew: changes were missed."""
        self._sites.forget_all()
        self._looks.forget_all()

    def _remember(self, header: bytes, key: str) -> None:
        # Spellings of hosts that exist; whoever sends a thousand spellings of one host only makes the list start anew.
        if len(self._keys) >= 2 * LIMIT:
            self._keys.clear()
        self._keys[header] = key

    async def _load(self, host: str) -> Site | None:
        found = await self._store.one(_SITE, host=host)
        if found is None:
            return None
        if found.kind == "issuer":
            return _issuer(found)
        issuers = tuple([_issuer(one) for one in await self._store.all(_ISSUERS, tenant=found.tenant)])
        return ApiHost(url=found.origin, tenant=found.tenant, host=found.host, issuers=issuers, name=found.name)

    async def _load_look(self, place: tuple[int, str]) -> Look | None:
        tenant, host = place
        row = await self._store.one(BY_ID, id=tenant)
        own = await self._store.one(_OWN_LOOK, tenant=tenant, host=host) if host else None
        if row is None or not own:
            return None if row is None else row.look
        return msgspec.convert({**msgspec.to_builtins(row.look), **msgspec.json.decode(own)}, Look)


def _issuer(found: _Found) -> Issuer:
    return Issuer(
        url=found.origin,
        tenant=found.tenant,
        host=found.host,
        policy=msgspec.json.decode(found.policy, type=Policy),
        paths=msgspec.convert(found.paths.split(), tuple[PathPreset, ...]),
        name=found.domain_name or found.name,
    )
