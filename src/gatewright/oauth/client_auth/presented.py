"""What a client shows of itself, before anything of it is believed."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

FAILED: Final = "client authentication failed"  # one text for an unknown client and for a wrong secret (RFC 6749 §5.2)


class Presented(Struct, frozen=True):
    """One client authentication method as a request uses it; `header` tells of the Authorization header.

    `method` is the method's name in metadata (RFC 7591 §2), `proof` the secret or the assertion.
    """

    method: str
    client_id: str
    proof: str = ""
    header: bool = False

    def __repr__(self) -> str:
        return f"Presented({self.method}, {self.client_id!r})"
