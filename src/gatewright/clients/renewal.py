"""A client's secrets over time: made, replaced with or without an overlap, ended, reported leaked, and, where it may be, read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import Deed, Refused
from gatewright.base import ids
from gatewright.base.secret import Secret
from gatewright.clients.book import ClientRow, raise_epoch
from gatewright.clients.secrets import make_secret, to_keep
from gatewright.oauth.client import SECRET_METHODS
from gatewright.store import Query
from gatewright.tenants import credentials
from gatewright.tenants.credentials import CredentialRow, NewCredential

if TYPE_CHECKING:
    from gatewright.keys.sealer import Wrapper
    from gatewright.store import Store, Tx

PURPOSE: Final = "client secret"
_NONCE: Final = 12

_OF_CLIENT: Final = Query(int, "SELECT id FROM credential WHERE id = :id AND holder = :holder AND tenant = :tenant")


class Made(Struct, frozen=True):
    """A secret just made. Its text is here and nowhere else, unless the client's secrets can be read again."""

    id: int
    secret: Secret
    label: str
    created_at: int
    expires_at: int | None


async def make(deed: Deed, client: ClientRow, wrapper: Wrapper | None, *, label: str = "", expires_at: int | None = None) -> Made:
    """Give a client one more secret; what it has goes on. The `wrapper` is needed where its secrets can be read again.

    Raises:
        Refused: two are live already, the client has no secrets, or what was asked for cannot be.
    """
    _check(deed, client, wrapper, label, expires_at)
    number = deed.at.id()
    secret = make_secret(deed.at)
    kept = to_keep(secret, deed.tenant, str)  # a secret of ours is never short, so nothing slow is asked for
    new = NewCredential(
        method=kept.method,
        digest=kept.digest,
        label=label,
        expires_at=expires_at,
        number=number,
        wrapped=wrap(wrapper, deed, client.id, number, secret) if wrapper is not None and client.terms.secret_readable else None,
    )
    await credentials.add(deed, "client", client.id, client.client_id, new)
    return Made(number, secret, label, deed.at.now, expires_at)


async def regenerate(
    deed: Deed, client: ClientRow, wrapper: Wrapper | None, *, label: str = "", expires_at: int | None = None, until: int | None = None
) -> Made:
    """Give a client a secret in the place of those that it has. They end now, or at `until`: both are good in between.

    Raises:
        Refused: with an overlap, two are live already; or what was asked for cannot be.
    """
    await credentials.give_way(deed, "client", client.id, client.client_id, until)
    return await make(deed, client, wrapper, label=label, expires_at=expires_at)


async def end(deed: Deed, client: ClientRow, number: int) -> bool:
    """End one secret of a client; tell whether nobody had ended it until now."""
    return await credentials.end(deed, "client", client.id, client.client_id, number)


async def report_leaked(deed: Deed, client: ClientRow, number: int, *, access_goes_on: bool = False) -> bool:
    """End a secret that somebody else may have, and with it all that the client was given (`security-rules` 17).

    Whoever had the secret may have redeemed codes and refresh tokens, so only an admin who knows better lets access go on. Telling of
    a secret that has ended already ends the access all the same. Tell whether the secret is one of this client's.
    """
    if not await credentials.end(deed, "client", client.id, client.client_id, number, "leaked"):
        if await deed.tx.one(_OF_CLIENT, id=number, holder=client.id, tenant=deed.tenant) is None:
            return False
        secret_id = ids.show(ids.SECRET, number)
        await deed.note(Act.SECRET_LEAKED, client.client_id, holder="client", secret_id=secret_id, because="leaked")
    if not access_goes_on:
        await raise_epoch(deed, client)
    return True


class Read(Struct, frozen=True):
    """One secret as its owner sees it; without a text where it cannot be read again."""

    row: CredentialRow
    secret: Secret | None


async def read(deed: Deed, client: ClientRow, wrapper: Wrapper, *, address: str) -> tuple[Read, ...]:
    """Return a client's live secrets, with their texts where those can be read again. That somebody read one is written down first.

    Raises:
        KeyFault: the root key is another one than when they were made.
    """
    rows = await live(deed.tx, client, deed.at.now)
    readable = client.terms.secret_readable
    found = tuple([Read(row, _unwrapped(client, wrapper, row) if readable and row.wrapped is not None else None) for row in rows])
    shown = [ids.show(ids.SECRET, one.row.id) for one in found if one.secret is not None]
    if shown:
        await deed.note(Act.SECRET_READ, client.client_id, secret_ids=shown, address=address, **_owner(client))
    return found


async def live(store: Store | Tx, client: ClientRow, now: int) -> list[CredentialRow]:
    """Return the secrets of a client that are good at this moment, oldest first."""
    return await credentials.live(store, client.tenant, client.id, now)


def _owner(client: ClientRow) -> dict[str, object]:
    return {
        "owner_user": ids.show(ids.USER, client.owner_person) if client.owner_person else "",
        "owner_account": ids.show(ids.ACCOUNT, client.owner_account) if client.owner_account else "",
    }


def _check(deed: Deed, client: ClientRow, wrapper: Wrapper | None, label: str, expires_at: int | None) -> None:
    if client.terms.secret_readable and wrapper is None:
        raise Refused(f"the secrets of {client.client_id} can be read again, so the root key is needed to make one")
    if client.terms.token_endpoint_auth_method not in SECRET_METHODS:
        raise Refused(f"{client.client_id} proves itself without a secret ({client.terms.token_endpoint_auth_method})")
    credentials.check_wish(label, expires_at, deed.at.now)


def wrap(wrapper: Wrapper, deed: Deed, client: int, number: int, secret: Secret) -> str:
    """Return the text of a secret as it is stored: it opens for this tenant, this client and this secret alone."""
    return wrapper.wrap(PURPOSE, deed.tenant, f"{client}|{number}", secret.reveal().encode(), nonce=deed.at.dice.bytes(_NONCE))


def _unwrapped(client: ClientRow, wrapper: Wrapper, row: CredentialRow) -> Secret:
    return Secret(wrapper.unwrap(PURPOSE, client.tenant, f"{client.id}|{row.id}", row.wrapped or "").decode())
