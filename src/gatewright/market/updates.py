"""A new version that asks for more: approved by the user, or for a service user by an admin of its account, without a new installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gatewright.audit.deed import Refused
from gatewright.ledger import grants
from gatewright.ledger.book import RAISE
from gatewright.ledger.grants import OF_ID, Giving
from gatewright.market.installs import BY_ID, move
from gatewright.market.records import InstallEvent

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Moment
    from gatewright.market.records import InstallRow
    from gatewright.store import Tx


async def approve_update(
    tx: Tx, at: Moment, install: InstallRow, *, version: int, granted: frozenset[int], declined: frozenset[int], actor: Actor
) -> None:
    """Add to what an install was given, and raise the ceiling of the token that is out: it may do more at its next use. A unit of work.

    Raises:
        Refused: the install has ended meanwhile, or acts for somebody else.
    """
    now = await tx.one(BY_ID, id=install.id, tenant=install.tenant)
    grant = None if now is None else await tx.one(OF_ID, id=now.consent_grant, tenant=install.tenant)
    if now is None or now.ended_at is not None or now.acting != install.acting or grant is None or grant.over(at.now):
        raise Refused("this installation has ended; install the app again")
    giving = Giving(
        tenant=install.tenant,
        client=install.app,
        source="account_admin" if now.handed_over else "user",
        actor=actor,
        person=now.acting,
        account=now.account,
        acting=now.acting if now.handed_over else 0,
        granted=granted,
        declined=declined,
    )
    given = await grants.give(tx, at, giving)
    await tx.do(RAISE, consent_grant=given.id, tenant=install.tenant, scopes=given.granted)
    await move(tx, at, now, replace(now, version=version), InstallEvent.UPDATED, actor=actor, scopes=len(granted), declined=len(declined))
