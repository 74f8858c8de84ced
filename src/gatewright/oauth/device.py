"""A device that asks its user to let it in at another one (RFC 8628): the two codes, and how often it may ask whether they did."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.base.digest import Kind, b64, digest, split, with_id

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ports import Sealer

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
LIFETIME: Final = 600  # seconds for which both codes live (§6.1 weighs it against the length of the user code)
INTERVAL: Final = 5  # seconds between two questions (§3.2)
SLOWER: Final = 5  # seconds more for each that came too early (§3.5)
LONGEST_INTERVAL: Final = 60
FORGIVEN: Final = 1  # seconds: the way to us does not always take equally long
LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # §6.1: no vowel, so no word comes of it, and nothing that looks like a digit
LENGTH: Final = 8  # of 20 letters, so 34 bits
MOST_OF_NETWORK: Final = 50  # live requests of one client from one network
MOST_OF_CLIENT: Final = 5_000  # and from everywhere: eight a second

_BYTES: Final = 32
_FAIR: Final = 256 - 256 % len(LETTERS)  # above it, some letters would come more often than others
_PURPOSE: Final = "user code"


class DeviceRequest(Struct, frozen=True):
    """A request of a device as one statement reads it. `scopes` and `resources` are texts, `network` is where it was asked from.

    `answer` is None as long as the user has said neither yes nor no; `poll_interval` in seconds.
    """

    id: int
    tenant: int
    issuer: str
    client: int
    device_digest: str
    scopes: str
    resources: str
    account: str
    network: str
    asked_at: int
    expires_at: int
    poll_interval: int
    answer: Literal["allowed", "denied"] | None


class NewDeviceRequest(Struct, frozen=True, kw_only=True):
    """A request about to be remembered."""

    id: int
    tenant: int
    issuer: str
    client: int
    device_digest: str
    user_digest: str
    scopes: str
    resources: str
    account: str
    network: str
    asked_at: int
    expires_at: int


class Begun(Enum):
    """Whether a request is remembered: it is, its user code is another one's, or there are too many already."""

    FRESH = "fresh"
    TAKEN = "taken"
    FULL = "full"


class Polled(Struct, frozen=True):
    """When a device last asked and was told to wait, and for how long; the digest proves that it is the same device code."""

    digest: str
    client: int
    at: int
    interval: int

    def too_early(self, now: int) -> bool:
        """Tell whether the device asks again before its time."""
        return now < self.at + self.interval - FORGIVEN


class Waiting(Struct, frozen=True):
    """A request that its user is about to answer: what the page shows of it, and until when an answer counts."""

    id: int
    user_code: str
    network: str
    asked_at: int
    expires_at: int


class Told(Enum):
    """What came of a user's answer."""

    ALLOWED = "allowed"
    DENIED = "denied"
    LATE = "late"


def new_device_code(number: int, tenant: int, at: Moment) -> tuple[str, str]:
    """Return the text of a device code for a request of this id, and the digest that its row keeps (§5.2: nobody guesses 256 bits)."""
    text = with_id(Kind.DEVICE_CODE, number, at.dice.bytes(_BYTES))
    return text, digest(Kind.DEVICE_CODE, tenant, text)


def request_of(device_code: str) -> int | None:
    """Return the id of the request that a device code names, or None when a text is none."""
    found = split(Kind.DEVICE_CODE, device_code, _BYTES)
    return None if found is None else found[0]


def new_user_code(at: Moment) -> str:
    """Return eight letters, each as likely as the others."""
    letters = ""
    while len(letters) < LENGTH:
        letters += "".join([LETTERS[byte % len(LETTERS)] for byte in at.dice.bytes(2 * LENGTH) if byte < _FAIR])
    return letters[:LENGTH]


def typed(text: str) -> str | None:
    """Return the user code that somebody typed, whatever its case and whatever stands between its letters (§6.1); None if it is none."""
    letters = "".join([char for char in text[: 4 * LENGTH].upper() if char.isalnum()])
    return letters if len(letters) == LENGTH and all(char in LETTERS for char in letters) else None


def shown(user_code: str) -> str:
    """Return a user code as people read it: two groups of four."""
    return f"{user_code[:4]}-{user_code[4:]}"


def user_digest(user_code: str, tenant: int, sealer: Sealer) -> str:
    """Return what is kept of a user code. It is short enough to be tried out, so the digest is keyed."""
    return b64(sealer.mac(_PURPOSE, tenant, user_code.encode()))
