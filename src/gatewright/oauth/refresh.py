"""Refresh tokens as a chain of which no link is stored: any that was ever issued is recognised (`docs/decisions/0005`).

The text holds the authorization's id, a generation, a key id and an HMAC over both with the row's own secret. So an old token is
known as old, which is what tells a theft (RFC 9700 §4.14.2), and a guessed one is nothing at all.
"""

from __future__ import annotations

import hmac
from enum import Enum
from struct import Struct as Layout
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.base.digest import Kind, b64, unb64
from gatewright.oauth.catalogue import OFFLINE_ACCESS
from gatewright.oauth.handle import LONGEST

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Redeemable
    from gatewright.oauth.client import Client
    from gatewright.oauth.issuer import Policy
    from gatewright.oauth.ports import Sealer

GRANT_TYPE: Final = "refresh_token"
REPLAY_HORIZON: Final = 30 * 86400  # seconds for which a dead row is kept, so that an old token is still known as one

_KEY_ID: Final = 1
_MAC_BYTES: Final = 32
_TEXT: Final = Layout(f">QIH{_MAC_BYTES}s")
_MESSAGE: Final = Layout(">QQIH")


class Shown(Struct, frozen=True):
    """A refresh token as it was presented. Nothing in it is proved yet."""

    authorization: int
    generation: int
    mac: bytes


class Judgement(Enum):
    """What to do with a refresh token that we did issue."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REUSE = "reuse"


class Terms(Struct, frozen=True):
    """How long a new authorization renews itself. `issued` is False where its client gets no refresh token at all."""

    issued: bool
    session_bound: bool
    idle_until: int | None
    until: int | None
    sweep_at: int


def terms(client: Client, granted: frozenset[int], policy: Policy, now: int) -> Terms:
    """Return the terms on which an authorization is opened (`decisions` §3; OpenID Connect Core §11 for offline_access).

    Without offline_access, and where the client is not set to get one always, the refresh token is good until sign-out.
    """
    if GRANT_TYPE not in client.grant_types:
        return Terms(issued=False, session_bound=False, idle_until=None, until=None, sweep_at=now + LONGEST + REPLAY_HORIZON)
    settings = client.settings
    until = settings.refresh_absolute
    if until is None and settings.party == "third":
        until = policy.refresh_absolute_third_party
    idle_until = idle_limit(client, policy, now)
    return Terms(
        issued=True,
        session_bound=settings.refresh != "always" and OFFLINE_ACCESS not in granted,
        idle_until=idle_until,
        until=None if until is None else now + until,
        sweep_at=idle_until + LONGEST + REPLAY_HORIZON,
    )


def idle_limit(client: Client, policy: Policy, now: int) -> int:
    """Return until when a refresh token that is used now may lie idle."""
    idle = client.settings.refresh_idle
    return now + (policy.refresh_idle if idle is None else idle)


def make(standing: Redeemable, generation: int, sealer: Sealer) -> str:
    """Return the refresh token of a generation; always the same text for the same generation."""
    number = standing.id
    return Kind.REFRESH + b64(_TEXT.pack(number, generation, _KEY_ID, _mac(standing, generation, sealer)))


def parse(text: str) -> Shown | None:
    """Return what a refresh token says, or None when a text is none."""
    if not text.startswith(Kind.REFRESH):
        return None
    raw = unb64(text[len(Kind.REFRESH) :])
    if raw is None or len(raw) != _TEXT.size:
        return None
    number, generation, key_id, mac = _TEXT.unpack(raw)
    return Shown(number, generation, mac) if key_id == _KEY_ID and number < 1 << 63 else None


def prove(shown: Shown, standing: Redeemable, sealer: Sealer) -> bool:
    """Tell whether we issued this token for this row; only then may anything happen because of it."""
    return standing.refresh_secret is not None and hmac.compare_digest(shown.mac, _mac(standing, shown.generation, sealer))


def expired(standing: Redeemable, now: int) -> bool:
    """Tell whether the chain lay idle for too long, or has reached its end."""
    idle, until = standing.refresh_idle_until, standing.refresh_until
    return (idle is not None and idle <= now) or (until is not None and until <= now)


def judge(generation: int, standing: Redeemable, client: Client, now: int, policy: Policy) -> Judgement:
    """Return what a proved token is: the present one, the one just replaced, or an old one that somebody kept (`decisions` §3).

    The overlap counts from the rotation and is not renewed by a repeat. It ends as soon as the successor is used, because that
    moves the generation on and makes this one older than the predecessor.

    One of a later generation than the row's was made before the store was restored or failed over with a loss: it is the present one.
    """
    if generation >= standing.generation:
        return Judgement.ROTATE
    if generation != standing.generation - 1 or standing.rotated_at is None:
        return Judgement.REUSE
    overlap = policy.overlap_public if client.public else policy.overlap_confidential
    return Judgement.REPEAT if overlap and max(0, now - standing.rotated_at) <= overlap else Judgement.REUSE


def _mac(standing: Redeemable, generation: int, sealer: Sealer) -> bytes:
    message = _MESSAGE.pack(standing.tenant, standing.id, generation, _KEY_ID) + (standing.refresh_secret or "").encode()
    return sealer.mac("refresh", standing.tenant, message)
