"""What of the tokens that a signature still vouches for has become less, so that the server is asked what is left: a bounded memory. Pure.

A grant, a role or an app that loses a scope goes on, and so do its tokens; which of their scopes they still have, only the server knows.
"""

import heapq
from collections.abc import Iterable
from functools import reduce
from typing import Final

import msgspec

from gatewright_guard.revoked import KEEP, LIMIT, UNSURE, Ending, Key
from gatewright_guard.verify import Claims

SETTLED: Final = 3.0
"""Seconds after hearing of a narrowing in which another of the server's processes may still answer as before."""

_MOST: Final = 4096  # authorizations, scopes and roles in one event
_ROWS: Final = "authorization"
_SCOPES: Final = "scope"
_ROLES: Final = "role"
_SEVERAL: Final = 32  # kinds of narrowing under one key; where there are more, all tokens of the key are meant
Kind = tuple[bool, bool, bool] | str
Mark = tuple[frozenset[str], frozenset[str], str | None, Key, str]
"""Which tokens are meant: those with one of these scopes, one of these roles, of this issuer, and of these parties; nothing is any."""

_WIDE: Final[Mark] = (frozenset(), frozenset(), None, (None, None, None), "all")
_ENDED: Final = "ended"
_ANYBODY: Final[Key] = (None, None, None)
_NAMED: Final = (_SCOPES, _ROLES)


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """What became less, as the event `narrowed` says it. A token is meant that has all that is named, of a list one, and is old enough.

    `issued_until` is the last second in which a token was issued that may say too much, `until` when the last such token has expired.
    """

    until: int
    issued_until: int
    authorizations: tuple[str, ...] = ()
    client_id: str | None = None
    sub: str | None = None
    account_id: str | None = None
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    iss: str | None = None


_decode: Final = msgspec.json.Decoder(Narrowing).decode


def read_narrowing(data: bytes | str) -> Narrowing:
    """The narrowing that an event's data says; `ValueError` if it names too much or is of another form."""
    found = _decode(data)
    if max(len(found.authorizations), len(found.scopes), len(found.roles)) > _MOST:
        raise ValueError("a narrowing names too much")
    return found


class _Told(msgspec.Struct, frozen=True):
    """Until which second of issue tokens are meant, until when it matters, and when it was heard.

    Of an ending of parties those are meant that were issued from then on, under authorizations up to `before`.
    """

    issued_until: int
    until: int
    heard_at: float
    issued_from: int = 0
    before: str | None = None


class Narrowed:
    """Narrowings until they can concern no living token. It forgets none before its time: when it is full it says so instead.

    One thread tells it of narrowings; any number may ask it at the same time.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        # Under what a token names: its authorization, parties, a scope, a role. What is asked is never changed while it is looked through.
        self._kinds: dict[Kind, dict[Key, tuple[tuple[Mark, _Told], ...]]] = {}
        self._places: tuple[tuple[Kind, dict[Key, tuple[tuple[Mark, _Told], ...]]], ...] = ()
        self._ends: list[tuple[int, int, Kind, Key, Mark]] = []
        self._count = 0
        self._size = 0
        self._lost_until = 0.0

    def __len__(self) -> int:
        """How many are remembered."""
        return self._size

    def whole(self, now: float) -> bool:
        """Whether everything that was told and still matters is remembered."""
        return now >= self._lost_until

    def apply(self, narrowing: Narrowing, now: float) -> None:
        """Remember a narrowing, which may be the second of its kind in one second; of what was told before, the later time counts."""
        self.expire(now)
        if narrowing.until + KEEP <= now:
            return
        self._tell(narrowing, _Told(narrowing.issued_until, narrowing.until, now), "")

    def apply_ending(self, ending: Ending, now: float) -> None:
        """Remember of which tokens an ending of parties does not say for sure whether it meant them (`revoked.UNSURE`)."""
        self.expire(now)
        if ending.bounded and ending.until + KEEP > now:
            told = _Told(ending.at + UNSURE, ending.until, now, ending.at, ending.before)
            of = Narrowing(
                until=told.until,
                issued_until=told.issued_until,
                client_id=ending.client_id,
                sub=ending.sub,
                account_id=ending.account_id,
            )
            # Several are one: what was opened and issued in between is over by the last of them.
            self._tell(of, told, _ENDED)

    def _tell(self, narrowing: Narrowing, told: _Told, which: str) -> None:
        client, sub, account = parties = (narrowing.client_id, narrowing.sub, narrowing.account_id)
        scopes, roles, iss = frozenset(narrowing.scopes), frozenset(narrowing.roles), narrowing.iss
        if narrowing.authorizations:
            mark = (scopes, roles, iss, parties, which)
            self._put(_ROWS, [((name, None, None), mark) for name in narrowing.authorizations], told)
        elif scopes and parties == _ANYBODY:
            # Whatever many roles lose, a token looks at its own scopes alone.
            self._put(_SCOPES, [((scope, None, None), (frozenset([scope]), roles, iss, parties, which)) for scope in scopes], told)
        elif roles and parties == _ANYBODY:
            self._put(_ROLES, [((role, None, None), (scopes, frozenset([role]), iss, parties, which)) for role in roles], told)
        else:
            kind = (client is not None, sub is not None, account is not None)
            self._put(kind, [(parties, (scopes, roles, iss, parties, which))], told)

    def expire(self, now: float) -> None:
        """Forget what concerns no living token any more."""
        while self._ends and self._ends[0][0] <= now:
            _, _, kind, key, mark = heapq.heappop(self._ends)
            self._forget(kind, key, mark, now)

    def since(self, claims: Claims) -> float | None:
        """When it was last heard that a token may say more than is so; None if it never was."""
        latest: float | None = None
        for kind, keys in self._places:
            if kind in _NAMED:
                for name in claims.scopes if kind == _SCOPES else claims.roles:
                    latest = _latest(keys.get((name, None, None)), claims, latest)
            else:
                latest = _latest(keys.get(_key(kind, claims)), claims, latest)
        return latest

    def _put(self, kind: Kind, keys: Iterable[tuple[Key, Mark]], told: _Told) -> None:
        place = self._kinds.setdefault(kind, {})
        for key, meant in keys:
            entries = dict(place.get(key, ()))
            mark = _WIDE if _WIDE in entries and meant[-1] != _ENDED else meant
            before = entries.get(mark)
            if before is None:
                if self._size >= self._limit:
                    self._lost_until = max(self._lost_until, told.until + KEEP)
                    break
                self._size += 1
                self._wait(kind, key, mark, told.until)
            entries[mark] = told if before is None else _both(before, told)
            if len(entries) > _SEVERAL:
                entries = self._widened(kind, key, entries)
            place[key] = tuple(entries.items())
        self._places = tuple(self._kinds.items())

    def _widened(self, kind: Kind, key: Key, entries: dict[Mark, _Told]) -> dict[Mark, _Told]:
        """All narrowings of a key as one: to ask about a token that lost nothing is a question in a few seconds."""
        ended = {mark: told for mark, told in entries.items() if mark[-1] == _ENDED}
        wide = reduce(_both, [told for mark, told in entries.items() if mark not in ended])
        self._size -= len(entries) - len(ended) - 1
        self._wait(kind, key, _WIDE, wide.until)
        return {_WIDE: wide, **ended}

    def _wait(self, kind: Kind, key: Key, mark: Mark, until: int) -> None:
        self._count += 1
        heapq.heappush(self._ends, (until + KEEP, self._count, kind, key, mark))

    def _forget(self, kind: Kind, key: Key, mark: Mark, now: float) -> None:
        place = self._kinds.get(kind, {})
        entries = dict(place.get(key, ()))
        told = entries.get(mark)
        if told is None:
            return  # it is part of another one
        if told.until + KEEP > now:
            self._wait(kind, key, mark, told.until)  # it was told once more since
            return
        del entries[mark]
        self._size -= 1
        if entries:
            place[key] = tuple(entries.items())
            return
        del place[key]
        if not place:
            del self._kinds[kind]
            self._places = tuple(self._kinds.items())


def _both(one: _Told, other: _Told) -> _Told:
    return _Told(
        max(one.issued_until, other.issued_until),
        max(one.until, other.until),
        max(one.heard_at, other.heard_at),
        min(one.issued_from, other.issued_from),
        None if one.before is None or other.before is None else max(one.before, other.before),
    )


def _latest(found: tuple[tuple[Mark, _Told], ...] | None, claims: Claims, latest: float | None) -> float | None:
    for mark, told in found or ():
        if (latest is None or told.heard_at > latest) and _fits(mark, told, claims):
            latest = told.heard_at
    return latest


def _key(kind: Kind, claims: Claims) -> Key:
    if isinstance(kind, str):
        return (claims.authorization_id, None, None)
    client, sub, account = kind
    return (claims.client_id if client else None, claims.sub if sub else None, claims.account_id if account else None)


def _fits(mark: Mark, told: _Told, claims: Claims) -> bool:
    scopes, roles, iss, (client, sub, account), _ = mark
    row = claims.authorization_id
    return (
        (claims.iat is None or told.issued_from <= claims.iat <= told.issued_until)
        and (told.before is None or row is None or row <= told.before)
        and (not scopes or not scopes.isdisjoint(claims.scopes))
        and (not roles or not roles.isdisjoint(claims.roles))
        and (iss is None or iss == claims.iss)
        and (client is None or client == claims.client_id)
        and (sub is None or sub == claims.sub)
        and (account is None or account == claims.account_id)
    )
