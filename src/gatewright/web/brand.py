"""A tenant's one colour made into the page's colours, readable on light and on dark."""

from __future__ import annotations

import re
from typing import Final

DEFAULT_COLOR: Final = "#3451b2"

Rgb = tuple[int, int, int]

_HEX: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})", re.ASCII)
_WHITE: Final[Rgb] = (255, 255, 255)
_BLACK: Final[Rgb] = (0, 0, 0)
_NIGHT: Final[Rgb] = (23, 26, 33)


def is_color(text: str) -> bool:
    """Whether the text is a hex colour of three or six digits, the only kind that ever reaches a stylesheet."""
    return _HEX.fullmatch(text) is not None


def _rgb(color: str) -> Rgb:
    if not is_color(color):
        raise ValueError(f"{color!r} is not a colour: write # and three or six hexadecimal digits")
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _luminance(rgb: Rgb) -> float:
    """WCAG 2.2, relative luminance."""
    red, green, blue = (v / 3294.6 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    """WCAG 2.2, contrast ratio."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _mix(rgb: Rgb, toward: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(rgb, toward, strict=True))
    return red, green, blue


def _until(rgb: Rgb, toward: Rgb, against: Rgb, ratio: float) -> Rgb:
    """The colour, moved as little as it takes to be told from what lies behind it."""
    steps = (_mix(rgb, toward, step / 40) for step in range(41))
    return next((mixed for mixed in steps if contrast(mixed, against) >= ratio), toward)


def _scheme(color: Rgb, surface: Rgb, toward: Rgb, tint_share: float) -> str:
    """One scheme's custom properties. White text is preferred; where it cannot be read, black can (one always can)."""
    tint = _mix(surface, color, tint_share)
    fill = color if toward == _BLACK else _until(color, toward, surface, 3.0)
    on_fill = _WHITE if contrast(_WHITE, fill) >= 4.5 else _BLACK
    away = _BLACK if on_fill == _WHITE else _WHITE
    values = {
        "surface": surface,
        "brand": fill,
        "brand-hover": _mix(fill, away, 0.14),
        "brand-edge": _until(fill, toward, tint, 3.0),
        "on-brand": on_fill,
        "accent": _until(color, toward, tint, 5.0),
        "tint": tint,
        "tint-line": _mix(surface, color, tint_share * 3),
    }
    return "".join(f"--{name}:#{r:02x}{g:02x}{b:02x};" for name, (r, g, b) in values.items())


def brand_css(color: str) -> str:
    """The stylesheet of one brand colour; anything but a hex colour is a ValueError, so no tenant writes CSS."""
    rgb = _rgb(color)
    light = _scheme(rgb, _WHITE, _BLACK, 0.06)
    dark = _scheme(rgb, _NIGHT, _WHITE, 0.14)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
