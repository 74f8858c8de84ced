"""The management API as a page for people, made from the same rows as its description for programs."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from gatewright.base.operation import Operation
from gatewright.management.perform import Preview
from gatewright.management.table import OPERATIONS
from gatewright.oauth.catalogue import MANAGEMENT, MANAGEMENT_SCOPES
from gatewright.web import views
from gatewright.web.openapi import fields_of, name_of, noun_of, schemas_of
from gatewright.web.problems import KINDS, PROBLEM, Problem
from gatewright.web.reference_views import ApiField, ApiGroup, ApiOperation, ApiProblem, ApiRecord, ApiReference

_REF: Final = "#"
_NAMES: Final = {"apis": "APIs"}


def reference(brand: views.Brand, base: str, description: str) -> ApiReference:
    """Return the page of a tenant."""
    return ApiReference(
        brand=brand,
        base=base,
        description=description,
        audience=MANAGEMENT.audience,
        groups=_groups(),
        records=_records(),
        scopes=tuple([(scope.name, scope.text) for scope in MANAGEMENT_SCOPES]),
        problems=tuple([ApiProblem(status=status, type=PROBLEM + kind, title=title) for kind, (status, title) in KINDS.items()]),
    )


@cache
def _groups() -> tuple[ApiGroup, ...]:
    nouns = dict.fromkeys(map(noun_of, OPERATIONS))
    return tuple(
        [
            ApiGroup(
                name=_NAMES.get(noun, noun.replace("_", " ")),
                operations=tuple([_operation(one) for one in OPERATIONS if noun_of(one) == noun]),
            )
            for noun in nouns
        ]
    )


def _operation(operation: Operation) -> ApiOperation:
    fields, needed = fields_of(operation.where)
    places = [_field(name, schema, needed=name in operation.places or name in needed) for name, schema in fields.items()]
    words = operation.name.replace("_", "-").replace(".", " ")
    return ApiOperation(
        name=operation.name,
        method=operation.method,
        path=operation.path,
        says=operation.says,
        scope=operation.scope,
        delegated=operation.delegated,
        command=" ".join(
            ["gatewright", words if operation.name != "audit.list" else "audit", *(name.upper() for name in operation.places)]
        ),
        status=operation.status,
        fields=tuple(places),
        takes="" if operation.body is None else name_of(operation.body),
        gives="" if operation.gives is None else name_of(operation.gives),
        many=operation.many,
        lines=operation.lines,
        notes=tuple(_notes(operation)),
    )


def _notes(operation: Operation) -> list[str]:
    found = []
    if operation.careful:
        found.append("If-Match is needed")
    elif operation.changes and operation.find is not None:
        found.append("If-Match is heeded")
    if operation.method == "POST" and not operation.alone:
        found.append("Idempotency-Key")
    if operation.changes and not operation.alone:
        found.append("?preview")
    return found


@cache
def _records() -> tuple[ApiRecord, ...]:
    kinds: list[Any] = [kind for one in OPERATIONS for kind in (one.body, one.gives) if kind is not None]
    # Of what is told, everything is always there; of what is taken, some of it must be.
    taken = schemas_of([one.body for one in OPERATIONS if one.body is not None], _REF + "{name}")
    schemas = schemas_of([*kinds, Preview, Problem], _REF + "{name}")
    return tuple(
        [
            ApiRecord(
                name=name,
                says=schema.get("description", "").replace("`", ""),
                fields=tuple(
                    [
                        _field(key, one, needed=name in taken and key in schema.get("required", ()))
                        for key, one in schema.get("properties", {}).items()
                    ]
                ),
            )
            for name, schema in sorted(schemas.items())
        ]
    )


def _field(name: str, schema: dict[str, Any], *, needed: bool) -> ApiField:
    kind, refers = _worded(schema)
    return ApiField(name=name, kind=kind, needed=needed, says=str(schema.get("description", "")).replace("`", ""), refers=refers)


def _worded(schema: dict[str, Any]) -> tuple[str, str]:
    """Return a schema in a few words, and the record that it refers to."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        return name, name
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"])), ""
    if "anyOf" in schema:
        parts = [_worded(one) for one in schema["anyOf"]]
        return " or ".join(dict.fromkeys(word for word, _ in parts)), next((refers for _, refers in parts if refers), "")
    kind = schema.get("type", "anything")
    if kind == "array":
        word, refers = _worded(schema.get("items", {}))
        return f"list of {word}", refers
    return {"string": "text", "integer": "number", "boolean": "true or false", "object": "table", "null": "null"}.get(kind, str(kind)), ""
