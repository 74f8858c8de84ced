"""The record of a user."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["person", "service"]


class UserRow(Struct, frozen=True):
    """A person or a service user as stored, without the password; `profile` is a JSON document of standard claims."""

    id: int
    tenant: int
    kind: str
    email: str
    email_key: str
    email_verified_at: int | None
    name: str
    profile: str
    password_at: int | None
    epoch: int
    created_at: int
    disabled_at: int | None
    deleted_at: int | None

    @property
    def status(self) -> Literal["active", "disabled", "deleted"]:
        """What the user may do today."""
        if self.deleted_at is not None:
            return "deleted"
        return "disabled" if self.disabled_at is not None else "active"


class NewUser(Struct, frozen=True, kw_only=True):
    """A user about to be made; `password` is a digest."""

    kind: Kind = "person"
    email: str
    email_verified: bool = False
    name: str = ""
    profile: str = "{}"
    password: str | None = None
