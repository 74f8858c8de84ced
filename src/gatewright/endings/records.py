"""An ending as it is written, as it is read, and as an API is told of it."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.catalogue import Api, Catalogue, ids_of

KEPT: Final = 86_400 + 60  # seconds: the longest life of a JWT (`apis.rules`), and what clocks may differ

MARGIN: Final = 60
"""Seconds by which a token may be dated behind the moment in which a narrowing was known, and have been decided before it: what clocks
may differ, and what another process may still remember (`decisions` §5)."""

FOLLOWED: Final = "feed_followed"
"""What is counted each time a guard of an API is told that it knows everything."""


class Ending(Struct, frozen=True, kw_only=True):
    """What ended: authorizations, one token of one API by its `jti` until it would have expired, or everything of these parties.

    0 stands for any party. Together with authorizations, parties narrow what is meant to the tokens that name them. `scopes` and
    `resources` are those of the one authorization, where it is one and they are known.
    """

    tenant: int
    authorizations: tuple[int, ...] = ()
    jti: str = ""
    until: int = 0
    api: int = 0
    client: int = 0
    person: int = 0
    account: int = 0
    scopes: str = ""
    resources: str = ""


class Lost(Struct, frozen=True, omit_defaults=True):
    """What tokens say that are narrowed: one of these scopes, one of these roles, this issuer. Where nothing is named any token is.

    Or a signing key that was withdrawn.
    """

    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    iss: str | None = None
    kid: str | None = None


ANYTHING: Final = Lost()


class Narrowing(Struct, frozen=True, kw_only=True):
    """What became less and goes on: tokens of these authorizations, or of these parties together, that had what is lost.

    0 stands for any party and any API; nobody named is everybody in the tenant.
    """

    tenant: int
    authorizations: tuple[int, ...] = ()
    api: int = 0
    client: int = 0
    person: int = 0
    account: int = 0
    lost: Lost = ANYTHING


class Ended(Struct, frozen=True):
    """An ending or a narrowing as stored. `upto` is the last authorization that is meant, where parties ended. `lost` is a document
    where it is a narrowing, '' otherwise.
    """

    seq: int
    id: int
    tenant: int
    at: int
    until: int
    authorizations: str
    jti: str
    api: int
    client: int
    person: int
    account: int
    upto: int
    scopes: str
    resources: str
    lost: str = ""
    numbered_at: int = 0

    @property
    def issued_until(self) -> int:
        """The last second in which a token was issued that may say more than was narrowed: it was committed before it was numbered."""
        return max(self.at, self.numbered_at) + MARGIN

    def concerns(self, api: Api, catalogue: Catalogue) -> bool:
        """Tell whether a live JWT of what ended may be at an API, as far as that is known without a note for each token."""
        if self.api not in (0, api.id):
            return False
        if self.resources:
            # Named at the authorization, an API gets a token even where no scope is its own (`oauth.resource`).
            return api.audience in self.resources.split()
        # A scope that is no more may have been anybody's.
        scopes = [catalogue.scopes.get(number) for number in ids_of(self.scopes)]
        return not scopes or any(scope is None or scope.api == api.id for scope in scopes)

    def lives_until(self, api: Api) -> int:
        """Return when the last JWT of it has expired at an API."""
        if self.jti:
            return self.until
        if self._kid is not None:
            # As long as a guard may keep the keys that it has. Whoever took the key signs whatever end he likes.
            return self.until if api.token_format == "jwt" or api.jwt_until > self.at else 0
        last = self.issued_until if self.lost else self.at
        return max(last + api.token_lifetime if api.token_format == "jwt" else 0, min(api.jwt_until, self.until))

    @property
    def event(self) -> str:
        """The name of the event by which it is told."""
        if not self.lost:
            return "ended"
        return "narrowed" if self._kid is None else "key_withdrawn"

    @property
    def _kid(self) -> str | None:
        return _read_lost(self.lost).kid if self.lost else None

    def told(self, until: int, client_id: str | None) -> Told | ToldLess | ToldKey:
        """Return what an API is told, and has to remember until then; its client comes by its public id."""
        kid = self._kid
        if kid is not None:
            return ToldKey(at=self.at, until=until, kid=kid)
        return self._narrowed(until, client_id) if self.lost else self._ended(until, client_id)

    def _ended(self, until: int, client_id: str | None) -> Told:
        return Told(
            at=self.at,
            until=until,
            jti=self.jti or None,
            authorizations=self._named,
            client_id=client_id,
            sub=ids.show(ids.USER, self.person) if self.person else None,
            account_id=ids.show(ids.ACCOUNT, self.account) if self.account else None,
            before=ids.show(ids.AUTHORIZATION, self.upto) if self.upto else None,
        )

    def _narrowed(self, until: int, client_id: str | None) -> ToldLess:
        lost = _read_lost(self.lost)
        return ToldLess(
            at=self.at,
            until=until,
            issued_until=self.issued_until,
            authorizations=self._named,
            client_id=client_id,
            sub=ids.show(ids.USER, self.person) if self.person else None,
            account_id=ids.show(ids.ACCOUNT, self.account) if self.account else None,
            scopes=lost.scopes,
            roles=lost.roles,
            iss=lost.iss,
        )

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple([ids.show(ids.AUTHORIZATION, number) for number in sorted(ids_of(self.authorizations))])


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of the event `ended`: a token fits that has all that is named; ids of authorizations sort as they were opened."""

    at: int
    until: int
    jti: str | None = None
    authorizations: tuple[str, ...] = ()
    client_id: str | None = None
    sub: str | None = None
    account_id: str | None = None
    before: str | None = None


class ToldLess(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of the event `narrowed`: a token fits that was issued until then and has all that is named, of lists one."""

    at: int
    until: int
    issued_until: int
    authorizations: tuple[str, ...] = ()
    client_id: str | None = None
    sub: str | None = None
    account_id: str | None = None
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    iss: str | None = None


class ToldKey(Struct, frozen=True, kw_only=True):
    """The data of the event `key_withdrawn`."""

    at: int
    until: int
    kid: str


_read_lost: Final = msgspec.json.Decoder(Lost).decode
ENCODE: Final = msgspec.json.Encoder().encode
