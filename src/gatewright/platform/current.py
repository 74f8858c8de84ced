"""What a tenant has today, as far as a file or an earlier apply of it names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.accounts.book import BY_ID as ACCOUNT_BY_ID
from gatewright.accounts.book import MEMBERSHIPS_OF, account_named
from gatewright.accounts.records import AccountRow, MembershipRow
from gatewright.apis.book import ApiRow, Naming, RoleRow, ScopeRow, apis_of, namings_of, roles_of, scopes_of
from gatewright.clients.book import ClientRow, client_named
from gatewright.market.apps import BY_ID as BY_ID_OF_APP
from gatewright.market.apps import VERSIONS
from gatewright.market.records import AppRow, VersionRow
from gatewright.oauth.catalogue import BUILT_IN
from gatewright.platform.document import origins_in
from gatewright.platform.naming import in_new_words
from gatewright.platform.reading import Reading
from gatewright.store import Query
from gatewright.tenants import credentials
from gatewright.tenants.book import BY_ID, DOMAIN_OF_HOST, DOMAINS, RELEASED, tenant_named
from gatewright.tenants.credentials import CredentialRow
from gatewright.tenants.records import DomainRow, ReleasedRow, TenantRow
from gatewright.tenants.rules import BadOrigin, parse_origin
from gatewright.users.book import BY_ID as USER_BY_ID
from gatewright.users.book import user_by_email
from gatewright.users.records import UserRow
from gatewright.users.rules import email_key

if TYPE_CHECKING:
    from gatewright.store import Store, Tx


class AppliedRow(Struct, frozen=True):
    """Something that an apply of the tenant's file made."""

    id: int
    kind: str
    name: str


MOST_VERSIONS: Final = 10_000
APPLIED: Final = Query(AppliedRow, "SELECT id, kind, name FROM applied WHERE tenant = :tenant ORDER BY id")


@dataclass(slots=True)
class Current:
    """Rows by the names that files use. What is not there is missing from its table."""

    tenant: TenantRow | None = None
    domains: dict[str, DomainRow] = field(default_factory=dict)  # by origin
    taken: dict[str, str] = field(default_factory=dict)  # origin that the file wants → who has its host already
    held: dict[str, ReleasedRow] = field(default_factory=dict)  # origin that the file wants → another tenant that just gave it up
    apis: dict[str, ApiRow] = field(default_factory=dict)  # by audience
    scopes: dict[str, ScopeRow] = field(default_factory=dict)
    namings: dict[str, Naming] = field(default_factory=dict)  # every name that a scope has or had
    aliases: dict[str, str] = field(default_factory=dict)  # other names of scopes → the present one, that of the file where it renames
    renamed: dict[str, str] = field(default_factory=dict)  # scopes that the file renames: their new name → the one of today
    roles: dict[str, RoleRow] = field(default_factory=dict)
    accounts: dict[str, AccountRow] = field(default_factory=dict)  # by slug
    users: dict[str, UserRow] = field(default_factory=dict)  # by email key
    memberships: dict[int, dict[int, MembershipRow]] = field(default_factory=dict)  # user → account → membership
    clients: dict[str, ClientRow] = field(default_factory=dict)  # by client id
    secrets: dict[int, list[CredentialRow]] = field(default_factory=dict)  # by holder
    apps: dict[str, AppRow] = field(default_factory=dict)
    versions: dict[str, dict[str, VersionRow]] = field(default_factory=dict)  # app → what each version is called → what it was
    applied: dict[tuple[str, str], AppliedRow] = field(default_factory=dict)

    @property
    def scope_names(self) -> dict[int, str]:
        """Names by id, the built-in ones among them."""
        return {**{scope.id: scope.name for scope in BUILT_IN}, **{row.id: name for name, row in self.scopes.items()}}

    @property
    def live_scope_names(self) -> dict[int, str]:
        """The same without what was retired."""
        retired = {row.id for row in self.scopes.values() if row.retired_at is not None}
        return {number: name for number, name in self.scope_names.items() if number not in retired}

    @property
    def role_names(self) -> dict[int, str]:
        """Names of the roles that are not retired by id."""
        return {row.id: name for name, row in self.roles.items() if row.retired_at is None}


async def load(source: Store | Tx, reading: Reading, now: int, *, earlier_applies: bool = True) -> Current:
    """Return what there is of everything that a file names, and of what an earlier apply of it made."""
    found = Current()
    slug = reading.tenant.value.slug if reading.tenant is not None else None
    found.tenant = await tenant_named(source, slug) if slug is not None else None
    number = found.tenant.id if found.tenant is not None else 0
    await _domains(source, reading, found, number, now)
    if not number:
        return found
    if earlier_applies:
        found.applied = {(row.kind, row.name): row for row in await source.all(APPLIED, tenant=number)}
    found.apis = {row.audience: row for row in await apis_of(source, number)}
    found.scopes = {row.name: row for row in await scopes_of(source, number)}
    found.namings = {row.name: row for row in await namings_of(source, number)}
    found.roles = {row.name: row for row in await roles_of(source, number)}
    in_new_words(reading, found)
    await _accounts(source, reading, found, number)
    await _users(source, reading, found, number)
    await _clients(source, reading, found, number, now)
    await _apps(source, reading, found, number, now)
    for api in reading.apis:
        row = found.apis.get(api.value.audience)
        if row is not None and api.value.secret is not None:
            found.secrets[row.id] = await credentials.live(source, number, row.id, now)
    return found


def earlier(found: Current, kind: str) -> list[str]:
    """Return the names of one kind that an earlier apply made, in the order in which it did."""
    return [name for one, name in found.applied if one == kind]


async def _domains(source: Store | Tx, reading: Reading, found: Current, tenant: int, now: int) -> None:
    if tenant:
        found.domains = {row.origin: row for row in await source.all(DOMAINS, tenant=tenant)}
    for text in origins_in(reading.tenant.value) if reading.tenant is not None else ():
        try:
            origin = parse_origin(text)
        except BadOrigin:
            continue  # told by the rules
        row = await source.one(DOMAIN_OF_HOST, host=origin.host)
        if row is not None and (row.tenant != tenant or row.origin != origin.url):
            other = await source.one(BY_ID, id=row.tenant)
            found.taken[origin.url] = row.origin if row.tenant == tenant or other is None else f"the tenant {other.slug}"
        released = await source.one(RELEASED, host=origin.host)
        if released is not None and released.kept_from(tenant, now):
            found.held[origin.url] = released


async def _accounts(source: Store | Tx, reading: Reading, found: Current, tenant: int) -> None:
    slugs = [part.value.slug for part in reading.accounts]
    slugs += [membership.account for part in reading.users for membership in part.value.memberships]
    slugs += [slug for part in reading.clients for slug in (part.value.account, part.value.owner.account) if slug is not None]
    slugs += earlier(found, "account") + [name.partition(" ")[2] for name in earlier(found, "membership")]
    for slug in dict.fromkeys(slugs):
        row = await account_named(source, tenant, slug)
        if row is not None:
            found.accounts[slug] = row


async def _users(source: Store | Tx, reading: Reading, found: Current, tenant: int) -> None:
    emails = [part.value.email for part in reading.users]
    emails += [email for part in reading.clients for email in (part.value.service_user, part.value.owner.user) if email is not None]
    emails += [part.value.developer for part in reading.apps if part.value.developer is not None]
    emails += earlier(found, "user") + [name.partition(" ")[0] for name in earlier(found, "membership")]
    for key in dict.fromkeys(map(email_key, emails)):
        row = await user_by_email(source, tenant, key)
        if row is not None:
            found.users[key] = row
            rows = await source.all(MEMBERSHIPS_OF, tenant=tenant, person=row.id)
            found.memberships[row.id] = {membership.account: membership for membership in rows}


async def _clients(source: Store | Tx, reading: Reading, found: Current, tenant: int, now: int) -> None:
    names = [part.value.client_id for part in reading.clients] + earlier(found, "client")
    for client_id in dict.fromkeys(names):
        row = await client_named(source, tenant, client_id)
        if row is not None:
            found.clients[client_id] = row
            found.secrets[row.id] = await credentials.live(source, tenant, row.id, now)
            await _referred(source, row, found, tenant)


async def _referred(source: Store | Tx, row: ClientRow, found: Current, tenant: int) -> None:
    """Find whom a client refers to today, so that its references have names when they are to change."""
    terms = row.terms
    for number in {terms.service_user, row.owner_person} - {0} - {user.id for user in found.users.values()}:
        user = await source.one(USER_BY_ID, id=number, tenant=tenant)
        if user is not None and user.deleted_at is None:
            found.users[user.email_key] = user
    for number in {terms.account, row.owner_account} - {0} - {account.id for account in found.accounts.values()}:
        account = await source.one(ACCOUNT_BY_ID, id=number, tenant=tenant)
        if account is not None and account.deleted_at is None:
            found.accounts[account.slug] = account


async def _apps(source: Store | Tx, reading: Reading, found: Current, tenant: int, now: int) -> None:
    slugs = [part.value.slug for part in reading.apps] + earlier(found, "app") + [part.value.client_id for part in reading.clients]
    for slug in dict.fromkeys(slugs):
        row = found.clients.get(slug) or await client_named(source, tenant, slug)
        app = None if row is None else await source.one(BY_ID_OF_APP, id=row.id, tenant=tenant)
        if row is not None:
            found.clients[slug] = row
            found.secrets[row.id] = await credentials.live(source, tenant, row.id, now)
            await _referred(source, row, found, tenant)
        if app is not None:
            found.apps[slug] = app
            kept = await source.all(VERSIONS, app=app.id, tenant=tenant, count=MOST_VERSIONS)
            found.versions[slug] = {version.label: version for version in kept}


def names_known(reading: Reading, found: Current) -> Mapping[str, frozenset[str]]:
    """Return what may be referred to: what the file names, and what there is already."""
    live_scopes = frozenset(name for name, row in found.scopes.items() if row.retired_at is None)
    live_roles = frozenset(name for name, row in found.roles.items() if row.retired_at is None)
    return {
        "scopes": reading.named.get("scopes", frozenset()) | live_scopes | frozenset(found.aliases),
        "roles": reading.named.get("roles", frozenset()) | live_roles,
        "accounts": reading.named.get("accounts", frozenset()) | frozenset(found.accounts),
        "users": frozenset(map(email_key, reading.named.get("users", frozenset()))) | frozenset(found.users),
    }
