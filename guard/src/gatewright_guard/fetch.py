"""Asking the server: a JSON object within a time and a size, or `Unavailable`."""

import asyncio
from typing import Final

import httpx
import msgspec

MAX_ANSWER: Final = 256 * 1024
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class Unavailable(Exception):
    """The server gave no answer that we can use; why is for our log."""


def new_client() -> httpx.AsyncClient:
    """The HTTP client that is used where none is handed in: no redirects, and no proxy that only the environment names."""
    return httpx.AsyncClient(timeout=httpx.Timeout(2.0), follow_redirects=False, trust_env=False)


async def fetch(http: httpx.AsyncClient, request: httpx.Request, *, seconds: float) -> dict[str, object]:
    """The JSON object that answers a request with 200."""
    # A body that is unpacked on arrival can be a thousand times what was sent, past any limit.
    request.headers["accept-encoding"] = "identity"
    request.headers["accept"] = "application/json"
    try:
        async with asyncio.timeout(seconds):
            return _decode(await _body(http, request))
    except TimeoutError as fault:
        raise Unavailable(f"{request.url} did not answer within {seconds} s") from fault
    except httpx.HTTPError as fault:
        raise Unavailable(f"{request.url} cannot be reached: {type(fault).__name__}") from fault
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Unavailable(f"{request.url} did not answer with a JSON object") from fault


def unusable(request: httpx.Request, response: httpx.Response) -> Unavailable:
    """What is said of an answer that is none: its status, and whose fault that is where it is ours."""
    # RFC 6749 §5.2, RFC 7662 §2.3. Nobody but whoever runs the API hears of it: its callers can do nothing about it.
    ours = response.status_code == httpx.codes.UNAUTHORIZED and "authorization" in request.headers
    cause = ": the API's id or secret is wrong" if ours else ""
    return Unavailable(f"{request.url} answered {response.status_code}{cause}")


async def _body(http: httpx.AsyncClient, request: httpx.Request) -> bytes:
    response = await http.send(request, stream=True, follow_redirects=False)
    try:
        if response.status_code != httpx.codes.OK:
            raise unusable(request, response)
        if "content-encoding" in response.headers:
            raise Unavailable(f"{request.url} packed its answer unasked")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_ANSWER:
                raise Unavailable(f"{request.url} answered with more than {MAX_ANSWER} bytes")
        return bytes(body)
    finally:
        await response.aclose()
