"""Users of the tenant: people and service users."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from gatewright.accounts import book as accounts
from gatewright.audit.book import Act
from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.check import Fault, Faults
from gatewright.base.operation import Nowhere, Operation, Paged
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.ledger.standing import PLACES
from gatewright.management.errand import Errand, NotHeld
from gatewright.management.names import Known, known, place, user_at
from gatewright.management.parts import carry_out, part
from gatewright.management.records import filled, form, patch, record
from gatewright.market import leaving
from gatewright.platform.document import UserPart
from gatewright.platform.steps import SlowWork, user_key
from gatewright.users import book
from gatewright.users.passwords import RULE, SALT_BYTES, SHORTEST, new_password_fault
from gatewright.users.records import UserRow
from gatewright.users.rules import email_key

READ: Final = "gw:users:read"
WRITE: Final = "gw:users:write"
PLACES_USERS: Final = "gw:accounts:write"

Password = Annotated[str, Meta(description=f"{RULE} Kept as a slow digest alone.", min_length=SHORTEST, max_length=1024)]
_MORE: Final[dict[str, Any]] = {
    "id": str,
    "status": Annotated[str, Meta(description="`active` or `disabled`.")],
    "has_password": bool,
    "created_at": str,
}
UserRecord = record("User", UserPart, _MORE, without=("password", "memberships"), says="A person or a service user.")
NewUser = form("NewUser", UserPart, without=("password",), more={"password": Password})
UserChange = patch("UserChange", UserPart, without=("email", "kind", "password", "memberships"))


class UserAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which user."""

    user: Annotated[str, Meta(description="The user's id (`us_…`) or e-mail address.", max_length=300)]


class UsersWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which users."""

    kind: Annotated[str, Meta(description="`person` or `service` alone.", pattern="^(|person|service)\\Z")] = ""
    status: Annotated[str, Meta(description="`active` or `disabled` alone.", pattern="^(|active|disabled)\\Z")] = ""
    email: Annotated[str, Meta(description="The one with this e-mail address, in any spelling.", max_length=300)] = ""


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """Another password."""

    password: Password


class MembershipRecord(Struct, frozen=True, kw_only=True):
    """A user's place in an account."""

    id: str
    account: str
    account_id: str
    account_name: str
    roles: tuple[str, ...]
    created_at: str


async def list_users(errand: Errand, where: UsersWhere) -> list[Struct]:
    """List users, the oldest first."""
    rows = await errand.source.all(
        book.PAGE,
        tenant=errand.tenant,
        after=place(ids.USER, where.after, 0),
        kind=where.kind,
        status=where.status,
        email_key=email_key(where.email),
        count=where.count,
    )
    return [_told(row) for row in rows]


async def show_user(errand: Errand, where: UserAt) -> Struct:
    """Show a user."""
    return _told(await user_at(errand, where.user))


async def list_memberships(errand: Errand, where: UserAt) -> list[MembershipRecord]:
    """List the accounts that a user belongs to, with the roles held there."""
    user, names = await user_at(errand, where.user), await known(errand)
    rows = await errand.source.all(PLACES, tenant=errand.tenant, person=user.id)
    return [
        MembershipRecord(
            id=ids.show(ids.MEMBERSHIP, row.id),
            account=row.slug,
            account_id=ids.show(ids.ACCOUNT, row.account),
            account_name=row.name,
            roles=tuple(names.role_names(map(int, row.roles.split()))),
            created_at=stamp(row.created_at),
        )
        for row in rows
    ]


async def hash_password(errand: Errand, where: object, body: Struct) -> str | None:
    """Return the digest of the password in a body, None where there is none; made where it keeps nobody waiting."""
    password = getattr(body, "password", msgspec.UNSET)
    if not isinstance(password, str):
        return None
    _fit(password, str(getattr(body, "email", "")))
    return await errand.tools.passwords.make(password, errand.at.dice.bytes(SALT_BYTES))


def _fit(password: str, email: str) -> None:
    wrong = new_password_fault(password, email)
    if wrong is not None:
        raise Faults((Fault("password", wrong, "", None, ("password",)),))


async def create_user(errand: Errand, where: object, body: Struct) -> Struct:
    """Make a user, a person or a service user, with its memberships."""
    said = {name: value for name, value in errand.given.items() if name != "password"}
    await make_user(errand, said, str(errand.given.get("password") or ""))
    return await show_user(errand, UserAt(said["email"]))


async def make_user(errand: Errand, said: dict[str, Any], password: str = "") -> None:
    """Make a user as a platform file would say it; its roles are given by those alone who hold them."""
    email = said["email"]
    held = errand.caller.held
    if said.get("memberships") and held is not None and not errand.caller.account and PLACES_USERS not in held:
        raise NotHeld(f"who belongs to an account is decided by those who hold {PLACES_USERS}; make the user without memberships")
    if await book.user_by_email(errand.source, errand.tenant, email) is not None:
        raise Refused(f"there is a user {email} already")
    slow = SlowWork(errand.at)
    secrets: dict[Keys, Secret] = {}
    if isinstance(errand.prepared, str):
        slow.know(user_key(email), password, errand.prepared)
        secrets[("users", 0, "password")] = Secret(password)
    await carry_out(errand, {"users": (part("users", UserPart, said),)}, inside=("users", 0), secrets=secrets, slow=slow)
    row = await user_at(errand, email)
    await _may_be(errand, row, await known(errand))


async def change_user(errand: Errand, where: UserAt, body: Struct) -> Struct:
    """Change what is told of a user."""
    row = await user_at(errand, where.user)
    await may_touch(errand, row)
    piece = part("users", UserPart, {"email": row.email, "kind": row.kind, **errand.given}, errand.given)
    await carry_out(errand, {"users": (piece,)}, inside=("users", 0))
    return await show_user(errand, where)


async def disable_user(errand: Errand, where: UserAt) -> Struct:
    """Keep a user out: every session and authorization ends now."""
    await leaving.disable_user(errand.deed, await user_at(errand, where.user))
    return await show_user(errand, where)


async def enable_user(errand: Errand, where: UserAt) -> Struct:
    """Let a user in again; nothing that was ended comes back."""
    row = await user_at(errand, where.user)
    await may_touch(errand, row)
    await book.enable_user(errand.deed, row)
    return await show_user(errand, where)


async def delete_user(errand: Errand, where: UserAt) -> None:
    """Take a user away for good, with password, profile, memberships and grants."""
    await leaving.delete_user(errand.deed, await user_at(errand, where.user))


async def set_password(errand: Errand, where: UserAt, body: NewPassword) -> None:
    """Give a user another password; whoever knew the old one is signed out everywhere."""
    row = await user_at(errand, where.user)
    await may_touch(errand, row)
    if row.kind != "person":
        raise Refused("a service user never signs in, so it has no password")
    _fit(body.password, row.email)
    assert isinstance(errand.prepared, str)  # noqa: S101 - `hash_password` went before
    await book.set_password(errand.deed, row, errand.prepared)


async def may_touch(errand: Errand, row: UserRow) -> None:
    """See that nobody gets hold of a user who may do more than he (`security-rules` 36)."""
    if errand.caller.held is not None:
        await _may_be(errand, row, await known(errand))


async def _may_be(errand: Errand, row: UserRow, names: Known) -> None:
    for held in await errand.source.all(accounts.MEMBERSHIPS_OF, person=row.id, tenant=errand.tenant):
        errand.may_give(names.role_scopes(held.role_ids), names.catalogue)


def _told(row: UserRow) -> Struct:
    return filled(
        UserRecord,
        {
            "id": ids.show(ids.USER, row.id),
            "email": row.email,
            "name": row.name,
            "kind": row.kind,
            "email_verified": row.email_verified_at is not None,
            "profile": msgspec.json.decode(row.profile),
            "status": row.status,
            "has_password": row.password_at is not None,
            "created_at": stamp(row.created_at),
        },
    )


OPERATIONS: Final = (
    Operation(name="users.list", method="GET", path="/users", scope=READ, run=list_users, where=UsersWhere, gives=UserRecord, many=True),
    Operation(
        name="users.create",
        method="POST",
        path="/users",
        scope=WRITE,
        run=create_user,
        where=Nowhere,
        body=NewUser,
        gives=UserRecord,
        acts=(Act.USER_MADE, Act.MEMBERSHIP_MADE),
        prepare=hash_password,
    ),
    Operation(name="users.show", method="GET", path="/users/{user}", scope=READ, run=show_user, where=UserAt, gives=UserRecord),
    Operation(
        name="users.memberships",
        method="GET",
        path="/users/{user}/memberships",
        scope=READ,
        run=list_memberships,
        where=UserAt,
        gives=MembershipRecord,
        many=True,
    ),
    Operation(
        name="users.change",
        method="PATCH",
        path="/users/{user}",
        scope=WRITE,
        run=change_user,
        where=UserAt,
        body=UserChange,
        gives=UserRecord,
        acts=(Act.USER_CHANGED,),
        find=show_user,
        careful=True,
    ),
    Operation(
        name="users.disable",
        method="POST",
        path="/users/{user}/disable",
        scope=WRITE,
        run=disable_user,
        where=UserAt,
        gives=UserRecord,
        acts=(Act.USER_DISABLED,),
        find=show_user,
    ),
    Operation(
        name="users.enable",
        method="POST",
        path="/users/{user}/enable",
        scope=WRITE,
        run=enable_user,
        where=UserAt,
        gives=UserRecord,
        acts=(Act.USER_ENABLED,),
        find=show_user,
    ),
    Operation(
        name="users.delete",
        method="DELETE",
        path="/users/{user}",
        scope=WRITE,
        run=delete_user,
        where=UserAt,
        acts=(Act.USER_DELETED,),
        find=show_user,
        warns="The user is taken away for good, with password, profile, memberships and grants.",
    ),
    Operation(
        name="users.set_password",
        method="PUT",
        path="/users/{user}/password",
        scope=WRITE,
        run=set_password,
        where=UserAt,
        body=NewPassword,
        acts=(Act.PASSWORD_SET,),
        prepare=hash_password,
    ),
)
