"""When a delivery is tried again, what an answer means, and how a message is written and signed (Standard Webhooks 1.0)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from email.utils import mktime_tz, parsedate_tz
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.digest import hmac_sha256
from gatewright.base.hosts import LOOPBACK, NO_HOST, is_host
from gatewright.base.moment import Dice
from gatewright.base.secret import Secret
from gatewright.webhooks.records import EventRow, Outcome

SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32  # Standard Webhooks asks for 24 to 64

GIVE_UP_AFTER: Final = 3 * 86_400  # seconds
FIRST_DELAY: Final = 10
LONGEST_DELAY: Final = 43_200
LONGEST_RETRY_AFTER: Final = 86_400  # what an answer may ask for; beyond it, our own plan holds
_FACTOR: Final = 4
_FIRST_PAUSE: Final = 5  # seconds for which nothing is sent to an address at which a turn got nothing through
_LONGEST_PAUSE: Final = 3600
_LONGEST_URL: Final = 2000


class _Message(Struct, frozen=True):
    type: str
    timestamp: str
    data: dict[str, object]


def delay(tries: int, dice: Dice) -> int:
    """Return in how many seconds a delivery is tried again after so many failures: four times longer each time, up to half a day.

    A fifth is left to chance, so that what failed at once does not come back at once.
    """
    planned: int = min(FIRST_DELAY * _FACTOR ** min(tries - 1, 20), LONGEST_DELAY)
    return planned - planned // 10 + int.from_bytes(dice.bytes(4), "big") % (planned // 5 + 1)


def pause(failures: int) -> int:
    """Return for how many seconds nothing is sent to an address after so many turns that got nothing through."""
    seconds: int = min(_FIRST_PAUSE * 2 ** min(failures - 1, 20), _LONGEST_PAUSE)
    return seconds


def asked_to_wait(text: str | None, now: int) -> int:
    """Return for how many seconds an answer asks us to wait (`Retry-After`, RFC 9110 §10.2.3), within bounds; 0 for not at all."""
    if text is None:
        return 0
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]), LONGEST_RETRY_AFTER)
    try:
        parsed = parsedate_tz(text)
        seconds = 0 if parsed is None else int(mktime_tz(parsed)) - now
    except (ValueError, OverflowError, IndexError):
        return 0
    return max(0, min(seconds, LONGEST_RETRY_AFTER))


def outcome_of(status: int) -> Outcome:
    """Return what a status means for a delivery."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    return Outcome.REDIRECTED if 300 <= status < 400 else Outcome.REFUSED


def body_of(event: EventRow, client_id: str) -> bytes:
    """Return the message of an event, the same bytes at every attempt."""
    return msgspec.json.encode(_Message(event.type, stamp(event.at), {"client_id": client_id, **msgspec.json.decode(event.data)}))


def headers_of(event: EventRow, body: bytes, secrets: list[Secret], now: int) -> dict[str, str]:
    """Return the headers of an attempt: the message's name, when it is sent, and a signature by each live secret."""
    name = ids.show(ids.EVENT, event.id)
    signed = f"{name}.{now}.".encode() + body
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join([f"v1,{b64encode(hmac_sha256(key_of(secret), signed)).decode()}" for secret in secrets]),
    }


def new_secret(dice: Dice) -> Secret:
    """Return a new secret as it is shown."""
    return Secret(SECRET_PREFIX + b64encode(dice.bytes(SECRET_BYTES)).decode())


def key_of(secret: Secret) -> bytes:
    """Return the bytes that sign."""
    return b64decode(secret.reveal().removeprefix(SECRET_PREFIX))


def url_fault(url: str) -> str | None:
    """Return why events cannot be sent to an address, or None. Where its name leads is asked again at every delivery."""
    if len(url) > _LONGEST_URL:
        return f"an address has at most {_LONGEST_URL} characters"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "the address has characters that no URL has"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as fault:
        return f"the address is no URL: {fault}"
    if parts.scheme == "http" and host not in LOOPBACK:
        return "an https address is expected; http is for this machine alone"
    if parts.scheme not in ("https", "http") or not host:
        return "an https address is expected"
    if not is_host(host):
        return NO_HOST
    if parts.username is not None or parts.password is not None:
        return "an address carries no user and no password: the signature tells who sent an event"
    return "an address for events has no fragment" if "#" in url else None
