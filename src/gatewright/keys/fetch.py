"""The one way out of the house: fetches a JSON document from an address that a client named, or posts an event there, and trusts
neither the client nor the address.

The name is resolved once and the connection goes to that very address, so that a second answer of the name server changes nothing.
No redirect is followed, no proxy of the environment is used, nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools
import msgspec

from gatewright.base.hosts import LOOPBACK, is_host
from gatewright.keys.reach import Network, may_call
from gatewright.oauth.ports import FetchFailed, NotAllowed, TooSlow
from gatewright.webhooks.ports import Answered

LIMIT: Final = 64 * 1024  # bytes of a document
SECONDS: Final = 3.0
POST_SECONDS: Final = 10.0  # what a receiver of events has for its answer
NAME_THREADS: Final = 32
_QUICK: Final = 1.0  # seconds within which a name is found where its servers are well
_QUICK_HOSTS: Final = 4096  # so many are remembered
_GOODBYE: Final = 0.5  # seconds for the rest of an answer that nobody reads, so that its sender sees no broken connection
_HEAD_LIMIT: Final = 16 * 1024
_AT_ONCE: Final = 8
# What a fetch may end with at the other side's fault; a name that the resolver cannot even write down is no OSError.
_BROKEN: Final = (OSError, UnicodeError, httptools.HttpParserError, httptools.HttpParserUpgrade)
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
        NotAllowed: it is no https URL without user information and fragment, in visible ASCII.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAllowed("the address has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise NotAllowed(f"the address is no URL: {fault}") from fault
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    if (
        not is_host(host)
        or parts.username is not None
        or parts.fragment
        or not (secure or (parts.scheme == "http" and loopback and host in LOOPBACK))
    ):
        raise NotAllowed("the address is not an https URL with a host and without user and fragment")
    return Target(secure, host, port or _PORTS[parts.scheme], _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class WebFetch:
    """GETs documents and posts events over TLS. `private` are networks that the operator allows besides the public Internet; with a
    loopback one among them, plain http to this machine is allowed too.
    """

    def __init__(
        self,
        *,
        resolve: Resolve,
        private: tuple[Network, ...] = (),
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
        post_seconds: float = POST_SECONDS,
    ) -> None:
        self._private = private
        self._loopback = any(network.is_loopback for network in private)
        self._tls = tls
        self._resolve = resolve
        self._seconds = seconds
        self._post_seconds = post_seconds
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
            raise TooSlow(f"{target.host} did not answer within {self._seconds:g} s") from fault
        except _BROKEN as fault:
            raise FetchFailed(f"{target.host} cannot be read: {type(fault).__name__}") from fault
        try:
            document: object = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise FetchFailed(f"{target.host} answered with something that is not JSON") from fault
        return document

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Post a body and return status and wish of the answer; what else the answer says is not kept (`security-rules` 48).

        How many are on their way at once is the caller's to bound.

        Raises:
            NotAllowed: we do not call that address.
            TooSlow: there was no answer in time.
            FetchFailed: there was no connection, or no answer that is HTTP.
        """
        target = target_of(url, loopback=self._loopback)
        try:
            async with asyncio.timeout(self._post_seconds):
                return await self._send(target, body, headers)
        except TimeoutError as fault:
            raise TooSlow(f"{target.host} did not answer within {self._post_seconds:g} s") from fault
        except _BROKEN as fault:
            raise FetchFailed(f"{target.host} cannot be read: {type(fault).__name__}") from fault

    async def _send(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answered:
        reader, writer = await self._connect(target)
        try:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(
                f"POST {target.path} HTTP/1.1\r\nhost: {target.host_header}\r\n{lines}content-length: {len(body)}\r\n"
                "accept-encoding: identity\r\nuser-agent: gatewright\r\nconnection: close\r\n\r\n".encode()
                + body
            )
            return await _answered(reader, target.host)
        finally:
            writer.transport.abort()

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
        near = target.secure or all(address in LOOPBACK for address in addresses)
        if not addresses or not near or not all(may_call(address, self._private) for address in addresses):
            raise NotAllowed(f"{target.host} has no address that may be called")
        return addresses


def _looked_up(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class _LookUp:
    """A question to the name servers that is under way, and how many wait for its answer."""

    __slots__ = ("answer", "began", "waiting", "work")

    def __init__(self, work: Future[list[str]]) -> None:
        self.work = work
        self.answer = asyncio.wrap_future(work)
        self.began = asyncio.get_running_loop().time()
        self.waiting = 0


class Names:
    """Resolves names in threads of its own: a name server that hangs for some names holds up neither the loop's other work nor whoever
    else has one of these.

    A host is asked for once at a time, however many want it. Half of the threads are for the hosts that were found at once the last
    time, so that those that hang wait for each other.
    """

    def __init__(self, threads: int = NAME_THREADS) -> None:
        half = max(1, threads // 2)
        self._proved = ThreadPoolExecutor(half, thread_name_prefix="names")
        self._others = ThreadPoolExecutor(half, thread_name_prefix="other-names")
        self._quick: dict[str, None] = {}  # the hosts that were found at once, longest ago first
        self._under_way: dict[str, _LookUp] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host."""
        asked = self._under_way.get(host) or self._ask(host, port)
        asked.waiting += 1
        try:
            addresses = await asyncio.shield(asked.answer)  # who leaves takes it from nobody
        finally:
            asked.waiting -= 1
            if not asked.waiting and asked.work.cancel():  # no thread has begun with what nobody wants any more
                self._forget(host, asked)
        if asyncio.get_running_loop().time() - asked.began < _QUICK:
            self._quick[host] = None
            if len(self._quick) > _QUICK_HOSTS:
                del self._quick[next(iter(self._quick))]
        return addresses

    def close(self) -> None:
        """Ask no more; who still hangs is not waited for."""
        for threads in (self._proved, self._others):
            threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, host: str, port: int) -> _LookUp:
        threads = self._proved if host in self._quick else self._others
        self._quick.pop(host, None)  # it has to prove itself again each time
        asked = self._under_way[host] = _LookUp(threads.submit(_looked_up, host, port))
        asked.answer.add_done_callback(lambda _: self._forget(host, asked))
        return asked

    def _forget(self, host: str, asked: _LookUp) -> None:
        if self._under_way.get(host) is asked:
            del self._under_way[host]
        if asked.answer.done() and not asked.answer.cancelled():
            asked.answer.exception()  # or the loop would complain of a failure that nobody was left to hear of


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


class _Head:
    """What is wanted of the answer to an event: the first status that is final, and its `Retry-After`."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._retry_after: str | None = None
        self.found: Answered | None = None
        self.done = False

    def feed(self, piece: bytes) -> None:
        """Take a piece of what came; what is wrong with it matters only until the head is there."""
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.done = True
            if self.found is None:
                raise

    def on_message_begin(self) -> None:
        self._retry_after = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.found is None and status >= 200:
            self.found = Answered(status, self._retry_after)

    def on_message_complete(self) -> None:
        self.done = self.found is not None


async def _answered(reader: asyncio.StreamReader, host: str) -> Answered:
    """Read an answer as far as its head; the rest is listened to for a moment, up to a limit, and forgotten."""
    head, read = _Head(), 0
    while head.found is None:
        piece = await reader.read(LIMIT)
        read += len(piece)
        if not piece:
            raise FetchFailed(f"{host} broke off its answer")
        if read > _HEAD_LIMIT + LIMIT:
            raise FetchFailed(f"{host} answered with an endless head")
        head.feed(piece)
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_GOODBYE):
            while not head.done and read <= LIMIT and (piece := await reader.read(LIMIT)):
                read += len(piece)
                head.feed(piece)
    return head.found


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
