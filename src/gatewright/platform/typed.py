"""What people type in other words than ours: the dialog's names of a client's keys (seed 003), comma-separated lists, dates of TOML.

It is made ours before anything is checked, so that every rule is said once; the lines of the keys go along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatewright.base.toml import Path as Keys

ALIASES: Final[Mapping[str, str]] = {
    "consumer_key": "client_id",
    "consumer_secret": "secret",
    "client_type": "type",
    "redirect_urls": "redirect_uris",
    "allowed_ip_addresses": "allowed_ips",
    "persistent_sso": "lasting_session",
}
"""A key of a client in the words of the dialog → ours."""

LISTS: Final = frozenset({"allowed_ips", "redirect_uris", "cors_origins"})
"""Lists of a client that may be typed as one text, with commas between."""

Twice = tuple[Keys, str, str]
"""Where a key stands a second time under its other name, that name, and ours."""


def as_ours(document: dict[str, object], lines: dict[Keys, int]) -> list[Twice]:
    """Rewrite a document in place, and the lines of its keys; return the keys that are there under both names."""
    twice: list[Twice] = []
    clients = document.get("clients")
    places: dict[Keys, list[Keys]] = {}
    for path in lines:
        places.setdefault(path[:2], []).append(path)
    for index, client in enumerate(clients if isinstance(clients, list) else ()):
        if isinstance(client, dict):
            keys: Keys = ("clients", index)
            twice += _renamed(client, keys, lines, places.get(keys, []))
            for name in LISTS.intersection(client):
                client[name] = _listed(client[name])
            _dated(client.get("password_grant"))
    return twice


def _renamed(client: dict[str, object], keys: Keys, lines: dict[Keys, int], places: list[Keys]) -> list[Twice]:
    twice: list[Twice] = []
    for alias, ours in ALIASES.items():
        if alias not in client:
            continue
        value = client.pop(alias)
        if ours in client:
            twice.append(((*keys, alias), alias, ours))
            continue
        client[ours] = value
        start = (*keys, alias)
        lines.update({(*keys, ours, *path[len(start) :]): lines[path] for path in places if path[: len(start)] == start})
    return twice


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _dated(table: object) -> None:
    # TOML writes a day without quotes, and so would everybody.
    shown = getattr(table.get("until"), "isoformat", None) if isinstance(table, dict) else None
    if shown is not None and isinstance(table, dict):
        table["until"] = shown()
