"""Steps for accounts, users and memberships."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from gatewright.accounts import book as accounts
from gatewright.accounts.records import AccountRow, MembershipRow
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.market import leaving
from gatewright.platform.current import Current
from gatewright.platform.document import UserPart
from gatewright.platform.reading import Part, Reading
from gatewright.platform.steps import Change, SlowWork, Step, Work, details, id_in, ids_in, told, user_key
from gatewright.users import book as users
from gatewright.users.records import NewUser, UserRow


def account_steps(reading: Reading, current: Current) -> Iterator[Step]:
    """Yield the steps for accounts."""
    for part in reading.accounts:
        slug, name = part.value.slug, part.value.name
        row = current.accounts.get(slug)
        if row is None:
            change = Change("+", "account", slug, told({"name": name}))
            yield Step(change, partial(_make_account, slug, name), remember=("account", slug))
        elif row.name != name:
            change = Change("~", "account", slug, details({"name": row.name}, {"name": name}))
            yield Step(change, partial(_rename_account, row, name))


async def _make_account(slug: str, name: str, work: Work) -> None:
    work.names.accounts[slug] = await accounts.make_account(work.deed, slug, name)


async def _rename_account(row: AccountRow, name: str, work: Work) -> None:
    await accounts.rename_account(work.deed, row, name)


def user_steps(reading: Reading, current: Current, secrets: dict[Keys, Secret], slow: SlowWork) -> Iterator[Step]:
    """Yield the steps for users and their memberships."""
    for part in reading.users:
        key = user_key(part.value.email)
        row = current.users.get(key)
        if row is None:
            yield _new_user(part, secrets.get((*part.keys, "password")), slow)
        else:
            yield from _changed_user(part, row)
        for membership in part.value.memberships:
            account = current.accounts.get(membership.account)
            held = current.memberships.get(row.id, {}).get(account.id) if row is not None and account is not None else None
            yield from _membership_steps(part.value.email, membership.account, membership.roles, held, current)


def _new_user(part: Part[UserPart], password: Secret | None, slow: SlowWork) -> Step:
    user, key = part.value, user_key(part.value.email)
    profile = msgspec.json.encode(user.profile, order="sorted").decode()
    new = NewUser(
        kind=user.kind,
        email=user.email,
        email_verified=user.email_verified,
        name=user.name,
        profile=profile,
        password=slow.digest(key, password.reveal()) if password is not None else None,
    )
    after = {"name": user.name, "kind": user.kind, "email_verified": user.email_verified, "profile": user.profile}
    change = Change("+", "user", user.email, told(after, {"name": "", "email_verified": False, "profile": {}}))
    return Step(change, partial(_make_user, new), remember=("user", key))


def _changed_user(part: Part[UserPart], row: UserRow) -> Iterator[Step]:
    user, given = part.value, part.given
    before: dict[str, Any] = {
        "name": row.name,
        "email_verified": row.email_verified_at is not None,
        "profile": msgspec.json.decode(row.profile),
    }
    named = {"name": user.name, "email_verified": user.email_verified, "profile": user.profile}
    after = {**before, **{name: value for name, value in named.items() if name in given}}
    found = details(before, after)
    if found:
        yield Step(Change("~", "user", row.email, found), partial(_change_user, row, after))


async def _make_user(new: NewUser, work: Work) -> None:
    work.names.users[user_key(new.email)] = await users.make_user(work.deed, new)


async def _change_user(row: UserRow, after: dict[str, Any], work: Work) -> None:
    profile = msgspec.json.encode(after["profile"], order="sorted").decode()
    await users.change_user(work.deed, row, name=after["name"], profile=profile, email_verified=after["email_verified"])


def _membership_steps(email: str, account: str, roles: tuple[str, ...], held: MembershipRow | None, current: Current) -> Iterator[Step]:
    name, wanted = f"{user_key(email)} {account}", sorted(set(roles))
    if held is None:
        change = Change("+", "membership", f"{email} in {account}", told({"roles": wanted}, {"roles": []}))
        yield Step(change, partial(_join, email, account, tuple(wanted)), remember=("membership", name))
        return
    names = current.role_names
    present = sorted(names[number] for number in held.role_ids if number in names)
    found = details({"roles": present}, {"roles": wanted})
    if found:
        yield Step(Change("~", "membership", f"{email} in {account}", found), partial(_set_roles, held, tuple(wanted)))


async def _join(email: str, account: str, roles: tuple[str, ...], work: Work) -> None:
    names = work.names
    person, place = id_in(names.users, user_key(email)), id_in(names.accounts, account)
    await accounts.join(work.deed, person=person, account=place, roles=ids_in(names.roles, roles))


async def _set_roles(held: MembershipRow, roles: tuple[str, ...], work: Work) -> None:
    await accounts.set_roles(work.deed, held, ids_in(work.names.roles, roles))


async def end_membership(held: MembershipRow, work: Work) -> None:
    """Take a membership away."""
    await leaving.end_membership(work.deed, held)


async def delete_user(row: UserRow, work: Work) -> None:
    """Take a user away."""
    await leaving.delete_user(work.deed, row)


async def delete_account(row: AccountRow, work: Work) -> None:
    """Take an account away."""
    await leaving.delete_account(work.deed, row)
