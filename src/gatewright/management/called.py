"""What the ids in records are called: an id alone says nothing to whoever reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from gatewright.accounts import book as accounts
from gatewright.apis.book import apis_of, roles_of, scopes_of
from gatewright.base import ids
from gatewright.clients import book as clients
from gatewright.oauth.catalogue import BUILT_IN
from gatewright.users import book as users

if TYPE_CHECKING:
    from gatewright.management.errand import Errand

# Whose names are told to whom: those that the caller could read anyway.
_READ: Final = {
    ids.USER: "gw:users:read",
    ids.ACCOUNT: "gw:accounts:read",
    ids.CLIENT: "gw:clients:read",
    ids.API: "gw:apis:read",
    ids.SCOPE: "gw:apis:read",
    ids.ROLE: "gw:roles:read",
}


async def called(errand: Errand, texts: Iterable[str]) -> dict[str, str]:
    """Return what the ids among some texts are called now, as far as the caller may read it. Whoever was deleted has no name any more."""
    held = errand.caller.held
    numbers: dict[str, dict[int, str]] = {}
    for text in texts:
        kind = text[:2]
        number = ids.read(kind, text) if kind in _READ and (held is None or _READ[kind] in held) else None
        if number is not None:
            numbers.setdefault(kind, {})[number] = text
    found: dict[str, str] = {}
    for kind, wanted in numbers.items():
        names = await _names(errand, kind, wanted)
        found |= {text: names[number] for number, text in wanted.items() if number in names}
    return found


async def _names(errand: Errand, kind: str, wanted: Iterable[int]) -> dict[int, str]:
    """Return the names of one kind by number: what a tenant defines in one statement, the others one by one."""
    source, tenant = errand.source, errand.tenant
    match kind:
        case ids.API:
            return {row.id: row.audience for row in await apis_of(source, tenant)}
        case ids.SCOPE:
            return {row.id: row.name for row in await scopes_of(source, tenant)} | {scope.id: scope.name for scope in BUILT_IN}
        case ids.ROLE:
            return {row.id: row.name for row in await roles_of(source, tenant)}
        case ids.CLIENT:
            apps = [await source.one(clients.BY_ID, id=number, tenant=tenant) for number in wanted]
            return {row.id: row.client_id for row in apps if row is not None}
        case ids.ACCOUNT:
            companies = [await source.one(accounts.BY_ID, id=number, tenant=tenant) for number in wanted]
            return {row.id: row.slug for row in companies if row is not None and row.deleted_at is None}
        case _:
            people = [await source.one(users.BY_ID, id=number, tenant=tenant) for number in wanted]
            return {row.id: row.email for row in people if row is not None and row.deleted_at is None}
