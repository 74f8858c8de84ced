"""What an app is told of its installs, in the transaction of each change. Of their end it is told by `ledger.cleanup`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.ledger.cleanup import Uninstalled, farewell
from gatewright.ledger.grants import GRANTED
from gatewright.ledger.standing import SCOPE_NAMES
from gatewright.ledger.telling import parties
from gatewright.market.records import InstallEvent, InstallRow
from gatewright.oauth.catalogue import OPENID_SCOPES, ids_of
from gatewright.webhooks.outbox import listens, record_event
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import EndedBecause
    from gatewright.store import Tx

# Whose access ended for one of these is trusted with nothing more (`security-rules` 47).
_NOTHING_MORE: Final = frozenset({"client_disabled", "user_disabled", "user_deleted", "account_disabled", "replay"})
_CHANGES: Final = frozenset({InstallEvent.APPROVED, InstallEvent.UPDATED, InstallEvent.HANDED_OVER})


async def moved(tx: Tx, at: Moment, before: InstallRow | None, after: InstallRow, event: InstallEvent) -> None:
    """Tell an app that it was installed, or that an install may do something else now or acts for somebody else."""
    if (before is not None and event not in _CHANGES) or not await listens(tx, after.tenant, after.app):
        return
    granted = await tx.one(GRANTED, id=after.consent_grant, tenant=after.tenant)
    names = [scope.name for scope in OPENID_SCOPES if scope.id in ids_of(granted or "")]
    names += [scope.name for scope in await tx.all(SCOPE_NAMES, tenant=after.tenant) if scope.id in ids_of(granted or "")]
    data = {"install_id": ids.show(ids.INSTALL, after.id), **parties(after.acting, after.account), "scopes": names}
    kind = EventType.INSTALL_CREATED if before is None else EventType.INSTALL_UPDATED
    await record_event(tx, at, tenant=after.tenant, client=after.app, type=kind, data=data)


async def ended(tx: Tx, at: Moment, install: InstallRow, *, because: EndedBecause, actor: Actor, at_once: bool) -> None:
    """Tell an app that it was uninstalled, and let it clean up for some minutes unless there is a reason not to."""
    granted = await tx.one(GRANTED, id=install.consent_grant, tenant=install.tenant) if install.consent_grant else None
    by_itself = actor == ids.show(ids.CLIENT, install.app)
    gone = Uninstalled(
        tenant=install.tenant,
        client=install.app,
        account=install.account,
        person=install.acting,
        install=install.id,
        had=ids_of(granted or ""),
        because=because,
        at_once=at_once or by_itself or because in _NOTHING_MORE,
    )
    await farewell(tx, at, gone, actor)
