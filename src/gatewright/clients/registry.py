"""The clients that the token path asks for, from a bounded memory of at most a second's age. Its half of the port `Directory`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gatewright.audit.deed import CLIENT_KIND
from gatewright.base.kept import Kept
from gatewright.clients.book import BY_ID, NUMBER_OF, ClientRow
from gatewright.oauth.client import Client, ClientSecret
from gatewright.tenants import credentials

if TYPE_CHECKING:
    from gatewright.store import Store

LIMIT: Final = 10_000


class Registry:
    """Clients by their public id and by their row.

    A public id leads to one row for ever, so that only rows can be outdated.
    """

    def __init__(self, store: Store, fresh: Callable[[], bool], limit: int = LIMIT) -> None:
        self._store = store
        self._numbers: Kept[tuple[int, str], int] = Kept(self._load_number, limit=limit, fresh=lambda: True)
        self._clients: Kept[tuple[int, int], Client] = Kept(self._load, limit=limit, fresh=fresh)

    async def client(self, tenant: int, client_id: str) -> Client | None:
        """Return a client by its public id."""
        number = await self._numbers.get((tenant, client_id))
        return None if number is None else await self._clients.get((tenant, number))

    def client_by_row(self, tenant: int, number: int) -> Coroutine[Any, Any, Client | None]:
        """Return a client by its row."""
        return self._clients.get((tenant, number))

    def changed(self, kind: str, tenant: int, subject: int) -> None:
        """Hear that something was changed, here or elsewhere."""
        if kind == CLIENT_KIND:
            self._clients.forget((tenant, subject))

    def __len__(self) -> int:
        return len(self._clients)

    def forget_all(self) -> None:
        """Read everything anew: changes were missed."""
        self._numbers.forget_all()
        self._clients.forget_all()

    async def _load_number(self, name: tuple[int, str]) -> int | None:
        tenant, client_id = name
        if not client_id.isascii() or not client_id.isprintable() or len(client_id) > 200:
            return None  # what no client is called is not looked for
        return await self._store.one(NUMBER_OF, tenant=tenant, client_id=client_id)

    async def _load(self, place: tuple[int, int]) -> Client | None:
        tenant, number = place
        row = await self._store.one(BY_ID, id=number, tenant=tenant)
        if row is None:
            return None
        return to_client(row, await credentials.not_ended(self._store, tenant, number))


def to_client(row: ClientRow, secrets: list[credentials.CredentialRow]) -> Client:
    """Return a client as the core sees it."""
    settings = row.terms
    return Client(
        id=row.id,
        tenant=row.tenant,
        client_id=row.client_id,
        epoch=row.epoch,
        disabled=row.disabled_at is not None,
        settings=settings,
        scopes=frozenset(settings.scopes),
        grant_types=frozenset(settings.grant_types),
        secrets=tuple(
            [
                msgspec.convert({"id": kept.id, "method": kept.method, "digest": kept.digest, "expires_at": kept.expires_at}, ClientSecret)
                for kept in secrets
            ]
        ),
    )
