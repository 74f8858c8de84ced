"""What the core needs from outside. Each verb is atomic, and done when it returns; the ones that consume say who was first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.authorization import EndedBecause, NewAuthorization, Redeemable, Standing
    from gatewright.oauth.catalogue import Api, ApiSecret, Catalogue
    from gatewright.oauth.client import Client
    from gatewright.oauth.device import Begun, DeviceRequest, NewDeviceRequest, Polled
    from gatewright.oauth.finding import Finding
    from gatewright.oauth.handle import Handles
    from gatewright.oauth.report_only import Breach
    from gatewright.oauth.scope_use import Counted
    from gatewright.oauth.showing import Showing, Shown, Weakness
    from gatewright.oauth.visit import Consent, Consents
    from gatewright_guard.jose import KeySet


class Redemption(Enum):
    """The answer of `redeem`; only USED is a replay and is punished."""

    FIRST = "first"
    USED = "used"
    ENDED = "ended"


class Ledger(Protocol):
    """What must be remembered of authorizations (`ledger` implements it)."""

    async def standing(self, number: int, *, mark: str = "") -> Standing | None:
        """Read an authorization with all that it depends on, and whether the token named `mark` was revoked. One statement."""

    async def redeemable(self, number: int) -> Redeemable | None:
        """Read the same with that by which its code and refresh tokens are judged. One statement."""

    async def open(self, new: NewAuthorization, *, weakness: Weakness | None = None) -> None:
        """Remember an authorization under a live grant. One statement; one transaction where it came by a `weakness`, which is audited."""

    async def redeem(self, number: int, *, attempt: str, now: int, standing_digest: str | None = None) -> Redemption:
        """Use up the code of an authorization (RFC 6749 §4.1.2). A retry with the same attempt is FIRST again.

        `standing_digest` is that of an access token which lives until it is revoked, kept by the same statement.
        """

    async def rotate(self, number: int, *, generation: int, attempt: str, now: int, idle_until: int | None) -> bool:
        """Move the refresh chain from `generation` to the next; tell whether this attempt did it (RFC 9700 §4.14.2)."""

    async def end(
        self, standing: Standing, *, because: EndedBecause, now: int, replayed: Literal["code", "refresh_token"] | None = None
    ) -> None:
        """End an authorization; the first cause wins. Audited, for a replay with what was used twice."""

    async def revoke(self, standing: Standing, jti: str, *, until: int, attempt: str, api: int | None) -> None:
        """Mark one access token of an authorization as revoked until `until` (RFC 7009 §2.1). Audited; once is as good as twice.

        `api` is the API that believes it by its signature alone, and hears of it by its feed; None where none does.
        """

    async def back_end(self, client: Client, issuer: str, *, account: int, person: int, now: int) -> Standing:
        """Return the one row of a client without an interactive user, opened when first needed. At most 1 s stale."""

    async def cleanup(self, client: Client, issuer: str, install: int, at: Moment) -> Standing | None:
        """Return what a client may use to clean up after one of its installations, opened when first needed; None where it may not."""

    async def scopes_used(self, tenant: int, api: int, used: Mapping[int, frozenset[int]], *, day: int, lost: bool, now: int) -> Counted:
        """Remember which scopes of an API were used under which authorizations on a day (days since 1970). One read and one unit.

        What is no live authorization of the tenant, or holds no such scope, is passed over. `lost` says that uses before were lost.
        """

    async def first_time(self, name: str, *, tenant: int, attempt: str, until: int) -> bool:
        """Remember a mark until `until`; tell whether this attempt was the first to set it (RFC 7523 §3, jti)."""


class Devices(Protocol):
    """What must be remembered of devices that wait for their users (`ledger` implements it)."""

    async def begin(self, new: NewDeviceRequest) -> Begun:
        """Remember a request, unless too many wait or its user code is taken. One statement where it is remembered."""

    async def find(self, number: int) -> DeviceRequest | None:
        """Read a request. One statement."""

    async def named(self, tenant: int, user_digest: str) -> DeviceRequest | None:
        """Read the request whose user code has this digest. One statement."""

    def last(self, number: int) -> Polled | None:
        """Return when a device last asked, as far as this process remembers. Costs no statement."""

    def polled(self, number: int, polled: Polled) -> None:
        """Remember that a device asked just now. Costs no statement."""

    async def slow_down(self, number: int, interval: int) -> None:
        """Have a device wait for so many seconds between two questions, whichever worker it asks (RFC 8628 §3.5)."""

    async def allow(self, at: Moment, number: int, consent: Consent, new: NewAuthorization, *, address: str) -> bool:
        """Let a device in: what its user gives, and the authorization with the device code, in one transaction, audited.

        `new` gets its grant and its code here. False where the request is over, or was answered by somebody else.
        """

    async def deny(self, at: Moment, number: int, tenant: int, person: int, *, address: str, refused: str = "") -> bool:
        """Have a device told no, which is audited; False where the request is over, or was answered already.

        `refused` is the error for which we said no and not the user.
        """


class Installs(Protocol):
    """What must be remembered of apps in accounts (`market` implements it)."""

    async def open(self, new: NewAuthorization, version: int) -> int:
        """Remember what a user approved for an app, and where it is installed by that; return the install's id.

        `version` is the number of the manifest's version that was approved.
        """

    async def redeem(self, standing: Standing, *, attempt: str, now: int, standing_digest: str | None) -> tuple[Redemption, int]:
        """Use up the code of an app's authorization, and return the install's id.

        What an earlier code bought ends in the same transaction.
        """

    async def uninstall(self, tenant: int, number: int, *, app: int, grant: int = 0) -> bool:
        """End an install at its own app's wish; tell whether there is, or was, such an install of it (with this grant, unless 0)."""


class Directory(Protocol):
    """What a tenant's admin defines; at most 1 s stale (`decisions` §5)."""

    async def catalogue(self, tenant: int) -> Catalogue:
        """Return the tenant's APIs, scopes and roles."""

    async def client(self, tenant: int, client_id: str) -> Client | None:
        """Return a client by its public id."""

    async def client_by_row(self, tenant: int, number: int) -> Client | None:
        """Return a client by its row."""

    async def api_credentials(self, tenant: int, number: int) -> tuple[ApiSecret, ...]:
        """Return an API's secrets that nobody ended; some of them may have run out."""


class Signer(Protocol):
    """Makes signatures with the tenant's present key (`keys` implements it)."""

    async def sign(self, tenant: int, alg: str, typ: str, payload: bytes) -> str:
        """Return a compact JWS over a JSON payload, its header naming `typ`, `alg` and `kid` (RFC 7515 §3.1)."""

    async def verify(self, tenant: int, token: str) -> Mapping[str, object] | None:
        """Return the payload of a JWS that this tenant signed, or None. Says nothing of expiry, audience or type."""

    async def typ(self, token: str) -> str | None:
        """Return the `typ` of a JWS's header, or None when it has no readable one."""

    async def jwks(self, tenant: int) -> bytes:
        """Return the JSON document of the public keys: present, next and those whose tokens may live (RFC 7517 §5)."""


class Sealer(Protocol):
    """Seals opaque access tokens and signs refresh tokens with keys derived from the root key (`keys` implements it)."""

    @property
    def handles(self) -> Handles:
        """The handles that were opened with these keys."""

    def seal(self, tenant: int, issuer: str, plain: bytes, *, now: int, nonce: bytes) -> bytes:
        """Return key id, nonce and ciphertext under the key of the day (AES-256-GCM-SIV)."""

    def unseal(self, tenant: int, issuer: str, sealed: bytes, *, now: int, days: int = 2) -> bytes | None:
        """Return what was sealed, or None when it was not, or its key is older than `days`."""

    def mac(self, purpose: str, tenant: int, message: bytes) -> bytes:
        """Return HMAC-SHA256 under the tenant's key for a purpose."""


class Fetch(Protocol):
    """The one way out: GETs a JSON document over https, with an address guard, a size limit and a time limit."""

    async def json(self, url: str) -> object:
        """Return the document; raises `FetchFailed` with a sentence otherwise."""

    async def keys(self, url: str, kid: str | None, *, now: int) -> KeySet:
        """Return a client's keys from its jwks_uri, kept for a while and looked up again for a `kid` that is not among them."""


class Passwords(Protocol):
    """Checks slow digests (argon2id) in a bounded pool."""

    async def verify(self, digest: str, secret: str) -> bool:
        """Tell whether the secret belongs to the digest; `TemporarilyUnavailable` when the queue is full."""


class Guesses(Protocol):
    """Slows guessing at secrets that people chose and at what codes are bound to, as sign-ins are slowed (`signin` implements it)."""

    async def enter(self, tenant: int, secret: int, address: str, at: Moment) -> int:
        """Count an attempt at a client's secret that begins now; return how many seconds too early it comes, 0 lets it begin."""

    async def leave(self, tenant: int, secret: int, address: str, *, right: bool) -> None:
        """Count no failure after all: it was the secret, or (not `right`) nothing was guessed."""

    def code_wait(self, code: int, client: int, address: str, now: int) -> int:
        """Return how many seconds a client must wait there before it shows the code of this authorization again. Costs no statement."""

    async def code_missed(self, tenant: int, code: int, client: int, address: str, at: Moment) -> int:
        """Count a code shown with a wrong proof; return how many seconds too early it came, 0 where it was due."""


class People(Protocol):
    """Knows users by a name and a password that a program shows (`signin` implements it)."""

    async def prove(self, showing: Showing, at: Moment) -> Shown | None:
        """Return who that is; None for everything that must not be told apart. `TemporarilyUnavailable` asks to come back later."""


class Usage(Protocol):
    """Counts in memory what happens a thousand times a second; flushed in batches, may be lost by a crash."""

    def count(self, event: str, tenant: int, subject: int) -> None:
        """Count one event of a client or API."""

    def used(self, tenant: int, secret: int, address: str, now: int) -> None:
        """Note when and from where a client's secret was last shown and right."""

    def would_refuse(self, tenant: int, client: int, breach: Breach) -> None:
        """Count what passed only because its rule is tried out with this client."""

    def refused(self, finding: Finding, tenant: int, client: str) -> None:
        """Count a call that an API refused, and tell it in the log."""


class ScopeUses(Protocol):
    """Notes in memory which scopes decided calls that were asked about here (`ledger` implements it)."""

    def asked(self, tenant: int, api: int, now: int) -> None:
        """Note that somebody asked about a call to an API, whatever came of it. Costs no statement."""

    def used(self, tenant: int, api: Api, authorization: int, scopes: tuple[str, ...], catalogue: Catalogue, now: int) -> None:
        """Note that a call was let through by these scopes. Costs no statement."""


class Uses(Protocol):
    """Notes in memory when a grant was last used, for whoever gave it (`ledger` implements it)."""

    @property
    def scopes(self) -> ScopeUses:
        """The same of scopes, for APIs of which that is kept."""

    def used(self, grant: int, now: int) -> None:
        """Note a use of something under a grant. Costs no statement."""


class FetchFailed(Exception):
    """A document could not be fetched; the text says why, for our log only."""


class NotAllowed(FetchFailed):
    """The address is none that we may call (`security-rules` 48)."""


class TooSlow(FetchFailed):
    """There was no answer in time."""


@dataclass(frozen=True, slots=True)
class World:
    """All that a pipeline of the core may await."""

    ledger: Ledger
    directory: Directory
    signer: Signer
    sealer: Sealer
    fetch: Fetch
    passwords: Passwords
    usage: Usage
    guesses: Guesses
    uses: Uses
    people: People
    consents: Consents
    installs: Installs
    devices: Devices
