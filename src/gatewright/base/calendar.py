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


def day(seconds: int) -> str:
    """Return the day of a moment in UTC as `2026-11-21` (RFC 3339 §5.6)."""
    year, month, number = date(seconds)
    return f"{year:04d}-{month:02d}-{number:02d}"


def stamp(seconds: int) -> str:
    """Return a moment as `2026-11-21T07:05:00Z` (RFC 3339 §5.6)."""
    rest = seconds % _DAY
    return f"{day(seconds)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


def stamp_ms(milliseconds: int) -> str:
    """Return a moment as `2026-11-21T07:05:00.123Z` (RFC 3339 §5.6)."""
    return f"{stamp(milliseconds // 1000)[:-1]}.{milliseconds % 1000:03d}Z"


def seconds_of(text: str) -> int | None:
    """Return the moment of a text like `2026-11-21T07:05:00Z`, or None when there is no such day or hour."""
    try:
        year, month, day, hour, minute, second = (
            int(text[start:end]) for start, end in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
        )
    except ValueError:
        return None
    # Counted in years that begin with March, as `date` does.
    years, months = year - (month <= 2), (month + 9) % 12
    era, of_era = divmod(years, 400)
    days = era * _ERA_DAYS + of_era * 365 + of_era // 4 - of_era // 100 + (153 * months + 2) // 5 + day - 1 - _BEFORE_1970
    found = days * _DAY + hour * 3600 + minute * 60 + second
    return found if len(text) == 20 and stamp(found) == text else None


def day_begins(text: str) -> int | None:
    """Return the first second of a day such as `2026-11-21`, or None when there is no such day."""
    return seconds_of(f"{text}T00:00:00Z")
