"""What of the tokens that a signature still vouches for has ended: a bounded memory of what the revocation feed told. Pure."""

import heapq
from typing import Final, TypeVar

import msgspec

from gatewright_guard.verify import Claims

LIMIT: Final = 100_000
"""Endings that are remembered at once, a few hundred bytes each; past it the memory says that it is not whole."""

KEEP: Final = 60
"""Seconds for which an ending is remembered longer than the server says, for what clocks differ and tokens are believed past their end."""

UNSURE: Final = 60
"""Seconds from an ending of parties on in which a token may be of an authorization that was opened after it, at a server whose clock is
behind: the order of ids is that of clocks. The server is asked about such a token."""

_MOST: Final = 4096  # authorizations in one event

K = TypeVar("K")
Key = tuple[str | None, str | None, str | None]
"""App, subject and account; None stands for any."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What ended, as the event `ended` says it. A token is over that has all that is named.

    `authorizations` names several, of which a token has one; `before` is the last authorization that is meant where only parties are
    named: what was opened later stands. It ended at `at`, and `until` is when the last token of it has expired, in epoch seconds.
    """

    until: int
    at: int = 0
    jti: str | None = None
    authorizations: tuple[str, ...] = ()
    client_id: str | None = None
    sub: str | None = None
    account_id: str | None = None
    before: str | None = None

    @property
    def bounded(self) -> bool:
        """Whether parties are named with the last authorization that is meant."""
        return self.before is not None and self.jti is None and not self.authorizations


_decode: Final = msgspec.json.Decoder(Ending).decode


def read_ending(data: bytes | str) -> Ending:
    """The ending that an event's data says; `ValueError` if it names nothing or too much, or is of another form."""
    ending = _decode(data)
    parties = (ending.client_id, ending.sub, ending.account_id) != _ANYBODY
    if not (ending.jti or ending.authorizations or parties) or len(ending.authorizations) > _MOST:
        raise ValueError("an ending names a token, authorizations or parties")
    return ending


class Revoked:
    """Endings until they can concern no living token. It forgets none before its time: when it is full it says so instead.

    One thread tells it of endings; any number may ask it at the same time.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 1:
            raise ValueError("limit is the number of endings that are remembered, at least 1")
        self._limit = limit
        self._jtis: dict[str, int] = {}
        self._rows: dict[str, list[Ending]] = {}
        self._parties: dict[tuple[bool, bool, bool], dict[Key, list[Ending]]] = {}
        # What is asked is never changed while it is looked through: another one takes its place.
        self._kinds: tuple[tuple[tuple[bool, bool, bool], dict[Key, list[Ending]]], ...] = ()
        self._ends: list[tuple[int, int, Ending]] = []
        self._seen: set[Ending] = set()
        self._count = 0
        self._size = 0
        self._lost_until = 0.0

    def __len__(self) -> int:
        """How many tokens, authorizations and parties are remembered."""
        return self._size

    def whole(self, now: float) -> bool:
        """Whether everything that was told and still matters is remembered."""
        return now >= self._lost_until

    def apply(self, ending: Ending, now: float) -> None:
        """Remember an ending; what was told before, or is over, changes nothing."""
        self.expire(now)
        if ending.until + KEEP <= now or ending in self._seen:
            return
        weight = max(1, len(ending.authorizations))
        if self._size + weight > self._limit:
            self.miss(ending.until + KEEP)
            return
        self._seen.add(ending)
        self._size += weight
        self._count += 1
        heapq.heappush(self._ends, (ending.until + KEEP, self._count, ending))
        if ending.jti is not None:
            self._jtis[ending.jti] = self._jtis.get(ending.jti, 0) + 1
        elif ending.authorizations:
            for name in ending.authorizations:
                self._rows[name] = [*self._rows.get(name, ()), ending]
        else:
            key = (ending.client_id, ending.sub, ending.account_id)
            kind = (key[0] is not None, key[1] is not None, key[2] is not None)
            keys = self._parties.setdefault(kind, {})
            keys[key] = [*keys.get(key, ()), ending]
            self._kinds = tuple(self._parties.items())

    def miss(self, until: float) -> None:
        """Hear that something was told, and not understood, that may matter until then."""
        self._lost_until = max(self._lost_until, until)

    def expire(self, now: float) -> None:
        """Forget what concerns no living token any more."""
        while self._ends and self._ends[0][0] <= now:
            self._forget(heapq.heappop(self._ends)[2])

    def hits(self, claims: Claims) -> bool:
        """Whether what a token stands for has ended."""
        row = claims.authorization_id
        if claims.jti in self._jtis:
            return True
        rows = None if row is None else self._rows.get(row)
        if rows is not None and any(_names(ending, claims) for ending in rows):
            return True
        for (client, sub, account), keys in self._kinds:
            key = (claims.client_id if client else None, claims.sub if sub else None, claims.account_id if account else None)
            # Ids of authorizations sort as they were opened, so what was opened under a newer grant stands. A token without one is old.
            found = keys.get(key)
            if found is not None and any(_meant(ending, row, claims.iat) for ending in found):
                return True
        return False

    def _forget(self, ending: Ending) -> None:
        self._seen.discard(ending)
        self._size -= max(1, len(ending.authorizations))
        if ending.jti is not None:
            _less(self._jtis, ending.jti)
        elif ending.authorizations:
            for name in ending.authorizations:
                _without(self._rows, name, ending)
        else:
            key = (ending.client_id, ending.sub, ending.account_id)
            kind = (key[0] is not None, key[1] is not None, key[2] is not None)
            keys = self._parties[kind]
            _without(keys, key, ending)
            if not keys:
                del self._parties[kind]
                self._kinds = tuple(self._parties.items())


_ANYBODY: Final[Key] = (None, None, None)


def _meant(ending: Ending, row: str | None, iat: int | None) -> bool:
    if row is None or ending.before is None:
        return True
    return row <= ending.before and not (iat is not None and ending.at <= iat <= ending.at + UNSURE)


def _names(ending: Ending, claims: Claims) -> bool:
    pairs = ((ending.client_id, claims.client_id), (ending.sub, claims.sub), (ending.account_id, claims.account_id))
    return all(said is None or said == has for said, has in pairs)


def _less(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _without(lists: dict[K, list[Ending]], key: K, ending: Ending) -> None:
    kept = [one for one in lists[key] if one is not ending]
    if kept:
        lists[key] = kept
    else:
        del lists[key]
