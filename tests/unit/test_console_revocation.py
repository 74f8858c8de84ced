"""What the console says of how soon a revocation bites, for each way in which an API can be set and watched."""

from __future__ import annotations

import pytest

from gatewright.base.calendar import stamp
from gatewright.management.revocation import RevocationRecord
from gatewright.web.console.revocation import COVERED, COVERED_OPAQUE, RECENT, shown, words

NOW = 1_795_242_600


def told(*, kept: str | None = None, alone: str | None = None, followed: int | None = None) -> RevocationRecord:
    """What the management API tells of an API: `followed` is how many seconds ago a guard of it followed."""
    return RevocationRecord(
        api="ap_1",
        introspected="5s",
        kept=kept,
        followed=None if alone is None else "1s",
        unheard=None if alone is None else "15s",
        alone=alone,
        followed_at=None if followed is None else stamp(NOW - followed),
    )


@pytest.mark.parametrize(
    ("record", "form", "worst", "alone", "ways"),
    [
        (told(), "opaque", "5 seconds", False, ["5 seconds"]),
        (told(kept="0s"), "opaque", "5 seconds", False, ["5 seconds", "at once"]),
        (told(kept="30s"), "opaque", "30 seconds", False, ["5 seconds", "30 seconds"]),
        (told(alone="15m"), "jwt", "15 minutes 10 seconds", True, ["1 second", "5 seconds", "15 minutes 10 seconds"]),
        (told(alone="15m", kept="0s"), "jwt", "15 minutes 10 seconds", True, ["1 second", "5 seconds", "at once", "15 minutes 10 seconds"]),
        (told(alone="15m", followed=RECENT), "jwt", "15 seconds", False, ["1 second", "5 seconds", "15 minutes 10 seconds"]),
        (told(alone="1h", followed=RECENT + 1), "jwt", "1 hour 10 seconds", True, ["1 second", "5 seconds", "1 hour 10 seconds"]),
        (told(alone="873s"), "opaque", "14 minutes 43 seconds", True, ["1 second", "5 seconds", "14 minutes 43 seconds"]),
    ],
)
def test_the_worst_that_is_known_comes_first(record: RevocationRecord, form: str, worst: str, *, alone: bool, ways: list[str]) -> None:
    found = shown(record, form, NOW)
    assert (found.worst, found.alone) == (worst, alone)
    assert [way.time for way in found.ways] == ways
    assert ("warned" in [way.state for way in found.ways]) is alone, "a warning names its way"
    assert found.measured


@pytest.mark.parametrize("followed", [None, 0, 10 * RECENT])
def test_whatever_is_followed_it_is_said_that_what_becomes_less_counts_too(followed: int | None) -> None:
    found = shown(told(alone="15m", followed=followed), "jwt", NOW)
    assert found.covered == COVERED
    assert "that became less" in found.covered
    assert shown(told(), "opaque", NOW).covered == COVERED_OPAQUE


def test_one_guard_that_follows_is_not_taken_for_all_of_them() -> None:
    found = shown(told(alone="15m", followed=1), "jwt", NOW)
    said = found.says
    assert found.label == "Where its guard follows, at worst after"
    assert "Whether every process of it does cannot be seen from here" in said
    assert "15 minutes 10 seconds" in said


def test_jwts_from_before_the_format_was_changed_are_said_to_be_that() -> None:
    assert "JWTs from before are still alive" in shown(told(alone="60s"), "opaque", NOW).says


def test_a_guard_that_stopped_is_told_with_the_time() -> None:
    (following, *_) = shown(told(alone="15m", followed=3600), "jwt", NOW).ways
    assert (following.at, following.state) == (NOW - 3600, "possible")
    (never, *_) = shown(told(alone="15m"), "jwt", NOW).ways
    assert (never.at, never.known) == (None, "No guard of it has followed so far.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "at once"),
        (1, "1 second"),
        (90, "1 minute 30 seconds"),
        (3610, "1 hour 10 seconds"),
        (86_400, "1 day"),
        (90_061, "1 day 1 hour"),
    ],
)
def test_times_are_said_in_words(seconds: int, said: str) -> None:
    assert words(seconds) == said
