"""The SQL of accounts and memberships, each statement beside the act that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.accounts.records import AccountRow, MembershipRow
from gatewright.audit.book import Act
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.base.change import sides
from gatewright.endings.book import all_ended, ended, narrowed
from gatewright.endings.records import Ending, Narrowing
from gatewright.oauth.catalogue import text_of
from gatewright.store import Query
from gatewright.webhooks.outbox import record_mass
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

BY_SLUG: Final = Query(
    AccountRow,
    """SELECT id, tenant, slug, name, epoch, created_at, disabled_at, deleted_at FROM account
        WHERE tenant = :tenant AND slug = :slug AND deleted_at IS NULL""",
)
BY_ID: Final = Query(
    AccountRow,
    "SELECT id, tenant, slug, name, epoch, created_at, disabled_at, deleted_at FROM account WHERE id = :id AND tenant = :tenant",
)
LIST: Final = Query(
    AccountRow,
    """SELECT id, tenant, slug, name, epoch, created_at, disabled_at, deleted_at FROM account
        WHERE tenant = :tenant AND slug > :after AND deleted_at IS NULL ORDER BY slug LIMIT :count""",
)
MEMBERSHIP: Final = Query(
    MembershipRow,
    """SELECT id, person, account, roles, created_at, chosen_at FROM membership
        WHERE person = :person AND account = :account AND tenant = :tenant AND ended_at IS NULL""",
)
MEMBERSHIPS_OF: Final = Query(
    MembershipRow,
    """SELECT id, person, account, roles, created_at, chosen_at FROM membership
        WHERE person = :person AND tenant = :tenant AND ended_at IS NULL ORDER BY id""",
)
_MAKE: Final = Query(None, "INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (:id, :tenant, :slug, :name, 0, :now)")
_RENAME: Final = Query(None, "UPDATE account SET name = :name WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL")
# Thousands of authorizations may hang on an account: its epoch ends them all in one row, and the sweep takes them away.
_DISABLE: Final = Query(
    None,
    """UPDATE account SET disabled_at = :now, epoch = epoch + 1
        WHERE id = :id AND tenant = :tenant AND disabled_at IS NULL AND deleted_at IS NULL""",
)
_ENABLE: Final = Query(
    None,
    "UPDATE account SET disabled_at = NULL WHERE id = :id AND tenant = :tenant AND disabled_at IS NOT NULL AND deleted_at IS NULL",
)
_DELETE: Final = Query(
    None,
    """UPDATE account SET deleted_at = :now, disabled_at = coalesce(disabled_at, :now), epoch = epoch + 1
        WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL""",
)
_JOIN: Final = Query(
    None,
    """INSERT INTO membership (id, tenant, person, account, roles, created_at) VALUES (:id, :tenant, :person, :account, :roles, :now)""",
)
_SET_ROLES: Final = Query(None, "UPDATE membership SET roles = :roles WHERE id = :id AND tenant = :tenant AND ended_at IS NULL")
_END: Final = Query(None, "UPDATE membership SET ended_at = :now WHERE id = :id AND tenant = :tenant AND ended_at IS NULL")
_END_ALL: Final = Query(None, "UPDATE membership SET ended_at = :now WHERE account = :account AND tenant = :tenant AND ended_at IS NULL")
# What a member gave was given as a member: coming back later starts anew, with consent.
_END_GRANTS: Final = Query(
    None,
    """UPDATE consent_grant SET ended_at = :now, ended_because = 'membership_ended'
        WHERE person = :person AND account = :account AND tenant = :tenant AND ended_at IS NULL AND source <> 'cleanup'""",
)
# A token with which an app cleans up names its installation, and no user.
_CLEANING: Final = Query(
    int,
    """SELECT a.id FROM authorization_row AS a
        WHERE a.tenant = :tenant AND a.ended_at IS NULL AND a.consent_grant IN (
              SELECT g.id FROM consent_grant AS g
               WHERE g.person = :person AND g.account = :account AND g.tenant = :tenant AND g.source = 'cleanup')
     ORDER BY a.id""",
)
_END_AUTHORIZATIONS: Final = Query(
    None,
    """UPDATE authorization_row SET ended_at = :now, ended_because = 'membership_ended'
        WHERE ended_at IS NULL AND tenant = :tenant
          AND consent_grant IN (SELECT g.id FROM consent_grant g WHERE g.person = :person AND g.account = :account)""",
)


async def account_named(store: Store | Tx, tenant: int, slug: str) -> AccountRow | None:
    """Return an account that is not deleted by its slug."""
    return await store.one(BY_SLUG, tenant=tenant, slug=slug)


async def make_account(deed: Deed, slug: str, name: str) -> int:
    """Make an account and return its id.

    Raises:
        Refused: the slug is taken.
    """
    if await account_named(deed.tx, deed.tenant, slug) is not None:
        raise Refused(f"there is an account {slug} already")
    number = deed.at.id()
    await deed.tx.do(_MAKE, id=number, tenant=deed.tenant, slug=slug, name=name, now=deed.at.now)
    await deed.note(Act.ACCOUNT_MADE, ids.show(ids.ACCOUNT, number), slug=slug, name=name)
    return number


async def rename_account(deed: Deed, account: AccountRow, name: str) -> None:
    """Give an account another name; its slug stays, since it is part of addresses."""
    await deed.tx.do(_RENAME, id=account.id, tenant=deed.tenant, name=name)
    await deed.note(
        Act.ACCOUNT_CHANGED, ids.show(ids.ACCOUNT, account.id), slug=account.slug, **sides({"name": account.name}, {"name": name})
    )


async def disable_account(deed: Deed, account: AccountRow) -> bool:
    """End all access through an account; tell whether it was active until now."""
    if not await deed.tx.do(_DISABLE, id=account.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, account=account.id))
    await record_mass(deed.tx, deed.at, tenant=deed.tenant, type=EventType.ACCOUNT_DISABLED, account=account.id)
    await deed.note(Act.ACCOUNT_DISABLED, ids.show(ids.ACCOUNT, account.id), slug=account.slug)
    return True


async def enable_account(deed: Deed, account: AccountRow) -> bool:
    """Open an account again; nothing that was ended is revived. Tell whether it was disabled until now."""
    if not await deed.tx.do(_ENABLE, id=account.id, tenant=deed.tenant):
        return False
    await deed.note(Act.ACCOUNT_ENABLED, ids.show(ids.ACCOUNT, account.id), slug=account.slug)
    return True


async def delete_account(deed: Deed, account: AccountRow) -> bool:
    """Take an account away for good, with its memberships; tell whether there was one."""
    if not await deed.tx.do(_DELETE, id=account.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await deed.tx.do(_END_ALL, account=account.id, tenant=deed.tenant, now=deed.at.now)
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, account=account.id))
    await record_mass(deed.tx, deed.at, tenant=deed.tenant, type=EventType.ACCOUNT_DELETED, account=account.id)
    await deed.note(Act.ACCOUNT_DELETED, ids.show(ids.ACCOUNT, account.id), slug=account.slug)
    return True


async def join(deed: Deed, *, person: int, account: int, roles: frozenset[int]) -> int:
    """Make a user a member of an account, with roles, and return the membership's id."""
    number = deed.at.id()
    await deed.tx.do(_JOIN, id=number, tenant=deed.tenant, person=person, account=account, roles=text_of(roles), now=deed.at.now)
    await deed.note(Act.MEMBERSHIP_MADE, ids.show(ids.MEMBERSHIP, number), **_parties(person, account), roles=_shown(roles))
    return number


async def set_roles(deed: Deed, membership: MembershipRow, roles: frozenset[int]) -> None:
    """Set the roles that a member holds; what a lost role gave is refused at the next check."""
    await deed.tx.do(_SET_ROLES, id=membership.id, tenant=deed.tenant, roles=text_of(roles))
    gained, lost = roles - membership.role_ids, membership.role_ids - roles
    if lost:
        # What a role gave the others may give too, and a client may be for those who have it: the row says what is left.
        await narrowed(deed.tx, deed.at, Narrowing(tenant=deed.tenant, person=membership.person, account=membership.account))
    await deed.note(
        Act.MEMBERSHIP_ROLES_SET,
        ids.show(ids.MEMBERSHIP, membership.id),
        **_parties(membership.person, membership.account),
        gained=_shown(gained),
        lost=_shown(lost),
    )


async def end_membership(deed: Deed, membership: MembershipRow) -> bool:
    """End a membership with everything given through it; tell whether it was live until now."""
    if not await deed.tx.do(_END, id=membership.id, tenant=deed.tenant, now=deed.at.now):
        return False
    parties = {"person": membership.person, "account": membership.account}
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, person=membership.person, account=membership.account))
    await all_ended(deed.tx, deed.at, deed.tenant, await deed.tx.all(_CLEANING, **parties, tenant=deed.tenant))
    await deed.tx.do(_END_AUTHORIZATIONS, **parties, tenant=deed.tenant, now=deed.at.now)
    await deed.tx.do(_END_GRANTS, **parties, tenant=deed.tenant, now=deed.at.now)
    await record_mass(deed.tx, deed.at, tenant=deed.tenant, type=EventType.GRANT_REVOKED, because="membership_ended", **parties)
    await deed.note(Act.MEMBERSHIP_ENDED, ids.show(ids.MEMBERSHIP, membership.id), **_parties(membership.person, membership.account))
    return True


def _parties(person: int, account: int) -> dict[str, str]:
    return {"user": ids.show(ids.USER, person), "account": ids.show(ids.ACCOUNT, account)}


def _shown(roles: frozenset[int]) -> list[str]:
    return [ids.show(ids.ROLE, number) for number in sorted(roles)]
