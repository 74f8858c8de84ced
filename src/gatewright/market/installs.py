"""Installs: what happens to one, each act a unit of work. Every change of state goes through `move`, in the act's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.audit.book import Act, Actor, record
from gatewright.base import ids
from gatewright.endings.book import all_ended
from gatewright.ledger import grants
from gatewright.ledger.book import REDEEM_FOR_GOOD, REPLACE
from gatewright.ledger.opening import OPEN, row_of
from gatewright.ledger.standing import STANDING
from gatewright.market import telling
from gatewright.market.records import InstallEvent, InstallRow
from gatewright.oauth.ports import Redemption
from gatewright.store import NotUnique, Query

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import EndedBecause, NewAuthorization, Standing
    from gatewright.store import Tx

_COLUMNS: Final = "id, tenant, app, account, person, acting, consent_grant, version, state, made_at, changed_at, ended_at, ended_because"
BY_ID: Final = Query(InstallRow, f"SELECT {_COLUMNS} FROM install WHERE id = :id AND tenant = :tenant")  # noqa: S608 - the columns are ours
LIVE: Final = Query(
    InstallRow,
    f"""SELECT {_COLUMNS} FROM install
         WHERE tenant = :tenant AND app = :app AND account = :account AND acting = :acting AND ended_at IS NULL""",  # noqa: S608 - as above
)
OF_GRANT: Final = Query(
    InstallRow,
    f"SELECT {_COLUMNS} FROM install WHERE consent_grant = :consent_grant AND tenant = :tenant AND ended_at IS NULL",  # noqa: S608 - as above
)
_MAKE: Final = Query(
    None,
    """INSERT INTO install (id, tenant, app, account, person, acting, consent_grant, version, state, made_at, changed_at)
       VALUES (:id, :tenant, :app, :account, :person, :acting, :consent_grant, :version, :state, :now, :now)""",
)
# Guarded by the state that was read: of two that move it at once, the second looks again.
_MOVE: Final = Query(
    None,
    """UPDATE install
          SET acting = :acting, consent_grant = :consent_grant, version = :version, state = :state, changed_at = :now,
              ended_at = :ended_at, ended_because = :ended_because
        WHERE id = :id AND tenant = :tenant AND ended_at IS NULL AND state = :old_state AND acting = :old_acting""",
)

_ACTS: Final = {
    InstallEvent.APPROVED: Act.INSTALL_APPROVED,
    InstallEvent.ACTIVATED: Act.INSTALL_ACTIVATED,
    InstallEvent.REPLACED: Act.INSTALL_REPLACED,
    InstallEvent.UPDATED: Act.INSTALL_UPDATED,
    InstallEvent.HANDED_OVER: Act.INSTALL_HANDED_OVER,
    InstallEvent.ENDED: Act.INSTALL_ENDED,
}


async def move(
    tx: Tx, at: Moment, before: InstallRow | None, after: InstallRow, event: InstallEvent, *, actor: Actor, **detail: object
) -> None:
    """Bring an install from one state to the next, with its entry in the audit log. The one place through which every change goes, so
    what must happen in the same transaction happens here. A part of a unit of work.

    Raises:
        NotUnique: somebody else moved it meanwhile.
    """
    if before is None:
        await tx.do(
            _MAKE,
            id=after.id,
            tenant=after.tenant,
            app=after.app,
            account=after.account,
            person=after.person,
            acting=after.acting,
            consent_grant=after.consent_grant,
            version=after.version,
            state=after.state,
            now=at.now,
        )
    elif not await tx.do(
        _MOVE,
        id=before.id,
        tenant=before.tenant,
        acting=after.acting,
        consent_grant=after.consent_grant,
        version=after.version,
        state=after.state,
        now=at.now,
        ended_at=after.ended_at,
        ended_because=after.ended_because,
        old_state=before.state,
        old_acting=before.acting,
    ):
        raise NotUnique("an install was moved by somebody else in the same moment")
    told = {
        "app": ids.show(ids.CLIENT, after.app),
        "account": ids.show(ids.ACCOUNT, after.account),
        "user": ids.show(ids.USER, after.acting),
        "version": after.version,
        **detail,
    }
    await record(tx, at, tenant=after.tenant, actor=actor, act=_ACTS[event], subject=ids.show(ids.INSTALL, after.id), detail=told)
    await telling.moved(tx, at, before, after, event)


async def open_install(tx: Tx, at: Moment, new: NewAuthorization, version: int) -> int:
    """Open an authorization for an app, with the install that it belongs to; return the install's id. A unit of work."""
    install = await _found_or_made(tx, at, new, version)
    if await tx.one(OPEN, **row_of(new)) is None:
        raise NotUnique("another authorization has this id")
    return install.id


async def _found_or_made(tx: Tx, at: Moment, new: NewAuthorization, version: int) -> InstallRow:
    actor = ids.show(ids.USER, new.person)
    live = await tx.one(LIVE, tenant=new.tenant, app=new.client, account=new.account, acting=new.person)
    if live is not None and live.consent_grant not in (0, new.grant):
        # Its grant was ended by an act that knew nothing of installs.
        await end_install(tx, at, live, because="withdrawn", actor=actor)
        live = None
    if live is None:
        made = _new(at, new.tenant, app=new.client, account=new.account, person=new.person, grant=new.grant, version=version)
        await move(tx, at, None, made, InstallEvent.APPROVED, actor=actor)
        return made
    # A token that is out goes on until this code is exchanged; an app that needed none so far gets its first.
    state = live.state if live.consent_grant else "approved"
    again = replace(live, version=version, consent_grant=new.grant, state=state)
    await move(tx, at, live, again, InstallEvent.APPROVED, actor=actor, again=True)
    return again


def _new(at: Moment, tenant: int, *, app: int, account: int, person: int, grant: int, version: int) -> InstallRow:
    return InstallRow(
        id=at.id(),
        tenant=tenant,
        app=app,
        account=account,
        person=person,
        acting=person,
        consent_grant=grant,
        version=version,
        state="approved" if grant else "active",
        made_at=at.now,
        changed_at=at.now,
    )


async def install_without_access(tx: Tx, at: Moment, *, tenant: int, app: int, account: int, person: int, version: int) -> int:
    """Install an app that needs no access, so there is neither consent nor token; return the install's id. A unit of work."""
    live = await tx.one(LIVE, tenant=tenant, app=app, account=account, acting=person)
    if live is not None:
        return live.id
    made = _new(at, tenant, app=app, account=account, person=person, grant=0, version=version)
    await move(tx, at, None, made, InstallEvent.ACTIVATED, actor=ids.show(ids.USER, person))
    return made.id


async def redeem_install(tx: Tx, at: Moment, standing: Standing, *, attempt: str, now: int, digest: str | None) -> tuple[Redemption, int]:
    """Use up an app's code: its token is kept, and whatever an earlier code bought ends. A unit of work.

    The answer says whether this attempt was first, and the install's id.
    """
    install = await tx.one(OF_GRANT, consent_grant=standing.grant, tenant=standing.tenant)
    if install is None:
        return Redemption.ENDED, 0
    if await tx.one(REDEEM_FOR_GOOD, id=standing.id, attempt=attempt, now=now, standing_digest=digest) is None:
        row = await tx.one(STANDING, id=standing.id, mark="")
        return (Redemption.ENDED if row is None or row.ended_at is not None else Redemption.USED), install.id
    replaced = await tx.all(REPLACE, id=standing.id, consent_grant=standing.grant, tenant=standing.tenant, now=now)
    await all_ended(tx, at, standing.tenant, replaced)
    event = InstallEvent.ACTIVATED if install.state == "approved" else InstallEvent.REPLACED
    actor = ids.show(ids.CLIENT, standing.client)
    await move(tx, at, install, replace(install, state="active"), event, actor=actor, ended_authorizations=len(replaced))
    return Redemption.FIRST, install.id


async def end_install(tx: Tx, at: Moment, install: InstallRow, *, because: EndedBecause, actor: Actor, at_once: bool = False) -> bool:
    """End an install with its grant, and so every code and token of it; tell whether it was live. A unit of work, or a part of one.

    `at_once`: the app may not clean up after itself either.
    """
    if install.ended_at is not None:
        return False
    if install.consent_grant:
        await grants.end(tx, at, tenant=install.tenant, number=install.consent_grant, because=because, actor=actor, told=False)
    ended = replace(install, state="ended", ended_at=at.now, ended_because=because)
    await move(tx, at, install, ended, InstallEvent.ENDED, actor=actor, because=because)
    await telling.ended(tx, at, install, because=because, actor=actor, at_once=at_once)
    return True


async def uninstall_own(tx: Tx, at: Moment, *, tenant: int, number: int, person: int, at_once: bool = False) -> bool:
    """End an install at the wish of the user whom it acts for; tell whether there was one of theirs. A unit of work."""
    install = await tx.one(BY_ID, id=number, tenant=tenant)
    if install is None or install.acting != person:
        return False
    return await end_install(tx, at, install, because="uninstalled", actor=ids.show(ids.USER, person), at_once=at_once)


async def uninstall_in_account(tx: Tx, at: Moment, *, tenant: int, number: int, account: int, actor: Actor, at_once: bool = False) -> bool:
    """End an install at the wish of an admin of its account (0: of the tenant); tell whether there was one. A unit of work."""
    install = await tx.one(BY_ID, id=number, tenant=tenant)
    if install is None or account not in (0, install.account):
        return False
    return await end_install(tx, at, install, because="by_admin", actor=actor, at_once=at_once)


async def uninstall_by_app(tx: Tx, at: Moment, *, tenant: int, number: int, app: int, grant: int = 0) -> bool:
    """End an install at its own app's wish; tell whether there is, or was, such an install of it. A unit of work."""
    install = await tx.one(BY_ID, id=number, tenant=tenant)
    if install is None or install.app != app or grant not in (0, install.consent_grant):
        return False
    await end_install(tx, at, install, because="uninstalled", actor=ids.show(ids.CLIENT, app))
    return True


async def take_back(tx: Tx, at: Moment, *, tenant: int, grant: int, because: EndedBecause, actor: Actor) -> bool:
    """End a grant, and with it the install that it is of, if any; tell whether it was live. A unit of work."""
    install = await tx.one(OF_GRANT, consent_grant=grant, tenant=tenant)
    if install is not None:
        return await end_install(tx, at, install, because=because, actor=actor)
    return await grants.end(tx, at, tenant=tenant, number=grant, because=because, actor=actor)
