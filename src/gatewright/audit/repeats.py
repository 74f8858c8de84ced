"""Requests that may be sent twice and happen once: what the first was answered, for a day (draft-ietf-httpapi-idempotency-key-header).

An answer may hold a secret that is shown once. It is kept sealed under a key that the Idempotency-Key is half of, and of that key only
a digest is kept: neither the store nor the root key opens it, nor both, without the caller's own key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.store import Tx

KEPT: Final = 86_400  # seconds


class Kept(Struct, frozen=True):
    """What is kept of an answered request; an `answer` of "" is being made."""

    request: str
    answer: str
    until: int


FIND: Final = Query(Kept, "SELECT request, answer, until FROM repeat WHERE name = :name")
_CLAIM: Final = Query(
    None,
    """INSERT INTO repeat (name, tenant, request, answer, until) VALUES (:name, :tenant, :request, '', :until)
       ON CONFLICT (name) DO UPDATE SET request = excluded.request, answer = '', until = excluded.until
           WHERE repeat.until <= :now""",
)
_KEEP: Final = Query(None, "UPDATE repeat SET answer = :answer WHERE name = :name AND tenant = :tenant")


async def claim(tx: Tx, *, name: str, tenant: int, request: str, now: int) -> Kept | None:
    """Begin a request that nobody began yet and return None; return what is kept of it otherwise. Part of the request's own unit."""
    if await tx.do(_CLAIM, name=name, tenant=tenant, request=request, until=now + KEPT, now=now):
        return None
    return await tx.one(FIND, name=name)


async def keep(tx: Tx, *, name: str, tenant: int, answer: str) -> None:
    """Keep the sealed answer of a request, in the same transaction as what it did."""
    await tx.do(_KEEP, name=name, tenant=tenant, answer=answer)
