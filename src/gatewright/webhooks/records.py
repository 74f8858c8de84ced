"""What apps are told, and what is kept of telling them."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Literal

from msgspec import Struct


class EventType(Enum):
    """Everything that an app may be told: its name, when, and the members of its `data` beside `client_id`. A closed list.

    The members are ids and words of ours: no token, and of a person nothing but the id.
    """

    INSTALL_CREATED = (
        "install.created",
        "The app was installed for an account.",
        ("install_id", "account_id", "user_id", "scopes"),
    )
    INSTALL_UPDATED = (
        "install.updated",
        "What an installation may do changed, or whom it acts for, or it was installed again; `scopes` are those of today.",
        ("install_id", "account_id", "user_id", "scopes"),
    )
    APP_UPDATE_AVAILABLE = (
        "app.update_available",
        "A version of the app was published that asks for more. Installations keep what they have until their users approve the rest.",
        ("version", "added_scopes"),
    )
    INSTALL_DELETING = (
        "install.deleting",
        "The app was uninstalled and its tokens are dead. Until `cleanup_until` it may fetch a clean-up token with its own credentials.",
        ("install_id", "account_id", "user_id", "because", "cleanup_scopes", "cleanup_until"),
    )
    INSTALL_DELETED = (
        "install.deleted",
        "The installation is gone and nothing of it opens anything any more.",
        ("install_id", "account_id", "user_id", "because"),
    )
    GRANT_UPDATED = (
        "grant.updated",
        "What a user gave the app changed: a further consent, or one scope less.",
        ("grant_id", "account_id", "user_id", "scopes", "declined_scopes"),
    )
    GRANT_REVOKED = (
        "grant.revoked",
        "What a user gave the app has ended, and every token under it. `because` says why.",
        ("grant_id", "account_id", "user_id", "because"),
    )
    USER_DISABLED = (
        "user.disabled",
        "A user who gave the app access was disabled: their tokens are dead, and enabling the user again does not revive them.",
        ("user_id",),
    )
    USER_DELETED = (
        "user.deleted",
        "A user who gave the app access was deleted for good, with everything given.",
        ("user_id",),
    )
    ACCOUNT_DISABLED = (
        "account.disabled",
        "An account in which the app had access was disabled: the tokens for it are dead.",
        ("account_id",),
    )
    ACCOUNT_DELETED = ("account.deleted", "An account in which the app had access was deleted for good.", ("account_id",))
    SECRET_ADDED = ("secret.added", "The client has one more secret; it is not told here.", ("secret_id",))
    SECRET_ENDED = ("secret.ended", "One of the client's secrets is no longer good.", ("secret_id",))
    TEST = ("test", "The developer asked for an event, to see it arrive.", ())

    def __init__(self, label: str, meaning: str, members: tuple[str, ...]) -> None:
        self.label = label
        self.meaning = meaning
        self.members = members


State = Literal["waiting", "delivered", "given_up"]


class Outcome(StrEnum):
    """What became of one attempt at a delivery; all that is kept of an answer beside its status."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    GONE = "gone"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    NOT_ALLOWED = "not_allowed"


MEANINGS = {
    Outcome.DELIVERED: "The address answered with a status of 200 to 299.",
    Outcome.REFUSED: "The address answered with another status.",
    Outcome.REDIRECTED: "The address answered with a redirect, and none is followed.",
    Outcome.GONE: "The address answered 410: nothing more is sent there until it is enabled again.",
    Outcome.TIMED_OUT: "The address did not answer in time.",
    Outcome.UNREACHABLE: "No connection was made, or it broke, or what came was no HTTP.",
    Outcome.NOT_ALLOWED: "The address is not https, or leads into a network that this deployment does not call.",
}


class EventRow(Struct, frozen=True):
    """One event for one client, as stored; `data` is a JSON document."""

    id: int
    client: int
    type: str
    data: str
    at: int
    state: str
    since: int
    tries: int
    next_at: int | None
    last_at: int | None
    last_outcome: str | None
    last_status: int | None


class AttemptRow(Struct, frozen=True):
    """One attempt at a delivery."""

    id: int
    at: int
    outcome: str
    status: int | None
    milliseconds: int


class EndpointRow(Struct, frozen=True):
    """Where a client's events go; the id is the client's."""

    id: int
    tenant: int
    client_id: str
    url: str
    created_at: int
    leased_by: str
    quiet_until: int
    failures: int
    disabled_at: int | None
    disabled_because: str | None
    blocked_at: int | None

    @property
    def open(self) -> bool:
        """Whether anything is sent there."""
        return self.disabled_at is None and self.blocked_at is None


class SecretRow(Struct, frozen=True):
    """A secret that signs deliveries, encrypted."""

    id: int
    wrapped: str
    created_at: int
    expires_at: int | None
