from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.base.calendar import date, seconds_of, stamp, stamp_ms


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_a_stamp_says_what_the_standard_library_would(seconds: int) -> None:
    there = datetime.fromtimestamp(seconds, UTC)
    assert stamp(seconds) == there.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    assert date(seconds) == (there.year, there.month, there.day)


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_what_a_stamp_says_is_read_back(seconds: int) -> None:
    assert seconds_of(stamp(seconds)) == seconds


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01", "", "x" * 20])
def test_a_moment_that_never_was_is_none(text: str) -> None:
    assert seconds_of(text) is None


def test_milliseconds_are_kept() -> None:
    assert stamp_ms(1_795_240_800_007) == "2026-11-21T06:00:00.007Z"
