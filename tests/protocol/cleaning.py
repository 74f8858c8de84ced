"""An app that was uninstalled: two of its scopes are marked for clean-up, one at each of two APIs, and one is not."""

from __future__ import annotations

from msgspec.structs import replace

from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.ledger.cleanup import Uninstalled, farewell
from gatewright.oauth.catalogue import OPENID, Catalogue
from gatewright.oauth.client import Client
from gatewright.oauth.grant_types.install_cleanup import NAME
from gatewright.store import Query, Tx
from gatewright.webhooks import book
from tests.support import builders as b
from tests.support.world import Param, Playground

INSTALL = 880_001
IN = ids.show(ids.INSTALL, INSTALL)
KEPT = replace(b.READ_BALANCE, cleanup=True)
MADE = replace(b.CREATE_EVENTS, cleanup=True)
HAD = frozenset({OPENID, KEPT.id, b.TRANSFER.id, MADE.id})
CATALOGUE = Catalogue(
    [b.BANK, b.EVENTS, b.IMAGING, b.APPS],
    [KEPT, b.TRANSFER, MADE, b.VIEW_EVENTS, b.READ_IMAGES, b.DELETE_IMAGES, b.USE_APP],
    [b.ORGANIZER, b.PARTICIPANT],
)
_ADD_SCOPE = Query(
    None,
    """INSERT INTO scope (id, tenant, api, name, text, risk, reach, implies, cleanup, created_at, place)
       VALUES (:id, :tenant, :api, :name, :name, 'normal', 'account', '', :cleanup, 0, :id)""",
)


async def listening_app(ground: Playground, **settings: object) -> Client:
    """A client that is told of events, in a tenant where two scopes are marked."""
    ground.directory.catalogues[b.TENANT] = CATALOGUE
    client = await ground.add(**settings)
    for scope in (KEPT, b.TRANSFER, MADE, b.VIEW_EVENTS):
        await ground.write(_ADD_SCOPE, id=scope.id, tenant=b.TENANT, api=scope.api, name=scope.name, cleanup=int(scope.cleanup))

    async def follow(tx: Tx) -> None:
        await book.follow(Deed(tx, ground.clock.moment(), b.TENANT, "os:test"), client.id, client.client_id, None, "https://app.example/e")

    await ground.store.run(follow)
    return client


async def uninstalled(ground: Playground, client: Client, **changed: object) -> int | None:
    """Uninstall the app, as the marketplace does once the installation's grant has ended; return until when it may clean up."""
    gone = Uninstalled(tenant=b.TENANT, client=client.id, account=b.ACCOUNT, person=b.PERSON, install=INSTALL, had=HAD)
    return await ground.store.run(farewell, ground.clock.moment(), replace(gone, **changed), ids.show(ids.USER, b.PERSON))


async def cleanup(ground: Playground, **params: Param) -> dict[str, object]:
    """Ask for a clean-up token as the app; the members of the reply."""
    return await ground.post(**({"grant_type": NAME, "install_id": IN} | params))
