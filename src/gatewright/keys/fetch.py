"""The one way out of the house: fetches a JSON document from an address that a client named, and trusts neither of them.

The name is resolved once and the connection goes to that very address, so that a second answer of the name server changes nothing.
No redirect is followed, no proxy of the environment is used, nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools
import msgspec

from gatewright.keys.reach import Network, may_call
from gatewright.oauth.ports import FetchFailed

LIMIT: Final = 64 * 1024  # bytes of a document
SECONDS: Final = 3.0
_HEAD_LIMIT: Final = 16 * 1024
_AT_ONCE: Final = 8
_LOOPBACK: Final = frozenset(["127.0.0.1", "::1", "localhost"])
# What a name server knows; every other spelling of a host or an address is somebody's trick.
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_PORTS: Final = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Target(msgspec.Struct, frozen=True):
    """Where a URL points, taken apart once so that nobody reads it in another way later."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """RFC 9110 §7.2: the host, with its port where that is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def target_of(url: str, *, loopback: bool = False) -> Target:
    """Return where a URL points; plain http is for this machine alone, and only where the operator allows that.

    Raises:
        FetchFailed: it is no https URL without user information and fragment, in visible ASCII.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise FetchFailed("the address has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise FetchFailed(f"the address is no URL: {fault}") from fault
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    if (
        not _HOST.fullmatch(host)
        or parts.username is not None
        or parts.fragment
        or not (secure or (parts.scheme == "http" and loopback and host in _LOOPBACK))
    ):
        raise FetchFailed("the address is not an https URL with a host and without user and fragment")
    return Target(secure, host, port or _PORTS[parts.scheme], _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class WebFetch:
    """GETs documents over TLS. `private` are networks that the operator allows besides the public Internet; with a loopback one
    among them, plain http to this machine is allowed too.
    """

    def __init__(
        self,
        *,
        private: tuple[Network, ...] = (),
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._private = private
        self._loopback = any(network.is_loopback for network in private)
        self._tls = tls
        self._resolve = resolve or _resolve
        self._seconds = seconds
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def json(self, url: str) -> object:
        """Return the document; raises `FetchFailed` with a sentence otherwise."""
        target = target_of(url, loopback=self._loopback)
        if self._room.locked():
            raise FetchFailed("too many documents are being fetched already")
        try:
            async with self._room, asyncio.timeout(self._seconds):
                body = await self._get(target)
        except TimeoutError as fault:
            raise FetchFailed(f"{target.host} did not answer within {self._seconds:g} s") from fault
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            raise FetchFailed(f"{target.host} cannot be read: {type(fault).__name__}") from fault
        try:
            document: object = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise FetchFailed(f"{target.host} answered with something that is not JSON") from fault
        return document

    async def _get(self, target: Target) -> bytes:
        reader, writer = await self._connect(target)
        try:
            writer.write(
                f"GET {target.path} HTTP/1.1\r\nhost: {target.host_header}\r\naccept: application/json, application/jwk-set+json\r\n"
                "accept-encoding: identity\r\nuser-agent: gatewright\r\nconnection: close\r\n\r\n".encode()
            )
            return await _read(reader, target.host)
        finally:
            # Not waited for: the other side could hold up the goodbye.
            writer.transport.abort()

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        addresses = await self._addresses(target)
        if target.secure and self._tls is None:
            self._tls = ssl.create_default_context()
        tls, name = (self._tls, target.host) if target.secure else (None, None)
        for address in addresses[:-1]:
            try:
                return await asyncio.open_connection(address, target.port, ssl=tls, server_hostname=name, limit=LIMIT)
            except OSError:
                continue
        return await asyncio.open_connection(addresses[-1], target.port, ssl=tls, server_hostname=name, limit=LIMIT)

    async def _addresses(self, target: Target) -> list[str]:
        """Return the addresses of a host, all of which we may call: one inside among others outside is an attack."""
        addresses = await self._resolve(target.host, target.port)
        near = target.secure or all(address in _LOOPBACK for address in addresses)
        if not addresses or not near or not all(may_call(address, self._private) for address in addresses):
            raise FetchFailed(f"{target.host} has no address that may be called")
        return addresses


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Answer:
    """What httptools tells of a response while it is read."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.headers: dict[bytes, bytes] = {}
        self.done = False

    def on_message_begin(self) -> None:
        # An interim answer (103, say) may have come before (RFC 9110 §15.2).
        self.headers.clear()
        self.body.clear()
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.done = True


async def _read(reader: asyncio.StreamReader, host: str) -> bytes:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    read = 0
    over = False
    while not over:
        piece = await reader.read(LIMIT)
        if not piece:
            break
        read += len(piece)
        parser.feed_data(piece)
        over = answer.done and parser.get_status_code() >= 200
        if len(answer.body) > LIMIT or read > LIMIT + _HEAD_LIMIT:
            raise FetchFailed(f"{host} answered with more than {LIMIT} bytes")
    _check(answer, parser.get_status_code() if read else 0, host)
    return bytes(answer.body)


def _check(answer: _Answer, status: int, host: str) -> None:
    headers = answer.headers
    # A body without a length ends with the connection; one with a length that ends so was cut off (RFC 9112 §6.3).
    if not answer.done and (status == 0 or b"content-length" in headers or b"transfer-encoding" in headers):
        raise FetchFailed(f"{host} broke off its answer")
    if status != 200:
        raise FetchFailed(f"{host} answered {status}")
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise FetchFailed(f"{host} answered with something that does not call itself JSON")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise FetchFailed(f"{host} packed its answer unasked")
