"""What the delivery of events needs from outside: the network, and the key that encrypts secrets. Both lie above this room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Answered(Struct, frozen=True):
    """What is read of an answer: its status and how long it asks us to wait, never its body."""

    status: int
    retry_after: str | None = None


class Post(Protocol):
    """The way out: POSTs over https, with an address guard and a time limit; no redirect is followed (`keys.fetch`)."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Return the answer; raises `FetchFailed`, `NotAllowed` or `TooSlow` where there is none."""


class Wraps(Protocol):
    """Encrypts what must be read again (`keys.sealer.Wrapper`)."""

    def wrap(self, purpose: str, tenant: int, name: str, plain: bytes, *, nonce: bytes) -> str:
        """Return the text to be stored."""

    def unwrap(self, purpose: str, tenant: int, name: str, wrapped: str) -> bytes:
        """Return what was wrapped."""
