"""The marketplace over a store: the port that the core asks, and what pages and terminals ask. Implements `oauth.ports.Installs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.audit.deed import Deed
from gatewright.base import ids
from gatewright.ledger.cleanup import offered
from gatewright.ledger.standing import ROBOTS, ROLES_OF
from gatewright.market import installs, listing, updates
from gatewright.market.apps import VERSION
from gatewright.market.handover import hand_over
from gatewright.market.manifest import Manifest, read
from gatewright.oauth.catalogue import ids_of
from gatewright.store import NotUnique, StoreBusy

if TYPE_CHECKING:
    from gatewright.base.moment import Clock, Moment
    from gatewright.ledger.standing import Robot
    from gatewright.market.listing import Install
    from gatewright.oauth.authorization import NewAuthorization, Standing
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import Redemption
    from gatewright.store import Store, Tx


_TRIES: Final = 5


class Market:
    """Apps and installs of a store. The clock is for ids of rows that it makes itself."""

    __slots__ = ("_clock", "_store")

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def open(self, new: NewAuthorization, version: int) -> int:
        """Remember what a user approved for an app; return the install's id."""
        for _ in range(_TRIES):
            try:
                return await self._store.run(installs.open_install, self._clock.moment(), new, version)
            except NotUnique:
                # Another node installed it in the same moment.
                continue
        raise StoreBusy("an app is being installed by others again and again")

    async def redeem(self, standing: Standing, *, attempt: str, now: int, standing_digest: str | None) -> tuple[Redemption, int]:
        """Use up the code of an app's authorization; what an earlier code bought ends."""
        moment = self._clock.moment()
        return await self._store.run(installs.redeem_install, moment, standing, attempt=attempt, now=now, digest=standing_digest)

    async def uninstall(self, tenant: int, number: int, *, app: int, grant: int = 0) -> bool:
        """End an install at its own app's wish."""
        moment = self._clock.moment()
        return await self._store.run(installs.uninstall_by_app, moment, tenant=tenant, number=number, app=app, grant=grant)

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

    async def robots(self, tenant: int, account: int) -> list[Robot]:
        """Return the active service users of an account."""
        return await self._store.all(ROBOTS, tenant=tenant, account=account)

    async def roles_of(self, install: Install, tenant: int) -> frozenset[int] | None:
        """Return the roles of the user whom an install acts for, None where the membership has ended."""
        roles = await self._store.one(ROLES_OF, person=install.acting, account=install.account, tenant=tenant)
        return None if roles is None else ids_of(roles)

    async def add(self, at: Moment, client: Client, *, account: int, person: int) -> int:
        """Install an app that needs no access; return the install's id."""
        version = client.settings.manifest
        arguments = {"tenant": client.tenant, "app": client.id, "account": account, "person": person, "version": version}
        for _ in range(_TRIES):
            try:
                return await self._store.run(installs.install_without_access, at, **arguments)
            except NotUnique:
                continue
        raise StoreBusy("an app is being installed by others again and again")

    async def remove(self, at: Moment, tenant: int, number: int, person: int, *, at_once: bool = False) -> bool:
        """Uninstall what acts for a user, at that user's wish; with `at_once` the app may not clean up either."""
        return await self._store.run(installs.uninstall_own, at, tenant=tenant, number=number, person=person, at_once=at_once)

    async def remove_from(self, at: Moment, tenant: int, number: int, account: int, actor: str, *, at_once: bool = False) -> bool:
        """Uninstall an app from an account, at an admin's wish."""
        where = {"tenant": tenant, "number": number, "account": account}
        return await self._store.run(installs.uninstall_in_account, at, **where, actor=actor, at_once=at_once)

    async def cleanup_of(self, install: Install, tenant: int) -> frozenset[int]:
        """Return the scopes with which an app may clean up for some minutes if it is uninstalled now; none where it may not."""
        return frozenset() if install.standing == "blocked" else await offered(self._store, tenant, install.app, install.scopes)

    async def take_back(self, at: Moment, tenant: int, grant: int, person: int) -> bool:
        """End a grant at its giver's wish, with the install that it is of."""
        actor = ids.show(ids.USER, person)
        return await self._store.run(installs.take_back, at, tenant=tenant, grant=grant, because="withdrawn", actor=actor)

    async def hand_over(self, deed_at: Moment, tenant: int, number: int, *, account: int, to: int, actor: str) -> None:
        """Let an install act for a service user of its account; raises `Refused` with the reason why it cannot."""

        async def unit(tx: Tx) -> None:
            await hand_over(Deed(tx, deed_at, tenant, actor), number, account=account, to=to)

        await self._store.run(unit)

    async def update(
        self, at: Moment, install: Install, tenant: int, *, granted: frozenset[int], declined: frozenset[int], actor: str
    ) -> None:
        """Add what a newer version asks for to what an install has; raises `Refused` where it has ended."""
        said = updates.Approved(install=install.id, acting=install.acting, version=install.published, granted=granted, declined=declined)
        await self._store.run(updates.approve_update, at, tenant, said, actor)

    async def find(self, tenant: int, number: int) -> Install | None:
        """Return a live install."""
        return await listing.install(self._store, tenant, number)
