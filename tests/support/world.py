"""A playground: the core over a real store in a temporary file, with a clock that a test moves. Only what leaves the machine is false."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from gatewright.base.digest import Kind, digest
from gatewright.base.log import Log
from gatewright.consents.front import RoomConsents
from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.ledger.book import Book
from gatewright.ledger.devices import Devices
from gatewright.ledger.grants import Giving, Grant, Grants
from gatewright.ledger.last_use import LastUse
from gatewright.market.room import Market
from gatewright.oauth import pkce, refresh
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.authorization import CodeTerms, NewAuthorization, Redeemable
from gatewright.oauth.catalogue import ApiSecret, Catalogue, text_of
from gatewright.oauth.client import Client, ClientSecret
from gatewright.oauth.code import new_code
from gatewright.oauth.finding import Finding
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.ports import FetchFailed, World
from gatewright.oauth.report_only import Breach
from gatewright.oauth.token import token
from gatewright.signin.by_password import PasswordDoor
from gatewright.signin.by_program import RoomPeople
from gatewright.signin.guesses import RoomGuesses
from gatewright.signin.pool import PasswordPool
from gatewright.signin.throttle import Throttle
from gatewright.store import Query, Store, Tx, open_store
from gatewright.store.migrate import migrate
from gatewright_guard.jose import KeySet, parse, read_jwks
from tests.support import builders as b
from tests.support.clock import NOON, TestClock
from tests.support.signer import OneKeySigner

SECRET = "gws_a-secret-of-the-client-that-nobody-guesses"
VERIFIER = "v" * 43
REDIRECT = "https://budget.example/callback"
Param = str | tuple[str, ...] | None
ROOT = RootKey(bytes(range(32)))

_ADD_PERSON = Query(
    None,
    """INSERT INTO person (id, tenant, kind, email, email_key, email_verified_at, name, profile, epoch, created_at)
       VALUES (:id, :tenant, :kind, :email, :email, 0, :name, '{}', 0, 0)""",
)
_ADD_ACCOUNT = Query(None, "INSERT INTO account (id, tenant, slug, name, epoch, created_at) VALUES (:id, :tenant, :slug, :slug, 0, 0)")
_ADD_MEMBERSHIP = Query(
    None,
    """INSERT INTO membership (id, tenant, person, account, roles, created_at) VALUES (:id, :tenant, :person, :account, :roles, 0)""",
)
_ADD_SESSION = Query(
    None,
    """INSERT INTO session (id, tenant, issuer, person, person_epoch, digest, auth_time, acr, amr, agent, address, created_at, seen_at,
                            idle_until, until, lasting)
       VALUES (:id, :tenant, :issuer, :person, 0, '', 0, 'pwd', 'pwd', '', '', 0, 0, :until, :until, 0)""",
)
_PUT_CLIENT = Query(
    None,
    """INSERT INTO client (id, tenant, client_id, settings, epoch, created_at, changed_at, disabled_at)
       VALUES (:id, :tenant, :client_id, :settings, :epoch, 0, 0, :disabled_at)
       ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, epoch = excluded.epoch, disabled_at = excluded.disabled_at""",
)


class Shelf:
    """The `Directory` port: what a test put there, as a cache of the rooms of clients and APIs would have it."""

    def __init__(self) -> None:
        self.catalogues: dict[int, Catalogue] = {b.TENANT: b.CATALOGUE}
        self.clients: dict[tuple[int, str], Client] = {}
        self.api_secrets: dict[int, tuple[ApiSecret, ...]] = {}

    async def catalogue(self, tenant: int) -> Catalogue:
        return self.catalogues[tenant]

    async def client(self, tenant: int, client_id: str) -> Client | None:
        return self.clients.get((tenant, client_id))

    async def client_by_row(self, tenant: int, number: int) -> Client | None:
        return next((client for (owner, _), client in self.clients.items() if owner == tenant and client.id == number), None)

    async def api_credentials(self, tenant: int, number: int) -> tuple[ApiSecret, ...]:
        return self.api_secrets.get(number, ())


class NoNetwork:
    """The `Fetch` port where there is nothing to fetch; `documents` are what a test puts there."""

    def __init__(self) -> None:
        self.documents: dict[str, object] = {}

    async def json(self, url: str) -> object:
        if url not in self.documents:
            raise FetchFailed(f"{url} does not answer")
        return self.documents[url]

    async def keys(self, url: str, kid: str | None, *, now: int) -> KeySet:
        document = await self.json(url)
        assert isinstance(document, dict)
        return read_jwks(document)


class SlowDigests:
    """The `Passwords` port: argon2id, with parameters that spare a test's time, and a count of how often it was asked."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        self.asked = 0

    def make(self, secret: str) -> str:
        """Make a digest."""
        return self._hasher.hash(secret)

    async def verify(self, digest: str, secret: str) -> bool:
        self.asked += 1
        try:
            return self._hasher.verify(digest, secret)
        except VerifyMismatchError:
            return False


class Tally:
    """The `Usage` port."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.uses: dict[int, tuple[str, int]] = {}

        self.breaches: list[tuple[int, Breach]] = []
        self.refusals: list[tuple[Finding, str]] = []

    def count(self, event: str, tenant: int, subject: int) -> None:
        self.events[event] += 1

    def used(self, tenant: int, secret: int, address: str, now: int) -> None:
        self.uses[secret] = (address, now)

    def would_refuse(self, tenant: int, client: int, breach: Breach) -> None:
        self.breaches.append((client, breach))

    def refused(self, finding: Finding, tenant: int, client: str) -> None:
        self.refusals.append((finding, client))


def secret_of(client_id: int, text: str = SECRET, *, tenant: int = b.TENANT, expires_at: int | None = None) -> ClientSecret:
    """A live secret that we made, as a client keeps it."""
    return ClientSecret(client_id, "sha256", digest(Kind.CLIENT_SECRET, tenant, text), expires_at)


@dataclass
class Playground:
    """One tenant with a person in an account, and whatever clients a test adds."""

    store: Store
    clock: TestClock = field(default_factory=TestClock)
    issuer: Issuer = field(default_factory=b.an_issuer)
    address: str = "127.0.0.1"
    authorization: str | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        self.directory = Shelf()
        self.signer = OneKeySigner()
        self.sealer = RootSealer(ROOT)
        self.passwords = SlowDigests()
        self.usage = Tally()
        self.uses = LastUse()
        self.fetch = NoNetwork()
        self.ledger = Book(self.store, self.clock)
        self.grants = Grants(self.store)
        self.guesses = RoomGuesses(self.store, Throttle(self.store, self.sealer))
        self.pool = PasswordPool(patience=60)
        self.lines: list[str] = []
        door = PasswordDoor(self.store, self.pool, Throttle(self.store, self.sealer), Log(self.clock, write=self.lines.append))
        self.market = Market(self.store, self.clock)
        self.devices = Devices(self.store)
        outside = (self.signer, self.sealer, self.fetch, self.passwords, self.usage, self.guesses, self.uses)
        people, consents = RoomPeople(door), RoomConsents(self.store, self.grants)
        self.world = World(self.ledger, self.directory, *outside, people, consents, self.market, self.devices)

    async def furnish(self) -> "Playground":
        """Put the person, the account, the membership and the session there."""
        await self.write(_ADD_PERSON, id=b.PERSON, tenant=b.TENANT, kind="person", email="organizer@acme.test", name="An organizer")
        await self.write(_ADD_ACCOUNT, id=b.ACCOUNT, tenant=b.TENANT, slug="acme-dev")
        roles = text_of((b.ORGANIZER.id,))
        await self.write(_ADD_MEMBERSHIP, id=b.MEMBERSHIP, tenant=b.TENANT, person=b.PERSON, account=b.ACCOUNT, roles=roles)
        await self.write(_ADD_SESSION, id=b.SESSION, tenant=b.TENANT, issuer=b.URL, person=b.PERSON, until=NOON + 7 * 86400)
        return self

    async def write(self, query: Query[Any], **args: int | str | None) -> None:
        """Run one statement."""
        await self.store.run(_do, query, args)

    async def sql(self, text: str, **args: int | str | None) -> None:
        """Change rows as no verb of the product would."""
        await self.write(Query(None, text), **args)

    async def number(self, text: str, **args: int | str | None) -> int | None:
        """Read one number."""
        return await self.store.one(Query(int, text), **args)

    async def audited(self) -> list[str]:
        """The acts in the audit log, in order."""
        return await self.store.all(Query(str, "SELECT act FROM audit ORDER BY id"))

    async def add(self, client: Client | None = None, /, **settings: object) -> Client:
        """Register a client with the usual secret, or put a changed one in its place."""
        made = client or b.a_client(secrets=(secret_of(1),), **settings)
        await self.write(
            _PUT_CLIENT,
            id=made.id,
            tenant=made.tenant,
            client_id=made.client_id,
            settings=msgspec.json.encode(made.settings).decode(),
            epoch=made.epoch,
            disabled_at=1 if made.disabled else None,
        )
        self.directory.clients[made.tenant, made.client_id] = made
        return made

    async def add_service_user(self, number: int, account: int, *roles: int) -> None:
        """Put a service user with one membership there."""
        await self.write(_ADD_PERSON, id=number, tenant=b.TENANT, kind="service", email=f"{number}@service", name="A robot")
        membership = number + 1
        await self.write(_ADD_MEMBERSHIP, id=membership, tenant=b.TENANT, person=number, account=account, roles=text_of(roles))

    async def grant(self, client: Client, *scopes: int, account: int = b.ACCOUNT, **changed: object) -> Grant:
        """Let the person give a client these scopes."""
        giving = Giving(
            tenant=b.TENANT, client=client.id, source="user", actor="us_x", person=b.PERSON, account=account, granted=frozenset(scopes)
        )
        return await self.grants.give(self.clock.moment(), msgspec.structs.replace(giving, **changed))

    async def code(self, client: Client, *scopes: int, terms: dict[str, object] | None = None, **changed: object) -> str:
        """Let the person approve these scopes, and return the code that the client gets."""
        at = self.clock.moment()
        granted = await self.grant(client, *scopes)
        number = at.id()
        text, kept = new_code(number, b.TENANT, at)
        renewal = refresh.terms(client, frozenset(scopes), self.issuer.policy, at.now)
        code = CodeTerms(
            digest=kept, expires_at=at.now + self.issuer.policy.code_lifetime, challenge=pkce.challenge_of(VERIFIER), redirect_uri=REDIRECT
        )
        new = NewAuthorization(
            id=number,
            tenant=b.TENANT,
            issuer=self.issuer.url,
            opened_by="authorization_code",
            grant=granted.id,
            client=client.id,
            client_epoch=client.epoch,
            person=b.PERSON,
            account=b.ACCOUNT,
            membership=b.MEMBERSHIP,
            session=b.SESSION,
            session_bound=renewal.session_bound,
            scopes=frozenset(scopes),
            nonce="n-0S6_WzA2Mj",
            auth_time=at.now - 60,
            acr="pwd",
            amr="pwd",
            access_secret=at.text(),
            refresh_secret=at.text() if renewal.issued else None,
            refresh_idle_until=renewal.idle_until,
            refresh_until=renewal.until,
            code=msgspec.structs.replace(code, **(terms or {})),
            opened_at=at.now,
            sweep_at=renewal.sweep_at,
        )
        await self.ledger.open(msgspec.structs.replace(new, **changed))
        return text

    async def row(self, token_or_number: str | int | None = None) -> Redeemable:
        """The authorization of a refresh token or id; unnamed, the newest."""
        number = token_or_number
        if isinstance(number, str):
            shown = refresh.parse(number)
            number = None if shown is None else shown.authorization
        if number is None:
            number = await self.number("SELECT id FROM authorization_row ORDER BY id DESC LIMIT 1")
        assert number is not None
        found = await self.ledger.redeemable(number)
        assert found is not None
        return found

    def ask(self, params: Mapping[str, Param]) -> Ask:
        """A request with these parameters; a tuple repeats one, None leaves one out."""
        pairs = [
            (name, one) for name, value in params.items() if value is not None for one in (value if isinstance(value, tuple) else (value,))
        ]
        return Ask(
            Params.of(pairs), self.issuer, self.clock.moment(), authorization=self.authorization, address=self.address, origin=self.origin
        )

    async def post(self, **params: Param) -> dict[str, Any]:
        """Ask the token endpoint as the usual client, unless there is an Authorization header; the members of its reply."""
        ordinary: dict[str, Param] = {} if self.authorization else {"client_id": "budget-buddy", "client_secret": SECRET}
        reply = await token(self.ask(ordinary | params), self.world)
        assert reply.status == 200
        members: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(reply.body))
        return members

    async def exchange(self, code: str, **params: Param) -> dict[str, Any]:
        """Exchange a code."""
        ordinary: dict[str, Param] = {"redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return await self.post(grant_type="authorization_code", code=code, **(ordinary | params))

    async def renew(self, refresh_token: str, **params: Param) -> dict[str, Any]:
        """Use a refresh token."""
        return await self.post(grant_type="refresh_token", refresh_token=refresh_token, **params)

    async def serve(self, **params: Param) -> dict[str, Any]:
        """Ask for a token of the client's own."""
        return await self.post(grant_type="client_credentials", **params)


async def _do(tx: Tx, query: Query[Any], args: dict[str, Any]) -> None:
    await tx.do(query, **args)


def claims_of(jws: str) -> dict[str, Any]:
    """The payload of a JWS, unverified."""
    return dict(parse(jws).payload)


_EMPTY: dict[str, bytes] = {}


async def open_playground(folder: Path) -> Playground:
    """A furnished playground over a new store in a folder."""
    file = folder / "store.db"
    url = f"sqlite:///{file}"
    if not _EMPTY:
        # The schema is laid once for all tests of a run; each then begins with a copy of the file.
        await migrate(url, now=NOON)
        _EMPTY["store"] = file.read_bytes()
    file.write_bytes(_EMPTY["store"])
    return await Playground(await open_store(url, synchronous="OFF")).furnish()
