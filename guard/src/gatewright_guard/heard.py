"""All that the revocation feed told, as one memory: what is over, and of what the server is to be asked. Pure."""

from typing import Final

import msgspec

from gatewright_guard.jose import KeySet
from gatewright_guard.narrowed import Narrowed, read_narrowing
from gatewright_guard.revoked import LIMIT, Revoked, read_ending
from gatewright_guard.verify import Claims

EVENTS: Final = frozenset({"ended", "narrowed", "key_withdrawn"})
"""The names of the events that are remembered."""


class WithdrawnKey(msgspec.Struct, frozen=True):
    """A key that the server took back: what it signed is believed no more, whatever set of keys has it, until then."""

    kid: str
    until: int


_decode_key: Final = msgspec.json.Decoder(WithdrawnKey).decode


class Heard:
    """Endings, narrowings and withdrawn keys until they can concern no living token; when it is full it says that it is not whole.

    One thread tells it of events; any number may ask it at the same time.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._ended = Revoked(limit)
        self._less = Narrowed(limit)
        self._withdrawn: dict[str, int] = {}
        # With what it was made of: one thread may make it while another one is told of a key.
        self._trusted: tuple[dict[str, int], KeySet, KeySet] | None = None

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._ended) + len(self._less) + len(self._withdrawn)

    def whole(self, now: float) -> bool:
        """Whether everything that was told and still matters is remembered."""
        return self._ended.whole(now) and self._less.whole(now)

    def take(self, name: str, data: bytes | str, now: float) -> None:
        """Remember what an event says; `ValueError` or `msgspec.MsgspecError` if its data is of another form."""
        if name == "ended":
            ending = read_ending(data)
            self._ended.apply(ending, now)
            self._less.apply_ending(ending, now)
        elif name == "narrowed":
            self._less.apply(read_narrowing(data), now)
        else:
            key = _decode_key(data)
            self._withdrawn = self._withdrawn | {key.kid: key.until}

    def miss(self, until: float) -> None:
        """Hear that something was told, and not understood, that may matter until then."""
        self._ended.miss(until)

    def expire(self, now: float) -> None:
        """Forget what concerns no living token any more."""
        self._ended.expire(now)
        self._less.expire(now)
        if any(until <= now for until in self._withdrawn.values()):
            self._withdrawn = {kid: until for kid, until in self._withdrawn.items() if until > now}

    def trusted(self, keys: KeySet) -> KeySet:
        """The keys without those that were withdrawn, however old the copy is."""
        withdrawn, made = self._withdrawn, self._trusted
        if not withdrawn:
            return keys
        if made is None or made[0] is not withdrawn or made[1] is not keys:
            made = self._trusted = (withdrawn, keys, KeySet(tuple([key for key in keys.keys if key.kid not in withdrawn])))
        return made[2]

    def withdrew(self, kid: str | None) -> bool:
        """Whether the key of that name was withdrawn, so that nobody need be asked about what it signed."""
        return kid in self._withdrawn

    def over(self, claims: Claims) -> bool:
        """Whether what a token stands for has ended."""
        return self._ended.hits(claims)

    def asked_since(self, claims: Claims) -> float | None:
        """When it was last heard that a token may say more than is so, so that the server is to be asked; None if it never was."""
        return self._less.since(claims)
