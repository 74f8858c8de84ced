"""How soon a revocation bites at an API: what the management API tells of it, put so that the worst is seen first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import duration
from gatewright.base.calendar import seconds_of
from gatewright.web.console_views import Revocation, Way
from gatewright_guard.verify import LEEWAY

if TYPE_CHECKING:
    from gatewright.management.revocation import RevocationRecord

RECENT: Final = 60  # seconds: a guard that follows is counted every 2 s, and the counters reach the store every 10 s
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

AT_WORST: Final = "At worst after"
MEASURED: Final = (
    "Counted from the moment when whoever revokes is told that it is done. The times of a guard are its defaults: what its code sets"
    " instead (`max_stale`, `max_away`, `leeway`) is not known here."
)
COVERED: Final = (
    "It holds for access that ended, for a grant, role, app or scope that became less, of which a following guard asks the server, and for"
    " a signing key that was withdrawn. With several processes of the server, what a role, an app or the API itself loses may take 4"
    " seconds. Not told is that an app's network addresses became fewer: they are looked at where it gets its tokens, and whenever one is"
    " asked about."
)
COVERED_OPAQUE: Final = "A grant that was narrowed and a role that was taken away are seen at the next question as well."
CURE: Final = (
    "Let its guard follow the revocation feed (`follow=True`, with the API's secret), or let it ask about each token. Until then a shorter"
    " life of its tokens is what helps."
)


def shown(record: RevocationRecord, token_format: str, now: int) -> Revocation:
    """Return what the page of an API says of it."""
    if record.alone is None:
        return _asking(record)
    followed = None if record.followed_at is None else seconds_of(record.followed_at)
    follows = followed is not None and now - followed <= RECENT
    alone = words(duration.seconds(record.alone) + LEEWAY)
    worst = words(duration.seconds(record.unheard or "0s")) if follows else alone
    return Revocation(
        label="Where its guard follows, at worst after" if follows else AT_WORST,
        worst=worst,
        says=_said_of_jwts(alone, token_format, follows=follows),
        alone=not follows,
        cure=CURE,
        ways=(_following(record, followed, follows=follows), *_ways_of_asking(record, "possible"), _alone(record, alone, follows=follows)),
        measured=MEASURED,
        covered=COVERED,
        follows=follows,
    )


def words(seconds: int) -> str:
    """Return a duration in words, such as `15 minutes 10 seconds`; nothing at all is `at once`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}{'' if count == 1 else 's'}"] if count else []
    return " ".join(parts[:2]) or "at once"


def _asking(record: RevocationRecord) -> Revocation:
    """An API whose tokens tell nothing by themselves, so that it must ask."""
    times = [duration.seconds(time) for time in (record.introspected, record.kept) if time is not None]
    return Revocation(
        label=AT_WORST,
        worst=words(max(times)),
        says="Its tokens tell nothing by themselves, so it asks about them, and learns of a revocation with the next question.",
        alone=False,
        cure="",
        ways=_ways_of_asking(record, "used"),
        measured=MEASURED,
        covered=COVERED_OPAQUE,
    )


def _said_of_jwts(alone: str, token_format: str, *, follows: bool) -> str:
    kind = "Its tokens are JWTs" if token_format == "jwt" else "It has opaque tokens now, but JWTs from before are still alive"
    if follows:
        return (
            "A guard of it follows the revocation feed. Whether every process of it does cannot be seen from here: one that does not"
            f" accepts what was revoked for up to {alone}."
        )
    return (
        f"{kind}, and a JWT can be verified without asking anybody. No guard of this API follows the revocation feed now. If it verifies"
        f" them and asks nobody, a revoked token opens it for up to {alone}."
    )


def _following(record: RevocationRecord, followed: int | None, *, follows: bool) -> Way:
    away = words(duration.seconds(record.unheard or "0s"))
    known = "No guard of it has followed so far." if followed is None else "A guard of it follows now." if follows else "It did so last on"
    return Way(
        name="Its guard follows the revocation feed",
        time=words(duration.seconds(record.followed or "0s")),
        hangs_on=f"Up to {away} while its line is cut and nobody noticed (`max_away`); then the guard asks, or refuses.",
        state="used" if follows else "possible",
        known=known,
        at=None if follows else followed,
    )


def _ways_of_asking(record: RevocationRecord, state: str) -> tuple[Way, ...]:
    ways = [
        Way(
            name="It asks about each token",
            time=words(duration.seconds(record.introspected)),
            hangs_on="For so long its guard uses an answer again (`max_stale`).",
            state=state,
            known="",
        )
    ]
    if record.kept is not None:
        kept = duration.seconds(record.kept)
        says = (
            "For so long a proxy may keep an answer (`verify_max_age`)."
            if kept
            else "The proxy asks about each request and keeps no answer."
        )
        ways.append(Way(name="A proxy asks at the verify address", time=words(kept), hangs_on=says, state=state, known=""))
    return tuple(ways)


def _alone(record: RevocationRecord, alone: str, *, follows: bool) -> Way:
    life = words(duration.seconds(record.alone or "0s"))
    return Way(
        name="It verifies JWTs and asks nobody",
        time=alone,
        hangs_on=f"The life of a token, {life}, and by how much clocks may differ (`leeway`, {words(LEEWAY)}).",
        state="possible" if follows else "warned",
        known="" if follows else "This cannot be ruled out from here.",
    )
