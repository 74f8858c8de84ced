"""Acts of other rooms that end what apps act for, with the installs that end by them, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.accounts import book as accounts
from gatewright.market.settling import settle
from gatewright.users import book as users

if TYPE_CHECKING:
    from gatewright.accounts.records import AccountRow, MembershipRow
    from gatewright.audit.deed import Deed
    from gatewright.users.records import UserRow


async def disable_user(deed: Deed, user: UserRow) -> bool:
    """Keep a user out; the apps that act for them are uninstalled. Tell whether the user was active until now."""
    done = await users.disable_user(deed, user)
    return done and await _settled(deed, acting=user.id)


async def delete_user(deed: Deed, user: UserRow) -> bool:
    """Take a user away for good, with the apps that act for them; tell whether there was one."""
    done = await users.delete_user(deed, user)
    return done and await _settled(deed, acting=user.id)


async def disable_account(deed: Deed, account: AccountRow) -> bool:
    """End all access through an account, with its apps; tell whether it was active until now."""
    done = await accounts.disable_account(deed, account)
    return done and await _settled(deed, account=account.id)


async def delete_account(deed: Deed, account: AccountRow) -> bool:
    """Take an account away for good, with its apps; tell whether there was one."""
    done = await accounts.delete_account(deed, account)
    return done and await _settled(deed, account=account.id)


async def end_membership(deed: Deed, membership: MembershipRow) -> bool:
    """End a membership with the apps that act through it; tell whether it was live until now."""
    done = await accounts.end_membership(deed, membership)
    return done and await _settled(deed, acting=membership.person, account=membership.account)


async def _settled(deed: Deed, *, acting: int = 0, account: int = 0) -> bool:
    await settle(deed.tx, deed.at, tenant=deed.tenant, acting=acting, account=account, actor=deed.actor)
    return True
