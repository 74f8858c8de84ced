"""What a change would do or did, told the same way by the platform file, the management API and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Detail(Struct, frozen=True):
    """One value that a change sets; null stands for nothing."""

    key: str
    before: Any = None
    after: Any = None


class Hit(Struct, frozen=True, omit_defaults=True):
    """Whom a change hits: how many of what, at least so many where `more`."""

    count: int
    what: str
    more: bool = False


class HitClient(Struct, frozen=True, kw_only=True):
    """A client that may ask for what changes: how many of its live grants lose something, and when it was last used."""

    client_id: str
    grants: int
    last_used: int | None = None


def details(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Detail, ...]:
    """Return what differs, in the order of what is to be."""
    keys = dict.fromkeys([*after, *before])
    return tuple([Detail(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)])


def told(after: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> tuple[Detail, ...]:
    """Return what is worth telling of something new: every value that is not the usual one."""
    return tuple([Detail(key, None, value) for key, value in after.items() if usual is None or usual.get(key) != value])


def sides(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what differs, as it was `before` and is `after`: what the audit log tells of a change."""
    found = details(before, after)
    return {"before": {one.key: one.before for one in found}, "after": {one.key: one.after for one in found}}


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its tables opened: `{"token": {"alg": …}}` becomes `{"token.alg": …}`."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": one for name, one in flat(value).items()}
        else:
            found[key] = value
    return found
