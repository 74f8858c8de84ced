"""Apps of the marketplace and the versions of their manifests."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gatewright.audit.book import Act
from gatewright.base.calendar import stamp
from gatewright.base.change import Hit
from gatewright.base.check import Fault, Faults, show_path
from gatewright.base.operation import Operation, Paged
from gatewright.clients.book import ClientRow
from gatewright.clients.rules import weaknesses
from gatewright.clients.secrets import make_secret, to_keep
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import known, user_at
from gatewright.management.previews import of_end, of_settings
from gatewright.market import apps as book
from gatewright.market import listing
from gatewright.market.listing import App
from gatewright.market.manifest import Manifest
from gatewright.market.records import AppRow, VersionRow
from gatewright.market.rules import app_id_fault, client_settings, known_scopes, manifest_faults
from gatewright.oauth.client import RedirectMatch
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential

READ: Final = "gw:clients:read"
WRITE: Final = "gw:clients:write"

AppName = Annotated[str, Meta(description="The app's id, which is its client's too.", max_length=63)]
_Developer = Annotated[str, Meta(description="Who made the app: a user's id or e-mail address.", max_length=300)]


class AppAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which app."""

    app: AppName


class VersionsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which app's versions."""

    app: AppName


_MANIFEST: Final = {"name": "Report Builder", "version": "1.0", "description": "Builds reports."}
_Match = Annotated[RedirectMatch, Meta(description="`subpath` takes what lies below a redirect URI as well; a weakness.")]


class NewApp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new app: its id, its manifest, and what an admin decides on it."""

    app: AppName
    manifest: Annotated[Manifest, Meta(description="As `/-/schemas/app-manifest.json` describes it.", examples=[_MANIFEST])]
    developer: _Developer | None = None
    redirect_match: _Match = "exact"


class NewVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """The next version of an app."""

    manifest: Annotated[Manifest, Meta(description="As `/-/schemas/app-manifest.json` describes it; its `version` is a new one.")]


class AppChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an admin decides on an app; what is left out stays."""

    developer: _Developer | UnsetType | None = UNSET
    redirect_match: _Match | UnsetType = UNSET


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
    await credentials.add(
        errand.deed, "client", number, body.app, NewCredential(method=kept.method, digest=kept.digest, label="management")
    )
    told = msgspec.to_builtins(await show_app(errand, AppAt(body.app)))
    return msgspec.convert({**told, "client_secret": secret.reveal()}, MadeApp)


async def publish_app(errand: Errand, where: AppAt, body: NewVersion) -> AppRecord:
    """Publish a manifest as the app's next version; installs keep what they have."""
    app, client = await _app(errand, where.app)
    await book.publish(errand.deed, app, client, body.manifest, await _scopes(errand, body.manifest))
    return await show_app(errand, where)


async def count_of_version(errand: Errand, where: AppAt, body: NewVersion, before: AppRecord) -> tuple[Hit, ...]:
    """Return who is offered what the next version asks for; installs keep what they have."""
    app, client = await _app(errand, before.app)
    scopes = await _scopes(errand, body.manifest)
    return await of_settings(
        errand, client, client_settings(body.manifest, app.version + 1, scopes, client.terms, client.terms.redirect_match)
    )


async def count_of_block(errand: Errand, where: AppAt, body: object, before: AppRecord) -> tuple[Hit, ...]:
    """Return whose access ends with an app that is kept out."""
    return await of_end(errand, (await _app(errand, before.app))[1])


async def change_app(errand: Errand, where: AppAt, body: AppChange) -> AppRecord:
    """Change what an admin decides on an app: whose it is, and whether it may be answered below its address."""
    _, client = await _app(errand, where.app)
    owner = client.owner_person
    if body.developer is not UNSET:
        owner = 0 if body.developer is None else (await user_at(errand, body.developer)).id
    match = client.terms.redirect_match if body.redirect_match is UNSET else body.redirect_match
    await book.set_terms(errand.deed, client, owner=owner, redirect_match=match)
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


_BLOCKS: Final = "Every token that the app has is dead from then on, and it is installed nowhere any more."
_MADE: Final = (Act.APP_MADE, Act.CLIENT_MADE, Act.CLIENT_OWNER_SET, Act.SECRET_ADDED)
_CHANGED: Final = (Act.CLIENT_OWNER_SET, Act.CLIENT_CHANGED)


def _on_app(name: str, run: Any, *acts: Act, impact: Any = None, warns: str = "") -> Operation:  # noqa: ANN401 - of the shapes that operations have
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
        impact=impact,
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
        impact=count_of_version,
    ),
    _on_app("withdraw", withdraw_app, Act.APP_WITHDRAWN, Act.CLIENT_CHANGED),
    _on_app("offer", offer_app, Act.APP_OFFERED, Act.CLIENT_CHANGED),
    _on_app("block", block_app, Act.APP_BLOCKED, Act.CLIENT_DISABLED, impact=count_of_block, warns=_BLOCKS),
    _on_app("unblock", unblock_app, Act.APP_UNBLOCKED, Act.CLIENT_ENABLED),
)
