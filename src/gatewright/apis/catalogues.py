"""The catalogues of many tenants, from a bounded memory of at most a second's age. Its half of the port `Directory`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.apis.book import ApiRow, Naming, RoleRow, ScopeRow, apis_of, namings_of, roles_of, scopes_of
from gatewright.audit.deed import API_KIND, CATALOGUE_KIND
from gatewright.base.kept import Kept
from gatewright.oauth.catalogue import Api, ApiSecret, Catalogue, Role, Scope, ids_of
from gatewright.tenants import credentials

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.store import Store

LIMIT: Final = 2000
_texts: Final = msgspec.json.Decoder(dict[str, str]).decode


class Catalogues:
    """What each tenant defines, and its APIs' secrets."""

    def __init__(self, store: Store, clock: Clock, fresh: Callable[[], bool], limit: int = LIMIT) -> None:
        self._store = store
        self._clock = clock
        self._catalogues: Kept[int, Catalogue] = Kept(self._load, limit=limit, fresh=fresh)
        self._secrets: Kept[tuple[int, int], tuple[ApiSecret, ...]] = Kept(self._load_secrets, limit=limit, fresh=fresh)

    async def get(self, tenant: int) -> Catalogue:
        """Return a tenant's APIs, scopes and roles."""
        found = await self._catalogues.get(tenant)
        assert found is not None  # noqa: S101 - a tenant that defines nothing has an empty catalogue
        if found.until is not None and found.until <= self._clock.moment().now:
            # A scope has retired since this was read: nobody changed anything, so nobody told.
            self._catalogues.forget(tenant)
            return await self._load(tenant)
        return found

    async def api_credentials(self, tenant: int, number: int) -> tuple[ApiSecret, ...]:
        """Return an API's secrets that nobody ended; one that was live when they were read may have run out since."""
        return await self._secrets.get((tenant, number)) or ()

    def changed(self, kind: str, tenant: int, subject: int) -> None:
        """Hear that something was changed, here or elsewhere."""
        if kind == CATALOGUE_KIND:
            self._catalogues.forget(tenant)
        elif kind == API_KIND:
            self._secrets.forget((tenant, subject))

    def forget_all(self) -> None:
        """Read everything anew: changes were missed."""
        self._catalogues.forget_all()
        self._secrets.forget_all()

    async def _load(self, tenant: int) -> Catalogue:
        store, now = self._store, self._clock.moment().now
        apis, scopes, roles = await apis_of(store, tenant), await scopes_of(store, tenant), await roles_of(store, tenant)
        return catalogue_of(apis, scopes, roles, await namings_of(store, tenant), now)

    async def _load_secrets(self, holder: tuple[int, int]) -> tuple[ApiSecret, ...]:
        rows = await credentials.live(self._store, *holder, self._clock.moment().now)
        return tuple([ApiSecret(row.digest, row.expires_at) for row in rows if row.method == "sha256"])


def catalogue_of(apis: list[ApiRow], scopes: list[ScopeRow], roles: list[RoleRow], names: list[Naming], now: int) -> Catalogue:
    """Return what rows amount to at a moment."""
    own = {row.id: row.name for row in scopes}
    aliases: dict[int, list[str]] = {}
    for naming in names:
        if naming.ended_at is None and naming.name != own.get(naming.scope):
            aliases.setdefault(naming.scope, []).append(naming.name)
    retired = [name for row in scopes if row.over(now) for name in (row.name, *aliases.get(row.id, ()))]
    return Catalogue(
        [_api(row) for row in apis],
        [_scope(row, aliases.get(row.id, [])) for row in scopes if not row.over(now)],
        [_role(row) for row in roles if row.retired_at is None],
        retired=frozenset(retired),
    )


def _api(row: ApiRow) -> Api:
    return msgspec.convert(
        {
            "id": row.id,
            "audience": row.audience,
            "name": row.name,
            "roles": row.roles,
            "token_format": row.token_format,
            "token_lifetime": row.token_lifetime,
            "token_alg": row.token_alg,
            "disabled": row.disabled_at is not None,
            "jwt_until": row.jwt_until,
            "routes": row.table,
            "verify_max_age": row.verify_max_age,
            "usage": row.usage == 1,
            "names_roles": row.names_roles == 1,
        },
        Api,
    )


def _scope(row: ScopeRow, aliases: list[str]) -> Scope:
    document = {"id": row.id, "name": row.name, "api": row.api, "text": row.text, "risk": row.risk, "reach": row.reach}
    flags = {"place": row.place, "demo": bool(row.demo), "cleanup": row.cleanup == 1}
    texts = sorted(_texts(row.texts).items())
    more = {"implies": sorted(ids_of(row.implies)), "texts": texts, "aliases": aliases, "retires_at": row.retires_at}
    return msgspec.convert({**document, **more, **flags, "made_at": row.created_at}, Scope)


def _role(row: RoleRow) -> Role:
    return Role(row.id, row.name, ids_of(row.scopes))
