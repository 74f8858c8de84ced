"""`gatewright users`: who there is, who is kept out, and which roles they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.accounts.records import MembershipRow
    from gatewright.users.records import UserRow


@click.group(cls=DerivedGroup)
def users() -> None:
    """List users, keep one out or let one in, set roles."""


@users.command("list")
@tenant_option
@json_option
@click.option("--after", default="", help="Go on behind this e-mail address.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def list_users(terminal: Terminal, tenant: str | None, after: str, count: int, *, as_json: bool) -> None:
    """List users by e-mail address, with their roles in each account."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.apis.book import roles_of
        from gatewright.users.book import LIST
        from gatewright.users.rules import email_key

        async with terminal.desk(tenant) as desk:
            names = {role.id: role.name for role in await roles_of(desk.store, desk.tenant.id)}
            rows = await desk.store.all(LIST, tenant=desk.tenant.id, after=email_key(after), count=count)
            return [await _shown(desk, row, names) for row in rows]

    heads = ["email", "kind", "status", "name", "memberships"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no users")


async def _shown(desk: Desk, row: UserRow, names: Mapping[int, str]) -> dict[str, Any]:
    from gatewright.accounts import book as accounts
    from gatewright.base import ids

    held = []
    for membership in await desk.store.all(accounts.MEMBERSHIPS_OF, person=row.id, tenant=desk.tenant.id):
        account = await desk.store.one(accounts.BY_ID, id=membership.account, tenant=desk.tenant.id)
        roles = ", ".join(sorted(names[number] for number in membership.role_ids if number in names))
        held.append(f"{account.slug if account is not None else '?'}: {roles or 'no role'}")
    return {
        "id": ids.show(ids.USER, row.id),
        "email": row.email,
        "kind": row.kind,
        "status": row.status,
        "name": row.name,
        "memberships": held,
    }


@users.command()
@click.argument("email")
@tenant_option
@json_option
@click.pass_obj
@told
def disable(terminal: Terminal, email: str, tenant: str | None, *, as_json: bool) -> None:
    """Keep a user out: every session and authorization ends now."""

    async def done() -> bool:
        from gatewright.market.leaving import disable_user

        async with terminal.desk(tenant) as desk:
            row = await _user(desk, email)
            return await desk.act(lambda deed: disable_user(deed, row))

    changed = run(done())
    sentence = f"{email} is disabled; all sessions and authorizations have ended" if changed else f"{email} was disabled already"
    say(sentence, {"email": email, "status": "disabled", "changed": changed}, as_json=as_json)


@users.command()
@click.argument("email")
@tenant_option
@json_option
@click.pass_obj
@told
def enable(terminal: Terminal, email: str, tenant: str | None, *, as_json: bool) -> None:
    """Let a user in again; nothing that was ended comes back."""

    async def done() -> bool:
        from gatewright.users.book import enable_user

        async with terminal.desk(tenant) as desk:
            row = await _user(desk, email)
            return await desk.act(lambda deed: enable_user(deed, row))

    changed = run(done())
    sentence = f"{email} is enabled" if changed else f"{email} was enabled already"
    say(sentence, {"email": email, "status": "active", "changed": changed}, as_json=as_json)


@users.command()
@click.argument("email")
@click.option("--account", required=True, help="The account's slug.")
@click.argument("names", nargs=-1, metavar="[ROLE]...")
@tenant_option
@json_option
@click.pass_obj
@told
def roles(terminal: Terminal, email: str, account: str, names: tuple[str, ...], tenant: str | None, *, as_json: bool) -> None:
    """Set the roles that a user holds in an account; without a ROLE, the user holds none."""

    async def done() -> bool:
        from gatewright.accounts.book import set_roles

        async with terminal.desk(tenant) as desk:
            membership, wanted = await _membership(desk, email, account), await _roles(desk, names)
            if membership.role_ids == wanted:
                return False
            await desk.act(lambda deed: set_roles(deed, membership, wanted))
            return True

    changed = run(done())
    sentence = f"{email} holds {', '.join(names) or 'no role'} in {account}, {'from now on' if changed else 'as before'}"
    say(sentence, {"email": email, "account": account, "roles": sorted(set(names)), "changed": changed}, as_json=as_json)


async def _user(desk: Desk, email: str) -> UserRow:
    from gatewright.audit.deed import Refused
    from gatewright.users.book import user_by_email

    row = await user_by_email(desk.store, desk.tenant.id, email)
    if row is None:
        raise Refused(f"there is no user {email} in the tenant {desk.tenant.slug}")
    return row


async def _membership(desk: Desk, email: str, slug: str) -> MembershipRow:
    from gatewright.accounts.book import MEMBERSHIP, account_named
    from gatewright.audit.deed import Refused

    user = await _user(desk, email)
    account = await account_named(desk.store, desk.tenant.id, slug)
    if account is None:
        raise Refused(f'there is no account "{slug}" in the tenant {desk.tenant.slug}')
    found = await desk.store.one(MEMBERSHIP, person=user.id, account=account.id, tenant=desk.tenant.id)
    if found is None:
        raise Refused(f"{email} is no member of {slug}")
    return found


async def _roles(desk: Desk, names: tuple[str, ...]) -> frozenset[int]:
    from gatewright.apis.book import roles_of
    from gatewright.audit.deed import Refused
    from gatewright.base.check import choice

    known = {role.name: role.id for role in await roles_of(desk.store, desk.tenant.id) if role.retired_at is None}
    for name in names:
        if name not in known:
            raise Refused(f'there is no role "{name}"; {choice(name, list(known))}')
    return frozenset([known[name] for name in names])
