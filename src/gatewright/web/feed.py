"""The revocation feed: an API's guard is told of every ending while it listens (server-sent events, WHATWG HTML §9.2).

What was told has been committed, in the order of the commits. `current` says that everything committed a second ago has been told;
it is said again and again, and is not said while the store is silent, so that a guard that hears it knows that it missed nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.app import House
from gatewright.base import ids
from gatewright.base.log import Event, incident
from gatewright.base.moment import Moment
from gatewright.endings.records import ENCODE, FOLLOWED, Ended
from gatewright.oauth.api_auth import named_api, prove_api
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.catalogue import Api
from gatewright.oauth.client_auth.presented import FAILED, Presented
from gatewright.oauth.errors import InvalidClient, InvalidRequest
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.paths import PATHS
from gatewright.store import StoreError
from gatewright.web.ask import REPEATED, HttpFault, Receive, Scope, Send
from gatewright.web.reply import NO_STORE, NOSNIFF

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.oauth.ports import World

PATH: Final = PATHS["standard"]["feed"][0]
CUT: Final = "gatewright.cut"  # in the scope: what ends the connection at once
BEAT: Final = 2.0  # seconds between two `current`
PATIENCE: Final = 10.0  # seconds for which a reader may take nothing before it is cut off
PROVED: Final = 1.0  # seconds for which a secret that was right is not looked at again
PIECE: Final = 16 * 1024  # bytes handed over at a time
LONGEST_ID: Final = 64

_HEADS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    NOSNIFF,
    # nginx and others would keep events until a buffer is full.
    (b"x-accel-buffering", b"no"),
]
_OPENING: Final = b"retry: 1000\n\n"
_RESET: Final = b"event: reset\ndata: {}\n\n"


class Current(Struct, frozen=True):
    """The data of `current`: when it was said, and after how many seconds at most it is said again."""

    at: int
    beat: float


class _Listener(Struct, frozen=True):
    """Who listens: its API as it is named and proved, at which issuer."""

    issuer: Issuer
    presented: Presented
    number: int


class _Gone(Exception):
    """The reader went away, or takes nothing."""


class FeedDoor:
    """Answers `GET /-/feed` with events until the reader goes away, is too slow, or the process stops."""

    def __init__(self, house: House) -> None:
        self._feeds = house.endings
        self._world: World = house.world
        self._clock: Clock = house.clock
        self._log = house.log

    async def __call__(self, scope: Scope, receive: Receive, send: Send, head: dict[bytes, bytes], site: Issuer, at: Moment) -> None:
        """Tell an API that proved itself of what ended.

        Raises:
            HttpFault: another method.
            InvalidClient: it did not prove itself.
            InvalidRequest: the resume point is none of ours.
            TemporarilyUnavailable: too many listen here.
        """
        if scope["method"] != "GET":
            raise HttpFault(405, "use GET here", ((b"allow", b"GET"),))
        authorization = head.get(b"authorization")
        ask = Ask(
            Params({}), site, at, authorization=None if authorization in (None, REPEATED) else (authorization or b"").decode("latin-1")
        )
        named = await named_api(ask, self._world)
        if named is None:
            raise InvalidClient(FAILED, why="no API of this name", challenge=True)
        listener = _Listener(site, named[1], named[0].id)
        api = await self._proved(listener)
        resumed = _resumed(head.get(b"last-event-id"))
        with self._feeds.listening(listener.number):
            await self._stream(listener, api, resumed, receive, _Line(send, scope.get(CUT)))

    async def _stream(self, listener: _Listener, api: Api, resumed: int | None, receive: Receive, line: _Line) -> None:
        """Send the events, first those that were missed."""
        tenant, turn = listener.issuer.tenant, self._feeds.turn
        seq = await self._feeds.start_of(tenant, resumed)
        gone = asyncio.create_task(_left(receive))
        loop = asyncio.get_running_loop()
        said_at, proved_at = float("-inf"), loop.time()
        try:
            await line.begin(_OPENING + (_RESET if seq is None else b""))
            seq = seq or 0
            while not self._feeds.closed and self._feeds.turn == turn and not gone.done():
                news = self._feeds.news()  # before reading, so that nothing comes in between unseen
                if loop.time() - proved_at >= PROVED:
                    api, proved_at = await self._proved(listener), loop.time()
                found, seq = await self._feeds.after(tenant, seq)
                await line.say(await self._told(found, api))
                if seq < self._feeds.head:
                    continue
                if self._feeds.fresh and loop.time() - said_at >= BEAT:
                    said_at = loop.time()
                    self._world.usage.count(FOLLOWED, tenant, api.id)
                    await line.say([_event(b"current", ENCODE(Current(self._clock.moment().now, BEAT)))])
                pause = BEAT if self._feeds.fresh else BEAT / 20
                await asyncio.wait({news, gone}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            await line.end()
        except (_Gone, InvalidClient, StoreError, asyncio.CancelledError):
            # What began as a feed is answered by nothing else any more; the reader comes again and goes on.
            line.cut()
        except Exception as crash:  # noqa: BLE001 - a bug ends this feed, and is told in the log
            self._log.crashed(Event.REQUEST_FAILED, crash, incident=incident(self._clock.moment()), path=PATH)
            line.cut()
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _proved(self, listener: _Listener) -> Api:
        """Return the API as it is now; asked again and again, since a secret may end while somebody listens with it."""
        catalogue = await self._world.directory.catalogue(listener.issuer.tenant)
        api = catalogue.apis.get(listener.number)
        if api is None:
            raise InvalidClient(FAILED, why="no such API any more", challenge=True)
        await prove_api(api, listener.presented, self._world, listener.issuer.tenant, now=self._clock.moment().now)
        return api

    async def _told(self, found: Iterable[Ended], api: Api) -> list[bytes]:
        now, texts = self._clock.moment().now, []
        for one in found:
            until = one.lives_until(api)
            catalogue = await self._world.directory.catalogue(one.tenant)
            if until <= now or not one.concerns(api, catalogue):
                continue
            client = await self._world.directory.client_by_row(one.tenant, one.client) if one.client else None
            told = one.told(until, None if client is None else client.client_id)
            texts.append(_event(one.event.encode(), ENCODE(told), ids.show(ids.EVENT, one.id).encode()))
        return texts


class _Line:
    """The way to one reader: what it is sent waits for it to take it, for a while."""

    def __init__(self, send: Send, cut: object) -> None:
        self._send = send
        self._cut = cut

    async def begin(self, opening: bytes) -> None:
        """Send the head and the first words."""
        await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADS)})
        await self._piece(opening)

    async def say(self, texts: Iterable[bytes]) -> None:
        """Send events."""
        piece = bytearray()
        for text in texts:
            piece += text
            if len(piece) >= PIECE:
                await self._piece(bytes(piece))
                piece.clear()
        if piece:
            await self._piece(bytes(piece))

    async def end(self) -> None:
        """End the answer in order, so that the reader comes again at once."""
        await self._piece(b"", more=False)

    def cut(self) -> None:
        """End the connection without waiting for the reader."""
        if callable(self._cut):
            self._cut()

    async def _piece(self, text: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send({"type": "http.response.body", "body": text, "more_body": more})
        except TimeoutError:
            raise _Gone from None


async def _left(receive: Receive) -> None:
    """Return when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: bytes, data: bytes, number: bytes = b"") -> bytes:
    """Return one event; JSON without line ends is one line of data."""
    return b"event: " + name + (b"\nid: " + number if number else b"") + b"\ndata: " + data + b"\n\n"


def _resumed(raw: bytes | None) -> int | None:
    """Return the ending after which a listener goes on; None for one that begins.

    Raises:
        InvalidRequest: the text is no id of an ending.
    """
    if not raw:
        return None
    number = ids.read(ids.EVENT, raw[:LONGEST_ID].decode("latin-1"))
    if number is None:
        raise InvalidRequest("Last-Event-ID is the id of the last event that was heard, or is left out")
    return number
