"""From the user who installed an app to a service user of the account: so it outlives its installer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gatewright.accounts.book import MEMBERSHIP
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.endings.book import ended
from gatewright.endings.records import Ending
from gatewright.ledger.book import PASS_ON
from gatewright.ledger.grants import HAND_OVER
from gatewright.market.installs import BY_ID, LIVE, move
from gatewright.market.records import InstallEvent
from gatewright.users.book import BY_ID as USER

if TYPE_CHECKING:
    from gatewright.market.records import InstallRow


async def hand_over(deed: Deed, number: int, *, account: int, to: int) -> None:
    """Let an install of an account act for one of its service users; its token goes on, with what that user's roles give. A unit of work.

    Raises:
        Refused: there is no such install, or that user cannot have it.
    """
    tx, tenant = deed.tx, deed.tenant
    install = await tx.one(BY_ID, id=number, tenant=tenant)
    if install is None or install.ended_at is not None or install.account != account:
        raise Refused("there is no such installation in this account")
    if install.state == "approved":
        raise Refused("the app has not come for its access yet: it can be handed over once it has")
    installer, robot = await tx.one(USER, id=install.acting, tenant=tenant), await tx.one(USER, id=to, tenant=tenant)
    membership = None if robot is None else await tx.one(MEMBERSHIP, person=to, account=account, tenant=tenant)
    if robot is None or membership is None or robot.kind != "service" or robot.disabled_at is not None:
        raise Refused("an app is handed to an active service user of the same account")
    if install.acting == to or await tx.one(LIVE, tenant=tenant, app=install.app, account=account, acting=to) is not None:
        raise Refused("this app acts for that service user already")
    if installer is None or installer.disabled_at is not None:
        raise Refused("the user whom the app acted for is gone, and its access with that user: install it again")
    if install.consent_grant:
        await _pass_on(deed, install, old_epoch=installer.epoch, epoch=robot.epoch, membership=membership.id, to=to)
    after = replace(install, acting=to)
    was = ids.show(ids.USER, install.acting)
    await move(tx, deed.at, install, after, InstallEvent.HANDED_OVER, actor=deed.actor, was=was)


async def _pass_on(deed: Deed, install: InstallRow, *, old_epoch: int, epoch: int, membership: int, to: int) -> None:
    grant = {"tenant": deed.tenant}
    if not await deed.tx.do(HAND_OVER, id=install.consent_grant, acting=to, now=deed.at.now, **grant):
        raise Refused("what the app was given has ended: install it again")
    passed = await deed.tx.all(
        PASS_ON,
        consent_grant=install.consent_grant,
        person=install.acting,
        old_epoch=old_epoch,
        acting=to,
        epoch=epoch,
        membership=membership,
        **grant,
    )
    if passed:
        # A JWT that still names the user whom it acted for before is good no more; the next one names the service user.
        old = Ending(tenant=deed.tenant, authorizations=tuple(passed), person=install.acting)
        await ended(deed.tx, deed.at, old)
