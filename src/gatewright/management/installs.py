"""Where apps are installed: list it, end it, hand it over; for the tenant, and for an account by its own admin."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gatewright.audit.book import Act
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.operation import Operation, Paged
from gatewright.ledger.standing import ROLES_OF
from gatewright.management.accounts import AccountName, UserName
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, account_at, client_at, known, number_of, place, user_at
from gatewright.market import handover, listing
from gatewright.market.installs import uninstall_in_account
from gatewright.market.listing import NEWEST, Install
from gatewright.oauth.catalogue import ids_of

READ: Final = "gw:grants:read"
WRITE: Final = "gw:grants:write"
OWN_READ: Final = "gw:access:read"
OWN_WRITE: Final = "gw:access:write"

Cleanup = Annotated[
    Literal["offered", "none"],
    Meta(description="`none`: the app may not clean up after itself for fifteen minutes either, whatever it has for that."),
]
InstallId = Annotated[str, Meta(description="The install's id, `in_…`.", max_length=100)]


class InstallAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which install."""

    install: InstallId


class InstallEnd(InstallAt, frozen=True, forbid_unknown_fields=True):
    """Which install ends, and how."""

    cleanup: Cleanup = "offered"


class InstallOfAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """Which install in which account."""

    account: AccountName
    install: InstallId


class OwnInstallEnd(InstallOfAccount, frozen=True, forbid_unknown_fields=True):
    """Which install of which account ends, and how."""

    cleanup: Cleanup = "offered"


class InstallsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which installs: those of all that are named together."""

    app: Annotated[str, Meta(description="Those of this app.", max_length=63)] = ""
    account: Annotated[str, Meta(description="Those in this account: slug or id.", max_length=100)] = ""
    user: Annotated[str, Meta(description="Those that act for this user: id or e-mail address.", max_length=300)] = ""


class OwnInstallsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which installs in an account."""

    account: AccountName
    app: Annotated[str, Meta(description="Those of this app.", max_length=63)] = ""


class HandOver(Struct, frozen=True, forbid_unknown_fields=True):
    """For whom an app is to act."""

    user: UserName


class AskedFor(Struct, frozen=True, kw_only=True):
    """A scope that the published version asks for and the install was never asked about."""

    scope: str
    required: bool
    reason: str


class InstallRecord(Struct, frozen=True, kw_only=True):
    """An app in an account, live."""

    id: str
    app: str
    account: str
    account_id: str
    installed_by: str
    acts_for: str
    acts_for_id: str
    state: Annotated[str, Meta(description="`waiting` for the app, `active`, `no_access` or `blocked`.")]
    scopes: tuple[str, ...]
    declined: tuple[str, ...]
    update: Annotated[tuple[AskedFor, ...], Meta(description="What a newer version asks for beyond that.")]
    made_at: str
    changed_at: str


async def list_installs(errand: Errand, where: InstallsWhere) -> list[InstallRecord]:
    """List live installs, the latest first."""
    acting = 0 if not where.user else (await user_at(errand, where.user)).id
    account = 0 if not where.account else (await account_at(errand, where.account)).id
    return await _installs(errand, where.app, account, acting, where.after, where.count)


async def list_own_installs(errand: Errand, where: OwnInstallsWhere) -> list[InstallRecord]:
    """List the apps that are installed in an account, the latest first."""
    account = await account_at(errand, where.account)
    return await _installs(errand, where.app, account.id, 0, where.after, where.count)


async def show_install(errand: Errand, where: InstallAt) -> InstallRecord:
    """Show a live install."""
    return _install(await _one(errand, where.install, 0), await known(errand))


async def show_own_install(errand: Errand, where: InstallOfAccount) -> InstallRecord:
    """Show an app that is installed in an account."""
    account = await account_at(errand, where.account)
    return _install(await _one(errand, where.install, account.id), await known(errand))


async def end_install(errand: Errand, where: InstallEnd) -> None:
    """Uninstall an app: its token is dead from now on."""
    await _end(errand, await _one(errand, where.install, 0), where.cleanup)


async def end_own_install(errand: Errand, where: OwnInstallEnd) -> None:
    """Uninstall an app from an account: its token is dead from now on."""
    account = await account_at(errand, where.account)
    await _end(errand, await _one(errand, where.install, account.id), where.cleanup)


async def hand_over(errand: Errand, where: InstallAt, body: HandOver) -> InstallRecord:
    """Let an app act for a service user of its account, so that it outlives who installed it."""
    install = await _one(errand, where.install, 0)
    await _pass_on(errand, install, body.user)
    return await show_install(errand, where)


async def hand_over_own(errand: Errand, where: InstallOfAccount, body: HandOver) -> InstallRecord:
    """Let an app of an account act for one of its service users, so that it outlives who installed it."""
    account = await account_at(errand, where.account)
    await _pass_on(errand, await _one(errand, where.install, account.id), body.user)
    return await show_own_install(errand, where)


async def _pass_on(errand: Errand, install: Install, shown: str) -> None:
    user = await user_at(errand, shown)
    names = await known(errand)
    roles = await errand.source.one(ROLES_OF, person=user.id, account=install.account, tenant=errand.tenant)
    # What the app gets through the service user's roles is given by whoever hands it over (`security-rules` 36).
    errand.may_give(install.scopes & names.role_scopes(ids_of(roles or "")), names.catalogue)
    await handover.hand_over(errand.deed, install.id, account=install.account, to=user.id)


async def _end(errand: Errand, install: Install, cleanup: str) -> None:
    where, at_once = {"tenant": errand.tenant, "number": install.id, "account": install.account}, cleanup == "none"
    await uninstall_in_account(errand.deed.tx, errand.at, **where, actor=errand.caller.by, at_once=at_once)


async def _installs(errand: Errand, app: str, account: int, acting: int, after: str, count: int) -> list[InstallRecord]:
    number = 0 if not app else (await client_at(errand, app)).id
    before, names = place(ids.INSTALL, after, NEWEST), await known(errand)
    found = await listing.installs(errand.source, errand.tenant, app=number, account=account, acting=acting, before=before, count=count)
    return [_install(one, names) for one in found]


async def _one(errand: Errand, shown: str, account: int) -> Install:
    number = number_of(ids.INSTALL, shown, "install")
    found = await listing.install(errand.source, errand.tenant, number)
    if found is None or account not in (0, found.account):
        raise NotThere(f"there is no live install {shown}")
    return found


def _install(found: Install, names: Known) -> InstallRecord:
    catalogue = names.catalogue
    return InstallRecord(
        id=ids.show(ids.INSTALL, found.id),
        app=found.slug,
        account=found.account_slug,
        account_id=ids.show(ids.ACCOUNT, found.account),
        installed_by=found.installer,
        acts_for=found.acting_email,
        acts_for_id=ids.show(ids.USER, found.acting),
        state=found.standing,
        scopes=tuple(names.scope_names(found.scopes)),
        declined=tuple(names.scope_names(found.declined)),
        update=tuple(
            [
                AskedFor(scope=catalogue.scopes[one.scope].name, required=one.required, reason=one.reason)
                for one in found.update
                if one.scope in catalogue.scopes
            ]
        ),
        made_at=stamp(found.made_at),
        changed_at=stamp(found.changed_at),
    )


_OWN: Final = "/accounts/{account}/installs"
_ENDS: Final = "The token of this install is dead from then on."
_GRANTED: Final = (Act.INSTALL_ENDED, Act.GRANT_ENDED)
OPERATIONS: Final = (
    Operation(
        name="installs.list",
        method="GET",
        path="/installs",
        scope=READ,
        run=list_installs,
        where=InstallsWhere,
        gives=InstallRecord,
        many=True,
    ),
    Operation(
        name="installs.show",
        method="GET",
        path="/installs/{install}",
        scope=READ,
        run=show_install,
        where=InstallAt,
        gives=InstallRecord,
    ),
    Operation(
        name="installs.end",
        method="DELETE",
        path="/installs/{install}",
        scope=WRITE,
        run=end_install,
        where=InstallEnd,
        acts=_GRANTED,
        find=show_install,
        warns=_ENDS,
    ),
    Operation(
        name="installs.hand_over",
        method="POST",
        path="/installs/{install}/hand-over",
        scope=WRITE,
        run=hand_over,
        where=InstallAt,
        body=HandOver,
        gives=InstallRecord,
        acts=(Act.INSTALL_HANDED_OVER,),
        find=show_install,
    ),
    Operation(
        name="account_apps.list",
        method="GET",
        path=_OWN,
        scope=READ,
        delegated=OWN_READ,
        run=list_own_installs,
        where=OwnInstallsWhere,
        gives=InstallRecord,
        many=True,
    ),
    Operation(
        name="account_apps.show",
        method="GET",
        path=_OWN + "/{install}",
        scope=READ,
        delegated=OWN_READ,
        run=show_own_install,
        where=InstallOfAccount,
        gives=InstallRecord,
    ),
    Operation(
        name="account_apps.end",
        method="DELETE",
        path=_OWN + "/{install}",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=end_own_install,
        where=OwnInstallEnd,
        acts=_GRANTED,
        find=show_own_install,
        warns=_ENDS,
    ),
    Operation(
        name="account_apps.hand_over",
        method="POST",
        path=_OWN + "/{install}/hand-over",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=hand_over_own,
        where=InstallOfAccount,
        body=HandOver,
        gives=InstallRecord,
        acts=(Act.INSTALL_HANDED_OVER,),
        find=show_own_install,
    ),
)
