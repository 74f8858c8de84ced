"""The only renderer: replies, errors and challenges as HTTP responses, with the headers that the RFCs demand."""

from __future__ import annotations

from typing import Final

import msgspec

from gatewright.oauth.ask import Reply
from gatewright.oauth.errors import InsufficientScope, InvalidClient, InvalidToken, OAuthError, TemporarilyUnavailable
from gatewright.web.ask import Send

_ENCODE: Final = msgspec.json.Encoder().encode

JSON: Final = (b"content-type", b"application/json")
NO_STORE: Final = (b"cache-control", b"no-store")
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
# RFC 6749 §5.1: replies with tokens are never stored; so is everything else that has no caching rule of its own.
_HEADS: Final = [JSON, NO_STORE, NOSNIFF]
_CACHED_HEADS: Final = [JSON, NOSNIFF]
CORS_ANY: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"www-authenticate, retry-after, request-id"),
]
_EXPOSED: Final = CORS_ANY[1]
# RFC 9110 §8.6: at 204 it is forbidden, and at 304 it would be the length that was not sent.
_WITHOUT_LENGTH: Final = (204, 304)
PREFLIGHT: Final = [
    *CORS_ANY,
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"accept, authorization, content-type"),
    (b"access-control-max-age", b"7200"),
]


def cors_for(origin: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers that let pages of one origin read a reply, or of none."""
    vary = (b"vary", b"origin")
    return [vary] if origin is None else [(b"access-control-allow-origin", origin.encode("latin-1")), vary, _EXPOSED]


async def send_json(send: Send, status: int, body: object, extra: list[tuple[bytes, bytes]]) -> None:
    """Send a JSON response that no cache keeps, unless `extra` begins with a cache-control of its own."""
    raw = body if isinstance(body, bytes) else b"" if body is None else _ENCODE(body)
    heads = _CACHED_HEADS if extra and extra[0][0] == b"cache-control" else _HEADS
    await send_raw(send, status, raw, [*heads, *extra])


async def send_chosen(send: Send, status: int, body: object, kind: str, extra: list[tuple[bytes, bytes]]) -> None:
    """Send a response in the representation that was chosen among several, which caches are told."""
    await send_raw(send, status, _ENCODE(body), [(b"content-type", kind.encode()), NO_STORE, NOSNIFF, (b"vary", b"accept"), *extra])


async def send_raw(send: Send, status: int, raw: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a response of these very bytes."""
    if status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(raw)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


def error_reply(error: OAuthError) -> Reply:
    """Return the JSON form of a refusal (RFC 6749 §5.2) with its challenge, if it has one."""
    body = {"error": error.code, "error_description": ascii_text(error.description)}
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, InvalidClient) and error.challenge:
        headers.append((b"www-authenticate", b'Basic realm="gatewright", charset="UTF-8"'))
    elif isinstance(error, TemporarilyUnavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    elif isinstance(error, InvalidToken | InsufficientScope):
        headers.append((b"www-authenticate", bearer_challenge(error)))
    return Reply(body, error.status, headers)


def bearer_challenge(error: InvalidToken | InsufficientScope) -> bytes:
    """Return the challenge of a protected resource (RFC 6750 §3); without an error code when no token was shown."""
    if not error.description:
        return b'Bearer realm="gatewright"'
    parts = [f'Bearer realm="gatewright", error="{error.code}", error_description="{ascii_text(error.description)}"']
    if isinstance(error, InsufficientScope):
        parts += [f'scope="{ascii_text(error.scope)}"'] if error.scope else []
    return ", ".join(parts).encode()


def ascii_text(text: str) -> str:
    """Return a description cut to the characters that RFC 6749 §5.2 and RFC 6750 §3 allow."""
    return "".join(char if 0x20 <= ord(char) <= 0x7E and char not in '"\\' else "'" if char == '"' else "?" for char in text)
