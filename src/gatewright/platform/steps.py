"""What an apply does, one step at a time: each is shown as a change, and run in the order of the list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import Struct

from gatewright.audit.deed import Deed, Refused
from gatewright.base.change import Detail, Hit, HitClient, details, told
from gatewright.base.moment import Moment
from gatewright.base.secret import Secret
from gatewright.keys.sealer import Wrapper
from gatewright.oauth.catalogue import BUILT_IN
from gatewright.platform.current import Current
from gatewright.users.passwords import SALT_BYTES, digest_of, fits
from gatewright.users.rules import email_key

Sign = Literal["+", "~", "-"]
__all__ = ["Change", "Detail", "Hit", "Names", "SlowWork", "Step", "Unprepared", "Work", "details", "id_in", "ids_in", "told", "user_key"]

Kind = Literal[
    "tenant",
    "domain",
    "api host",
    "api",
    "scope",
    "role",
    "account",
    "user",
    "membership",
    "client",
    "client secret",
    "api secret",
    "app",
    "routes",
]


ASKED_AGAIN: Final = "users who may be asked again"
OPTIONAL: Final = " (optional)"  # behind a scope that an app can do without


class Change(Struct, frozen=True):
    """One record that is made (+), changed (~) or taken away (-)."""

    sign: Sign
    kind: Kind
    name: str
    details: tuple[Detail, ...] = ()
    hits: tuple[Hit, ...] = ()
    clients: tuple[HitClient, ...] = ()


@dataclass(slots=True)
class Names:
    """Ids by the names of the file; what a step makes, later steps find here."""

    apis: dict[str, int]
    scopes: dict[str, int]
    roles: dict[str, int]
    accounts: dict[str, int]
    users: dict[str, int]
    clients: dict[str, int]

    @classmethod
    def of(cls, current: Current) -> Names:
        """Return the ids of what there is."""
        built_in = {scope.name: scope.id for scope in BUILT_IN}
        return cls(
            apis={name: row.id for name, row in current.apis.items()},
            scopes={**built_in, **{name: row.id for name, row in current.scopes.items() if row.retired_at is None}},
            roles={name: row.id for name, row in current.roles.items() if row.retired_at is None},
            accounts={name: row.id for name, row in current.accounts.items()},
            users={key: row.id for key, row in current.users.items()},
            clients={name: row.id for name, row in current.clients.items()},
        )


def ids_in(table: Mapping[str, int], names: Iterable[str]) -> frozenset[int]:
    """Return the ids of names.

    Raises:
        Refused: one of them went away meanwhile.
    """
    return frozenset([id_in(table, name) for name in names])


def id_in(table: Mapping[str, int], name: str) -> int:
    """Return the id of a name; raises `Refused` when it went away meanwhile."""
    number = table.get(name)
    if number is None:
        raise Refused(f'"{name}" was taken away by somebody else in this moment; apply again')
    return number


class MadeSecret(Struct, frozen=True):
    """A secret that was made for a client, to be shown once."""

    client_id: str
    secret: Secret


@dataclass(slots=True)
class Work:
    """What a step is handed."""

    deed: Deed
    names: Names
    slow: SlowWork
    wrapper: Wrapper | None = None
    label: str = "platform file"
    """What secrets are known by that are made here."""
    made: list[MadeSecret] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """One change and how it is made. `remember` and `forget` keep the list of what the file made."""

    change: Change
    run: Callable[[Work], Awaitable[None]]
    remember: tuple[str, str] | None = None
    forget: tuple[str, str] | None = None
    shown: bool = True


class Unprepared(Exception):
    """A slow digest is needed that was not made before the transaction."""


class SlowWork:
    """Slow digests, made before the transaction and remembered for it: 25 ms of hashing have no place in front of other writers."""

    def __init__(self, at: Moment) -> None:
        self._at = at
        self._digests: dict[tuple[str, str], str] = {}
        self._answers: dict[tuple[str, str], bool] = {}
        self.closed = False

    def digest(self, owner: str, text: str) -> str:
        """Return the slow digest of a text; two owners of one text have two digests."""
        found = self._digests.get((owner, text))
        if found is None:
            self._check()
            found = self._digests[owner, text] = digest_of(text, self._at.dice.bytes(SALT_BYTES))
        return found

    def know(self, owner: str, text: str, digest: str) -> None:
        """Take a digest that was made elsewhere."""
        self._digests[owner, text] = digest

    def fits(self, digest: str, text: str) -> bool:
        """Tell whether a text is the one of a slow digest."""
        found = self._answers.get((digest, text))
        if found is None:
            self._check()
            found = self._answers[digest, text] = fits(digest, text)
        return found

    def _check(self) -> None:
        if self.closed:
            raise Unprepared


def user_key(email: str) -> str:
    """Return the key under which names and rows of users are kept here."""
    return email_key(email)
