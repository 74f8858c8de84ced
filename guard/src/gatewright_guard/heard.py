"""All that the revocation feed told, as one memory: what is over, and of what the server is to be asked. Pure."""

from typing import Final

from gatewright_guard.narrowed import Narrowed, read_narrowing
from gatewright_guard.revoked import LIMIT, Revoked, read_ending
from gatewright_guard.verify import Claims

EVENTS: Final = frozenset({"ended", "narrowed"})
"""The names of the events that are remembered."""


class Heard:
    """Endings and narrowings until they can concern no living token; when it is full it says that it is not whole.

    One thread tells it of events; any number may ask it at the same time.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._ended = Revoked(limit)
        self._less = Narrowed(limit)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._ended) + len(self._less)

    def whole(self, now: float) -> bool:
        """Whether everything that was told and still matters is remembered."""
        return self._ended.whole(now) and self._less.whole(now)

    def take(self, name: str, data: bytes | str, now: float) -> None:
        """Remember what an event says; `ValueError` or `msgspec.MsgspecError` if its data is of another form."""
        if name == "ended":
            ending = read_ending(data)
            self._ended.apply(ending, now)
            self._less.apply_ending(ending, now)
        else:
            self._less.apply(read_narrowing(data), now)

    def miss(self, until: float) -> None:
        """Hear that something was told, and not understood, that may matter until then."""
        self._ended.miss(until)

    def expire(self, now: float) -> None:
        """Forget what concerns no living token any more."""
        self._ended.expire(now)
        self._less.expire(now)

    def over(self, claims: Claims) -> bool:
        """Whether what a token stands for has ended."""
        return self._ended.hits(claims)

    def asked_since(self, claims: Claims) -> float | None:
        """When it was last heard that a token may say more than is so, so that the server is to be asked; None if it never was."""
        return self._less.since(claims)
