"""Apps: made from a manifest, published in versions, withdrawn, kept out. The SQL of apps and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from gatewright.audit.book import Act
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.clients.book import ClientRow, change_client, client_named, disable_client, enable_client, make_client, set_owner
from gatewright.market.manifest import Manifest
from gatewright.market.records import AppRow, VersionRow
from gatewright.market.rules import added_and_left, client_settings
from gatewright.store import Query
from gatewright.webhooks.outbox import record_event
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewright.oauth.client import RedirectMatch
    from gatewright.store import Store, Tx

BY_ID: Final = Query(AppRow, "SELECT id, tenant, version, created_at, changed_at FROM app WHERE id = :id AND tenant = :tenant")
VERSION: Final = Query(
    VersionRow,
    """SELECT id, app, number, label, manifest, published_at, published_by FROM app_version
        WHERE app = :app AND tenant = :tenant AND number = :number""",
)
LABELLED: Final = Query(
    VersionRow,
    """SELECT id, app, number, label, manifest, published_at, published_by FROM app_version
        WHERE app = :app AND tenant = :tenant AND label = :label""",
)
VERSIONS: Final = Query(
    VersionRow,
    """SELECT id, app, number, label, manifest, published_at, published_by FROM app_version
        WHERE app = :app AND tenant = :tenant ORDER BY number DESC LIMIT :count""",
)
_MAKE: Final = Query(
    None,
    "INSERT INTO app (id, tenant, version, created_at, changed_at) VALUES (:id, :tenant, :version, :now, :now)",
)
_MOVE: Final = Query(None, "UPDATE app SET version = :version, changed_at = :now WHERE id = :id AND tenant = :tenant")
_PUBLISH: Final = Query(
    None,
    """INSERT INTO app_version (id, tenant, app, number, label, manifest, published_at, published_by)
       VALUES (:id, :tenant, :app, :number, :label, :manifest, :now, :by)""",
)


async def app_named(store: Store | Tx, tenant: int, slug: str) -> tuple[AppRow, ClientRow] | None:
    """Return an app and its client by the app's id."""
    client = await client_named(store, tenant, slug)
    app = None if client is None else await store.one(BY_ID, id=client.id, tenant=tenant)
    return None if app is None or client is None else (app, client)


async def make_app(
    deed: Deed, slug: str, manifest: Manifest, scopes: Mapping[str, int], *, owner: int = 0, redirect_match: RedirectMatch = "exact"
) -> int:
    """Make an app, its client and its first version; return the id of both. `scopes` are the ids of the names in the manifest.

    Raises:
        Refused: the id is taken.
    """
    settings = client_settings(manifest, 1, scopes, None, redirect_match)
    number = await make_client(deed, slug, settings)
    await deed.tx.do(_MAKE, id=number, tenant=deed.tenant, version=1, now=deed.at.now)
    await _add_version(deed, number, 1, manifest)
    await deed.note(Act.APP_MADE, slug, version=manifest.version)
    if owner:
        await set_owner(deed, number, slug, person=owner)
    return number


async def publish(deed: Deed, app: AppRow, client: ClientRow, manifest: Manifest, scopes: Mapping[str, int]) -> int:
    """Publish a manifest as the app's next version and return its number; the one that is published already stays as it is.

    Raises:
        Refused: another manifest was published under this version's name.
    """
    same = await deed.tx.one(LABELLED, app=app.id, tenant=deed.tenant, label=manifest.version)
    if same is not None:
        if same.manifest == manifest.text and same.number == app.version:
            return app.version
        raise Refused(f"version {manifest.version} of {client.client_id} was published already: give this one another version")
    number = app.version + 1
    settings = client_settings(manifest, number, scopes, client.terms, client.terms.redirect_match)
    await _add_version(deed, app.id, number, manifest)
    await deed.tx.do(_MOVE, id=app.id, tenant=deed.tenant, version=number, now=deed.at.now)
    await change_client(deed, client, settings)
    added, left = [[ids.show(ids.SCOPE, one) for one in part] for part in added_and_left(client.terms, settings)]
    names = {one: name for name, one in scopes.items()}
    more = [names[one] for one in added_and_left(client.terms, settings)[0]]
    if more:
        data = {"version": manifest.version, "added_scopes": more}
        await record_event(deed.tx, deed.at, tenant=deed.tenant, client=app.id, type=EventType.APP_UPDATE_AVAILABLE, data=data)
    await deed.note(Act.APP_PUBLISHED, client.client_id, version=manifest.version, asks_for=added, no_longer_asks_for=left)
    return number


async def _add_version(deed: Deed, app: int, number: int, manifest: Manifest) -> None:
    await deed.tx.do(
        _PUBLISH,
        id=deed.at.id(),
        tenant=deed.tenant,
        app=app,
        number=number,
        label=manifest.version,
        manifest=manifest.text,
        now=deed.at.now,
        by=deed.actor if isinstance(deed.actor, str) else deed.actor.actor,
    )


async def set_terms(deed: Deed, client: ClientRow, *, owner: int, redirect_match: RedirectMatch) -> bool:
    """Set what an admin decides on an app: its developer, and whether it may be answered below its address. Tell whether that is new."""
    if (owner, redirect_match) == (client.owner_person, client.terms.redirect_match):
        return False
    if owner != client.owner_person:
        await set_owner(deed, client.id, client.client_id, person=owner, account=client.owner_account)
    if redirect_match != client.terms.redirect_match:
        await change_client(deed, client, replace(client.terms, redirect_match=redirect_match))
    return True


async def withdraw(deed: Deed, client: ClientRow) -> bool:
    """Offer an app to nobody any more; what is installed goes on. Tell whether it was offered until now."""
    if client.terms.withdrawn:
        return False
    await change_client(deed, client, replace(client.terms, withdrawn=True))
    await deed.note(Act.APP_WITHDRAWN, client.client_id)
    return True


async def offer(deed: Deed, client: ClientRow) -> bool:
    """Offer a withdrawn app again; tell whether it was withdrawn until now."""
    if not client.terms.withdrawn:
        return False
    await change_client(deed, client, replace(client.terms, withdrawn=False))
    await deed.note(Act.APP_OFFERED, client.client_id)
    return True


async def block(deed: Deed, client: ClientRow) -> bool:
    """Keep an app out: every token that it has is dead, and it gets no other. Tell whether it was let in until now.

    Thousands of installs may hang on it: the client's epoch ends their access at once, and `settling` ends them one after the other.
    """
    if not await disable_client(deed, client):
        return False
    await deed.note(Act.APP_BLOCKED, client.client_id)
    return True


async def unblock(deed: Deed, client: ClientRow) -> bool:
    """Let an app in again; nothing that was ended is revived. Tell whether it was kept out until now."""
    if not await enable_client(deed, client):
        return False
    await deed.note(Act.APP_UNBLOCKED, client.client_id)
    return True
