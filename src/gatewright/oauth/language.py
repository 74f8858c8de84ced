"""In which language a scope is put to somebody: what the client asks for, then what the browser says, then the tenant's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

OWN: Final = "en"  # what a text without a tag counts as, since the pages around it are in English
LONGEST: Final = 200  # characters of a list of languages that are looked at
MOST: Final = 10

_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,5}")
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def tag_fault(tag: str) -> str | None:
    """Return why this is no tag of a language, or None (RFC 5646 §2.1)."""
    return None if _TAG.fullmatch(tag) else 'a language tag such as "de" or "fr-CA" is expected (RFC 5646)'


def preferences(ui_locales: str, accept_language: str) -> tuple[str, ...]:
    """Return languages in the order in which somebody wants them: the client's (OpenID Connect Core §3.1.2.1), then the browser's
    (RFC 9110 §12.5.4).
    """
    wanted = [tag for tag in ui_locales[:LONGEST].split() if _TAG.fullmatch(tag)]
    return tuple(dict.fromkeys([tag.lower() for tag in (*wanted, *_accepted(accept_language[:LONGEST]))]))[:MOST]


def _accepted(header: str) -> list[str]:
    weighed: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, *params = [piece.strip() for piece in part.split(";")]
        found = [match for piece in params if (match := _WEIGHT.fullmatch(piece.lower()))]
        weight = float(found[0][1]) if found else 1.0
        if _TAG.fullmatch(tag) and weight > 0 and len(found) == len(params):
            weighed.append((weight, tag))
    return [tag for _, tag in sorted(weighed, key=lambda one: -one[0])]


def chosen(texts: Mapping[str, str], wanted: tuple[str, ...]) -> str | None:
    """Return the tag of the text that somebody reads best, None where that is the one without a tag (RFC 4647 §3.4, lookup)."""
    tags = {tag.lower(): tag for tag in texts}
    for language in wanted:
        parts = language.split("-")
        for length in range(len(parts), 0, -1):
            shorter = "-".join(parts[:length])
            if shorter in tags:
                return tags[shorter]
            if shorter == OWN:
                return None
    return None
