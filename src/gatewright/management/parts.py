"""Makes and changes records as a platform file would: the same checks, the same sentences, the same steps, for one piece of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from gatewright.base.check import Fault, Faults, show_path
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.management.errand import Errand
from gatewright.platform.client_steps import client_steps
from gatewright.platform.current import Current, load
from gatewright.platform.definition import api_steps, role_steps, tenant_steps
from gatewright.platform.document import TenantPart
from gatewright.platform.hits import counted
from gatewright.platform.naming import by_present_names
from gatewright.platform.people import account_steps, user_steps
from gatewright.platform.reading import Part, Reading
from gatewright.platform.rules import examine
from gatewright.platform.steps import MadeSecret, Names, SlowWork, Step, Work
from gatewright.tenants.book import BY_ID

_HERE: Final = Path()


def part(section: str, kind: type[Struct], document: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Part[Any]:
    """Return a piece of a platform file; `given` are the keys that count where something is there already.

    Null puts a default back, as RFC 7396 has it: the key counts, and says nothing.
    """
    said = {name: value for name, value in document.items() if value is not None}
    counts = document if given is None else given
    named = {name: _default(kind, name) if value is None else value for name, value in counts.items()}
    return Part((section, 0), msgspec.convert(said, kind), named)


def _default(kind: type[Struct], name: str) -> object:
    """Return what stands for a key that goes back to its default: of a table, each of its keys does."""
    default = next((field.default for field in structs.fields(kind) if field.name == name), None)
    return {key: getattr(default, key) for key in default.__struct_fields__} if isinstance(default, Struct) else None


async def carry_out(
    errand: Errand,
    pieces: Mapping[str, tuple[Part[Any], ...]],
    *,
    inside: Keys = (),
    secrets: dict[Keys, Secret] | None = None,
    slow: SlowWork | None = None,
    without: frozenset[str] = frozenset(),
) -> list[MadeSecret]:
    """Make pieces of a platform file true and return the secrets that were made.

    Faults are told by their place below `inside`. Steps of the kinds in `without` are not taken.

    Raises:
        Faults: everything that is wrong with it.
    """
    reading = await _reading(errand, pieces)
    current = await load(errand.source, reading, errand.at.now, earlier_applies=False)
    reading = by_present_names(reading, current)
    faults = examine(reading, current, {}, errand.at.now).faults
    if faults:
        raise Faults(tuple([_placed(fault, inside) for fault in faults]))
    slow = slow or SlowWork(errand.at)
    steps = [step for step in _steps(reading, current, secrets or {}, slow) if step.change.kind not in without]
    slow.closed = True
    if errand.preview:
        for step in steps:
            hit = await counted(errand.source, errand.tenant, step.change, current, errand.at.now)
            errand.hits.extend(hit.hits)
            errand.hit_clients.extend(() if errand.caller.account else hit.clients)
    readable = any(part.value.secret_readable for part in pieces.get("clients", ()))
    wrapper = errand.tools.wrapper if readable else None  # the root key is asked for only where it is needed
    work = Work(errand.deed, Names.of(current), slow, wrapper, label="management")
    for step in steps:
        await step.run(work)
    return work.made


async def _reading(errand: Errand, pieces: Mapping[str, tuple[Part[Any], ...]]) -> Reading:
    row = await errand.source.one(BY_ID, id=errand.tenant)
    assert row is not None  # noqa: S101 - a request came to one of its domains
    tenant = Part(("tenant",), TenantPart(slug=row.slug, name=row.name, domains=()), {})
    return Reading(_HERE, {}, (), pieces["tenant"][0] if "tenant" in pieces else tenant, **_plain(pieces))


def _plain(pieces: Mapping[str, tuple[Part[Any], ...]]) -> dict[str, Any]:
    return {section: parts for section, parts in pieces.items() if section != "tenant"}


def _steps(reading: Reading, current: Current, secrets: dict[Keys, Secret], slow: SlowWork) -> list[Step]:
    assert reading.tenant is not None  # noqa: S101 - it was just put there
    return [
        *tenant_steps(reading.tenant, current),
        *api_steps(reading, current, secrets),
        *role_steps(reading, current),
        *account_steps(reading, current),
        *user_steps(reading, current, secrets, slow),
        *client_steps(reading, current, secrets, slow),
    ]


def _placed(fault: Fault, inside: Keys) -> Fault:
    # What is wrong with the place itself, or around it, is told of the whole.
    keys = fault.keys[len(inside) :] if fault.keys[: len(inside)] == inside else ()
    return Fault(show_path(keys), fault.rule, fault.cure, None, keys)
