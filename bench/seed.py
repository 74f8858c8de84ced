"""Authorizations without anybody approving them: rows as the server writes them, and the codes and tokens that belong to them.

Every secret of a seeded row follows from its id, so a token for any of a million rows can be made without reading it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, Literal, cast

from msgspec import Struct

from bench.raw import Raw, Row
from bench.world import BANK, BANK_SCOPES, CHALLENGE, DEVICE, EVENTS, EVENTS_SCOPES, PROFILE_OF_USER, REDIRECT, Cast
from gatewright.base.digest import Kind, b64, digest, with_id
from gatewright.base.moment import SystemClock
from gatewright.keys.root import RootKey
from gatewright.keys.sealer import RootSealer
from gatewright.oauth import refresh
from gatewright.oauth.authorization import Redeemable
from gatewright.oauth.device import INTERVAL
from gatewright.oauth.handle import Handle, new_jti, seal
from gatewright.oauth.issuer import Issuer, Policy

Flavour = Literal["openid", "plain", "events"]
"""What a row was approved for: OpenID with the bank's scopes, the bank's alone, or OpenID with those of the API with JWTs."""

DEVICES: Final = 4  # authorizations under each grant of a filled store
LIFETIME: Final = 7200
_MONTH: Final = 30 * 86400
_MS: Final = 1 << 21  # one millisecond in an id
_FILLED: Final[tuple[Flavour, ...]] = ("openid", "plain")

AUTHORIZATION: Final = (
    "id", "tenant", "issuer", "opened_by", "consent_grant", "client", "person", "account", "membership", "session", "client_epoch",
    "person_epoch", "account_epoch", "epoch", "scopes", "resources", "claims", "nonce", "auth_time", "acr", "amr", "access_secret",
    "code_digest", "code_expires_at", "code_challenge", "redirect_uri", "code_used_by", "code_used_at", "refresh_secret", "generation",
    "rotated_at", "rotated_by", "refresh_idle_until", "refresh_until", "session_bound", "opened_at", "sweep_at",
)  # fmt: skip
_GRANT: Final = (
    "id", "tenant", "client", "account", "person", "acting", "granted", "declined", "claims", "source", "made_at", "changed_at",
)  # fmt: skip
_PERSON: Final = ("id", "tenant", "kind", "email", "email_key", "email_verified_at", "name", "profile", "epoch", "created_at")
_SESSION: Final = (
    "id", "tenant", "issuer", "person", "person_epoch", "digest", "auth_time", "acr", "amr", "agent", "address", "created_at", "seen_at",
    "idle_until", "until", "lasting",
)  # fmt: skip
_DEVICE_REQUEST: Final = (
    "id", "tenant", "issuer", "client", "device_digest", "user_digest", "scopes", "resources", "account", "network", "asked_at",
    "expires_at", "poll_interval",
)  # fmt: skip
_MEMBERSHIP: Final = ("id", "tenant", "person", "account", "roles", "created_at")


def _secret(what: str, number: int) -> bytes:
    return sha256(f"{what} {number}".encode()).digest()


class _Link(Struct, frozen=True):
    """As much of a row as a refresh token is made of."""

    id: int
    tenant: int
    refresh_secret: str


class Seeder:
    """Writes rows and makes what would have been handed out for them."""

    def __init__(self, raw: Raw, people: Cast, root: RootKey) -> None:
        self._raw = raw
        self._cast = people
        self._sealer = RootSealer(root)
        self._clock = SystemClock()
        self._issuer = Issuer(url=people.origin, tenant=people.tenant, host=people.host, policy=Policy())
        self._grant = 0
        self._filled: dict[Flavour, list[int]] = {}
        self._scopes: dict[Flavour, str] = {
            "openid": people.ids("openid", "profile", "email", *BANK_SCOPES),
            "plain": people.ids(*BANK_SCOPES),
            "events": people.ids("openid", "profile", "email", *EVENTS_SCOPES),
        }
        self.seeded = 0

    # ---------------------------------------------------------------- rows

    def stage(self) -> None:
        """Give the platform's user the claims and the grant that every fresh row belongs to."""
        at = self._clock.moment()
        rows = self._raw.rows(f"SELECT id FROM consent_grant WHERE client = {self._cast.web} AND ended_at IS NULL")  # noqa: S608 - our own values
        if not rows:
            self._raw.insert("consent_grant", _GRANT, [self._grant_row(at.id(), self._cast.person, at.now)])
            rows = self._raw.rows(f"SELECT id FROM consent_grant WHERE client = {self._cast.web}")  # noqa: S608 - our own values
        self._grant = int(rows[0][0])
        self._raw.rows(
            f"UPDATE person SET profile = '{PROFILE_OF_USER}', email_verified_at = {at.now} WHERE id = {self._cast.person}"  # noqa: S608 - our own values
        )
        # As much as any store has after a day, so that PostgreSQL's statistics do not say "empty".
        self.fresh("openid", 1000, used=True)
        self.sessions(200)
        self._raw.tidy()

    def fill(self, count: int) -> None:
        """Add that many authorizations as a month of use leaves them, four under each grant of as many users as it takes."""
        at = self._clock.moment()
        start = at.id() - _MONTH * 1000 * _MS
        step = max(_MONTH * 1000 // max(count, 1), 1) * _MS
        people = [start + index * DEVICES * step + 1 for index in range((count + DEVICES - 1) // DEVICES)]
        self._raw.insert("person", _PERSON, (self._person_row(number, at.now) for number in people))
        self._raw.insert("membership", _MEMBERSHIP, (self._membership_row(number, at.now) for number in people))
        self._raw.insert("consent_grant", _GRANT, (self._grant_row(number, number, at.now) for number in people))
        numbers = [start + index * step for index in range(count)]
        rows = (self._row(number, _FILLED[index % 2], people[index // DEVICES], at.now, used=True) for index, number in enumerate(numbers))
        self._raw.insert("authorization_row", AUTHORIZATION, rows)
        self._raw.tidy()
        dice = random.Random(1)  # noqa: S311 - the same order in every run
        for place, flavour in enumerate(_FILLED):
            mine = numbers[place::2]
            dice.shuffle(mine)
            self._filled[flavour] = mine
        self.seeded += count

    def rows_of(self, flavour: Flavour, count: int) -> list[int]:
        """Return rows that nothing was done with yet: from all over a filled store, else freshly written."""
        kept = self._filled.get(flavour, [])
        if len(kept) >= count:
            taken, self._filled[flavour] = kept[:count], kept[count:]
            return taken
        return self.fresh(flavour, count, used=True)

    def fresh(self, flavour: Flavour, count: int, *, used: bool = False) -> list[int]:
        """Return rows just written; unless `used`, their codes are still to be redeemed."""
        at = self._clock.moment()
        numbers = [at.id() for _ in range(count)]
        person = self._cast.person
        self._raw.insert("authorization_row", AUTHORIZATION, (self._row(number, flavour, person, at.now, used=used) for number in numbers))
        self.seeded += count
        return numbers

    def readers(self, count: int) -> list[str]:
        """Add users who have the platform's user's password; return their e-mail addresses."""
        at = self._clock.moment()
        password = self._raw.rows(f"SELECT password FROM person WHERE id = {self._cast.person}")[0][0]  # noqa: S608 - our own values
        numbers = [at.id() for _ in range(count)]
        people = [(*self._person_row(number, at.now), password, at.now) for number in numbers]
        self._raw.insert("person", (*_PERSON, "password", "password_at"), people)
        self._raw.insert("membership", _MEMBERSHIP, [self._membership_row(number, at.now) for number in numbers])
        return [f"u{number}@bench.test" for number in numbers]

    def sessions(self, count: int) -> list[str]:
        """Sign the platform's user in, in that many browsers; return their cookies."""
        at, stage = self._clock.moment(), self._cast
        cookies = {number: with_id(Kind.SESSION, number, _secret("session", number)) for number in [at.id() for _ in range(count)]}
        rows = [
            (
                number, stage.tenant, stage.origin, stage.person, 0, digest(Kind.SESSION, stage.tenant, cookie), at.now - 60, "1", "pwd",
                "benchmark", "127.0.0.1", at.now, at.now, at.now + 7200, at.now + 86400, 0,
            )
            for number, cookie in cookies.items()
        ]  # fmt: skip
        self._raw.insert("session", _SESSION, rows)
        return list(cookies.values())

    def devices(self, count: int) -> list[str]:
        """Have that many devices wait for their users; return their codes."""
        at, stage = self._clock.moment(), self._cast
        client = self._raw.rows(f"SELECT id FROM client WHERE client_id = '{DEVICE}'")[0][0]  # noqa: S608 - our own values
        codes = {number: with_id(Kind.DEVICE_CODE, number, _secret("device", number)) for number in [at.id() for _ in range(count)]}
        rows = [
            (
                number, stage.tenant, stage.origin, client, digest(Kind.DEVICE_CODE, stage.tenant, code), str(number), "openid", "", "",
                "203.0.113.0/24", at.now, at.now + 7200, INTERVAL,
            )
            for number, code in codes.items()
        ]  # fmt: skip
        self._raw.insert("device_request", _DEVICE_REQUEST, rows)
        return list(codes.values())

    def _row(self, number: int, flavour: Flavour, person: int, now: int, *, used: bool) -> Row:
        stage = self._cast
        own = person == stage.person
        return (
            number, stage.tenant, stage.origin, "authorization_code", self._grant if own else person, stage.web, person, stage.account,
            stage.membership if own else person, 0, 0, 0, 0, 0, self._scopes[flavour], EVENTS if flavour == "events" else BANK, "",
            "n-0123456789abcdef", now - 60, "1", "pwd", b64(_secret("access", number)),
            digest(Kind.CODE, stage.tenant, self.code(number)), now + 86400, CHALLENGE, REDIRECT,
            "0123456789abcdef" if used else None, now - 30 if used else None,
            b64(_secret("refresh", number)), int(used), now - 7200 if used else None, "0123456789abcdef" if used else None,
            now + _MONTH, None, 0, now - 60, now + 2 * _MONTH,
        )  # fmt: skip

    def _grant_row(self, number: int, person: int, now: int) -> Row:
        stage = self._cast
        return (
            number, stage.tenant, stage.web, stage.account, person, 0, stage.everything, "", "", "first_party", now, now,
        )  # fmt: skip

    def _person_row(self, number: int, now: int) -> Row:
        email = f"u{number}@bench.test"
        return (number, self._cast.tenant, "person", email, email, now, "A user", PROFILE_OF_USER, 0, now)

    def _membership_row(self, number: int, now: int) -> Row:
        return (number, self._cast.tenant, number, self._cast.account, self._cast.roles, now)

    # ---------------------------------------------------------------- what was handed out for them

    def code(self, number: int) -> str:
        """Return a row's authorization code."""
        return with_id(Kind.CODE, number, _secret("code", number))

    def refresh_token(self, number: int) -> str:
        """Return the present refresh token of a used row."""
        link = _Link(number, self._cast.tenant, b64(_secret("refresh", number)))
        return refresh.make(cast(Redeemable, link), 1, self._sealer)

    def access_token(self, number: int) -> str:
        """Return an opaque access token of a row, good for two hours."""
        at = self._clock.moment()
        handle = Handle(number, new_jti(at), self._cast.bank, at.now, at.now + LIFETIME, 0)
        return seal(handle, b64(_secret("access", number)), self._issuer, self._sealer, at)


def spread(values: list[int], count: int) -> Iterator[int]:
    """Return `count` values, each in its turn."""
    for index in range(count):
        yield values[index % len(values)]
