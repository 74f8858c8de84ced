"""The SQL of APIs, scopes and roles, each statement beside the act that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from gatewright.apis import losing
from gatewright.audit.book import Act
from gatewright.audit.deed import CATALOGUE_KIND, Deed
from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.base.change import sides
from gatewright.endings.book import narrowed
from gatewright.endings.records import Lost, Narrowing
from gatewright.ledger import narrowing, scope_use
from gatewright.oauth.catalogue import Route, ids_of, text_of
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Store, Tx


_read_routes: Final = msgspec.json.Decoder(tuple[Route, ...]).decode


class ApiRow(Struct, frozen=True):
    """An API as stored."""

    id: int
    audience: str
    name: str
    roles: str
    token_format: str
    token_lifetime: int
    token_alg: str
    disabled_at: int | None
    jwt_until: int = 0
    routes: str = "[]"
    verify_max_age: int = 0
    usage: int = 0
    names_roles: int = 0

    @property
    def table(self) -> tuple[Route, ...]:
        """Its table of routes, which is stored as a JSON document."""
        return _read_routes(self.routes)


class ScopeRow(Struct, frozen=True):
    """A scope as stored; `implies` is a list of ids, `texts` a JSON document. A retired one is kept, so that its name never means
    something else; `retires_at` is a day to come, or past, on which it goes by itself.
    """

    id: int
    api: int
    name: str
    text: str
    risk: str
    reach: str
    implies: str
    demo: int
    retired_at: int | None
    place: int
    cleanup: int
    texts: str = "{}"
    retires_at: int | None = None
    created_at: int = 0

    def over(self, now: int) -> bool:
        """Tell whether it is given to nobody any more."""
        return self.retired_at is not None or (self.retires_at is not None and self.retires_at <= now)


class Naming(Struct, frozen=True):
    """A name that a scope has or had; an ended one is not understood any more, and never means another scope."""

    id: int
    scope: int
    name: str
    ended_at: int | None


class RoleRow(Struct, frozen=True):
    """A role as stored; `scopes` is a list of ids."""

    id: int
    name: str
    scopes: str
    retired_at: int | None


APIS: Final = Query(
    ApiRow,
    """SELECT id, audience, name, roles, token_format, token_lifetime, token_alg, disabled_at, jwt_until, routes, verify_max_age, usage,
              names_roles
         FROM api WHERE tenant = :tenant ORDER BY id""",
)
SCOPES: Final = Query(
    ScopeRow,
    """SELECT id, api, name, text, risk, reach, implies, demo, retired_at, place, cleanup, texts, retires_at, created_at
         FROM scope WHERE tenant = :tenant ORDER BY id""",
)
NAMINGS: Final = Query(Naming, "SELECT id, scope, name, ended_at FROM scope_naming WHERE tenant = :tenant ORDER BY id")
ROLES: Final = Query(RoleRow, "SELECT id, name, scopes, retired_at FROM role WHERE tenant = :tenant ORDER BY id")
_MAKE_API: Final = Query(
    None,
    """INSERT INTO api (id, tenant, audience, name, roles, token_format, token_lifetime, token_alg, created_at, verify_max_age, usage,
                        names_roles)
       VALUES (:id, :tenant, :audience, :name, :roles, :token_format, :token_lifetime, :token_alg, :now, :verify_max_age, :usage,
               :names_roles)""",
)
_CHANGE_API: Final = Query(
    None,
    """UPDATE api SET name = :name, roles = :roles, token_format = :token_format, token_lifetime = :token_lifetime,
                      token_alg = :token_alg, verify_max_age = :verify_max_age, usage = :usage, names_roles = :names_roles,
                      jwt_until = CASE WHEN token_format = 'jwt' AND jwt_until < :now + token_lifetime THEN :now + token_lifetime
                                       ELSE jwt_until END
        WHERE id = :id AND tenant = :tenant""",
)
_SET_ROUTES: Final = Query(None, "UPDATE api SET routes = :routes WHERE id = :id AND tenant = :tenant")
_DISABLE_API: Final = Query(None, "UPDATE api SET disabled_at = :now WHERE id = :id AND tenant = :tenant AND disabled_at IS NULL")
_ENABLE_API: Final = Query(None, "UPDATE api SET disabled_at = NULL WHERE id = :id AND tenant = :tenant AND disabled_at IS NOT NULL")
_MAKE_SCOPE: Final = Query(
    None,
    """INSERT INTO scope (id, tenant, api, name, text, risk, reach, implies, demo, cleanup, created_at, texts, retires_at, place)
       VALUES (:id, :tenant, :api, :name, :text, :risk, :reach, :implies, :demo, :cleanup, :now, :texts, :retires_at,
               (SELECT COALESCE(MAX(o.place) + 1, 0) FROM scope AS o WHERE o.api = :api))""",
)
_CHANGE_SCOPE: Final = Query(
    None,
    """UPDATE scope SET text = :text, risk = :risk, reach = :reach, implies = :implies, demo = :demo, cleanup = :cleanup,
                        texts = :texts, retires_at = :retires_at
        WHERE id = :id AND tenant = :tenant""",
)
_SCOPE: Final = Query(
    ScopeRow,
    """SELECT id, api, name, text, risk, reach, implies, demo, retired_at, place, cleanup, texts, retires_at, created_at
         FROM scope WHERE id = :id AND tenant = :tenant""",
)
# The index on names refuses one that any scope ever had (`security-rules` 28).
_NAME: Final = Query(None, "INSERT INTO scope_naming (id, tenant, scope, name, made_at) VALUES (:id, :tenant, :scope, :name, :now)")
_NAME_AGAIN: Final = Query(
    None, "UPDATE scope_naming SET ended_at = NULL WHERE tenant = :tenant AND scope = :scope AND name = :name AND ended_at IS NOT NULL"
)
_END_NAME: Final = Query(
    None, "UPDATE scope_naming SET ended_at = :now WHERE tenant = :tenant AND scope = :scope AND name = :name AND ended_at IS NULL"
)
_RENAME: Final = Query(None, "UPDATE scope SET name = :name WHERE id = :id AND tenant = :tenant AND name = :old")
_RETIRE_SCOPE: Final = Query(None, "UPDATE scope SET retired_at = :now WHERE id = :id AND tenant = :tenant AND retired_at IS NULL")
_MAKE_ROLE: Final = Query(None, "INSERT INTO role (id, tenant, name, scopes, created_at) VALUES (:id, :tenant, :name, :scopes, :now)")
_CHANGE_ROLE: Final = Query(None, "UPDATE role SET scopes = :scopes WHERE id = :id AND tenant = :tenant")
_RETIRE_ROLE: Final = Query(None, "UPDATE role SET retired_at = :now WHERE id = :id AND tenant = :tenant AND retired_at IS NULL")
_REVIVE_ROLE: Final = Query(
    None, "UPDATE role SET retired_at = NULL, scopes = :scopes WHERE id = :id AND tenant = :tenant AND retired_at IS NOT NULL"
)
# A role that comes back by its name comes back to nobody.
_STRIP_ROLE: Final = Query(
    None,
    """UPDATE membership SET roles = trim(replace(' ' || roles || ' ', :padded, ' '))
        WHERE tenant = :tenant AND ' ' || roles || ' ' LIKE '%' || :padded || '%'""",
)


class ApiTerms(Struct, frozen=True, kw_only=True):
    """What an admin may change of an API."""

    name: str
    roles: str
    token_format: str
    token_lifetime: int
    token_alg: str
    verify_max_age: int = 0
    usage: bool = False
    names_roles: bool = False


class ScopeTerms(Struct, frozen=True, kw_only=True):
    """What an admin may change of a scope."""

    text: str
    risk: str
    reach: str
    demo: int = 0
    cleanup: bool = False
    texts: dict[str, str] = {}
    retires_at: int | None = None


async def apis_of(store: Store | Tx, tenant: int) -> list[ApiRow]:
    """Return every API of a tenant, disabled ones too."""
    return await store.all(APIS, tenant=tenant)


async def scopes_of(store: Store | Tx, tenant: int) -> list[ScopeRow]:
    """Return every scope of a tenant, retired ones too."""
    return await store.all(SCOPES, tenant=tenant)


async def namings_of(store: Store | Tx, tenant: int) -> list[Naming]:
    """Return every name that a scope of a tenant has or had."""
    return await store.all(NAMINGS, tenant=tenant)


async def roles_of(store: Store | Tx, tenant: int) -> list[RoleRow]:
    """Return every role of a tenant, retired ones too."""
    return await store.all(ROLES, tenant=tenant)


async def make_api(deed: Deed, audience: str, terms: ApiTerms) -> int:
    """Make an API and return its id."""
    number = deed.at.id()
    await deed.tx.do(
        _MAKE_API,
        id=number,
        tenant=deed.tenant,
        audience=audience,
        name=terms.name,
        roles=terms.roles,
        token_format=terms.token_format,
        token_lifetime=terms.token_lifetime,
        token_alg=terms.token_alg,
        verify_max_age=terms.verify_max_age,
        usage=int(terms.usage),
        names_roles=int(terms.names_roles),
        now=deed.at.now,
    )
    await deed.note(Act.API_MADE, ids.show(ids.API, number), audience=audience)
    await deed.announce(CATALOGUE_KIND)
    return number


async def change_api(deed: Deed, api: ApiRow, terms: ApiTerms) -> None:
    """Set what may change of an API. Where it asks for roles from now on, tokens of those who have none are asked about."""
    await deed.tx.do(
        _CHANGE_API,
        id=api.id,
        tenant=deed.tenant,
        name=terms.name,
        roles=terms.roles,
        token_format=terms.token_format,
        token_lifetime=terms.token_lifetime,
        token_alg=terms.token_alg,
        now=deed.at.now,
        verify_max_age=terms.verify_max_age,
        usage=int(terms.usage),
        names_roles=int(terms.names_roles),
    )
    if terms.usage != bool(api.usage):
        await scope_use.begin_anew(deed.tx, deed.tenant, api.id)
    if (terms.roles == "required" and api.roles != "required") or (api.names_roles and not terms.names_roles):
        await narrowed(deed.tx, deed.at, Narrowing(tenant=deed.tenant, api=api.id))
    changed = sides(*({name: getattr(one, name) for name in ApiTerms.__struct_fields__} for one in (terms_of(api), terms)))
    await deed.note(Act.API_CHANGED, ids.show(ids.API, api.id), audience=api.audience, **changed)
    await deed.announce(CATALOGUE_KIND)


async def set_routes(deed: Deed, api: int, audience: str, *, before: tuple[Route, ...], after: tuple[Route, ...]) -> None:
    """Set an API's table of routes; it counts as a whole, in its order."""
    await deed.tx.do(_SET_ROUTES, id=api, tenant=deed.tenant, routes=msgspec.json.encode(after).decode())
    changed = sides({"routes": msgspec.to_builtins(before)}, {"routes": msgspec.to_builtins(after)})
    await deed.note(Act.API_CHANGED, ids.show(ids.API, api), audience=audience, **changed)
    await deed.announce(CATALOGUE_KIND)


def terms_of(api: ApiRow) -> ApiTerms:
    """Return what an API is today."""
    return ApiTerms(
        name=api.name,
        roles=api.roles,
        token_format=api.token_format,
        token_lifetime=api.token_lifetime,
        token_alg=api.token_alg,
        verify_max_age=api.verify_max_age,
        usage=api.usage == 1,
        names_roles=api.names_roles == 1,
    )


async def disable_api(deed: Deed, api: ApiRow) -> bool:
    """Stop giving the API's scopes; tell whether it was open until now."""
    if not await deed.tx.do(_DISABLE_API, id=api.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await deed.note(Act.API_DISABLED, ids.show(ids.API, api.id), audience=api.audience)
    await deed.announce(CATALOGUE_KIND)
    return True


async def enable_api(deed: Deed, api: ApiRow) -> bool:
    """Give the API's scopes again; tell whether it was disabled until now."""
    if not await deed.tx.do(_ENABLE_API, id=api.id, tenant=deed.tenant):
        return False
    await deed.note(Act.API_ENABLED, ids.show(ids.API, api.id), audience=api.audience)
    await deed.announce(CATALOGUE_KIND)
    return True


async def make_scope(deed: Deed, api: int, name: str, terms: ScopeTerms) -> int:
    """Make a scope and return its id."""
    number = deed.at.id()
    await deed.tx.do(
        _MAKE_SCOPE,
        id=number,
        tenant=deed.tenant,
        api=api,
        name=name,
        text=terms.text,
        risk=terms.risk,
        reach=terms.reach,
        implies="",
        demo=terms.demo,
        cleanup=int(terms.cleanup),
        now=deed.at.now,
        texts=_document(terms.texts),
        retires_at=terms.retires_at,
    )
    await deed.tx.do(_NAME, id=number, tenant=deed.tenant, scope=number, name=name, now=deed.at.now)
    await deed.note(Act.SCOPE_MADE, ids.show(ids.SCOPE, number), name=name)
    await deed.announce(CATALOGUE_KIND)
    return number


async def change_scope(deed: Deed, scope: int, name: str, terms: ScopeTerms, implies: frozenset[int]) -> None:
    """Set what may change of a scope. A new implication counts for consents given from now on, and in roles at once."""
    row = await deed.tx.one(_SCOPE, id=scope, tenant=deed.tenant)
    changed = sides({} if row is None else _told(kept_terms(row), ids_of(row.implies)), _told(terms, implies))
    await deed.tx.do(
        _CHANGE_SCOPE,
        id=scope,
        tenant=deed.tenant,
        text=terms.text,
        risk=terms.risk,
        reach=terms.reach,
        implies=text_of(implies),
        demo=terms.demo,
        cleanup=int(terms.cleanup),
        texts=_document(terms.texts),
        retires_at=terms.retires_at,
    )
    if row is not None:
        await losing.with_scope(deed, row, terms, await scopes_of(deed.tx, deed.tenant))
    await deed.note(Act.SCOPE_CHANGED, ids.show(ids.SCOPE, scope), name=name, **changed)
    await deed.announce(CATALOGUE_KIND)


def kept_terms(row: ScopeRow) -> ScopeTerms:
    """Return what a scope is today, implications aside."""
    texts = msgspec.json.decode(row.texts, type=dict[str, str])
    return ScopeTerms(
        text=row.text, risk=row.risk, reach=row.reach, demo=row.demo, cleanup=row.cleanup == 1, texts=texts, retires_at=row.retires_at
    )


def _told(terms: ScopeTerms, implies: frozenset[int]) -> dict[str, object]:
    retires = None if terms.retires_at is None else day(terms.retires_at)
    plain = {"text": terms.text, "risk": terms.risk, "reach": terms.reach, "demo": bool(terms.demo), "cleanup": terms.cleanup}
    return {**plain, "implies": _shown(implies), "texts": terms.texts, "retires": retires}


async def rename_scope(deed: Deed, scope: int, old: str, name: str) -> bool:
    """Give a scope another name; the old one is understood as before, until `set_aliases` ends it. Tell whether it was called so.

    Raises:
        NotUnique: the name is, or was, that of another scope.
    """
    if not await deed.tx.do(_RENAME, id=scope, tenant=deed.tenant, old=old, name=name):
        return False
    await _understand(deed, scope, name, await _names(deed, scope))
    await deed.note(Act.SCOPE_RENAMED, ids.show(ids.SCOPE, scope), name=name, **sides({"name": old}, {"name": name}))
    await deed.announce(CATALOGUE_KIND)
    return True


async def set_aliases(deed: Deed, scope: int, name: str, aliases: frozenset[str]) -> None:
    """Set under which other names a scope is understood. One that is left out is understood no more, and is no other scope's ever.

    Raises:
        NotUnique: one is, or was, the name of another scope.
    """
    known = await _names(deed, scope)
    present = {one for one, ended_at in known.items() if ended_at is None and one != name}
    for alias in sorted(aliases - present):
        await _understand(deed, scope, alias, known)
    for alias in sorted(present - aliases):
        await deed.tx.do(_END_NAME, tenant=deed.tenant, scope=scope, name=alias, now=deed.at.now)
    row = await deed.tx.one(_SCOPE, id=scope, tenant=deed.tenant)
    if row is not None and present - aliases:
        lost = Lost(scopes=tuple(sorted(present - aliases)))
        await narrowed(deed.tx, deed.at, Narrowing(tenant=deed.tenant, api=row.api, lost=lost))
    if present != aliases:
        changed = sides({"aliases": sorted(present)}, {"aliases": sorted(aliases)})
        await deed.note(Act.SCOPE_CHANGED, ids.show(ids.SCOPE, scope), name=name, **changed)
        await deed.announce(CATALOGUE_KIND)


async def _names(deed: Deed, scope: int) -> dict[str, int | None]:
    return {row.name: row.ended_at for row in await namings_of(deed.tx, deed.tenant) if row.scope == scope}


async def _understand(deed: Deed, scope: int, name: str, known: dict[str, int | None]) -> None:
    if name in known:
        await deed.tx.do(_NAME_AGAIN, tenant=deed.tenant, scope=scope, name=name)
    else:
        await deed.tx.do(_NAME, id=deed.at.id(), tenant=deed.tenant, scope=scope, name=name, now=deed.at.now)


def _document(texts: dict[str, str]) -> str:
    return msgspec.json.encode(texts, order="sorted").decode()


async def retire_scope(deed: Deed, scope: ScopeRow) -> bool:
    """Give a scope to nobody any more; its name is never used again. Tell whether it was live until now."""
    lost = losing.implied(await scopes_of(deed.tx, deed.tenant), frozenset([scope.id]), deed.at.now)
    if not await deed.tx.do(_RETIRE_SCOPE, id=scope.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await narrowing.of_parties(deed.tx, deed.at, deed.tenant, lost)
    await deed.note(Act.SCOPE_RETIRED, ids.show(ids.SCOPE, scope.id), name=scope.name)
    await deed.announce(CATALOGUE_KIND)
    return True


async def make_role(deed: Deed, name: str, scopes: frozenset[int]) -> int:
    """Make a role and return its id."""
    number = deed.at.id()
    await deed.tx.do(_MAKE_ROLE, id=number, tenant=deed.tenant, name=name, scopes=text_of(scopes), now=deed.at.now)
    await deed.note(Act.ROLE_MADE, ids.show(ids.ROLE, number), name=name, scopes=_shown(scopes))
    await deed.announce(CATALOGUE_KIND)
    return number


async def change_role(deed: Deed, role: RoleRow, scopes: frozenset[int]) -> None:
    """Set the scopes that a role holds; a retired role comes back, held by nobody."""
    query = _CHANGE_ROLE if role.retired_at is None else _REVIVE_ROLE
    await deed.tx.do(query, id=role.id, tenant=deed.tenant, scopes=text_of(scopes))
    if role.retired_at is None:
        rows, now = await scopes_of(deed.tx, deed.tenant), deed.at.now
        lost = losing.implied(rows, ids_of(role.scopes), now) - losing.implied(rows, scopes, now)
        await narrowing.of_parties(deed.tx, deed.at, deed.tenant, lost)
    changed = sides({"scopes": _shown(ids_of(role.scopes))}, {"scopes": _shown(scopes)})
    await deed.note(Act.ROLE_CHANGED, ids.show(ids.ROLE, role.id), name=role.name, **changed)
    await deed.announce(CATALOGUE_KIND)


async def retire_role(deed: Deed, role: RoleRow) -> bool:
    """Take a role from everybody who holds it; tell whether it was live until now."""
    if not await deed.tx.do(_RETIRE_ROLE, id=role.id, tenant=deed.tenant, now=deed.at.now):
        return False
    holders = await deed.tx.do(_STRIP_ROLE, tenant=deed.tenant, padded=f" {role.id} ")
    await losing.with_role(deed, role, await scopes_of(deed.tx, deed.tenant))
    await deed.note(Act.ROLE_RETIRED, ids.show(ids.ROLE, role.id), name=role.name, holders=holders)
    await deed.announce(CATALOGUE_KIND)
    return True


def _shown(scopes: frozenset[int]) -> list[str]:
    return [ids.show(ids.SCOPE, number) for number in sorted(scopes)]
