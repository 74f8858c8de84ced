"""How a tenant proves that a domain is its own, and what follows from what the domain name system answers. Pure rules."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from msgspec.structs import replace
from publicsuffixlist import PublicSuffixList

from gatewright.base import ids
from gatewright.base.digest import b64
from gatewright.tenants.rules import is_loopback

if TYPE_CHECKING:
    from gatewright.oauth.ports import Sealer
    from gatewright.tenants.rules import Origin

State = Literal["pending", "verified", "failing", "lost"]

HOUR: Final = 3600
DAY: Final = 86_400
GRACE: Final = 7 * DAY  # how long a record may be missing before the domain is switched off
SILENCE: Final = 30 * DAY  # how long name servers may not answer at all before it is
QUIET: Final = 2 * DAY  # after which that is told
AWAY: Final = 2 * DAY  # since the last look, after which it was we who were silent
KEPT: Final = 30 * DAY  # how long a claim that nobody proves, or a domain that was lost, is looked for

LABEL: Final = "_gatewright-challenge"
_PREFIX: Final = "gatewright-domain="
_LONGEST_NAME: Final = 253


class Seen(Enum):
    """What the domain name system said: the record is there, it is not, or nobody answered."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Standing(Struct, frozen=True):
    """Where a claim stands. `seen_at` is when the record was last seen, `failing_since` since when it is missing, `checked_at` when it was
    last looked for; 0 is never.
    """

    state: State
    made_at: int
    seen_at: int = 0
    failing_since: int = 0
    checked_at: int = 0


class Next(Struct, frozen=True):
    """Where a claim stands after a look, and when to look again; `over` says that nobody needs to."""

    state: State
    seen_at: int
    failing_since: int
    check_at: int
    over: bool = False


def after(claim: Standing, seen: Seen, now: int) -> Next:
    """Return what follows from a look.

    One look never switches a live domain off: a record must be missing for a week, or name servers silent for a month. What passes while
    nobody looks (the server was off, the store is an old one that was restored) is no part of either: both times move on by it.
    """
    if seen is Seen.PRESENT:
        return Next("verified", now, 0, now + DAY)
    away = now - claim.checked_at
    if claim.checked_at and away > AWAY:
        claim = replace(
            claim, seen_at=claim.seen_at and claim.seen_at + away, failing_since=claim.failing_since and claim.failing_since + away
        )
    if claim.state == "pending":
        age = now - claim.made_at
        return Next("pending", 0, 0, now + min(6 * HOUR, max(60, age // 4)), over=age >= KEPT)
    missing = claim.failing_since or (now if seen is Seen.ABSENT else 0)
    if claim.state == "lost":
        return Next("lost", claim.seen_at, missing, now + DAY, over=now - claim.seen_at >= SILENCE + KEPT)
    gone = bool(claim.failing_since) and seen is Seen.ABSENT and now - claim.failing_since >= GRACE
    if gone or now - claim.seen_at >= SILENCE:
        return Next("lost", claim.seen_at, missing, now + DAY)
    quiet = missing or now - claim.seen_at >= QUIET
    return Next("failing" if quiet or claim.state == "failing" else "verified", claim.seen_at, missing, now + HOUR)


def record_name(host: str) -> str:
    """Return the name under which the proof stands."""
    return f"{LABEL}.{host}"


def proof(sealer: Sealer, tenant: int, host: str) -> str:
    """Return the text of the TXT record: it names the tenant, and is good for this domain alone."""
    seal = b64(sealer.mac("domain", tenant, host.encode())[:16])
    return f"{_PREFIX}{ids.show(ids.TENANT, tenant)}.{seal}"


def seen_in(texts: tuple[str, ...], wanted: str) -> Seen:
    """Tell whether the proof is among the texts of a name."""
    return Seen.PRESENT if wanted in [text.strip() for text in texts] else Seen.ABSENT


def claim_fault(origin: Origin, own: tuple[str, ...]) -> str | None:
    """Return why a tenant cannot claim a domain by itself, or None; `own` are the deployment's own names."""
    host = origin.host
    if not origin.url.startswith("https://") or is_loopback(host):
        return "a domain that is claimed is reached over https"
    if host.endswith("]") or _is_address(host):
        return "an address has no TXT record: a name is expected"
    if ":" in host:
        return "a domain that is claimed has no port: its proof is for all of the host"
    if len(record_name(host)) > _LONGEST_NAME:
        return f"the name is too long for its proof at {LABEL}"
    mine = next((name for name in own if host == name or host.endswith(f".{name}")), None)
    if mine is not None:
        return f"{mine} belongs to this deployment: its operator names such domains in a platform file"
    if _suffixes().is_public(host):
        return f"{host} is a public suffix, under which others have their names"
    return None


def above(host: str) -> Iterator[str]:
    """Yield the names above a host, the nearest first."""
    _, dot, rest = host.partition(".")
    while dot:
        yield rest
        _, dot, rest = rest.partition(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
