"""Durations as people write them: `90s`, `15m`, `2h`, `30d`."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Duration = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,6}[smhd]\Z", extra={"form": "a duration is expected: a number and s, m, h or d"}, examples=["90s", "2h", "30d"]
    ),
]


def seconds(text: str) -> int:
    """Return the seconds of a duration that `check` passed."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def show(count: int) -> str:
    """Return seconds as the shortest duration that says them exactly."""
    for unit, size in reversed(_SECONDS.items()):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}s"
