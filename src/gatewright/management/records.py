"""The forms of what operations take and give, derived from the tables of the platform file, so that each key is described once."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs


def form(name: str, of: type[Struct], *, without: tuple[str, ...] = (), more: dict[str, Any] | None = None, says: str = "") -> type[Struct]:
    """Return a Struct with the fields of another; what was optional there is left out where it was not sent."""
    fields: list[Any] = []
    for field in structs.fields(of):
        if field.name in without:
            continue
        fields.append((field.name, field.type) if field.required else (field.name, _optional(field.type), UNSET))
    fields += [(key, kind, UNSET) for key, kind in (more or {}).items()]
    return _made(name, fields, says or (of.__doc__ or ""))


def patch(name: str, of: type[Struct], *, without: tuple[str, ...] = (), says: str = "") -> type[Struct]:
    """Return a Struct in which every field may be left out (it stays as it is) or be null where it has a default."""
    kept = [field for field in structs.fields(of) if field.name not in without]
    fields = [(field.name, _optional(field.type if field.required else field.type | None), UNSET) for field in kept]
    return _made(name, fields, says or f"What may be changed; what is left out stays, null puts the default back. {of.__doc__ or ''}")


def record(name: str, of: type[Struct], more: dict[str, Any], *, without: tuple[str, ...] = (), says: str = "") -> type[Struct]:
    """Return a Struct of everything that is told of a record: the fields of a table and more, each always there."""
    fields: list[Any] = [(field.name, field.type) for field in structs.fields(of) if field.name not in without]
    fields += list(more.items())
    return _made(name, fields, says or (of.__doc__ or ""))


def filled(kind: type[Struct], document: dict[str, Any]) -> Struct:
    """Return a record of that form."""
    return msgspec.convert(document, kind)


def given(body: Struct) -> dict[str, Any]:
    """Return what was sent, as the platform file would say it."""
    return cast("dict[str, Any]", msgspec.to_builtins(body))


def _optional(kind: Any) -> Any:  # noqa: ANN401 - a type, as annotations have it
    return kind | UnsetType


def _made(name: str, fields: list[Any], says: str) -> type[Struct]:
    made = msgspec.defstruct(name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, module=__name__)
    made.__doc__ = says.strip()
    return made
