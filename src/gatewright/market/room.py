"""The marketplace over a store: the port that the core asks, and what pages and terminals ask. Implements `oauth.ports.Installs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.market import installs, listing
from gatewright.market.apps import VERSION
from gatewright.market.manifest import Manifest, read

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.market.listing import Install
    from gatewright.oauth.authorization import NewAuthorization, Standing
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import Redemption
    from gatewright.store import Store


class Market:
    """Apps and installs of a store. The clock is for ids of rows that it makes itself."""

    __slots__ = ("_clock", "_store")

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def open(self, new: NewAuthorization, version: int) -> int:
        """Remember what a user approved for an app; return the install's id."""
        return await self._store.run(installs.open_install, self._clock.moment(), new, version)

    async def redeem(self, standing: Standing, *, attempt: str, now: int, standing_digest: str | None) -> tuple[Redemption, int]:
        """Use up the code of an app's authorization; what an earlier code bought ends."""
        moment = self._clock.moment()
        return await self._store.run(installs.redeem_install, moment, standing, attempt=attempt, now=now, digest=standing_digest)

    async def uninstall(self, tenant: int, number: int, client: Client) -> bool:
        """End an install at its own app's wish."""
        return await self._store.run(installs.uninstall_by_app, self._clock.moment(), tenant=tenant, number=number, app=client.id)

    async def manifest(self, client: Client) -> Manifest | None:
        """Return the manifest that is published of an app."""
        row = await self._store.one(VERSION, app=client.id, tenant=client.tenant, number=client.settings.manifest)
        return None if row is None else read(row.manifest)

    async def of_user(self, tenant: int, person: int) -> list[Install]:
        """Return the installs that act for a user."""
        return await listing.installs(self._store, tenant, acting=person)

    async def of_account(self, tenant: int, account: int) -> list[Install]:
        """Return the installs in an account."""
        return await listing.installs(self._store, tenant, account=account)

    async def find(self, tenant: int, number: int) -> Install | None:
        """Return a live install."""
        found = await listing.installs(self._store, tenant, number=number, count=1)
        return found[0] if found else None
