"""Finds what a caller names, by its id or by the name that people use, and the names of what records refer to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewright.accounts import book as accounts
from gatewright.apis.book import ApiRow, Naming, RoleRow, ScopeRow, apis_of, namings_of, roles_of, scopes_of
from gatewright.apis.catalogues import catalogue_of
from gatewright.base import ids
from gatewright.base.check import choice
from gatewright.clients.book import client_named
from gatewright.management.errand import Errand, NotThere
from gatewright.oauth.catalogue import BUILT_IN, Catalogue
from gatewright.users import book as users

if TYPE_CHECKING:
    from gatewright.accounts.records import AccountRow
    from gatewright.clients.book import ClientRow
    from gatewright.users.records import UserRow


@dataclass(frozen=True, slots=True)
class Known:
    """What a tenant defines, as it is at this moment: retired scopes and roles too."""

    apis: dict[int, ApiRow]
    scopes: dict[int, ScopeRow]
    roles: dict[int, RoleRow]
    namings: list[Naming]
    now: int

    @property
    def catalogue(self) -> Catalogue:
        """The same as the decision sees it."""
        return catalogue_of(list(self.apis.values()), list(self.scopes.values()), list(self.roles.values()), self.namings, self.now)

    def aliases(self, scope: ScopeRow) -> list[str]:
        """Return the other names under which a scope is understood."""
        return sorted(one.name for one in self.namings if one.scope == scope.id and one.ended_at is None and one.name != scope.name)

    def scope_names(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of live scopes."""
        names = {scope.id: scope.name for scope in BUILT_IN} | {row.id: row.name for row in self.scopes.values() if row.retired_at is None}
        return sorted(names[number] for number in numbers if number in names)

    def role_names(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of live roles."""
        return sorted(self.roles[number].name for number in numbers if number in self.roles and self.roles[number].retired_at is None)

    def role_scopes(self, numbers: Iterable[int]) -> frozenset[int]:
        """Return the scopes that live roles hold."""
        held = self.catalogue.roles
        return frozenset().union(*(held[number].scopes for number in numbers if number in held))

    def api(self, shown: str) -> ApiRow:
        """Return an API by its id or audience."""
        number = ids.read(ids.API, shown)
        found = next((row for row in self.apis.values() if row.id == number or row.audience == shown), None)
        if found is None:
            raise NotThere(f'there is no API "{shown}"; {choice(shown, [row.audience for row in self.apis.values()])}')
        return found

    def scope(self, shown: str) -> ScopeRow:
        """Return a scope by its id or name."""
        number = ids.read(ids.SCOPE, shown)
        if number is None:
            number = next((naming.scope for naming in self.namings if naming.name == shown and naming.ended_at is None), None)
        found = next((row for row in self.scopes.values() if row.id == number), None)
        if found is None:
            raise NotThere(f'there is no scope "{shown}"; {choice(shown, [row.name for row in self.scopes.values()])}')
        return found

    def role(self, shown: str) -> RoleRow:
        """Return a role by its id or name."""
        number = ids.read(ids.ROLE, shown)
        found = next((row for row in self.roles.values() if row.id == number or row.name == shown), None)
        if found is None:
            raise NotThere(
                f'there is no role "{shown}"; {choice(shown, [row.name for row in self.roles.values() if row.retired_at is None])}'
            )
        return found


async def known(errand: Errand) -> Known:
    """Return what the tenant defines: four statements."""
    return Known(
        {row.id: row for row in await apis_of(errand.source, errand.tenant)},
        {row.id: row for row in await scopes_of(errand.source, errand.tenant)},
        {row.id: row for row in await roles_of(errand.source, errand.tenant)},
        await namings_of(errand.source, errand.tenant),
        errand.at.now,
    )


async def user_at(errand: Errand, shown: str) -> UserRow:
    """Return a user that is not deleted by id or e-mail address."""
    number = ids.read(ids.USER, shown)
    if number is not None:
        row = await errand.source.one(users.BY_ID, id=number, tenant=errand.tenant)
    else:
        row = await users.user_by_email(errand.source, errand.tenant, shown)
    if row is None or row.deleted_at is not None:
        raise NotThere(f"there is no user {shown}")
    return row


async def account_at(errand: Errand, shown: str) -> AccountRow:
    """Return an account that is not deleted by id or slug; to whose rights end at another account there is only that one."""
    number = ids.read(ids.ACCOUNT, shown)
    if number is not None:
        row = await errand.source.one(accounts.BY_ID, id=number, tenant=errand.tenant)
    else:
        row = await accounts.account_named(errand.source, errand.tenant, shown)
    if row is None or row.deleted_at is not None or errand.caller.account not in (0, row.id):
        raise NotThere(f"there is no account {shown}")
    return row


async def client_at(errand: Errand, client_id: str) -> ClientRow:
    """Return a client by its public id."""
    row = await client_named(errand.source, errand.tenant, client_id)
    if row is None:
        raise NotThere(f"there is no client {client_id}")
    return row


def number_of(prefix: str, shown: str, what: str) -> int:
    """Return the number of an id as it is shown."""
    number = ids.read(prefix, shown)
    if number is None:
        raise NotThere(f'"{shown}" is no {what}\'s id, which looks like {prefix}_…')
    return number


def place(prefix: str, after: str, otherwise: int) -> int:
    """Return where a listing goes on; what is no such place is its beginning's opposite: nothing follows it."""
    return otherwise if not after else number_of(prefix, after, "page")
