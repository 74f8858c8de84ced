"""From an ASGI request to what the core understands: headers, the caller's address, the body, form parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gatewright.oauth.ask import Params
from gatewright.oauth.decision import printable
from gatewright.oauth.errors import InvalidRequest
from gatewright.tenants.rules import host_key

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Network = IPv4Network | IPv6Network

BODY_LIMIT: Final = 64 * 1024  # bytes: a form with a client assertion and an id_token_hint has room ten times over
FIELD_LIMIT: Final = 64
FORM: Final = b"application/x-www-form-urlencoded"
# What a client says in every request, in so many escapes, and what is nobody's secret.
_SAID_AGAIN: Final = frozenset({"client_id", "redirect_uri", "resource", "scope"})
_REMEMBERED: Final = 512  # characters
_JSON: Final = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
NAMED: Final = "gatewright.named"  # in the scope: host and port that a target in absolute form names, where one came
REPEATED: Final = b"\0repeated"  # stands for a header that came twice where one is allowed
_END_OF_AUTHORITY: Final = re.compile(rb"[/?#]")
ONLY_ONCE: Final = frozenset(
    {
        *(b"host", b"authorization", b"content-length", b"content-type", b"origin", b"gatewright-api"),
        *(b"x-original-method", b"x-original-uri", b"x-original-host"),
        *(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host"),
    }
)


class HttpFault(Exception):
    """A request that is wrong as HTTP, before any protocol looks at it."""

    def __init__(self, status: int, sentence: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


def heads(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the request headers by lower-case name; a second Host or Authorization is marked, other lists are joined."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in joined:
            joined[name] = value
        elif name in ONLY_ONCE:
            joined[name] = REPEATED
        else:
            joined[name] += (b"; " if name == b"cookie" else b", ") + value
    return joined


def authority(target: bytes) -> bytes:
    """Return host and port of a target in absolute form, as they stand there."""
    return _END_OF_AUTHORITY.split(target.partition(b"://")[2], 1)[0]


def host_of(scope: Scope, head: dict[bytes, bytes]) -> bytes:
    """Return the Host of a request.

    Raises:
        HttpFault: its target names another one (RFC 9112 §3.2.2), so that a proxy in front may have taken it for somebody else's.
    """
    host = head.get(b"host", b"")
    if NAMED in scope:
        named = host_key(scope[NAMED])
        if named is None or named != host_key(host):
            raise HttpFault(400, "the target of the request names another host than its Host header")
    return host


def address(scope: Scope, forwarded: bytes, trusted: tuple[Network, ...]) -> str:
    """Return the caller's address: the peer, or the last untrusted hop before proxies that the operator named."""
    client = scope.get("client")
    peer = client[0] if client else ""
    if not trusted or not forwarded:
        return str(peer)
    return told_address([*forwarded.decode("latin-1").split(","), str(peer)], trusted)


def told_address(hops: list[str], trusted: tuple[Network, ...]) -> str:
    """Return the last of the hops of a request that is no proxy of ours."""
    peer = ""
    for hop in reversed(hops):
        peer = hop.strip()
        try:
            number = _plain(ip_address(peer))
        except ValueError:
            # A proxy that forwards nonsense vouches for nobody.
            return ""
        if not any(number in network for network in trusted):
            break
    return peer


def _plain(number: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # A socket of both families shows 10.0.0.1 as ::ffff:10.0.0.1 (RFC 4291 §2.5.5.2), and operators name proxies by the former.
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return number if mapped is None else mapped


async def body(receive: Receive, length: bytes, limit: int = BODY_LIMIT) -> bytes:
    """Return the request's body.

    Raises:
        HttpFault: 413 when it is longer than `limit` bytes, 400 when its sender went away or its length is no number.
    """
    if length and not length.isdigit():
        raise HttpFault(400, "bad Content-Length")
    # Python refuses to read a number of thousands of digits, which no length has.
    if length and int(length.lstrip(b"0")[:10] or b"0") > limit:
        raise HttpFault(413, f"the request body is larger than {limit} bytes")
    message = await receive()
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise HttpFault(400, "the request ended early")
        whole: bytes = message["body"]
        if len(whole) > limit:
            raise HttpFault(413, f"the request body is larger than {limit} bytes")
        return whole
    parts = [message["body"]]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpFault(400, "the request ended early")
        size += len(message["body"])
        if size > limit:
            raise HttpFault(413, f"the request body is larger than {limit} bytes")
        parts.append(message["body"])
    return b"".join(parts)


def is_form(content_type: bytes) -> bool:
    """Tell whether a body is declared to be form-encoded (RFC 6749 appendix B), parameters such as a charset aside."""
    return content_type == FORM or content_type.partition(b";")[0].strip().lower() == FORM


def pairs(raw: bytes) -> list[tuple[str, str]]:
    """Return the decoded name-value pairs of form data or a query string, strictly UTF-8 and without NUL.

    Raises:
        InvalidRequest: it cannot be decoded, or has more than 64 fields.
    """
    if not raw:
        return []
    try:
        fields = raw.decode().split("&")
        if len(fields) > FIELD_LIMIT:
            raise InvalidRequest(f"more than {FIELD_LIMIT} parameters were sent")
        decoded = [_halves(field) for field in fields if field]
    except UnicodeDecodeError:
        raise InvalidRequest("the parameters are not UTF-8") from None
    if b"\0" in raw or b"%00" in raw:
        raise InvalidRequest("a parameter contains a NUL character")
    return decoded


def _halves(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    # Most fields have nothing to decode, and decoding costs ten times as much as looking.
    if "%" in field or "+" in field:
        if name in _SAID_AGAIN and len(value) <= _REMEMBERED:
            return name, _remembered(value)
        return _decoded(name), _decoded(value)
    return name, value


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


_remembered: Final = lru_cache(maxsize=1024)(_decoded)


def is_json(content_type: bytes) -> bool:
    """Tell whether a body is declared to be JSON in UTF-8, and nothing else (`security-rules` 43)."""
    return content_type.lower() in _JSON


def json_text(raw: bytes) -> str:
    """Return a JSON body as text; whoever it is for reads it.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeError:
        raise InvalidRequest("the body is not UTF-8") from None


class _Members(list[tuple[str, object]]):
    """The members of a JSON object, as they were written."""


def json_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Return the members of a JSON object of texts, each of which comes once.

    Raises:
        InvalidRequest: it is anything else.
    """
    try:
        document: object = json.loads(raw.decode(), object_pairs_hook=_Members)
        if not isinstance(document, _Members):
            raise InvalidRequest("the body is a JSON object of texts")
        if len(document) > FIELD_LIMIT:
            raise InvalidRequest(f"more than {FIELD_LIMIT} parameters were sent")
        return _texts(document)
    except UnicodeError:
        raise InvalidRequest("the parameters are not UTF-8") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is no JSON") from None


def _texts(members: _Members) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for name, value in members:
        if name in found:
            raise InvalidRequest(f"the parameter '{printable(name)}' was sent more than once")
        if not isinstance(value, str):
            raise InvalidRequest(f"the parameter '{printable(name)}' is no text: each value is a JSON string")
        if "\0" in name + value:
            raise InvalidRequest("a parameter contains a NUL character")
        (name + value).encode()  # half a surrogate pair is no text
        found[name] = value
    return list(found.items())


def parameters(text: bytes) -> Params:
    """Return the parameters of form data or a query string (RFC 6749 appendix B).

    Raises:
        InvalidRequest: undecodable, too many, or a known one twice.
    """
    return Params.of(pairs(text))


def cookies(header: bytes) -> dict[str, str]:
    """Return the cookies of a request, the first of each name (RFC 6265 §4.2)."""
    found: dict[str, str] = {}
    for part in header.decode("latin-1").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name not in found:
            found[name] = value.strip('"')
    return found
