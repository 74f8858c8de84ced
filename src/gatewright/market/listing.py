"""Installs as they are listed: by their user, by an admin of their account, by the app's developer; each with its state today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from gatewright.ledger.standing import (
    INSTALLED,
    INSTALLED_OF_ACCOUNT,
    INSTALLED_OF_APP,
    INSTALLED_OF_USER,
    INSTALLED_ONE,
    PUBLISHED,
    Installed,
    Published,
)
from gatewright.market.rules import Asked
from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.client import ClientSettings

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

NEWEST: Final = (1 << 63) - 1
Standing = Literal["waiting", "active", "no_access", "blocked"]
_settings: Final = msgspec.json.Decoder(ClientSettings).decode


class App(Struct, frozen=True, kw_only=True):
    """An app as it is published today."""

    id: int
    slug: str
    settings: ClientSettings
    status: Literal["offered", "withdrawn", "blocked"]
    owner: str | None
    version: int
    label: str
    manifest: str
    created_at: int
    changed_at: int


class Install(Struct, frozen=True, kw_only=True):
    """A live install with what it has, and what a newer version asks for beyond that.

    `waiting`: the app has not come for its token yet. `no_access`: its token was given back, replayed, or ended with a password that
    an admin set; installing it again gives it another.
    """

    id: int
    app: int
    slug: str
    name: str
    account: int
    account_slug: str
    account_name: str
    installer: str
    acting: int
    acting_email: str
    service_user: bool
    standing: Standing
    grant: int
    version: int
    published: int
    withdrawn: bool
    scopes: frozenset[int]
    declined: frozenset[int]
    update: tuple[Asked, ...]
    made_at: int
    changed_at: int


async def apps(store: Store | Tx, tenant: int, *, slug: str = "", after: str = "", count: int = 100) -> list[App]:
    """Return apps by their ids, or the one of this id."""
    return [_app(row) for row in await store.all(PUBLISHED, tenant=tenant, slug=slug, after=after, count=count)]


def _app(row: Published) -> App:
    settings = _settings(row.settings)
    return App(
        id=row.id,
        slug=row.slug,
        settings=settings,
        status="blocked" if row.disabled_at is not None else "withdrawn" if settings.withdrawn else "offered",
        owner=row.owner,
        version=row.version,
        label=row.label,
        manifest=row.manifest,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


async def installs(
    store: Store | Tx, tenant: int, *, app: int = 0, account: int = 0, acting: int = 0, before: int = NEWEST, count: int = 100
) -> list[Install]:
    """Return live installs of an app, an account, a user, or of those that are named together, the latest first; 0 is every one."""
    page = {"tenant": tenant, "before": before, "count": count}
    if acting:
        rows = await store.all(INSTALLED_OF_USER, acting=acting, app=app, account=account, **page)
    elif account:
        rows = await store.all(INSTALLED_OF_ACCOUNT, account=account, app=app, **page)
    elif app:
        rows = await store.all(INSTALLED_OF_APP, app=app, **page)
    else:
        rows = await store.all(INSTALLED, **page)
    return [listed(row) for row in rows]


async def install(store: Store | Tx, tenant: int, number: int) -> Install | None:
    """Return a live install."""
    row = await store.one(INSTALLED_ONE, tenant=tenant, id=number)
    return None if row is None else listed(row)


def listed(row: Installed) -> Install:
    """Return an install as it stands today."""
    settings = _settings(row.settings)
    scopes, declined = ids_of(row.granted or ""), ids_of(row.declined or "")
    standing = _standing(row)
    decided = scopes | declined
    more = tuple([Asked(one.scope, one.required, one.reason) for one in settings.asks if one.scope not in decided])
    return Install(
        id=row.id,
        app=row.app,
        slug=row.slug,
        name=settings.client_name,
        account=row.account,
        account_slug=row.account_slug,
        account_name=row.account_name,
        installer=row.installer,
        acting=row.acting,
        acting_email=row.acting_email,
        service_user=row.acting_kind == "service",
        standing=standing,
        grant=row.consent_grant,
        version=row.version,
        published=settings.manifest,
        withdrawn=settings.withdrawn,
        scopes=scopes,
        declined=declined,
        # Only what has access can be given more of it; an app that had none until now is installed again.
        update=more if standing == "active" and row.consent_grant and not settings.withdrawn else (),
        made_at=row.made_at,
        changed_at=row.changed_at,
    )


def _standing(row: Installed) -> Standing:
    if row.app_disabled_at is not None:
        return "blocked"
    if row.state == "approved":
        return "waiting"
    return "active" if row.tokens or not row.consent_grant else "no_access"
