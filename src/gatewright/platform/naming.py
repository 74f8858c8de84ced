"""Scopes that a file renames, and their other names wherever a file uses one: everything behind this knows present names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from gatewright.platform.document import RoutePart, ScopePart
from gatewright.platform.reading import P, Part, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewright.platform.current import Current


def in_new_words(reading: Reading, found: Current) -> None:
    """Put what the file renames under its new name, and learn every other name that is understood."""
    present = {row.id: row.name for row in found.scopes.values() if row.retired_at is None}
    for name, scope in _with_aliases(reading):
        old = next((alias for alias in scope.aliases if alias in found.scopes), None)
        if name in found.scopes or old is None:
            continue
        row = found.scopes.pop(old)
        found.scopes[name] = msgspec.structs.replace(row, name=name)
        found.renamed[name] = old
        present[row.id] = name
    found.aliases = {
        naming.name: present[naming.scope]
        for naming in found.namings.values()
        if naming.ended_at is None and naming.scope in present and naming.name != present[naming.scope]
    }
    for name, scope in _with_aliases(reading):
        found.aliases |= {alias: name for alias in scope.aliases if alias not in found.scopes}


def _with_aliases(reading: Reading) -> Iterator[tuple[str, ScopePart]]:
    for part in reading.apis:
        for name, value in part.value.scopes.items():
            if isinstance(value, ScopePart) and value.aliases:
                yield name, value


def by_present_names(reading: Reading, current: Current) -> Reading:
    """Return a file in which roles, clients, routes and implications name scopes by their present names."""
    if not current.aliases:
        return reading

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([current.aliases.get(name, name) for name in names])

    def edges(value: str | ScopePart) -> str | ScopePart:
        return value if isinstance(value, str) else msgspec.structs.replace(value, implies=named(value.implies))

    def routes(table: tuple[RoutePart, ...]) -> tuple[RoutePart, ...]:
        return tuple([msgspec.structs.replace(route, scopes=named(route.scopes), any_of=named(route.any_of)) for route in table])

    return replace(
        reading,
        apis=tuple(
            [
                _with(part, scopes={name: edges(value) for name, value in part.value.scopes.items()}, routes=routes(part.value.routes))
                for part in reading.apis
            ]
        ),
        roles=tuple([_with(part, scopes=named(part.value.scopes)) for part in reading.roles]),
        clients=tuple([_with(part, scopes=named(part.value.scopes)) for part in reading.clients]),
    )


def _with(part: Part[P], **values: object) -> Part[P]:
    return replace(part, value=msgspec.structs.replace(part.value, **values))


def understood_names(name: str, current: Current) -> tuple[str, ...]:
    """Return under which other names a scope is understood today; one that the file renames, under its old one already."""
    row = current.scopes[name]
    found = [one.name for one in current.namings.values() if one.scope == row.id and one.ended_at is None and one.name != name]
    return tuple(sorted(found))


def alias_names(value: str | ScopePart, given: object, name: str, current: Current) -> tuple[str, ...]:
    """Return under which other names a scope is to be understood."""
    if isinstance(value, ScopePart) and isinstance(given, Mapping) and "aliases" in given:
        return tuple(sorted(set(value.aliases)))
    return understood_names(name, current) if name in current.scopes else ()


def alias_faults(name: str, value: ScopePart, reading: Reading, current: Current) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with a scope's other names, each with its place."""
    row = current.scopes.get(name)
    own = {part for api in reading.apis for part in api.value.scopes}
    for index, alias in enumerate(value.aliases):
        naming = current.namings.get(alias)
        if alias == name or alias in value.aliases[:index]:
            yield index, "this stands here twice"
        elif alias in own:
            yield index, f'the file has a scope "{alias}" of its own'
        elif naming is not None and (row is None or naming.scope != row.id):
            yield index, "this is, or was, the name of another scope: whoever asks for it would get what it never meant"
