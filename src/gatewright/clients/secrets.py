"""Client secrets: made by us, or chosen by somebody else; kept only as digests."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from gatewright.base.digest import Kind, digest, same
from gatewright.base.moment import Moment
from gatewright.base.secret import Secret
from gatewright.clients.rules import SHORT_SECRET
from gatewright.tenants.credentials import CredentialRow, Method


class KeptSecret(Struct, frozen=True):
    """What is stored of a secret."""

    method: Method
    digest: str


def make_secret(at: Moment) -> Secret:
    """Return a new secret of 256 random bits; it is shown once and never again."""
    return Secret(Kind.CLIENT_SECRET + at.text(32))


def to_keep(secret: Secret, tenant: int, slow: Callable[[str], str]) -> KeptSecret:
    """Return what to store: a fast digest of what nobody guesses, a slow one (`slow`) of what somebody might (`decisions` §4)."""
    text = secret.reveal()
    if len(text) >= SHORT_SECRET:
        return KeptSecret("sha256", digest(Kind.CLIENT_SECRET, tenant, text))
    return KeptSecret("argon2id", slow(text))


def is_one(secret: Secret, tenant: int, live: list[CredentialRow], verify: Callable[[str, str], bool]) -> bool:
    """Tell whether a secret is one of the live ones; `verify` compares with a slow digest."""
    text = secret.reveal()
    fast = digest(Kind.CLIENT_SECRET, tenant, text)
    if any(row.method == "sha256" and same(row.digest, fast) for row in live):
        return True
    return len(text) < SHORT_SECRET and any(row.method == "argon2id" and verify(row.digest, text) for row in live)
