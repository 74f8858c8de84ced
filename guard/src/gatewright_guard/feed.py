"""Following the server's revocation feed: server-sent events (WHATWG HTML §9.2) over one connection that is made again and again."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

import httpx
import msgspec

from gatewright_guard.address import secure_url
from gatewright_guard.fetch import Unavailable, unusable
from gatewright_guard.heard import EVENTS, Heard
from gatewright_guard.introspect import Credentials
from gatewright_guard.jose import KeySet
from gatewright_guard.narrowed import SETTLED
from gatewright_guard.revoked import LIMIT
from gatewright_guard.verify import LEEWAY, Claims

MAX_AWAY: Final = 15.0
"""Seconds without a word of the feed after which a JWT's signature alone is believed no more, unless the API sets another number."""

_CONNECT: Final = 2.0
_SILENCE: Final = 7.0  # seconds: the server says every two that it is there
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_LONGEST_EVENT: Final = 256 * 1024  # bytes
_MATTERS: Final = 86_400 + 60  # seconds: no JWT lives longer
_log: Final = logging.getLogger("gatewright_guard")


class Event(msgspec.Struct, frozen=True):
    """One event of a stream: its name, the id with which to go on after it, and its data."""

    name: str
    id: str | None
    data: str


class Events:
    """Takes the bytes of a stream as they come, and gives whole events. Pure."""

    def __init__(self, limit: int = _LONGEST_EVENT) -> None:
        self._limit = limit
        self._rest = b""
        self._size = 0
        self._name = ""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Event]:
        """The events that have come to their end; `ValueError` if one is longer than the limit or no UTF-8."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > self._limit:
            raise ValueError(f"an event of the feed is longer than {self._limit} bytes")
        return [event for line in lines if (event := self._line(line.removesuffix(b"\r").decode())) is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event(self._name or "message", self._id, "\n".join(self._data)) if self._data else None
            # The id stays: it is that of all that follows, until another one is said.
            self._name, self._data, self._size = "", [], 0
            return event
        self._size += len(line)
        if self._size > self._limit:
            raise ValueError(f"an event of the feed is longer than {self._limit} bytes")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._id = value
            case "data":
                self._data.append(value)
        return None


class _Current(msgspec.Struct, frozen=True):
    at: int


_decode_current: Final = msgspec.json.Decoder(_Current).decode


class Follower:
    """Knows what has ended or become less, and whether it knows everything. One task on the loop on which it was started.

    `url` is the feed's address; the clock gives epoch seconds. After a gap the server tells what was missed, from the last event
    that was heard; until then, and whenever nothing was heard for `max_away` seconds, `is_current` says no.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        credentials: Credentials,
        url: str,
        *,
        max_away: float = MAX_AWAY,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
    ) -> None:
        if max_away <= 0:
            raise ValueError("max_away is a number of seconds, more than 0")
        self._http = http
        self._credentials = credentials
        self._url = secure_url(url)
        self._max_away = max_away
        self._clock = clock
        self._dice = dice
        self._memory = Heard(limit)
        self._last: str | None = None
        self._heard_at: float | None = None
        self._tries = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._told_away = False
        self.resets = 0
        """How often the server did not know the last event that was heard; it then tells everything that still matters."""

    @property
    def remembered(self) -> int:
        """How many endings and narrowings are in memory."""
        return len(self._memory)

    def start(self) -> None:
        """Begin to follow, on the running loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def aclose(self) -> None:
        """Follow no more."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def revoked(self, claims: Claims) -> bool:
        """Whether the feed told that what a token stands for has ended."""
        return self._memory.over(claims)

    def trusted(self, keys: KeySet) -> KeySet:
        """The issuer's keys without those that the feed told were withdrawn."""
        return self._memory.trusted(keys)

    def withdrew(self, kid: str | None) -> bool:
        """Whether the feed told that the key of that name was withdrawn."""
        return self._memory.withdrew(kid)

    def narrowed(self, claims: Claims) -> bool:
        """Whether the feed told that a token may say more than is so, so that the server is to be asked what is left."""
        return self._memory.asked_since(claims) is not None

    def overtaken(self, claims: Claims, asked_at: float) -> bool:
        """Whether an answer of the server, asked for at that time, may say more than is so by what was heard since."""
        since = self._memory.asked_since(claims)
        if since is None:
            return False
        # For a moment the server itself may answer as before; what it said then is believed no longer than that.
        return asked_at < (since if self._clock() < since + SETTLED else since + SETTLED)

    def is_current(self, now: float) -> bool:
        """Whether all that ended is known, but for the last seconds; `now` is the clock's."""
        heard = self._heard_at
        # A clock that was set back makes no silence young again.
        return heard is not None and 0 <= now - heard < self._max_away and self._memory.whole(now)

    async def until_current(self, seconds: float) -> bool:
        """Wait until everything is known, so long at most; tell whether it is."""
        try:
            async with asyncio.timeout(seconds):
                while not self.is_current(self._clock()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _follow(self) -> None:
        while True:
            try:
                await self._listen()
                fault = "the server ended it"
            except Unavailable as gone:
                fault = str(gone)
            except (httpx.HTTPError, ValueError, msgspec.MsgspecError) as broken:
                fault = f"{type(broken).__name__}: {broken}"
            if self._tries and not self._told_away:
                # Said once when it begins and once when it ends, not once for each try.
                self._told_away = True
                _log.error("the revocation feed cannot be followed: %s", fault)
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """How long to wait before the next try: longer each time, and not at once with everybody else."""
        longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._tries, self._max_away)
        self._tries = min(self._tries + 1, 16)
        return longest * (0.5 + self._dice() / 2)

    async def _listen(self) -> None:
        request = self._request()
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code != httpx.codes.OK:
                raise unusable(request, response)
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream") or "content-encoding" in response.headers:
                raise Unavailable(f"{self._url} answered with something else than events")
            events = Events()
            async for piece in response.aiter_raw():
                for event in events.feed(piece):
                    self._take(event)
        finally:
            await response.aclose()

    def _request(self) -> httpx.Request:
        proof = self._credentials.form(self._http, self._url, {}).headers["authorization"]
        heads = {"authorization": proof, "accept": "text/event-stream", "accept-encoding": "identity", "cache-control": "no-store"}
        if self._last is not None:
            heads["last-event-id"] = self._last
        timeout = httpx.Timeout(_CONNECT, read=_SILENCE)
        return self._http.build_request("GET", self._url, headers=heads, timeout=timeout)

    def _take(self, event: Event) -> None:
        now = self._clock()
        match event.name:
            case name if name in EVENTS:
                self._told(event, now)
            case "current":
                self._memory.expire(now)
                # What was long under way, or slept with this machine, says nothing of the present.
                if now - _decode_current(event.data).at <= self._max_away + LEEWAY:
                    self._heard(now)
            case "reset":
                self.resets += 1
                _log.warning("the server does not know the last event of its feed that was heard, and tells all that still matters")
        if event.id is not None:
            self._last = event.id

    def _told(self, event: Event, now: float) -> None:
        try:
            self._memory.take(event.name, event.data, now)
        except (ValueError, msgspec.MsgspecError) as fault:
            # Asked for again it would be no clearer. What it was may matter as long as a token lives.
            self._memory.miss(now + _MATTERS)
            _log.error("an event of the revocation feed is not understood, so the feed is not relied on: %s", fault)

    def _heard(self, now: float) -> None:
        self._heard_at, self._tries = now, 0
        self._news.set()
        if self._told_away:
            self._told_away = False
            _log.warning("the revocation feed is followed again")
