"""A platform file as it was read: its parts, which keys each names, and all that is wrong with its shape.

A part with a fault is kept without the key that has it, so that the rules that look at several parts find everything else at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import Struct

from gatewright.base.check import Fault, Faults, Findings, check
from gatewright.base.toml import Path as Keys
from gatewright.base.toml import TomlFault, key_lines, parse
from gatewright.platform.document import AccountPart, ApiPart, AppPart, ClientPart, Platform, RolePart, TenantPart, UserPart
from gatewright.platform.typed import Twice, as_ours

P = TypeVar("P", bound=Struct)

LARGEST: Final = 16 * 1024 * 1024

# What stands in for a required key that has a fault, so that everything else of its part is looked at. Nobody is called so.
_STAND_INS: Final[Mapping[str, Mapping[str, object]]] = {
    "tenant": {"slug": "stand-in-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "name": "?", "domains": ["https://stand-in.invalid"]},
    "apis": {"audience": "https://stand-in-{}.invalid", "name": "?"},
    "roles": {"name": "stand-in {}", "scopes": []},
    "accounts": {"slug": "stand-in-{}-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "name": "?"},
    "users": {"email": "stand-in-{}@stand-in.invalid"},
    "clients": {"client_id": "stand-in-{}-zzzzzzzzzzzzzzzzzzzzzzzzzzz", "client_name": "?"},
    "apps": {"slug": "stand-in-{}-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "manifest": "?"},
}


@dataclass(frozen=True, slots=True)
class Part(Generic[P]):
    """One table of the file: where it stands, what it says, and which keys it says it with."""

    keys: Keys
    value: P
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """A file of the right shape, as far as it is."""

    file: Path
    lines: Mapping[Keys, int]
    faults: tuple[Fault, ...]
    tenant: Part[TenantPart] | None
    apis: tuple[Part[ApiPart], ...] = ()
    roles: tuple[Part[RolePart], ...] = ()
    accounts: tuple[Part[AccountPart], ...] = ()
    users: tuple[Part[UserPart], ...] = ()
    clients: tuple[Part[ClientPart], ...] = ()
    apps: tuple[Part[AppPart], ...] = ()
    prune: bool = False
    # Names as they stand in the file, also of parts that are too broken to be kept.
    named: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_file(file: Path) -> Reading:
    """Return what a platform file says.

    Raises:
        Faults: it cannot be read, or is not TOML.
    """
    try:
        if file.stat().st_size > LARGEST:
            raise Faults((Fault("", f"{file} is larger than any platform file"),))
        text = file.read_text(encoding="utf-8")
    except OSError as fault:
        raise Faults((Fault("", f"{file} cannot be read: {(fault.strerror or 'unknown fault').lower()}"),)) from None
    except UnicodeDecodeError:
        raise Faults((Fault("", f"{file} is not UTF-8 text"),)) from None
    return read_text(text, file)


def read_text(text: str, file: Path) -> Reading:
    """Return what the text of a platform file says; the file's folder is where relative names count from.

    Raises:
        Faults: it is not TOML.
    """
    try:
        document = parse(text)
    except TomlFault as fault:
        raise Faults((Fault("", str(fault)),)) from None
    lines = key_lines(text)
    twice = as_ours(document, lines)
    faults = (*check(document, Platform, lines), *_twice(twice, lines))
    broken = {fault.keys for fault in faults}
    tenants = _parts([document.get("tenant")], TenantPart, "tenant", broken)
    return Reading(
        file=file,
        lines=lines,
        faults=faults,
        tenant=tenants[0] if tenants else None,
        apis=_parts(document.get("apis"), ApiPart, "apis", broken),
        roles=_parts(document.get("roles"), RolePart, "roles", broken),
        accounts=_parts(document.get("accounts"), AccountPart, "accounts", broken),
        users=_parts(document.get("users"), UserPart, "users", broken),
        clients=_parts(document.get("clients"), ClientPart, "clients", broken),
        apps=_parts(document.get("apps"), AppPart, "apps", broken),
        prune=document.get("prune") is True,
        named=_named(document),
    )


def _twice(found: list[Twice], lines: Mapping[Keys, int]) -> tuple[Fault, ...]:
    findings = Findings(lines)
    for keys, alias, ours in found:
        findings.add(keys, f'"{alias}" is another word for "{ours}", which stands here too', "leave one of them out")
    return findings.all()


def _parts(items: object, kind: type[P], section: str, broken: set[Keys]) -> tuple[Part[P], ...]:
    if not isinstance(items, list):
        return ()
    found: list[Part[P]] = []
    for index, item in enumerate(items):
        keys: Keys = (section,) if section == "tenant" else (section, index)
        sound = _sound(item, keys, broken)
        if not isinstance(sound, Mapping):
            continue
        stand_ins = {name: _numbered(value, index) for name, value in _STAND_INS[section].items() if name not in sound}
        try:
            value = msgspec.convert({**stand_ins, **sound}, kind)
        except msgspec.ValidationError:
            continue
        found.append(Part(keys, value, cast("Mapping[str, Any]", sound)))
    return tuple(found)


def _numbered(value: object, index: int) -> object:
    return value.format(index) if isinstance(value, str) else value


def _sound(value: object, keys: Keys, broken: set[Keys]) -> object:
    """Return a value without what has a fault; a list that has one goes as a whole, so that places keep their numbers."""
    if isinstance(value, Mapping):
        return {
            name: _sound(part, (*keys, name), broken)
            for name, part in value.items()
            if (*keys, name) not in broken and not (isinstance(part, list) and _touched((*keys, name), broken))
        }
    return value


def _touched(keys: Keys, broken: set[Keys]) -> bool:
    return any(one[: len(keys)] == keys for one in broken)


def _named(document: Mapping[str, object]) -> dict[str, frozenset[str]]:
    found = {
        section: frozenset(_texts(document.get(section), key))
        for section, key in (("roles", "name"), ("accounts", "slug"), ("users", "email"), ("clients", "client_id"))
    }
    apis = document.get("apis")
    scopes = [api.get("scopes") for api in apis if isinstance(api, Mapping)] if isinstance(apis, list) else []
    return {**found, "scopes": frozenset(str(name) for table in scopes if isinstance(table, Mapping) for name in table)}


def _texts(items: object, key: str) -> list[str]:
    if not isinstance(items, list):
        return []
    values = [item.get(key) for item in items if isinstance(item, Mapping)]
    return [value for value in values if isinstance(value, str)]
