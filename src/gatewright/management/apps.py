"""Apps of the marketplace, their versions, and where they are installed; for an account, by its own admin."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gatewright.audit.book import Act
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.check import Fault, Faults, show_path
from gatewright.base.operation import Operation, Paged
from gatewright.clients.book import ClientRow
from gatewright.clients.rules import weaknesses
from gatewright.clients.secrets import make_secret, to_keep
from gatewright.ledger.standing import ROLES_OF
from gatewright.management.accounts import AccountName, UserName
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, account_at, client_at, known, number_of, place, user_at
from gatewright.market import apps as book
from gatewright.market import handover, listing
from gatewright.market.installs import uninstall_in_account
from gatewright.market.listing import NEWEST, App, Install
from gatewright.market.manifest import Manifest
from gatewright.market.records import AppRow, VersionRow
from gatewright.market.rules import app_id_fault, known_scopes, manifest_faults
from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.client import RedirectMatch
from gatewright.tenants import credentials

READ: Final = "gw:clients:read"
WRITE: Final = "gw:clients:write"
GRANTS_READ: Final = "gw:grants:read"
GRANTS_WRITE: Final = "gw:grants:write"
OWN_READ: Final = "gw:access:read"
OWN_WRITE: Final = "gw:access:write"

AppName = Annotated[str, Meta(description="The app's id, which is its client's too.", max_length=63)]
InstallId = Annotated[str, Meta(description="The install's id, `in_…`.", max_length=100)]
_Developer = Annotated[str, Meta(description="Who made the app: a user's id or e-mail address.", max_length=300)]


class AppAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which app."""

    app: AppName


class VersionsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which app's versions."""

    app: AppName


class NewApp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new app: its id, its manifest, and what an admin decides on it."""

    app: AppName
    manifest: Annotated[Manifest, Meta(description="As `/-/schemas/app-manifest.json` describes it.")]
    developer: _Developer | None = None
    redirect_match: RedirectMatch = "exact"


class NewVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """The next version of an app."""

    manifest: Annotated[Manifest, Meta(description="As `/-/schemas/app-manifest.json` describes it; its `version` is a new one.")]


class AppChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an admin decides on an app; what is left out stays."""

    developer: _Developer | UnsetType | None = UNSET
    redirect_match: RedirectMatch | UnsetType = UNSET


class AppRecord(Struct, frozen=True, kw_only=True):
    """An app as it is published."""

    app: str
    name: str
    version: str
    status: Annotated[str, Meta(description="`offered`, `withdrawn` or `blocked`.")]
    developer: str | None
    redirect_match: str
    manifest: dict[str, Any]
    weaknesses: tuple[str, ...]
    created_at: str
    changed_at: str


class MadeApp(AppRecord, frozen=True, kw_only=True):
    """A new app with its secret."""

    client_secret: Annotated[str, Meta(description="Shown this once, kept as a digest.")]


class VersionRecord(Struct, frozen=True, kw_only=True):
    """A manifest as it was published; it never changes."""

    number: str
    version: str
    manifest: dict[str, Any]
    published_at: str
    published_by: str


class InstallAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which install."""

    install: InstallId


class InstallOfAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """Which install in which account."""

    account: AccountName
    install: InstallId


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


# ---------------------------------------------------------------- apps


async def list_apps(errand: Errand, where: Paged) -> list[AppRecord]:
    """List apps by id."""
    return [_told(one) for one in await listing.apps(errand.source, errand.tenant, after=where.after, count=where.count)]


async def show_app(errand: Errand, where: AppAt) -> AppRecord:
    """Show an app with the manifest that is published."""
    found = await listing.apps(errand.source, errand.tenant, slug=where.app, count=1)
    if not found:
        raise NotThere(f"there is no app {where.app}")
    return _told(found[0])


async def create_app(errand: Errand, where: object, body: NewApp) -> MadeApp:
    """Make an app from its manifest; its secret is made and shown this once."""
    fault = app_id_fault(body.app)
    if fault is not None:
        raise Faults((Fault("app", fault, keys=("app",)),))
    scopes = await _scopes(errand, body.manifest)
    owner = 0 if body.developer is None else (await user_at(errand, body.developer)).id
    number = await book.make_app(errand.deed, body.app, body.manifest, scopes, owner=owner, redirect_match=body.redirect_match)
    secret = make_secret(errand.at)
    kept = to_keep(secret, errand.tenant, str)  # a secret of ours is never short, so nothing slow is asked for
    await credentials.add(errand.deed, "client", number, body.app, method=kept.method, digest=kept.digest, label="management")
    told = msgspec.to_builtins(await show_app(errand, AppAt(body.app)))
    return msgspec.convert({**told, "client_secret": secret.reveal()}, MadeApp)


async def publish_app(errand: Errand, where: AppAt, body: NewVersion) -> AppRecord:
    """Publish a manifest as the app's next version; installs keep what they have."""
    app, client = await _app(errand, where.app)
    await book.publish(errand.deed, app, client, body.manifest, await _scopes(errand, body.manifest))
    return await show_app(errand, where)


async def change_app(errand: Errand, where: AppAt, body: AppChange) -> AppRecord:
    """Change what an admin decides on an app: whose it is, and whether it may be answered below its address."""
    app, client = await _app(errand, where.app)
    owner = app.owner
    if body.developer is not UNSET:
        owner = 0 if body.developer is None else (await user_at(errand, body.developer)).id
    match = client.terms.redirect_match if body.redirect_match is UNSET else body.redirect_match
    await book.set_terms(errand.deed, app, client, owner=owner, redirect_match=match)
    return await show_app(errand, where)


async def withdraw_app(errand: Errand, where: AppAt) -> AppRecord:
    """Offer an app to nobody any more; what is installed goes on."""
    await book.withdraw(errand.deed, (await _app(errand, where.app))[1])
    return await show_app(errand, where)


async def offer_app(errand: Errand, where: AppAt) -> AppRecord:
    """Offer a withdrawn app again."""
    await book.offer(errand.deed, (await _app(errand, where.app))[1])
    return await show_app(errand, where)


async def block_app(errand: Errand, where: AppAt) -> AppRecord:
    """Keep an app out: every token that it has is dead now, and it is installed nowhere any more."""
    await book.block(errand.deed, (await _app(errand, where.app))[1])
    return await show_app(errand, where)


async def unblock_app(errand: Errand, where: AppAt) -> AppRecord:
    """Let an app in again; nothing that was ended comes back."""
    await book.unblock(errand.deed, (await _app(errand, where.app))[1])
    return await show_app(errand, where)


async def list_versions(errand: Errand, where: VersionsWhere) -> list[VersionRecord]:
    """List the versions of an app, the latest first."""
    app, _ = await _app(errand, where.app)
    if where.after and not where.after.isdecimal():
        raise NotThere(f'"{where.after[:40]}" is no version\'s number')
    rows = await errand.source.all(book.VERSIONS, app=app.id, tenant=errand.tenant, count=where.count + app.version)
    before = int(where.after[:18]) if where.after else app.version + 1
    return [_version(row) for row in rows if row.number < before][: where.count]


async def _app(errand: Errand, slug: str) -> tuple[AppRow, ClientRow]:
    found = await book.app_named(errand.source, errand.tenant, slug)
    if found is None:
        raise NotThere(f"there is no app {slug}")
    return found


async def _scopes(errand: Errand, manifest: Manifest) -> dict[str, int]:
    """Return the ids of the scopes that a manifest names, after telling everything that is wrong with it."""
    catalogue = (await known(errand)).catalogue
    faults = manifest_faults(manifest, known_scopes(catalogue), ("manifest",))
    if faults:
        raise Faults(tuple([Fault(show_path(fault.keys), fault.rule, fault.cure, None, fault.keys) for fault in faults]))
    return {one.scope: catalogue.scopes_by_name[one.scope].id for one in manifest.asked}


def _told(found: App) -> AppRecord:
    return AppRecord(
        app=found.slug,
        name=found.settings.client_name,
        version=found.label,
        status=found.status,
        developer=found.owner,
        redirect_match=found.settings.redirect_match,
        manifest=msgspec.json.decode(found.manifest),
        weaknesses=weaknesses(found.settings),
        created_at=stamp(found.created_at),
        changed_at=stamp(found.changed_at),
    )


def _version(row: VersionRow) -> VersionRecord:
    return VersionRecord(
        number=str(row.number),
        version=row.label,
        manifest=msgspec.json.decode(row.manifest),
        published_at=stamp(row.published_at),
        published_by=row.published_by,
    )


# ---------------------------------------------------------------- installs


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


async def end_install(errand: Errand, where: InstallAt) -> None:
    """Uninstall an app: its token is dead from now on."""
    await _end(errand, await _one(errand, where.install, 0))


async def end_own_install(errand: Errand, where: InstallOfAccount) -> None:
    """Uninstall an app from an account: its token is dead from now on."""
    account = await account_at(errand, where.account)
    await _end(errand, await _one(errand, where.install, account.id))


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


async def _end(errand: Errand, install: Install) -> None:
    await uninstall_in_account(
        errand.deed.tx, errand.at, tenant=errand.tenant, number=install.id, account=install.account, actor=errand.caller.by
    )


async def _installs(errand: Errand, app: str, account: int, acting: int, after: str, count: int) -> list[InstallRecord]:
    number = 0 if not app else (await client_at(errand, app)).id
    before, names = place(ids.INSTALL, after, NEWEST), await known(errand)
    found = await listing.installs(errand.source, errand.tenant, app=number, account=account, acting=acting, before=before, count=count)
    return [_install(one, names) for one in found]


async def _one(errand: Errand, shown: str, account: int) -> Install:
    number = number_of(ids.INSTALL, shown, "install")
    found = await listing.installs(errand.source, errand.tenant, number=number, account=account, count=1)
    if not found:
        raise NotThere(f"there is no live install {shown}")
    return found[0]


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
_BLOCKS: Final = "Every token that the app has is dead from then on, and it is installed nowhere any more."
_ENDS: Final = "The token of this install is dead from then on."
_GRANTED: Final = (Act.INSTALL_ENDED, Act.GRANT_ENDED)
_MADE: Final = (Act.APP_MADE, Act.CLIENT_MADE, Act.SECRET_ADDED)
_CHANGED: Final = (Act.APP_CHANGED, Act.CLIENT_CHANGED)


def _on_app(name: str, run: Any, *acts: Act, warns: str = "") -> Operation:  # noqa: ANN401 - a function of the shape that operations have
    return Operation(
        name=f"apps.{name}",
        method="POST",
        path=f"/apps/{{app}}/{name}",
        scope=WRITE,
        run=run,
        where=AppAt,
        gives=AppRecord,
        acts=acts,
        find=show_app,
        warns=warns,
    )


OPERATIONS: Final = (
    Operation(name="apps.list", method="GET", path="/apps", scope=READ, run=list_apps, where=Paged, gives=AppRecord, many=True, key="app"),
    Operation(name="apps.create", method="POST", path="/apps", scope=WRITE, run=create_app, body=NewApp, gives=MadeApp, acts=_MADE),
    Operation(name="apps.show", method="GET", path="/apps/{app}", scope=READ, run=show_app, where=AppAt, gives=AppRecord),
    Operation(
        name="apps.change",
        method="PATCH",
        path="/apps/{app}",
        scope=WRITE,
        run=change_app,
        where=AppAt,
        body=AppChange,
        gives=AppRecord,
        acts=_CHANGED,
        find=show_app,
        careful=True,
    ),
    Operation(
        name="apps.versions.list",
        method="GET",
        path="/apps/{app}/versions",
        scope=READ,
        run=list_versions,
        where=VersionsWhere,
        gives=VersionRecord,
        many=True,
        key="number",
    ),
    Operation(
        name="apps.publish",
        method="POST",
        path="/apps/{app}/versions",
        scope=WRITE,
        run=publish_app,
        where=AppAt,
        body=NewVersion,
        gives=AppRecord,
        acts=(Act.APP_PUBLISHED, Act.CLIENT_CHANGED),
        find=show_app,
    ),
    _on_app("withdraw", withdraw_app, Act.APP_WITHDRAWN, Act.CLIENT_CHANGED),
    _on_app("offer", offer_app, Act.APP_OFFERED, Act.CLIENT_CHANGED),
    _on_app("block", block_app, Act.APP_BLOCKED, Act.CLIENT_DISABLED, warns=_BLOCKS),
    _on_app("unblock", unblock_app, Act.APP_UNBLOCKED, Act.CLIENT_ENABLED),
    Operation(
        name="installs.list",
        method="GET",
        path="/installs",
        scope=GRANTS_READ,
        run=list_installs,
        where=InstallsWhere,
        gives=InstallRecord,
        many=True,
    ),
    Operation(
        name="installs.show",
        method="GET",
        path="/installs/{install}",
        scope=GRANTS_READ,
        run=show_install,
        where=InstallAt,
        gives=InstallRecord,
    ),
    Operation(
        name="installs.end",
        method="DELETE",
        path="/installs/{install}",
        scope=GRANTS_WRITE,
        run=end_install,
        where=InstallAt,
        acts=_GRANTED,
        find=show_install,
        warns=_ENDS,
    ),
    Operation(
        name="installs.hand_over",
        method="POST",
        path="/installs/{install}/hand-over",
        scope=GRANTS_WRITE,
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
        scope=GRANTS_READ,
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
        scope=GRANTS_READ,
        delegated=OWN_READ,
        run=show_own_install,
        where=InstallOfAccount,
        gives=InstallRecord,
    ),
    Operation(
        name="account_apps.end",
        method="DELETE",
        path=_OWN + "/{install}",
        scope=GRANTS_WRITE,
        delegated=OWN_WRITE,
        run=end_own_install,
        where=InstallOfAccount,
        acts=_GRANTED,
        find=show_own_install,
        warns=_ENDS,
    ),
    Operation(
        name="account_apps.hand_over",
        method="POST",
        path=_OWN + "/{install}/hand-over",
        scope=GRANTS_WRITE,
        delegated=OWN_WRITE,
        run=hand_over_own,
        where=InstallOfAccount,
        body=HandOver,
        gives=InstallRecord,
        acts=(Act.INSTALL_HANDED_OVER,),
        find=show_own_install,
    ),
)
