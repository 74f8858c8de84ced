"""The SQL of users, each statement beside the act that uses it. Whatever ends a user's access ends it in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.audit.book import Act
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.base.change import details, sides
from gatewright.endings.book import all_ended, ended
from gatewright.endings.records import Ending
from gatewright.store import Query
from gatewright.users.records import NewUser, UserRow
from gatewright.users.rules import email_key
from gatewright.webhooks.outbox import record_mass
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

BY_ID: Final = Query(
    UserRow,
    """SELECT id, tenant, kind, email, email_key, email_verified_at, name, profile, password_at, epoch, created_at, disabled_at, deleted_at
         FROM person WHERE id = :id AND tenant = :tenant""",
)
BY_EMAIL: Final = Query(
    UserRow,
    """SELECT id, tenant, kind, email, email_key, email_verified_at, name, profile, password_at, epoch, created_at, disabled_at, deleted_at
         FROM person WHERE tenant = :tenant AND email_key = :email_key AND deleted_at IS NULL""",
)
LIST: Final = Query(
    UserRow,
    """SELECT id, tenant, kind, email, email_key, email_verified_at, name, profile, password_at, epoch, created_at, disabled_at, deleted_at
         FROM person WHERE tenant = :tenant AND email_key > :after AND deleted_at IS NULL ORDER BY email_key LIMIT :count""",
)
PAGE: Final = Query(
    UserRow,
    """SELECT id, tenant, kind, email, email_key, email_verified_at, name, profile, password_at, epoch, created_at, disabled_at, deleted_at
         FROM person
        WHERE tenant = :tenant AND id > :after AND deleted_at IS NULL
          AND (:kind = '' OR kind = :kind) AND (:email_key = '' OR email_key = :email_key)
          AND (:status = '' OR (:status = 'active') = (disabled_at IS NULL))
     ORDER BY id LIMIT :count""",
)
_MAKE: Final = Query(
    None,
    """INSERT INTO person (id, tenant, kind, email, email_key, email_verified_at, name, profile, password, password_at, epoch, created_at)
       VALUES (:id, :tenant, :kind, :email, :email_key, :verified, :name, :profile, :password, :password_at, 0, :now)""",
)
_CHANGE: Final = Query(
    None,
    """UPDATE person SET name = :name, profile = :profile, email_verified_at = :verified
        WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL""",
)
_DISABLE: Final = Query(
    None,
    """UPDATE person SET disabled_at = :now, epoch = epoch + 1
        WHERE id = :id AND tenant = :tenant AND disabled_at IS NULL AND deleted_at IS NULL""",
)
_ENABLE: Final = Query(
    None,
    "UPDATE person SET disabled_at = NULL WHERE id = :id AND tenant = :tenant AND disabled_at IS NOT NULL AND deleted_at IS NULL",
)
# A deleted user's row stays: its id is in tokens, grants and the audit log, and never becomes somebody else's.
_DELETE: Final = Query(
    None,
    """UPDATE person SET deleted_at = :now, disabled_at = coalesce(disabled_at, :now), epoch = epoch + 1, password = NULL, profile = '{}'
        WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL""",
)
_SET_PASSWORD: Final = Query(
    None,
    """UPDATE person SET password = :password, password_at = :now, epoch = epoch + 1
        WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL""",
)
# The raised epoch alone ends all of it for every check; these make it show in lists, and let the rows be swept.
_END_SESSIONS: Final = Query(
    None, "UPDATE session SET ended_at = :now, ended_because = :because WHERE person = :id AND tenant = :tenant AND ended_at IS NULL"
)
_END_AUTHORIZATIONS: Final = Query(
    None,
    """UPDATE authorization_row SET ended_at = :now, ended_because = :because
        WHERE ended_at IS NULL AND tenant = :tenant AND consent_grant IN (SELECT g.id FROM consent_grant g WHERE g.person = :id)""",
)
_END_GRANTS: Final = Query(
    None,
    """UPDATE consent_grant SET ended_at = :now, ended_because = :because
        WHERE person = :id AND tenant = :tenant AND ended_at IS NULL AND source <> 'cleanup'""",
)
# An app cleans up after itself only while its former user is in good standing; that it is over is told as after any clean-up.
_CUT_CLEANUPS: Final = Query(
    None,
    """UPDATE consent_grant SET expires_at = :now
        WHERE person = :id AND tenant = :tenant AND ended_at IS NULL AND source = 'cleanup' AND expires_at > :now""",
)
# A token with which an app cleans up names its installation, and no user.
_CLEANING: Final = Query(
    int,
    """SELECT a.id FROM authorization_row AS a
        WHERE a.tenant = :tenant AND a.ended_at IS NULL AND a.consent_grant IN (
              SELECT g.id FROM consent_grant AS g WHERE g.person = :id AND g.tenant = :tenant AND g.source = 'cleanup')
     ORDER BY a.id""",
)
_END_MEMBERSHIPS: Final = Query(None, "UPDATE membership SET ended_at = :now WHERE person = :id AND tenant = :tenant AND ended_at IS NULL")


async def user_by_email(store: Store | Tx, tenant: int, email: str) -> UserRow | None:
    """Return a user that is not deleted by any spelling of an e-mail address."""
    return await store.one(BY_EMAIL, tenant=tenant, email_key=email_key(email))


async def make_user(deed: Deed, new: NewUser) -> int:
    """Make a user and return its id.

    Raises:
        Refused: the e-mail address has a user already.
    """
    if await user_by_email(deed.tx, deed.tenant, new.email) is not None:
        raise Refused(f"there is a user {new.email} already")
    number = deed.at.id()
    await deed.tx.do(
        _MAKE,
        id=number,
        tenant=deed.tenant,
        kind=new.kind,
        email=new.email.strip(),
        email_key=email_key(new.email),
        verified=deed.at.now if new.email_verified else None,
        name=new.name,
        profile=new.profile,
        password=new.password,
        password_at=deed.at.now if new.password else None,
        now=deed.at.now,
    )
    await deed.note(Act.USER_MADE, ids.show(ids.USER, number), email=new.email, kind=new.kind)
    return number


async def change_user(deed: Deed, user: UserRow, *, name: str, profile: str, email_verified: bool) -> None:
    """Set what is told of a user."""
    verified = (user.email_verified_at or deed.at.now) if email_verified else None
    await deed.tx.do(_CHANGE, id=user.id, tenant=deed.tenant, name=name, profile=profile, verified=verified)
    changed = sides(
        {"name": user.name, "email_verified": user.email_verified_at is not None}, {"name": name, "email_verified": email_verified}
    )
    # The log outlives the user, so of a profile it tells which claims were changed, and not what they say.
    claims = [one.key for one in details(msgspec.json.decode(user.profile), msgspec.json.decode(profile))]
    await deed.note(Act.USER_CHANGED, ids.show(ids.USER, user.id), email=user.email, claims=claims, **changed)


async def disable_user(deed: Deed, user: UserRow) -> bool:
    """Keep a user out, ending sessions and authorizations; tell whether the user was active until now."""
    if not await deed.tx.do(_DISABLE, id=user.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await _end_access(deed, user.id, "user_disabled")
    await _part(deed, user.id, EventType.USER_DISABLED)
    await deed.note(Act.USER_DISABLED, ids.show(ids.USER, user.id), email=user.email)
    return True


async def enable_user(deed: Deed, user: UserRow) -> bool:
    """Let a user in again; nothing that was ended is revived. Tell whether the user was disabled until now."""
    if not await deed.tx.do(_ENABLE, id=user.id, tenant=deed.tenant):
        return False
    await deed.note(Act.USER_ENABLED, ids.show(ids.USER, user.id), email=user.email)
    return True


async def delete_user(deed: Deed, user: UserRow) -> bool:
    """Take a user away for good, with password, profile, memberships and grants; tell whether there was one."""
    if not await deed.tx.do(_DELETE, id=user.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await _end_access(deed, user.id, "user_deleted")
    await _part(deed, user.id, EventType.USER_DELETED)
    await deed.tx.do(_END_GRANTS, id=user.id, tenant=deed.tenant, now=deed.at.now, because="user_deleted")
    await deed.tx.do(_END_MEMBERSHIPS, id=user.id, tenant=deed.tenant, now=deed.at.now)
    await deed.note(Act.USER_DELETED, ids.show(ids.USER, user.id), email=user.email)
    return True


async def set_password(deed: Deed, user: UserRow, password: str) -> None:
    """Give a user another password (its digest); whoever knew the old one is signed out everywhere."""
    await deed.tx.do(_SET_PASSWORD, id=user.id, tenant=deed.tenant, password=password, now=deed.at.now)
    await _end_access(deed, user.id, "by_admin")
    await deed.note(Act.PASSWORD_SET, ids.show(ids.USER, user.id), email=user.email)


async def _part(deed: Deed, user: int, type: EventType) -> None:
    """Have the apps of a user told, and keep those that were uninstalled from cleaning up."""
    await deed.tx.do(_CUT_CLEANUPS, id=user, tenant=deed.tenant, now=deed.at.now)
    await record_mass(deed.tx, deed.at, tenant=deed.tenant, type=type, person=user)


async def _end_access(deed: Deed, user: int, because: str) -> None:
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, person=user))
    await all_ended(deed.tx, deed.at, deed.tenant, await deed.tx.all(_CLEANING, id=user, tenant=deed.tenant))
    await deed.tx.do(_END_SESSIONS, id=user, tenant=deed.tenant, now=deed.at.now, because=because)
    await deed.tx.do(_END_AUTHORIZATIONS, id=user, tenant=deed.tenant, now=deed.at.now, because=because)
