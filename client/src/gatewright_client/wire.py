"""One question to the authorization server: a form or nothing goes out, a JSON object comes back, within a time and a size."""

import re
import time
from typing import Final

import httpx
import msgspec

from gatewright_client.errors import Unavailable

MAX_ANSWER: Final = 256 * 1024
SECONDS: Final = 10.0
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode
_UNSHOWABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")


class Answer(msgspec.Struct, frozen=True):
    """A status, the members of the object (none if the body was no object), and how long we are asked to wait."""

    status: int
    members: dict[str, object]
    retry_after: float | None = None


def new_client() -> httpx.Client:
    """The HTTP client that is used where none is handed in: no redirects, and no proxy that only the environment names."""
    return httpx.Client(timeout=httpx.Timeout(5.0), follow_redirects=False, trust_env=False)


def ask(http: httpx.Client, request: httpx.Request) -> Answer:
    """Send a request and read its answer.

    Raises:
        Unavailable: none came, or none that can be one.
    """
    # A body that is unpacked on arrival can be a thousand times what was sent, past any limit.
    request.headers["accept-encoding"] = "identity"
    request.headers["accept"] = "application/json"
    try:
        response = http.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            body = _body(response)
        finally:
            response.close()
    except httpx.HTTPError as fault:
        raise Unavailable(f"{request.url} cannot be reached: {type(fault).__name__}", answered=False) from None
    return Answer(response.status_code, _members(body), seconds(response.headers.get("retry-after")))


def _body(response: httpx.Response) -> bytes:
    if "content-encoding" in response.headers:
        raise Unavailable(f"{response.url} packed its answer unasked", answered=response.status_code < 500)
    body, until = bytearray(), time.monotonic() + SECONDS
    for piece in response.iter_raw():
        body += piece
        if len(body) > MAX_ANSWER:
            raise Unavailable(f"{response.url} answered with more than {MAX_ANSWER} bytes", answered=response.status_code < 500)
        if time.monotonic() > until:
            raise Unavailable(f"{response.url} did not end its answer within {SECONDS:g} s", answered=False)
    return bytes(body)


def _members(body: bytes) -> dict[str, object]:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110 §10.2.3); a date is not understood, since the clocks may differ."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def showable(text: str) -> str:
    """A text of somebody else's without the characters that steer a terminal or turn the text around, and of a length that fits on one."""
    return _UNSHOWABLE.sub(" ", text)[:500]
