"""What a request to the management API says: its path in parts, its filters, its document, and how it is to be done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct, inspect, structs

from gatewright.base.check import Fault, Faults
from gatewright.base.operation import Operation
from gatewright.management.perform import LONGEST_KEY, Asked
from gatewright.web.ask import HttpFault, Receive, Scope, body, pairs

BODY_LIMIT: Final = 256 * 1024  # bytes: a client with a hundred redirect addresses and a key set has room ten times over
PREVIEW: Final = "preview"
_JSON: Final = frozenset({b"application/json"})
_MERGE: Final = frozenset({b"application/json", b"application/merge-patch+json"})
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_KEY: Final = re.compile(r"[!-~]+")


class Came(Struct, frozen=True):
    """A request's address: the parts of its path, the values of those that vary, and its query."""

    parts: tuple[str, ...]
    query: bytes
    places: Mapping[str, str] = {}


def came_of(scope: Scope, skip: int) -> Came:
    """Return the address of a request below a prefix of `skip` bytes, each part decoded by itself.

    Raises:
        HttpFault: it cannot be decoded.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0][skip:].strip(b"/")
    try:
        parts = tuple([unquote_to_bytes(part).decode() for part in raw.split(b"/")])
    except UnicodeDecodeError:
        raise HttpFault(400, "the path is not UTF-8") from None
    if any("\0" in part for part in parts):
        raise HttpFault(400, "the path holds a NUL character")
    return Came(parts, scope["query_string"])


async def asked_of(operation: Operation, came: Came, receive: Receive, head: dict[bytes, bytes]) -> Asked:
    """Return what a request asks of an operation.

    Raises:
        HttpFault, Faults: what is wrong with it as HTTP; what is wrong with its filters.
    """
    filters, preview = _filters(operation, came)
    return Asked(
        where={**filters, **came.places},
        body=await _document(operation, receive, head),
        if_match=_tags(head.get(b"if-match", b"")),
        key=_key(head.get(b"idempotency-key")) if operation.method == "POST" else "",
        preview=preview,
    )


def _filters(operation: Operation, came: Came) -> tuple[dict[str, Any], bool]:
    found: dict[str, Any] = {}
    numbers = {field.name for field in structs.fields(operation.where) if _whole(field.type)}
    for name, value in pairs(came.query):
        if name in found or name in came.places:
            raise Faults((Fault(name, "this was sent more than once", "name it once", None, (name,)),))
        found[name] = int(value) if name in numbers and _NUMBER.fullmatch(value) else value
    preview = found.get(PREVIEW)
    if preview is None or not operation.changes:
        return found, False
    if preview not in ("", "true"):
        raise Faults((Fault(PREVIEW, 'nothing or "true" is expected', "leave it out to have it done", None, (PREVIEW,)),))
    if operation.alone:
        raise Faults((Fault(PREVIEW, "this operation cannot be previewed", "leave it out", None, (PREVIEW,)),))
    del found[PREVIEW]
    return found, True


def _whole(kind: Any) -> bool:  # noqa: ANN401 - a type, as annotations have it
    info = inspect.type_info(kind)
    return isinstance(info.type if isinstance(info, inspect.Metadata) else info, inspect.IntType)


async def _document(operation: Operation, receive: Receive, head: dict[bytes, bytes]) -> object:
    raw = await body(receive, head.get(b"content-length", b""), BODY_LIMIT)
    if operation.body is None:
        if raw.strip() not in (b"", b"{}"):
            raise HttpFault(400, "this operation takes no body")
        return None
    kinds = _MERGE if operation.method == "PATCH" else _JSON
    kind, _, charset = head.get(b"content-type", b"").partition(b";")
    if kind.strip().lower() not in kinds or charset.strip().lower() not in (b"", b"charset=utf-8", b'charset="utf-8"'):
        raise HttpFault(415, f"send the body as {b' or '.join(sorted(kinds)).decode()}", ((b"accept", b", ".join(sorted(kinds))),))
    return read_json(raw)


def read_json(raw: bytes) -> object:
    """Return a JSON document, strictly: UTF-8, no key twice, no number that is none (RFC 8259, RFC 7493).

    Raises:
        HttpFault: it is none.
    """
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        # An escape may hold half a surrogate pair, which is no text.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise HttpFault(400, "the body is nested too deeply") from None
    except UnicodeError:
        raise HttpFault(400, "the body is not UTF-8 text") from None
    except ValueError as fault:
        raise HttpFault(400, f"the body is no JSON document: {str(fault)[:200]}") from None
    return found


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number in JSON")


def _tags(header: bytes) -> tuple[str, ...]:
    """Return the strong entity tags of an If-Match (RFC 9110 §13.1.1); weak ones never match."""
    return tuple([tag.strip() for tag in header.decode("latin-1").split(",") if tag.strip()])


def _key(header: bytes | None) -> str:
    if header is None:
        return ""
    text = header.decode("latin-1").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _KEY.fullmatch(text) or len(text) > LONGEST_KEY:
        raise HttpFault(400, f"an Idempotency-Key has at most {LONGEST_KEY} visible ASCII characters")
    return text


def accepts(header: bytes, kind: bytes) -> None:
    """See that an Accept header (RFC 9110 §12.5.1) leaves room for the one form that there is.

    Raises:
        HttpFault: it does not.
    """
    if not header:
        return
    family = kind.partition(b"/")[0] + b"/*"
    best = (0, 0.0)
    for part in header.lower().split(b","):
        name, *terms = [term.strip() for term in part.split(b";")]
        weight = next((term[2:] for term in terms if term.startswith(b"q=")), b"1")
        exact = {kind: 3, family: 2, b"*/*": 1}.get(name, 0)
        if exact > best[0]:
            best = (exact, _weight(weight))
    if best[0] == 0 or best[1] == 0:
        raise HttpFault(406, f"the answer is {kind.decode()}, which the Accept header refuses")


def _weight(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
