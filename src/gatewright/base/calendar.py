"""Seconds since 1970 as people read them, always in UTC."""

from __future__ import annotations

from typing import Final

_DAY: Final = 86_400
_ERA_DAYS: Final = 146_097  # 400 years of the Gregorian calendar, after which it repeats
_BEFORE_1970: Final = 719_468  # days from 0000-03-01, where a year that ends with February begins, to 1970-01-01


def date(seconds: int) -> tuple[int, int, int]:
    """Return year, month and day of a moment in UTC."""
    days = seconds // _DAY + _BEFORE_1970
    era, day_of_era = divmod(days, _ERA_DAYS)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year_of_era + era * 400 + (month <= 2), month, day


def stamp(seconds: int) -> str:
    """Return a moment as `2026-11-21T07:05:00Z` (RFC 3339 §5.6)."""
    year, month, day = date(seconds)
    rest = seconds % _DAY
    return f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


def stamp_ms(milliseconds: int) -> str:
    """Return a moment as `2026-11-21T07:05:00.123Z` (RFC 3339 §5.6)."""
    return f"{stamp(milliseconds // 1000)[:-1]}.{milliseconds % 1000:03d}Z"
