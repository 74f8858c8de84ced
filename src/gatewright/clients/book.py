"""The SQL of clients, each statement beside the act that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import CLIENT_KIND, Deed, Refused
from gatewright.base import ids
from gatewright.base.change import sides
from gatewright.clients.rules import weaknesses
from gatewright.clients.watching import watch
from gatewright.endings.book import ended, narrowed
from gatewright.endings.records import Ending, Narrowing
from gatewright.ledger import narrowing
from gatewright.oauth.client import ClientSettings
from gatewright.store import Query
from gatewright.tenants import credentials
from gatewright.webhooks import book as webhooks

if TYPE_CHECKING:
    from gatewright.store import Store, Tx


class ClientRow(Struct, frozen=True):
    """A client as stored; `settings` is a JSON document."""

    id: int
    tenant: int
    client_id: str
    settings: str
    epoch: int
    created_at: int
    changed_at: int
    disabled_at: int | None
    owner_person: int
    owner_account: int

    @property
    def terms(self) -> ClientSettings:
        """Its settings."""
        return msgspec.json.decode(self.settings, type=ClientSettings)


BY_NAME: Final = Query(
    ClientRow,
    """SELECT id, tenant, client_id, settings, epoch, created_at, changed_at, disabled_at, owner_person, owner_account FROM client
        WHERE tenant = :tenant AND client_id = :client_id""",
)
BY_ID: Final = Query(
    ClientRow,
    """SELECT id, tenant, client_id, settings, epoch, created_at, changed_at, disabled_at, owner_person, owner_account FROM client
        WHERE id = :id AND tenant = :tenant""",
)
LIST: Final = Query(
    ClientRow,
    """SELECT id, tenant, client_id, settings, epoch, created_at, changed_at, disabled_at, owner_person, owner_account FROM client
        WHERE tenant = :tenant AND client_id > :after ORDER BY client_id LIMIT :count""",
)
PAGE: Final = Query(
    ClientRow,
    """SELECT id, tenant, client_id, settings, epoch, created_at, changed_at, disabled_at, owner_person, owner_account FROM client
        WHERE tenant = :tenant AND client_id > :after AND (:status = '' OR (:status = 'active') = (disabled_at IS NULL))
     ORDER BY client_id LIMIT :count""",
)
NUMBER_OF: Final = Query(int, "SELECT id FROM client WHERE tenant = :tenant AND client_id = :client_id")
_MAKE: Final = Query(
    None,
    """INSERT INTO client (id, tenant, client_id, settings, epoch, created_at, changed_at)
       VALUES (:id, :tenant, :client_id, :settings, 0, :now, :now)""",
)
_CHANGE: Final = Query(None, "UPDATE client SET settings = :settings, changed_at = :now WHERE id = :id AND tenant = :tenant")
# A million authorizations may hang on a client: its epoch ends them all in one row, and the sweep takes them away.
_DISABLE: Final = Query(
    None, "UPDATE client SET disabled_at = :now, epoch = epoch + 1 WHERE id = :id AND tenant = :tenant AND disabled_at IS NULL"
)
_RAISE_EPOCH: Final = Query(None, "UPDATE client SET epoch = epoch + 1 WHERE id = :id AND tenant = :tenant")
_SET_OWNER: Final = Query(
    None, "UPDATE client SET owner_person = :person, owner_account = :account, changed_at = :now WHERE id = :id AND tenant = :tenant"
)
_ENABLE: Final = Query(None, "UPDATE client SET disabled_at = NULL WHERE id = :id AND tenant = :tenant AND disabled_at IS NOT NULL")


async def client_named(store: Store | Tx, tenant: int, client_id: str) -> ClientRow | None:
    """Return a client by its public id."""
    return await store.one(BY_NAME, tenant=tenant, client_id=client_id)


async def make_client(deed: Deed, client_id: str, settings: ClientSettings) -> int:
    """Register a client and return its row's id.

    Raises:
        Refused: the id is taken.
    """
    if await client_named(deed.tx, deed.tenant, client_id) is not None:
        raise Refused(f"there is a client {client_id} already")
    number = deed.at.id()
    settings = _dated(settings, None, deed.at.now)
    document = msgspec.json.encode(settings).decode()
    await deed.tx.do(_MAKE, id=number, tenant=deed.tenant, client_id=client_id, settings=document, now=deed.at.now)
    await webhooks.follow(deed, number, client_id, None, settings.event_url)
    await deed.note(Act.CLIENT_MADE, client_id, row=ids.show(ids.CLIENT, number), party=settings.party, weaknesses=weaknesses(settings))
    await watch(deed, number, None, settings)
    await deed.announce(CLIENT_KIND, number)
    return number


async def change_client(deed: Deed, client: ClientRow, settings: ClientSettings) -> None:
    """Set a client's settings; they hold for what is already given from the next check on."""
    settings = _dated(settings, client.terms, deed.at.now)
    await webhooks.follow(deed, client.id, client.client_id, client.terms.event_url, settings.event_url)
    changed = sides(_told(client.terms), _told(settings))
    document = msgspec.json.encode(settings).decode()
    await deed.tx.do(_CHANGE, id=client.id, tenant=deed.tenant, settings=document, now=deed.at.now)
    if client.terms.secret_readable and not settings.secret_readable:
        await credentials.forget_texts(deed, client.id)  # what may not be read any more is not kept
    await deed.note(Act.CLIENT_CHANGED, client.client_id, changed=sorted(changed["after"]), **changed, weaknesses=weaknesses(settings))
    await _tell_less(deed, client, settings)
    await watch(deed, client.id, client.terms, settings)
    await deed.announce(CLIENT_KIND, client.id)


async def _tell_less(deed: Deed, client: ClientRow, after: ClientSettings) -> None:
    """Tell APIs of what a client may not have any more."""
    before = client.terms
    # Without roles it is for everybody.
    for_fewer = bool(after.roles) and (not before.roles or not set(before.roles) <= set(after.roles))
    if for_fewer or (_published(after) and not _published(before)):
        await narrowed(deed.tx, deed.at, Narrowing(tenant=deed.tenant, client=client.id))
    else:
        await narrowing.of_parties(deed.tx, deed.at, deed.tenant, set(before.scopes) - set(after.scopes), client=client.id)


def _published(settings: ClientSettings) -> bool:
    """Tell whether only what is marked for clients with published credentials is given to it."""
    return settings.type == "demo" and settings.demo_scopes == "marked"


def _told(settings: ClientSettings) -> dict[str, Any]:
    """Return settings for the audit log, what they refer to by its id."""
    return {
        **{name: getattr(settings, name) for name in ClientSettings.__struct_fields__},
        "scopes": [ids.show(ids.SCOPE, number) for number in settings.scopes],
        "roles": [ids.show(ids.ROLE, number) for number in settings.roles],
        "account": ids.show(ids.ACCOUNT, settings.account) if settings.account else None,
        "service_user": ids.show(ids.USER, settings.service_user) if settings.service_user else None,
    }


def _dated(settings: ClientSettings, before: ClientSettings | None, now: int) -> ClientSettings:
    """Return settings that know since when the client gets scopes unasked; those that were set so without a date stay as they are."""
    if settings.scopes_policy != "all_allowed":
        return msgspec.structs.replace(settings, scopes_policy_at=0)
    if before is not None and before.scopes_policy == "all_allowed":
        return msgspec.structs.replace(settings, scopes_policy_at=before.scopes_policy_at)
    return msgspec.structs.replace(settings, scopes_policy_at=now)


async def settings_of(deed: Deed, number: int) -> ClientSettings:
    """Return the settings of a client as they are in this transaction.

    Raises:
        Refused: there is no such client.
    """
    row = await deed.tx.one(BY_ID, id=number, tenant=deed.tenant)
    if row is None:
        raise Refused("the client was taken away by somebody else in this moment")
    return row.terms


async def set_owner(deed: Deed, number: int, client_id: str, *, person: int = 0, account: int = 0) -> None:
    """Say whose a client is: a user, an account, both or nobody."""
    await deed.tx.do(_SET_OWNER, id=number, tenant=deed.tenant, person=person, account=account, now=deed.at.now)
    owner = {
        "owner_user": ids.show(ids.USER, person) if person else "",
        "owner_account": ids.show(ids.ACCOUNT, account) if account else "",
    }
    await deed.note(Act.CLIENT_OWNER_SET, client_id, **owner)


async def raise_epoch(deed: Deed, client: ClientRow) -> None:
    """End all that a client was given; it can be given access anew."""
    await deed.tx.do(_RAISE_EPOCH, id=client.id, tenant=deed.tenant)
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, client=client.id))
    await deed.note(Act.CLIENT_ACCESS_ENDED, client.client_id)
    await deed.announce(CLIENT_KIND, client.id)


async def disable_client(deed: Deed, client: ClientRow) -> bool:
    """Refuse a client and end all that it was given; tell whether it was active until now."""
    if not await deed.tx.do(_DISABLE, id=client.id, tenant=deed.tenant, now=deed.at.now):
        return False
    await ended(deed.tx, deed.at, Ending(tenant=deed.tenant, client=client.id))
    await webhooks.block(deed, client.id)
    await deed.note(Act.CLIENT_DISABLED, client.client_id)
    await deed.announce(CLIENT_KIND, client.id)
    return True


async def enable_client(deed: Deed, client: ClientRow) -> bool:
    """Answer a client again; nothing that was ended is revived. Tell whether it was disabled until now."""
    if not await deed.tx.do(_ENABLE, id=client.id, tenant=deed.tenant):
        return False
    await webhooks.unblock(deed, client.id)
    await deed.note(Act.CLIENT_ENABLED, client.client_id)
    await deed.announce(CLIENT_KIND, client.id)
    return True
