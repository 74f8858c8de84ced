"""A new version that asks for more: approved by the user, or for a service user by an admin of its account, without a new installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gatewright.audit.deed import Refused
from gatewright.base import ids
from gatewright.ledger import grants
from gatewright.ledger.book import RAISE
from gatewright.ledger.grants import OF_ID, Giving
from gatewright.market.installs import BY_ID, move
from gatewright.market.records import InstallEvent

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Moment
    from gatewright.store import Tx


class Approved(Struct, frozen=True, kw_only=True):
    """What somebody said yes and no to: `install` acts for `acting` as they saw it, and asks for what this version asks for."""

    install: int
    acting: int
    version: int
    granted: frozenset[int]
    declined: frozenset[int]


async def approve_update(tx: Tx, at: Moment, tenant: int, said: Approved, actor: Actor) -> None:
    """Add to what an install was given, and raise the ceiling of the token that is out: it may do more at its next use. A unit of work.

    Raises:
        Refused: the install has ended meanwhile, or acts for somebody else.
    """
    now = await tx.one(BY_ID, id=said.install, tenant=tenant)
    grant = None if now is None else await tx.one(OF_ID, id=now.consent_grant, tenant=tenant)
    if now is None or now.ended_at is not None or now.acting != said.acting or grant is None or grant.over(at.now):
        raise Refused("this installation has ended; install the app again")
    giving = Giving(
        tenant=tenant,
        client=now.app,
        source="account_admin" if now.handed_over else "user",
        actor=actor,
        person=now.acting,
        account=now.account,
        acting=now.acting if now.handed_over else 0,
        granted=said.granted,
        declined=said.declined,
        told=False,
    )
    given = await grants.give(tx, at, giving)
    await tx.do(RAISE, consent_grant=given.id, tenant=tenant, scopes=given.granted)
    told = {
        name: [ids.show(ids.SCOPE, one) for one in sorted(scopes)]
        for name, scopes in (("granted", said.granted), ("declined", said.declined))
    }
    await move(tx, at, now, replace(now, version=said.version), InstallEvent.UPDATED, actor=actor, **told)
