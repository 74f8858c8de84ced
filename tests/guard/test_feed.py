"""Following the feed: what is heard, when it is trusted, and how a broken line is mended; over a transport of the test's own."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gatewright_guard.feed import Events, Follower
from gatewright_guard.introspect import Credentials
from gatewright_guard.verify import Claims, read_claims
from tests.guard.makers import AUDIENCE, ISSUER, NOW, some_claims
from tests.guard.server import CREDENTIALS, AClock

URL = f"{ISSUER}/-/feed"
CURRENT = f'event: current\ndata: {{"at":{NOW},"beat":2.0}}\n\n'
CONTENT = {"content-type": "text/event-stream; charset=utf-8"}


def ended(number: int, jti: str = "j1", until: int = NOW + 900) -> str:
    return f'event: ended\nid: ev_{number}\ndata: {{"at":{NOW},"until":{until},"jti":"{jti}"}}\n\n'


def token(jti: str = "j1") -> Claims:
    return read_claims(some_claims(jti=jti), issuer=ISSUER, audience=AUDIENCE, now=NOW)


class Line(httpx.AsyncByteStream):
    """One answer, whose pieces a test says while it is read; None is its end, an exception breaks it."""

    def __init__(self, *pieces: str | Exception | None) -> None:
        self._pieces: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.closed = False
        self.say(*pieces)

    def say(self, *pieces: str | Exception | None) -> None:
        """Say more."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece.encode()

    async def aclose(self) -> None:
        self.closed = True


class Feed(httpx.AsyncBaseTransport):
    """A server that answers each connection with the next of its lines."""

    def __init__(self, *answers: Line | int | Exception, heads: dict[str, str] | None = None) -> None:
        self.answers = list(answers)
        self.heads = CONTENT if heads is None else heads
        self.asked: list[httpx.Request] = []
        self.news = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.news.set()
        answer = self.answers.pop(0) if self.answers else Line()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer)
        return httpx.Response(200, headers=self.heads, stream=answer)

    async def until(self, count: int) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(5):
            while len(self.asked) < count:
                self.news.clear()
                await self.news.wait()


class World:
    """A follower of a feed, and its clock."""

    def __init__(self, feed: Feed, **terms: float) -> None:
        self.clock = AClock()
        self.feed = feed
        self.http = httpx.AsyncClient(transport=feed)
        # With these dice the first pauses are a tenth of a second.
        self.follower = Follower(self.http, Credentials(*CREDENTIALS), URL, clock=self.clock, dice=lambda: 0.0, **terms)  # type: ignore[arg-type]
        self.follower.start()

    async def until(self, jti: str) -> None:
        """Wait until a token is known to be over."""
        async with asyncio.timeout(5):
            while not self.follower.revoked(token(jti)):  # noqa: ASYNC110 - the follower tells only of being current
                await asyncio.sleep(0)

    def current(self) -> bool:
        return self.follower.is_current(self.clock())

    async def close(self) -> None:
        await self.follower.aclose()
        await self.http.aclose()


async def test_what_is_told_is_known_and_who_was_told_all_is_current() -> None:
    line = Line("retry: 1000\n\n")
    world = World(Feed(line))
    assert not world.current()
    line.say(ended(1))
    await world.until("j1")
    assert not world.current(), "something may have been missed"
    assert not world.follower.revoked(token("j2"))
    line.say(CURRENT)
    assert await world.follower.until_current(5)
    assert world.follower.remembered == 1
    request = world.feed.asked[0]
    assert request.method == "GET"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.headers["accept"] == "text/event-stream"
    assert "last-event-id" not in request.headers
    await world.close()
    assert line.closed


async def test_silence_makes_it_away_and_a_word_current_again() -> None:
    line = Line(CURRENT)
    world = World(Feed(line), max_away=10)
    assert await world.follower.until_current(5)
    world.clock.now += 9.9
    assert world.current()
    world.clock.now += 0.1
    assert not world.current()
    assert not await world.follower.until_current(0.01)
    line.say(CURRENT.replace(str(NOW), str(NOW + 10)))
    assert await world.follower.until_current(5)
    world.clock.now -= 60
    assert not world.current(), "a clock that was set back makes no silence young again"
    await world.close()


async def test_a_word_that_was_long_under_way_says_nothing_of_now() -> None:
    line = Line()
    world = World(Feed(line), max_away=10)
    world.clock.now += 21
    line.say(CURRENT, ended(1))
    await world.until("j1")
    assert not world.current()
    await world.close()


@pytest.mark.parametrize("end", [None, httpx.ReadError("cut"), httpx.ReadTimeout("silent"), "event: current\ndata: no JSON\n\n"])
async def test_a_broken_line_is_mended_and_goes_on_after_the_last_event(end: str | Exception | None) -> None:
    first, second = Line(ended(1), ended(2, "j2"), CURRENT), Line()
    world = World(Feed(first, second))
    assert await world.follower.until_current(5)
    first.say(end)
    await world.feed.until(2)
    assert world.feed.asked[1].headers["last-event-id"] == "ev_2"
    world.clock.now += 15
    second.say(ended(3, "j3"))
    await world.until("j3")
    assert not world.current(), "until everything missed was told"
    second.say(CURRENT.replace(str(NOW), str(NOW + 15)))
    assert await world.follower.until_current(5)
    for jti in ("j1", "j2", "j3"):
        assert world.follower.revoked(token(jti))
    await world.close()


@pytest.mark.parametrize("answer", [401, 403, 404, 429, 503, httpx.ConnectError("nobody"), 302])
async def test_a_server_that_refuses_or_is_away_is_asked_again_and_complained_of_once(
    answer: int | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Feed(answer, answer, answer, Line(CURRENT)))
    assert await world.follower.until_current(5)
    said = [record.getMessage() for record in caplog.records if record.name == "gatewright_guard"]
    assert len([text for text in said if "cannot be followed" in text]) == 1
    assert said[-1] == "the revocation feed is followed again"
    assert ("the API's id or secret is wrong" in said[0]) is (answer == 401)
    assert not [text for text in said if CREDENTIALS[1] in text]
    await world.close()


async def test_pauses_grow_and_are_not_everybodys() -> None:
    world = World(Feed(), max_away=1000)
    world.follower._tries = 0
    pauses = [world.follower._pause() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(0.1)
    assert pauses[-1] == 7.5
    other = Follower(world.http, Credentials(*CREDENTIALS), URL, dice=lambda: 1.0)
    assert other._pause() == pytest.approx(0.2)
    await world.close()


async def test_a_reset_is_counted_and_what_is_known_stays_known() -> None:
    first = Line(ended(1), CURRENT, None)
    second = Line("event: reset\ndata: {}\n\n", ended(2, "j2"), CURRENT)
    world = World(Feed(first, second))
    await world.until("j2")
    assert world.follower.resets == 1
    assert world.follower.revoked(token("j1"))
    await world.close()


async def test_what_is_not_understood_is_not_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    line = Line(CURRENT, 'event: ended\nid: ev_1\ndata: {"until":1}\n\n', ended(2, "j2"))
    world = World(Feed(line))
    await world.until("j2")
    assert not world.current()
    assert "not understood" in caplog.text
    world.clock.now += 86_400 + 60
    line.say(CURRENT.replace(str(NOW), str(NOW + 86_460)))
    assert await world.follower.until_current(5), "no token lives that it could have been about"
    await world.close()


async def test_events_of_a_later_server_and_comments_are_passed_over() -> None:
    line = Line(": hello\n\n", "event: news\ndata: {}\n\n", ended(1), "event: ended\n\n", CURRENT)
    world = World(Feed(line))
    assert await world.follower.until_current(5)
    assert world.follower.revoked(token())
    await world.close()


async def test_a_memory_that_is_full_makes_it_not_current() -> None:
    line = Line(ended(1), ended(2, "j2"), CURRENT, ended(3, "j3"))
    world = World(Feed(line), limit=1)
    await world.until("j1")
    line.say(CURRENT)
    assert not await world.follower.until_current(0.05)
    assert world.follower.revoked(token("j1"))
    await world.close()


@pytest.mark.parametrize("heads", [{"content-type": "text/html"}, CONTENT | {"content-encoding": "gzip"}, {}])
async def test_an_answer_that_is_no_stream_of_events_is_not_read(heads: dict[str, str]) -> None:
    feed = Feed(Line(ended(1), CURRENT), heads=heads)
    world = World(feed)
    await feed.until(2)
    assert not world.follower.revoked(token())
    await world.close()


async def test_starting_twice_follows_once_and_closing_twice_is_no_fault() -> None:
    world = World(Feed(Line(CURRENT)))
    world.follower.start()
    assert await world.follower.until_current(5)
    assert len(world.feed.asked) == 1
    await world.close()
    await world.follower.aclose()


def test_terms_that_make_no_sense_are_refused() -> None:
    http = httpx.AsyncClient()
    for terms in ({"max_away": 0}, {"limit": 0}):
        with pytest.raises(ValueError, match="number"):
            Follower(http, Credentials(*CREDENTIALS), URL, **terms)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="https"):
        Follower(http, Credentials(*CREDENTIALS), "http://id.acme.test/-/feed")


# ---------------------------------------------------------------- events


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_events_are_the_same_in_whatever_pieces_they_come(size: int, ends: str) -> None:
    text = ": c\nevent: a\nid: 1\ndata: x\ndata:  y\n\ndata:z\n\nevent: nothing\n\nid: 2\nretry: 5\nodd\ndata: é\n\n".replace("\n", ends)
    raw = text.encode()
    events = Events()
    found = [event for at in range(0, len(raw), size) for event in events.feed(raw[at : at + size])]
    assert [(event.name, event.id, event.data) for event in found] == [("a", "1", "x\n y"), ("message", "1", "z"), ("message", "2", "é")]


@pytest.mark.parametrize("text", ["x" * 200, "data: " + "x" * 150 + "\n\n", "data: xxxxxxxxxxxxx\n" * 10 + "\n"])
def test_an_event_without_end_is_not_kept(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 100"):
        Events(100).feed(text.encode())


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        Events().feed(b"data: \xff\n\n")
