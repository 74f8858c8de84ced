"""Tokens as a program keeps them. They have no readable form, so that no log and no traceback holds one by accident."""

from typing import Any

import msgspec


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the token endpoint gave (RFC 6749 §5.1), with times in epoch seconds of our own clock."""

    access_token: str
    renew_at: float | None = None
    """From then on a new one is wanted; None: never by itself."""
    expires_at: float | None = None
    """From then on it is no good."""
    refresh_token: str | None = None
    scope: str | None = None
    """The scopes granted, if the server named them."""
    whose: str = ""
    """Issuer, client and API for which they were made, of a service also account and scope: a token is never taken for another one."""

    def __repr__(self) -> str:
        return f"Tokens(…, expires_at={self.expires_at!r}, scope={self.scope!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("expires_at", self.expires_at), ("scope", self.scope)]

    def fresh(self, now: float) -> bool:
        """Whether it need not be renewed yet."""
        return self.renew_at is None or now < self.renew_at

    def alive(self, now: float) -> bool:
        """Whether an API still takes it, as far as the clock says."""
        return self.expires_at is None or now < self.expires_at
