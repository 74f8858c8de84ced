"""Accounts, who belongs to them, and their service users. What ends at one account, its own admin may do."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gatewright.accounts import book
from gatewright.accounts.records import AccountRow, MembershipRow
from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.operation import Nowhere, Operation, Paged
from gatewright.ledger.standing import MEMBERS, Member
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, account_at, known, place, user_at
from gatewright.management.parts import carry_out, part
from gatewright.management.records import filled, form, patch, record
from gatewright.management.users import make_user
from gatewright.market import leaving
from gatewright.oauth.catalogue import ids_of
from gatewright.platform.document import AccountPart, Name, UserPart
from gatewright.users import book as users
from gatewright.users.records import UserRow

READ: Final = "gw:accounts:read"
WRITE: Final = "gw:accounts:write"
OWN_READ: Final = "gw:members:read"
OWN_WRITE: Final = "gw:members:write"

AccountName = Annotated[str, Meta(description="The account's slug or id (`ac_…`).", max_length=100)]
UserName = Annotated[str, Meta(description="The user's id (`us_…`) or e-mail address.", max_length=300)]
_MORE: Final[dict[str, Any]] = {"id": str, "status": Annotated[str, Meta(description="`active` or `disabled`.")], "created_at": str}
AccountRecord = record("Account", AccountPart, _MORE)
NewAccount = form("NewAccount", AccountPart)
AccountChange = patch("AccountChange", AccountPart, without=("slug",))


class AccountAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which account."""

    account: AccountName


class AccountsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which accounts."""


class MemberAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which member of which account."""

    account: AccountName
    user: UserName


class MembersWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which members of which account."""

    account: AccountName
    kind: Annotated[str, Meta(description="`person` or `service` alone.", pattern="^(|person|service)\\Z")] = ""


class NewMember(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is to belong to an account, with which roles."""

    user: UserName
    roles: tuple[Name, ...] = ()


class MemberChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which roles a member is to hold."""

    roles: tuple[Name, ...]


class NewServiceUser(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A service user about to be made; the address only names it, no message goes there."""

    email: Annotated[Name, Meta(description="What it goes by, written as an e-mail address.")]
    name: Annotated[str, Meta(description="Its name, as people see it.", max_length=200)] = ""
    roles: tuple[Name, ...] = ()


class MemberRecord(Struct, frozen=True, kw_only=True):
    """A member of an account."""

    id: str
    user: str
    email: str
    name: str
    kind: str
    status: Annotated[str, Meta(description="The user's: `active` or `disabled`.")]
    roles: tuple[str, ...]
    created_at: str


# ---------------------------------------------------------------- accounts


async def list_accounts(errand: Errand, where: AccountsWhere) -> list[Struct]:
    """List accounts by slug."""
    rows = await errand.source.all(book.LIST, tenant=errand.tenant, after=where.after, count=where.count)
    return [_told(row) for row in rows]


async def show_account(errand: Errand, where: AccountAt) -> Struct:
    """Show an account."""
    return _told(await account_at(errand, where.account))


async def create_account(errand: Errand, where: Nowhere, body: Struct) -> Struct:
    """Make an account."""
    slug = errand.given["slug"]
    if await book.account_named(errand.source, errand.tenant, slug) is not None:
        raise Refused(f"there is an account {slug} already")
    await carry_out(errand, {"accounts": (part("accounts", AccountPart, errand.given),)}, inside=("accounts", 0))
    return await show_account(errand, AccountAt(slug))


async def change_account(errand: Errand, where: AccountAt, body: Struct) -> Struct:
    """Give an account another name; its slug stays, since it is part of addresses."""
    row = await account_at(errand, where.account)
    piece = part("accounts", AccountPart, {"slug": row.slug, "name": row.name, **errand.given})
    await carry_out(errand, {"accounts": (piece,)}, inside=("accounts", 0))
    return await show_account(errand, where)


async def disable_account(errand: Errand, where: AccountAt) -> Struct:
    """End all access through an account."""
    await leaving.disable_account(errand.deed, await account_at(errand, where.account))
    return await show_account(errand, where)


async def enable_account(errand: Errand, where: AccountAt) -> Struct:
    """Open an account again; nothing that was ended comes back."""
    await book.enable_account(errand.deed, await account_at(errand, where.account))
    return await show_account(errand, where)


async def delete_account(errand: Errand, where: AccountAt) -> None:
    """Take an account away for good, with its memberships."""
    await leaving.delete_account(errand.deed, await account_at(errand, where.account))


def _told(row: AccountRow) -> Struct:
    document = {"id": ids.show(ids.ACCOUNT, row.id), "slug": row.slug, "name": row.name, "status": row.status}
    return filled(AccountRecord, {**document, "created_at": stamp(row.created_at)})


# ---------------------------------------------------------------- members


async def list_members(errand: Errand, where: MembersWhere) -> list[MemberRecord]:
    """List who belongs to an account, service users too, with the roles that they hold in it."""
    account, names = await account_at(errand, where.account), await known(errand)
    after = place(ids.MEMBERSHIP, where.after, 0)
    rows = await errand.source.all(MEMBERS, tenant=errand.tenant, account=account.id, after=after, kind=where.kind, count=where.count)
    return [_member(row, names) for row in rows]


async def show_member(errand: Errand, where: MemberAt) -> MemberRecord:
    """Show a member of an account with the roles held in it."""
    _, user, held = await _membership(errand, where)
    return _member(_joined(user, held), await known(errand))


async def add_member(errand: Errand, where: AccountAt, body: NewMember) -> MemberRecord:
    """Make a user a member of an account, with roles."""
    account, user = await account_at(errand, where.account), await user_at(errand, body.user)
    if await errand.source.one(book.MEMBERSHIP, person=user.id, account=account.id, tenant=errand.tenant) is not None:
        raise Refused(f"{user.email} is a member of {account.slug} already")
    await _place(errand, account, user, body.roles, frozenset())
    return await show_member(errand, MemberAt(account.slug, user.email))


async def change_member(errand: Errand, where: MemberAt, body: MemberChange) -> MemberRecord:
    """Set the roles that a member holds in an account; without any, the member holds none."""
    account, user, held = await _membership(errand, where)
    await _place(errand, account, user, body.roles, held.role_ids)
    return await show_member(errand, where)


async def end_member(errand: Errand, where: MemberAt) -> None:
    """End a membership with everything that was given through it."""
    _, user, held = await _membership(errand, where)
    if user.kind == "service":
        raise Refused("a service user belongs to its account for as long as there is one; disable it or delete it instead")
    await leaving.end_membership(errand.deed, held)


async def _place(errand: Errand, account: AccountRow, user: UserRow, roles: tuple[str, ...], present: frozenset[int]) -> None:
    said = {"email": user.email, "kind": user.kind, "memberships": [{"account": account.slug, "roles": list(roles)}]}
    piece = part("users", UserPart, said, {"email": user.email, "memberships": said["memberships"]})
    await carry_out(errand, {"users": (piece,)}, inside=("users", 0, "memberships", 0))
    held = await errand.source.one(book.MEMBERSHIP, person=user.id, account=account.id, tenant=errand.tenant)
    names = await known(errand)
    errand.may_give(names.role_scopes((frozenset() if held is None else held.role_ids) - present), names.catalogue)


async def _membership(errand: Errand, where: MemberAt) -> tuple[AccountRow, UserRow, MembershipRow]:
    account, user = await account_at(errand, where.account), await user_at(errand, where.user)
    held = await errand.source.one(book.MEMBERSHIP, person=user.id, account=account.id, tenant=errand.tenant)
    if held is None:
        raise NotThere(f"there is no user {where.user}" if errand.caller.account else f"{user.email} is no member of {account.slug}")
    return account, user, held


def _joined(user: UserRow, held: MembershipRow) -> Member:
    return Member(held.id, user.id, user.kind, user.email, user.name, held.roles, held.created_at, user.disabled_at)


def _member(row: Member, names: Known) -> MemberRecord:
    return MemberRecord(
        id=ids.show(ids.MEMBERSHIP, row.id),
        user=ids.show(ids.USER, row.person),
        email=row.email,
        name=row.name,
        kind=row.kind,
        status="active" if row.disabled_at is None else "disabled",
        roles=tuple(names.role_names(ids_of(row.roles))),
        created_at=stamp(row.created_at),
    )


# ---------------------------------------------------------------- service users


async def create_service_user(errand: Errand, where: AccountAt, body: NewServiceUser) -> MemberRecord:
    """Make a service user of an account, with roles: software that acts by itself does it in its name."""
    account = await account_at(errand, where.account)
    membership = {"account": account.slug, "roles": list(body.roles)}
    await make_user(errand, {"email": body.email, "name": body.name, "kind": "service", "memberships": [membership]})
    return await show_member(errand, MemberAt(account.slug, body.email))


async def disable_service_user(errand: Errand, where: MemberAt) -> MemberRecord:
    """Stop a service user of an account: every authorization of it ends now."""
    await leaving.disable_user(errand.deed, await _service_user(errand, where))
    return await show_member(errand, where)


async def enable_service_user(errand: Errand, where: MemberAt) -> MemberRecord:
    """Let a service user of an account act again; nothing that was ended comes back."""
    row = await _service_user(errand, where)
    held, names = (await _membership(errand, where))[2], await known(errand)
    errand.may_give(names.role_scopes(held.role_ids), names.catalogue)
    await users.enable_user(errand.deed, row)
    return await show_member(errand, where)


async def delete_service_user(errand: Errand, where: MemberAt) -> None:
    """Take a service user away for good."""
    await leaving.delete_user(errand.deed, await _service_user(errand, where))


async def _service_user(errand: Errand, where: MemberAt) -> UserRow:
    _, user, _ = await _membership(errand, where)
    if user.kind != "service":
        # A person belongs to more than one account, and none of them may reach into the others.
        raise Refused(f"{user.email} is a person: an account ends its membership, and not more")
    return user


_MEMBERS: Final = "/accounts/{account}/members"
_SERVICE: Final = "/accounts/{account}/service-users"
OPERATIONS: Final = (
    Operation(
        name="accounts.list",
        method="GET",
        path="/accounts",
        scope=READ,
        run=list_accounts,
        where=AccountsWhere,
        gives=AccountRecord,
        many=True,
        key="slug",
    ),
    Operation(
        name="accounts.create",
        method="POST",
        path="/accounts",
        scope=WRITE,
        run=create_account,
        body=NewAccount,
        gives=AccountRecord,
        acts=(Act.ACCOUNT_MADE,),
    ),
    Operation(
        name="accounts.show",
        method="GET",
        path="/accounts/{account}",
        scope=READ,
        delegated=OWN_READ,
        run=show_account,
        where=AccountAt,
        gives=AccountRecord,
    ),
    Operation(
        name="accounts.change",
        method="PATCH",
        path="/accounts/{account}",
        scope=WRITE,
        run=change_account,
        where=AccountAt,
        body=AccountChange,
        gives=AccountRecord,
        acts=(Act.ACCOUNT_CHANGED,),
        find=show_account,
        careful=True,
    ),
    Operation(
        name="accounts.disable",
        method="POST",
        path="/accounts/{account}/disable",
        scope=WRITE,
        run=disable_account,
        where=AccountAt,
        gives=AccountRecord,
        acts=(Act.ACCOUNT_DISABLED,),
        find=show_account,
    ),
    Operation(
        name="accounts.enable",
        method="POST",
        path="/accounts/{account}/enable",
        scope=WRITE,
        run=enable_account,
        where=AccountAt,
        gives=AccountRecord,
        acts=(Act.ACCOUNT_ENABLED,),
        find=show_account,
    ),
    Operation(
        name="accounts.delete",
        method="DELETE",
        path="/accounts/{account}",
        scope=WRITE,
        run=delete_account,
        where=AccountAt,
        acts=(Act.ACCOUNT_DELETED,),
        find=show_account,
        warns="The account is taken away for good, with its memberships.",
    ),
    Operation(
        name="members.list",
        method="GET",
        path=_MEMBERS,
        scope=READ,
        delegated=OWN_READ,
        run=list_members,
        where=MembersWhere,
        gives=MemberRecord,
        many=True,
    ),
    Operation(
        name="members.add",
        method="POST",
        path=_MEMBERS,
        scope=WRITE,
        delegated=OWN_WRITE,
        run=add_member,
        where=AccountAt,
        body=NewMember,
        gives=MemberRecord,
        acts=(Act.MEMBERSHIP_MADE,),
    ),
    Operation(
        name="members.show",
        method="GET",
        path=_MEMBERS + "/{user}",
        scope=READ,
        delegated=OWN_READ,
        run=show_member,
        where=MemberAt,
        gives=MemberRecord,
    ),
    Operation(
        name="members.change",
        method="PATCH",
        path=_MEMBERS + "/{user}",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=change_member,
        where=MemberAt,
        body=MemberChange,
        gives=MemberRecord,
        acts=(Act.MEMBERSHIP_ROLES_SET,),
        find=show_member,
        careful=True,
    ),
    Operation(
        name="members.end",
        method="DELETE",
        path=_MEMBERS + "/{user}",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=end_member,
        where=MemberAt,
        acts=(Act.MEMBERSHIP_ENDED,),
        find=show_member,
    ),
    Operation(
        name="service_users.create",
        method="POST",
        path=_SERVICE,
        scope=WRITE,
        delegated=OWN_WRITE,
        run=create_service_user,
        where=AccountAt,
        body=NewServiceUser,
        gives=MemberRecord,
        acts=(Act.USER_MADE, Act.MEMBERSHIP_MADE),
    ),
    Operation(
        name="service_users.disable",
        method="POST",
        path=_SERVICE + "/{user}/disable",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=disable_service_user,
        where=MemberAt,
        gives=MemberRecord,
        acts=(Act.USER_DISABLED,),
        find=show_member,
    ),
    Operation(
        name="service_users.enable",
        method="POST",
        path=_SERVICE + "/{user}/enable",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=enable_service_user,
        where=MemberAt,
        gives=MemberRecord,
        acts=(Act.USER_ENABLED,),
        find=show_member,
    ),
    Operation(
        name="service_users.delete",
        method="DELETE",
        path=_SERVICE + "/{user}",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=delete_service_user,
        where=MemberAt,
        acts=(Act.USER_DELETED,),
        find=show_member,
        warns="The service user is taken away for good.",
    ),
)
