"""The end of an installation: what an app may do for some minutes more, and what it is told (`docs/decisions`, events).

When the installation's grant has ended, its tokens are dead. An app that had scopes which are marked for clean-up, and that listens,
gets a grant of its own for those alone: without a user, with an end. When that has come, the installation is gone for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act, Actor, record
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.ledger import dying, telling
from gatewright.ledger.opening import OPEN, row_of
from gatewright.ledger.standing import SCOPE_NAMES, STANDING, WINDOW, Window
from gatewright.ledger.telling import Ended
from gatewright.oauth.authorization import CLEANUP, NewAuthorization
from gatewright.oauth.catalogue import ids_of, text_of
from gatewright.oauth.refresh import REPLAY_HORIZON
from gatewright.store import NotUnique, Query
from gatewright.webhooks.outbox import listens, record_event
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.base.moment import Clock, Moment
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.client import Client
    from gatewright.store import Store, Tx

SECONDS: Final = 900  # after `install.deleting`
BATCH: Final = 100
ROUNDS: Final = 100
_TRIES: Final = 5

_MARKED: Final = Query(int, "SELECT id FROM scope WHERE tenant = :tenant AND cleanup = 1 AND retired_at IS NULL")
_OPEN: Final = Query(
    None,
    """INSERT INTO consent_grant (id, tenant, client, account, person, acting, granted, declined, claims, source, made_at,
                                  changed_at, expires_at)
       VALUES (:id, :tenant, :client, :account, :person, :install, :granted, '', '', 'cleanup', :now, :now, :until)
       ON CONFLICT DO NOTHING""",
)
_OPENED: Final = Query(
    int,
    """SELECT id FROM authorization_row
        WHERE consent_grant = :grant AND issuer = :issuer AND opened_by = 'install_cleanup' AND ended_at IS NULL LIMIT 1""",
)


class _Over(Struct, frozen=True):
    tenant: int
    id: int
    client: int
    person: int
    account: int
    source: str
    acting: int


_ANY_OVER: Final = Query(int, "SELECT 1 FROM consent_grant WHERE source = 'cleanup' AND ended_at IS NULL AND expires_at <= :now LIMIT 1")
_OVER: Final = Query(
    _Over,
    """SELECT tenant, id, client, person, account, source, acting FROM consent_grant
        WHERE source = 'cleanup' AND ended_at IS NULL AND expires_at <= :now ORDER BY expires_at, id LIMIT :count""",
)
_END: Final = Query(
    None,
    """UPDATE consent_grant SET ended_at = :now, ended_because = 'uninstalled'
        WHERE id = :id AND source = 'cleanup' AND ended_at IS NULL""",
)


class Uninstalled(Struct, frozen=True, kw_only=True):
    """An installation whose grant has just ended: of which app, where, by whom, what it had, and why it ended.

    `at_once`: nobody offers the app to clean up, since whoever ended it said so, or an admin blocks the app, or its user is disabled
    or deleted.
    """

    tenant: int
    client: int
    account: int
    person: int
    install: int
    had: frozenset[int]
    because: str = "uninstalled"
    at_once: bool = False


async def farewell(tx: Tx, at: Moment, gone: Uninstalled, actor: Actor) -> int | None:
    """Tell an app that it was uninstalled, and let it clean up where it may; return until when. Part of the unit that uninstalls.

    One `install.deleting` and, when its minutes are over, one `install.deleted`; where there is nothing to wait for, only the latter.
    """
    grant = Ended(0, gone.client, gone.person, gone.account, "cleanup", gone.install)
    scopes = await offered(tx, gone.tenant, gone.client, gone.had)
    if gone.at_once or not scopes:
        await telling.deleted(tx, at, gone.tenant, grant, because=gone.because)
        return None
    until, number, shown = at.now + SECONDS, at.id(), ids.show(ids.INSTALL, gone.install)
    await tx.do(
        _OPEN,
        id=number,
        tenant=gone.tenant,
        client=gone.client,
        account=gone.account,
        person=gone.person,
        install=gone.install,
        granted=text_of(scopes),
        now=at.now,
        until=until,
    )
    data = {
        "install_id": shown,
        **telling.parties(gone.person, gone.account),
        "because": gone.because,
        "cleanup_scopes": [scope.name for scope in await tx.all(SCOPE_NAMES, tenant=gone.tenant) if scope.id in scopes],
        "cleanup_until": stamp(until),
    }
    await record_event(tx, at, tenant=gone.tenant, client=gone.client, type=EventType.INSTALL_DELETING, data=data)
    detail = {"grant": ids.show(ids.GRANT, number), "client": ids.show(ids.CLIENT, gone.client), "until": stamp(until)}
    await record(tx, at, tenant=gone.tenant, actor=actor, act=Act.INSTALL_CLEANUP_OPENED, subject=shown, detail=detail)
    return until


async def offered(source: Store | Tx, tenant: int, client: int, had: frozenset[int]) -> frozenset[int]:
    """Return the scopes with which an app may clean up after it is uninstalled: those of its own that are marked, if it is told at all.

    Asked beforehand too, so that the page says what will happen.
    """
    if not had or not await listens(source, tenant, client):
        return frozenset()
    return had & frozenset(await source.all(_MARKED, tenant=tenant))


class CleanUps:
    """Finds what is left of an installation for its own app, and ends it when its time has come."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def standing(self, client: Client, issuer: str, install: int, at: Moment) -> Standing | None:
        """Return what a client may use to clean up after an installation, opened when first needed; None where it may not."""
        window = await self._store.one(WINDOW, tenant=client.tenant, client=client.id, install=install, now=at.now)
        if window is None or window.person_gone:
            return None
        number = await self._store.one(_OPENED, grant=window.id, issuer=issuer)
        if number is None:
            new = _opened(client, issuer, window, at)
            if await self._store.verb(OPEN, **row_of(new)) is None:
                raise NotUnique("another authorization has this id")
            number = new.id
        return await self._store.one(STANDING, id=number, mark="")

    async def end_due(self, clock: Clock) -> int:
        """End what is past its minutes and tell the apps that it is; return how many."""
        ended = 0
        for _ in range(ROUNDS):
            at = clock.moment()
            if await self._store.one(_ANY_OVER, now=at.now) is None:
                break
            found = await self._store.all(_OVER, now=at.now, count=BATCH)
            ended += await self._store.run(_end_all, at, found)
        return ended


async def _end_all(tx: Tx, at: Moment, found: list[_Over]) -> int:
    ended = 0
    for one in found:
        if not await tx.do(_END, id=one.id, now=at.now):
            continue  # another node was faster
        ended += 1
        grant = Ended(one.id, one.client, one.person, one.account, one.source, one.acting)
        await dying.of_grant(tx, at, one.tenant, grant)
        await telling.deleted(tx, at, one.tenant, grant)
        shown, detail = ids.show(ids.INSTALL, one.acting), {"client": ids.show(ids.CLIENT, one.client)}
        await record(tx, at, tenant=one.tenant, actor="", act=Act.INSTALL_CLEANUP_ENDED, subject=shown, detail=detail)
    return ended


def _opened(client: Client, issuer: str, window: Window, at: Moment) -> NewAuthorization:
    # Neither user nor membership: it acts for the installation alone, and nothing of its former user can be read from it.
    return NewAuthorization(
        id=at.id(),
        tenant=client.tenant,
        issuer=issuer,
        opened_by=CLEANUP,
        grant=window.id,
        client=client.id,
        client_epoch=window.client_epoch,
        account=window.account,
        account_epoch=window.account_epoch,
        scopes=ids_of(window.granted),
        access_secret=at.text(),
        opened_at=at.now,
        sweep_at=at.now + REPLAY_HORIZON,
    )
