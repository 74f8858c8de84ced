"""The description of the management API (OpenAPI 3.1), made from the rows of `management.table` and the Structs that they name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from gatewright import __version__
from gatewright.base.operation import Operation
from gatewright.management.perform import Preview
from gatewright.management.table import OPERATIONS
from gatewright.oauth.catalogue import MANAGEMENT, MANAGEMENT_SCOPES
from gatewright.oauth.paths import url_of
from gatewright.web.problems import KINDS, Problem

if TYPE_CHECKING:
    from gatewright.oauth.issuer import Issuer

PREFIX: Final = "/-/api/v1"
DESCRIPTION: Final = PREFIX + "/openapi.json"
_REF: Final = "#/components/schemas/{name}"
_SECURITY: Final = "management"

# What every operation may be refused with, and what only those that change something.
_ALWAYS: Final = (400, 401, 403, 404, 406, 422, 500, 503)
_CHANGING: Final = (409, 412, 413, 415)

IF_MATCH: Final = "If-Match"
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "if_match": {
        "name": IF_MATCH, "in": "header", "schema": {"type": "string", "examples": ['"q9AFofhQ-hKZH_CIOmFA"', "*"]},
        "description": "The `ETag` of the record that is to be changed; `*` for whatever it is now.",
    },
    "idempotency_key": {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "description": "Makes it safe to send the request twice for 24 hours: it is done once, and answered alike.",
    },
    "preview": {
        "name": "preview", "in": "query", "required": False, "allowEmptyValue": True, "schema": {"enum": ["true"]},
        "description": "Check everything and tell what would change and whom it would hit, and change nothing.",
    },
}  # fmt: skip


def document(issuer: Issuer) -> dict[str, Any]:
    """Return the description of the management API of an issuer."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{issuer.name}: management API",
            "version": __version__,
            "description": "Everything that can be managed here. Tokens are for the audience "
            f"`{MANAGEMENT.audience}`; refusals are problem documents (RFC 9457).",
        },
        "servers": [{"url": issuer.url + PREFIX}],
        **_derived(),
        "components": {**_components(), "securitySchemes": {_SECURITY: _scheme(issuer)}},
    }


def _scheme(issuer: Issuer) -> dict[str, Any]:
    scopes = {scope.name: scope.text for scope in MANAGEMENT_SCOPES}
    token = url_of(issuer, "token")
    return {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {"tokenUrl": token, "scopes": scopes},
            "authorizationCode": {"authorizationUrl": url_of(issuer, "authorize"), "tokenUrl": token, "scopes": scopes},
        },
    }


@cache
def _derived() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {"paths": paths, "tags": [{"name": name} for name in dict.fromkeys(map(noun_of, OPERATIONS))]}


@cache
def _components() -> dict[str, Any]:
    kinds: list[Any] = [Problem, Preview]
    kinds += [kind for operation in OPERATIONS for kind in (operation.body, operation.gives) if kind is not None]
    schemas = schemas_of(kinds, _REF)
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    titles: dict[int, list[str]] = {}
    for status, title in KINDS.values():
        titles.setdefault(status, []).append(title)
    responses = {f"{status}": {"description": "; or ".join(title), "content": problem} for status, title in titles.items()}
    return {"schemas": schemas, "responses": responses, "parameters": {name: dict(one) for name, one in _HEADERS.items()}}


def _described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [noun_of(operation)],
        "summary": operation.says.rstrip("."),
        "security": [{_SECURITY: [scope]} for scope in (operation.scope, operation.delegated) if scope],
        "parameters": [*_places(operation), *_headers(operation)],
        "responses": {**_success(operation), **_refusals(operation)},
    }
    if operation.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=name_of(operation.body))}}}
        if operation.method == "PATCH":
            content["application/merge-patch+json"] = content["application/json"]
        found["requestBody"] = {"required": True, "content": content}
    return found


def name_of(kind: type[Struct]) -> str:
    """Return what a form is called outside: of what is told here, that it is a record says nothing."""
    return kind.__name__.removesuffix("Record")


def schemas_of(kinds: list[Any], ref: str) -> dict[str, Any]:
    """Return the schemas of forms and of all that they are made of, by name.

    Raises:
        ValueError: two of them would go by one name, so that readers would take one for the other.
    """
    _, found = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=ref)
    schemas = {name.removesuffix("Record"): plain(schema) for name, schema in found.items()}
    unclear = [name for name in found if "." in name or (name.endswith("Record") and name.removesuffix("Record") in found)]
    if unclear:
        raise ValueError(f"these forms share their name with another one: {', '.join(sorted(unclear))}")
    return schemas


def noun_of(operation: Operation) -> str:
    """Return what an operation is about: the first word of its name."""
    return operation.name.partition(".")[0]


def fields_of(kind: type[Struct]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the schemas of a Struct's fields, and which of them are needed."""
    schema = schemas_of([kind], _REF)[name_of(kind)]
    return schema.get("properties", {}), frozenset(schema.get("required", ()))


def _places(operation: Operation) -> list[dict[str, Any]]:
    fields, needed = fields_of(operation.where)
    found = []
    for name, schema in fields.items():
        in_path = name in operation.places
        kept = {key: value for key, value in schema.items() if key != "description" and not (key == "default" and value == "")}
        described = {"description": schema["description"]} if "description" in schema else {}
        if in_path:
            kept = {"minLength": 1, **kept}
        found.append(
            {"name": name, "in": "path" if in_path else "query", "required": in_path or name in needed, **described, "schema": kept}
        )
    return found


def _headers(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if operation.changes and operation.find is not None:
        found.append({**_HEADERS["if_match"], "required": operation.careful})
    if operation.method == "POST" and not operation.alone:
        found.append({"$ref": "#/components/parameters/idempotency_key"})
    if operation.changes and not operation.alone:
        found.append({"$ref": "#/components/parameters/preview"})
    return found


def _success(operation: Operation) -> dict[str, Any]:
    preview = {"$ref": _REF.format(name="Preview")}
    previews = operation.changes and not operation.alone
    if operation.gives is None:
        told = {"200": {"description": "A preview.", "content": {"application/json": {"schema": preview}}}} if previews else {}
        return {"204": {"description": "It is done."}, **told}
    record: dict[str, Any] = {"$ref": _REF.format(name=name_of(operation.gives))}
    if operation.lines:
        return {
            "200": {
                "description": "One record in each line.",
                "content": {"application/jsonl": {"schema": {"type": "string"}, "x-line": record}},
            }
        }
    if operation.many:
        items = {"type": "array", "items": record}
        following = {"type": ["string", "null"], "description": "The address of the next page."}
        record = {"type": "object", "properties": {"items": items, "next": following}, "required": ["items", "next"]}
    found = {f"{operation.status}": {"description": "It is done." if operation.changes else "What there is.", "content": _json(record)}}
    if operation.find is not None or (not operation.changes and not operation.many):
        found[f"{operation.status}"]["headers"] = {"ETag": {"description": "The state of the record.", "schema": {"type": "string"}}}
    if previews and operation.status != 200:
        found["200"] = {"description": "A preview.", "content": _json(preview)}
    elif previews:
        found["200"]["content"] = _json({"anyOf": [record, preview]})
    return found


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _refusals(operation: Operation) -> dict[str, Any]:
    statuses = {*_ALWAYS, *(_CHANGING if operation.changes else ()), *((428,) if operation.careful else ())}
    return {f"{status}": {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def plain(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a schema under the names that are told, its patterns as ECMA-262 reads them: Python writes the end of a text otherwise."""
    if isinstance(schema, dict):
        return {key: _told(key, value) if isinstance(value, str) else plain(value) for key, value in schema.items()}
    return [plain(one) for one in schema] if isinstance(schema, list | tuple) else schema


def _told(key: str, text: str) -> str:
    if key in ("$ref", "title"):
        return text.removesuffix("Record")
    return text.replace("\\Z", "$") if key == "pattern" else text
