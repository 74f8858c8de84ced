"""The records of accounts and memberships."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gatewright.oauth.catalogue import ids_of


class AccountRow(Struct, frozen=True):
    """A customer company as stored."""

    id: int
    tenant: int
    slug: str
    name: str
    epoch: int
    created_at: int
    disabled_at: int | None
    deleted_at: int | None

    @property
    def status(self) -> Literal["active", "disabled", "deleted"]:
        """Whether access goes on for its members."""
        if self.deleted_at is not None:
            return "deleted"
        return "disabled" if self.disabled_at is not None else "active"


class MembershipRow(Struct, frozen=True):
    """A live membership as stored; `roles` is a list of ids."""

    id: int
    person: int
    account: int
    roles: str
    created_at: int
    chosen_at: int | None

    @property
    def role_ids(self) -> frozenset[int]:
        """The roles held."""
        return ids_of(self.roles)
