"""The way out for events: where a client's address may lead, and how little of its answer matters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gatewright.keys.fetch import LIMIT, Names, WebFetch
from gatewright.oauth.ports import FetchFailed, NotAllowed, TooSlow
from gatewright.webhooks.ports import Answered
from tests.outbound.site import HOST, Site, site, trusting
from tests.outbound.test_fetch import LOOPBACK, NameServer, a_fetch

HEADERS = {"content-type": "application/json", "webhook-id": "ev_1"}
INSIDE = [
    "169.254.169.254",  # where clouds tell an instance its credentials
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.9",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1%eth0",
]


@pytest.fixture
async def app() -> AsyncIterator[Site]:
    async with site() as open_site:
        yield open_site


async def post(fetch: WebFetch, app: Site, body: bytes = b"{}") -> Answered:
    return await fetch.post(f"https://{HOST}:{app.port}/events?x=1", body, HEADERS)


async def test_an_event_is_posted_and_its_status_returned(app: Site) -> None:
    app.answers(b"HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\nhello")
    assert await post(a_fetch(), app) == Answered(202, None)
    lines = app.requests[0].decode().split("\r\n")
    assert lines[0] == "POST /events?x=1 HTTP/1.1"
    assert {"content-length: 2", "webhook-id: ev_1", f"host: {HOST}:{app.port}", "connection: close"} <= set(lines)


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_not_called(app: Site, address: str) -> None:
    with pytest.raises(NotAllowed):
        await post(a_fetch(address, private=()), app)
    assert app.requests == []


async def test_a_name_with_one_address_inside_among_others_is_not_called(app: Site) -> None:
    with pytest.raises(NotAllowed):
        await post(a_fetch("93.184.215.14", "169.254.169.254", private=()), app)


async def test_a_name_is_asked_for_once_so_that_it_cannot_change_its_mind(app: Site) -> None:
    app.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    names = NameServer("127.0.0.1")
    await post(WebFetch(private=LOOPBACK, tls=trusting(), resolve=names), app)
    assert names.asked == [HOST]


@pytest.mark.parametrize(
    "url",
    [
        "http://app.test/",
        "http://127.0.0.1/",
        "ftp://app.test/",
        "https://u@app.test/",
        "https://app.test/#x",
        "https://0x7f.1/",
        "//app.test",
    ],
)
async def test_an_address_of_another_kind_is_not_called(url: str) -> None:
    with pytest.raises(NotAllowed):
        await a_fetch("169.254.169.254", private=()).post(url, b"{}", HEADERS)


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(app: Site) -> None:
    with pytest.raises(FetchFailed):
        await post(WebFetch(private=LOOPBACK, resolve=NameServer("127.0.0.1")), app)
    assert app.requests == []


async def test_a_redirect_is_an_answer_like_any_other(app: Site) -> None:
    app.answers(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")
    names = NameServer("127.0.0.1")
    assert await post(WebFetch(private=LOOPBACK, tls=trusting(), resolve=names), app) == Answered(302, None)
    assert (len(app.requests), len(names.asked)) == (1, 1)


async def test_an_answer_may_say_when_to_come_again(app: Site) -> None:
    app.answers(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 120\r\ncontent-length: 0\r\n\r\n")
    assert await post(a_fetch(), app) == Answered(429, "120")


async def test_an_interim_answer_is_waited_through(app: Site) -> None:
    app.answers(b"HTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert await post(a_fetch(), app) == Answered(200, None)


async def test_a_body_without_end_is_not_read_to_its_end(app: Site) -> None:
    app.answers(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * LIMIT] * 20)
    assert await post(a_fetch(), app) == Answered(200, None)


async def test_a_body_that_never_comes_is_not_waited_for(app: Site) -> None:
    app.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    app.hangs = True
    assert await post(a_fetch(), app) == Answered(200, None)


async def test_a_body_where_none_belongs_is_overlooked(app: Site) -> None:
    app.answers(b"HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nbody")
    assert await post(a_fetch(), app) == Answered(204, None)


async def test_a_head_without_end_is_a_failure(app: Site) -> None:
    app.answers(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 8000 + b"\r\n"] * 40)
    with pytest.raises(FetchFailed):
        await post(a_fetch(), app)


async def test_an_answer_that_does_not_come_is_too_slow(app: Site) -> None:
    app.hangs = True
    fetch = WebFetch(private=LOOPBACK, tls=trusting(), resolve=NameServer("127.0.0.1"), post_seconds=0.1)
    with pytest.raises(TooSlow):
        await post(fetch, app)


async def test_names_are_looked_up_beside_the_loop() -> None:
    names = Names(1)
    try:
        assert "127.0.0.1" in await names("127.0.0.1", 443)
    finally:
        names.close()
