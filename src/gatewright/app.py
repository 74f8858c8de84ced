"""Builds the house, once for each process: settings, store, rooms, and the bundle that the core awaits. No container, no globals."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from gatewright.apis.catalogues import Catalogues
from gatewright.audit.refusals import Refusals
from gatewright.audit.usage import Counters
from gatewright.base.log import Event, Level, Log
from gatewright.base.moment import Clock
from gatewright.clients.registry import Registry
from gatewright.consents.front import RoomConsents
from gatewright.endings.feed import Feeds
from gatewright.keys.book import belongs
from gatewright.keys.fetch import Names, WebFetch
from gatewright.keys.remote import RemoteFetch
from gatewright.keys.root import RootKey, read_root_key
from gatewright.keys.sealer import RootSealer, Wrapper
from gatewright.keys.signer import KeySigner
from gatewright.keys.vault import AnswerVault
from gatewright.ledger.book import Book
from gatewright.ledger.devices import Devices
from gatewright.ledger.grants import Grants
from gatewright.ledger.last_use import LastUse
from gatewright.market.room import Market
from gatewright.oauth.ports import Sealer, World
from gatewright.oauth.visit import Front
from gatewright.settings import Loaded, Network, Settings, networks, socket_address, weaknesses
from gatewright.signin.by_password import PasswordDoor
from gatewright.signin.by_program import RoomPeople
from gatewright.signin.guesses import RoomGuesses
from gatewright.signin.pool import PasswordPool
from gatewright.signin.sessions import Sessions
from gatewright.signin.throttle import Throttle
from gatewright.store import Store, open_store
from gatewright.store.changes import Change, ChangeFeed
from gatewright.store.migrate import migrate
from gatewright.store.progress import Brief
from gatewright.tenants.logos import Logos
from gatewright.tenants.secret_uses import SecretUses
from gatewright.tenants.sites import Sites
from gatewright.tenants.txt import DnsTxt, Txt
from gatewright.webhooks.courier import Courier

if TYPE_CHECKING:
    from gatewright.management.errand import Tools

SKEW_WARNS_MS: Final = 2_000
SKEW_STOPS_MS: Final = 5_000  # a node that is farther off takes no requests, and does nothing by the clock


class RoomUsage:
    """The `Usage` port: what happens often is counted, of each secret its last use is kept, and of refused calls the log is told."""

    __slots__ = ("count", "refused", "used", "would_refuse")

    def __init__(self, counters: Counters, uses: SecretUses, log: Log) -> None:
        self.count = counters.count
        self.would_refuse = counters.would_refuse
        self.used = uses.used
        self.refused = Refusals(counters, log).refused


class RoomDirectory:
    """The `Directory` port: what an admin defines, each part answered by the room that keeps it."""

    __slots__ = ("api_credentials", "catalogue", "client", "client_by_row")

    def __init__(self, catalogues: Catalogues, registry: Registry) -> None:
        self.catalogue = catalogues.get
        self.api_credentials = catalogues.api_credentials
        self.client = registry.client
        self.client_by_row = registry.client_by_row


@dataclass(frozen=True, slots=True)
class House:
    """Everything of one process that is open."""

    loaded: Loaded
    clock: Clock
    log: Log
    store: Store
    feed: ChangeFeed
    sites: Sites
    world: World
    front: Front
    grants: Grants
    market: Market
    sessions: Sessions
    passwords: PasswordPool
    throttle: Throttle
    usage: Counters
    uses: LastUse
    secret_uses: SecretUses
    wrapper: Wrapper
    txt: Txt
    signer: KeySigner
    vault: AnswerVault
    logos: Logos
    courier: Courier
    endings: Feeds
    trusted_proxies: tuple[Network, ...]
    jobs_skew_ms: int = SKEW_STOPS_MS  # how far the clock may be off the database's for what a job does by it

    @property
    def sealer(self) -> Sealer:
        """What seals, and makes proofs of domains."""
        return self.world.sealer

    @property
    def tools(self) -> Tools:
        """The same as the operations of management see it."""
        return self

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names that belong to the deployment, which no tenant claims."""
        return self.loaded.settings.domains.own

    async def rotate_due(self) -> int:
        """Make, publish and retire signing keys whose time has come, and return how many were made; any node may."""
        made = await self.signer.rotate_due(self.clock.moment())
        for key in made:
            self.log.tell(Event.KEY_MADE, tenant=key.tenant, alg=key.alg, kid=key.kid, signs_from=key.signs_from)
        return len(made)

    async def not_ready(self) -> str | None:
        """Return why this process should get no requests, or None (`security-rules` 18)."""
        skew = await self.skew_ms()
        if skew > SKEW_STOPS_MS:
            return f"this machine's clock is {skew / 1000:.1f} s off the database's"
        if skew > SKEW_WARNS_MS:
            self.log.tell(Event.CLOCK_OFF, milliseconds=skew)
        return None

    async def skew_ms(self) -> int:
        """Return how far this machine's clock is from the database's, in milliseconds."""
        state = await self.store.ready()
        return state.skew_ms(self.clock.moment().now_ms)


class Keeps(Protocol):
    """A room that keeps something in memory."""

    def changed(self, kind: str, tenant: int, subject: int) -> None:
        """Hear that something was changed."""

    def forget_all(self) -> None:
        """Hear that changes were missed."""


def _listen(feed: ChangeFeed, rooms: tuple[Keeps, ...]) -> None:
    def hear(change: Change) -> None:
        for room in rooms:
            room.changed(change.kind, change.tenant, change.subject)

    def forget() -> None:
        for room in rooms:
            room.forget_all()

    feed.on_change(hear)
    feed.on_gap(forget)


def make_log(loaded: Loaded, clock: Clock) -> Log:
    """Return the log that the settings ask for."""
    settings = loaded.settings.log
    return Log(clock, style=settings.style, level=Level[settings.level.upper()])


def store_address(loaded: Loaded, environ: Mapping[str, str]) -> str:
    """Return the URL of the store with the database user's password in it, if there is one; never to be shown."""
    password = loaded.store_password(environ)
    parts = urlsplit(loaded.store_url)
    if password is None or parts.username is None:
        return loaded.store_url
    who = f"{parts.username}:{quote(password.reveal(), safe='')}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=who))


async def open_the_store(loaded: Loaded, environ: Mapping[str, str]) -> Store:
    """Open the store that the settings name; its schema must be current."""
    return await open_store(store_address(loaded, environ), synchronous=loaded.settings.store.synchronous.upper())


def root_key(loaded: Loaded, environ: Mapping[str, str]) -> RootKey:
    """Return the deployment's root key."""
    return read_root_key(loaded.key_file, environ.get("GATEWRIGHT_KEY"))


def txt_records(loaded: Loaded) -> DnsTxt:
    """Return what asks the domain name system for TXT records."""
    return DnsTxt(tuple([socket_address(text, 53) for text in loaded.settings.domains.resolvers]))


async def prepare(loaded: Loaded, clock: Clock, log: Log, environ: Mapping[str, str] = os.environ) -> None:
    """Bring the schema up to date and see that the root key is this store's; done once before workers start.

    Raises:
        KeyFault, StoreError: with a sentence for the operator.
    """
    key = root_key(loaded, environ)
    tell = Brief(lambda step: log.tell(Event.STORE_MIGRATED, step=step), lambda: clock.moment().now_ms, schemas=True)
    await migrate(store_address(loaded, environ), now=clock.moment().now, say=tell)
    store = await open_the_store(loaded, environ)
    try:
        await belongs(store, key)
    finally:
        await store.close()


@asynccontextmanager
async def open_house(loaded: Loaded, clock: Clock, log: Log, environ: Mapping[str, str] = os.environ) -> AsyncIterator[House]:
    """Open everything over a prepared store, and close it behind.

    Raises:
        KeyFault, StoreError: with a sentence for the operator.
    """
    async with AsyncExitStack() as stack:
        key = root_key(loaded, environ)
        store = await open_the_store(loaded, environ)
        stack.push_async_callback(store.close)
        # Seen at the start of the server already; but a worker may start much later, and the file be another by then.
        await belongs(store, key)
        feed = ChangeFeed(store)
        house = _furnish(loaded, clock, log, store, feed, key, stack)
        await feed.start()
        stack.push_async_callback(feed.close)
        for name, meaning in weaknesses(loaded.settings):
            log.tell(Event.SETTING_WEAK, setting=name, meaning=meaning)
        log.tell(Event.STORE_OPENED, engine=store.engine)
        yield house


def _furnish(loaded: Loaded, clock: Clock, log: Log, store: Store, feed: ChangeFeed, key: RootKey, stack: AsyncExitStack) -> House:
    def fresh() -> bool:
        return feed.fresh

    settings = loaded.settings
    usage, secret_uses, wrapper = Counters(), SecretUses(), Wrapper(key)
    sites = Sites(store, fresh)
    catalogues = Catalogues(store, clock, fresh)
    registry = Registry(store, fresh)
    sealer = RootSealer(key)
    signer = KeySigner(store, clock, wrapper, fresh)
    passwords = PasswordPool(threads=settings.passwords.threads, queue=settings.passwords.queue)
    stack.callback(passwords.close)
    _listen(feed, (sites, catalogues, registry, signer))
    uses = LastUse()
    grants = Grants(store)
    sessions = Sessions(store)
    fetch = RemoteFetch(_way_out(settings, stack))
    courier = Courier(store, clock, _way_out(settings, stack), Wrapper(key), log)
    stack.push_async_callback(courier.close)
    throttle = Throttle(store, sealer)
    guesses = RoomGuesses(store, throttle)
    people = RoomPeople(PasswordDoor(store, passwords, throttle, log))
    consents = RoomConsents(store, grants)
    directory = RoomDirectory(catalogues, registry)
    counting = RoomUsage(usage, secret_uses, log)
    market = Market(store, clock)
    endings = Feeds(store, clock)
    stack.push_async_callback(endings.close)
    outside = (signer, sealer, fetch, passwords, counting, guesses, uses)
    world = World(Book(store, clock, nudge=endings.nudge), directory, *outside, people, consents, market, Devices(store))
    return House(
        loaded=loaded,
        clock=clock,
        log=log,
        store=store,
        feed=feed,
        sites=sites,
        world=world,
        front=Front(world, sessions, consents),
        grants=grants,
        market=market,
        sessions=sessions,
        passwords=passwords,
        throttle=throttle,
        usage=usage,
        uses=uses,
        secret_uses=secret_uses,
        wrapper=wrapper,
        txt=txt_records(loaded),
        signer=signer,
        vault=AnswerVault(key),
        logos=Logos(loaded.data / "logos"),
        courier=courier,
        endings=endings,
        trusted_proxies=networks(settings.listen.trusted_proxies),
    )


def _way_out(settings: Settings, stack: AsyncExitStack) -> WebFetch:
    # Each has its own names: receivers of events whose name servers hang are no reason for clients to wait for their keys.
    names = Names()
    stack.callback(names.close)
    return WebFetch(resolve=names, private=networks(settings.fetch.private_networks))
