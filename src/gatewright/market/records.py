"""The records of the marketplace: apps, the versions of their manifests, installs."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct

State = Literal["approved", "active", "ended"]


class AppRow(Struct, frozen=True):
    """An app as stored; its id is its client's, and so is its owner, who is its developer; `version` the number last published."""

    id: int
    tenant: int
    version: int
    created_at: int
    changed_at: int


class VersionRow(Struct, frozen=True):
    """A manifest as it was published."""

    id: int
    app: int
    number: int
    label: str
    manifest: str
    published_at: int
    published_by: str


class InstallRow(Struct, frozen=True):
    """An app in an account. `approved`: its user said yes, and the app has not come for its token; `active`: it has, or needs none."""

    id: int
    tenant: int
    app: int
    account: int
    person: int
    acting: int
    consent_grant: int
    version: int
    state: State
    made_at: int
    changed_at: int
    ended_at: int | None = None
    ended_because: str | None = None

    @property
    def handed_over(self) -> bool:
        """Whether it acts for a service user, and no longer for who installed it."""
        return self.acting != self.person


class InstallEvent(StrEnum):
    """What can happen to an install; a closed list."""

    APPROVED = "approved"
    ACTIVATED = "activated"
    REPLACED = "replaced"
    UPDATED = "updated"
    HANDED_OVER = "handed_over"
    ENDED = "ended"
