"""Which of several representations does a request want? Media types and their ranges, read as RFC 9110 §8.3.1 and §12.5.1 write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

_WHOLE: Final = 1000  # thousandths of a quality (RFC 9110 §12.4.2)
_LONGEST: Final = 2000  # characters; nobody who asks for a document needs more
# A parameter's value is a token or a quoted string, in which commas and semicolons separate nothing.
_PART: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,;"])*')
_QUALITY: Final = re.compile(r"(?:0|1)?(?:\.[0-9]{0,3})?")
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


class Range(Struct, frozen=True):
    """One media type or range of an Accept header: its name and parameters in lower case but for their values, its quality."""

    kind: str
    params: tuple[tuple[str, str], ...] = ()
    quality: int = _WHOLE


def ranges(header: str) -> list[Range]:
    """Return the ranges of an Accept header; what cannot be read is passed over, and `*` is read as Java's programs mean it."""
    return [found for parts in _members(header[:_LONGEST]) if (found := _range(parts)) is not None]


def media_type(header: str) -> Range | None:
    """Return the media type of a Content-Type header, or None when it is none."""
    found = [found for parts in _members(header[:_LONGEST]) if (found := _range(parts)) is not None]
    return found[0] if len(found) == 1 else None


def _members(header: str) -> Iterator[list[str]]:
    """Yield the members of a list, each as its parts between semicolons."""
    at, parts = 0, [""]
    while at < len(header):
        found = _PART.match(header, at)
        parts[-1] += found[0] if found else ""
        at = found.end() if found else at
        if at < len(header):
            if header[at] == ",":
                yield parts
                parts = [""]
            elif header[at] == ";":
                parts.append("")
            else:
                parts[-1] += header[at]  # a quote that is never closed
            at += 1
    yield parts


def _range(parts: Sequence[str]) -> Range | None:
    kind = parts[0].strip().lower()
    if kind == "*":
        kind = "*/*"
    if kind.count("/") != 1 or any(char.isspace() for char in kind):
        return None
    params: list[tuple[str, str]] = []
    for part in parts[1:]:
        name, equals, value = part.strip().partition("=")
        name, value = name.strip().lower(), value.strip()
        if not name:
            continue
        if name == "q" and equals:
            quality = _quality(value)
            return None if quality is None else Range(kind, tuple(params), quality)
        params.append((name, _unquoted(value)))
    return Range(kind, tuple(params))


def _quality(text: str) -> int | None:
    if not text or text == "." or _QUALITY.fullmatch(text) is None:
        return None
    return min(_WHOLE, round(float(text) * _WHOLE))


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", value[1:-1])
    return value


def quality_of(kind: str, wanted: Sequence[Range], exact: Sequence[Range]) -> int:
    """Return how much a representation is wanted, 0 for not at all: the most specific range decides (RFC 9110 §12.5.1).

    `exact` are those of the ranges that name it.
    """
    if exact:
        return max(one.quality for one in exact)
    for wider in (kind.partition("/")[0] + "/*", "*/*"):
        found = [one.quality for one in wanted if one.kind == wider]
        if found:
            return max(found)
    return 0
