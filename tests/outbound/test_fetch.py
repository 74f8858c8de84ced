"""The one way out: what a stranger's address may make us do, and what not."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from gatewright.keys.fetch import LIMIT, WebFetch, target_of
from gatewright.keys.reach import Network
from gatewright.oauth.ports import FetchFailed
from tests.outbound.site import HOST, JSON_HEAD, Site, site, trusting

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class NameServer:
    """Knows one answer, and how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return list(self.addresses)


def a_fetch(*addresses: str, private: tuple[Network, ...] = LOOPBACK, seconds: float = 30.0) -> WebFetch:
    return WebFetch(private=private, tls=trusting(), resolve=NameServer(*(addresses or ("127.0.0.1",))), seconds=seconds)


@pytest.fixture
async def app() -> AsyncIterator[Site]:
    async with site() as open_site:
        yield open_site


async def get(fetch: WebFetch, app: Site, path: str = "/jwks") -> object:
    return await fetch.json(f"https://{HOST}:{app.port}{path}")


async def test_a_document_is_fetched(app: Site) -> None:
    app.answers(JSON_HEAD + b'content-length: 11\r\n\r\n{"keys":[]}')
    assert await get(a_fetch(), app, "/jwks?x=1") == {"keys": []}
    lines = app.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /jwks?x=1 HTTP/1.1"
    assert f"host: {HOST}:{app.port}" in lines
    assert "accept-encoding: identity" in lines


async def test_a_document_in_chunks_or_until_the_end_is_fetched(app: Site) -> None:
    app.answers(JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n", b'5\r\n{"key\r\n', b'6\r\ns":[]}\r\n', b"0\r\n\r\n")
    assert await get(a_fetch(), app) == {"keys": []}
    app.answers(JSON_HEAD + b"\r\n", b'{"keys"', b":[]}")
    assert await get(a_fetch(), app) == {"keys": []}


async def test_a_jwk_set_by_its_own_type_is_fetched(app: Site) -> None:
    app.answers(b'HTTP/1.1 200 OK\r\nContent-Type: Application/jwk-set+json; charset=utf-8\r\n\r\n{"keys":[]}')
    assert await get(a_fetch(), app) == {"keys": []}


async def test_an_interim_answer_is_passed_over(app: Site) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\ncontent-type: text/html\r\n\r\n"
    final = JSON_HEAD + b"content-length: 2\r\n\r\n{}"
    app.answers(early + final)
    assert await get(a_fetch(), app) == {}
    app.answers(early, final)
    assert await get(a_fetch(), app) == {}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 301 Moved\r\nlocation: https://app.test/\r\ncontent-length: 0\r\n\r\n", "answered 301"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", "answered 404"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "answered 103"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}", "does not call itself JSON"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "does not call itself JSON"),
        (JSON_HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", "packed"),
        (JSON_HEAD + b"content-length: 5\r\n\r\nnojso", "not JSON"),
        (JSON_HEAD + b"content-length: 3\r\n\r\n\xff\xfe\x00", "not JSON"),
        (JSON_HEAD + b"content-length: 200000\r\n\r\n" + b"[" * 60_000, "broke off"),
        (JSON_HEAD + b"content-length: 60000\r\n\r\n" + b"[" * 60_000, "not JSON"),
        (JSON_HEAD + b"content-length: 10\r\n\r\n{}", "broke off"),
        (JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{", "broke off"),
        (JSON_HEAD + b"\r\n" + b" " * (LIMIT + 1), "more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "more than"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be read"),
        (b"", "broke off"),
    ],
)
async def test_any_other_answer_is_a_failure(app: Site, answer: bytes, why: str) -> None:
    app.answers(answer)
    with pytest.raises(FetchFailed, match=why):
        await get(a_fetch(), app)


async def test_an_answer_that_does_not_end_is_left(app: Site) -> None:
    app.hangs = True
    app.answers(JSON_HEAD + b"\r\n{")
    with pytest.raises(FetchFailed, match="did not answer within"):
        await get(a_fetch(seconds=0.2), app)


async def test_an_answer_without_an_end_in_bytes_is_left(app: Site) -> None:
    app.answers(JSON_HEAD + b"\r\n", *[b" " * 16_384] * 400)
    with pytest.raises(FetchFailed, match="more than"):
        await get(a_fetch(), app)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1%lo"]
)
async def test_an_address_inside_the_house_is_never_called(app: Site, address: str) -> None:
    with pytest.raises(FetchFailed, match="no address that may be called"):
        await get(a_fetch(address, private=()), app)
    assert app.requests == []


async def test_one_address_inside_among_others_outside_is_an_attack(app: Site) -> None:
    with pytest.raises(FetchFailed, match="no address that may be called"):
        await get(a_fetch("8.8.8.8", "127.0.0.1", private=()), app)
    assert app.requests == []


async def test_a_name_is_resolved_once_and_that_very_address_called(app: Site) -> None:
    app.answers(JSON_HEAD + b"content-length: 2\r\n\r\n{}")
    resolve = NameServer("127.0.0.1")
    fetch = WebFetch(private=LOOPBACK, tls=trusting(), resolve=resolve, seconds=30)
    assert await get(fetch, app) == {}
    assert resolve.asked == [HOST]


async def test_a_name_without_an_address_is_a_failure(app: Site) -> None:
    fetch = WebFetch(private=LOOPBACK, tls=trusting(), resolve=NameServer(), seconds=30)
    with pytest.raises(FetchFailed, match="no address"):
        await get(fetch, app)


async def test_a_certificate_of_another_name_is_refused(app: Site) -> None:
    with pytest.raises(FetchFailed, match="cannot be read"):
        await a_fetch().json(f"https://other.test:{app.port}/jwks")
    with pytest.raises(FetchFailed, match="cannot be read"):
        await WebFetch(private=LOOPBACK, resolve=NameServer("127.0.0.1"), seconds=30).json(f"https://{HOST}:{app.port}/jwks")
    assert app.requests == []


async def test_the_next_address_is_called_when_the_first_is_dead(app: Site) -> None:
    app.answers(JSON_HEAD + b"content-length: 2\r\n\r\n{}")
    # Nothing listens on 127.0.0.2 at this port: the site is on 127.0.0.1 alone.
    assert await get(a_fetch("127.0.0.2", "127.0.0.1"), app) == {}


async def test_plain_http_is_for_this_machine_where_the_operator_allows_it() -> None:
    async with site(tls=False) as app:
        app.answers(JSON_HEAD + b"content-length: 2\r\n\r\n{}")
        allowed = WebFetch(private=LOOPBACK, resolve=NameServer("127.0.0.1"), seconds=30)
        assert await allowed.json(f"http://localhost:{app.port}/jwks") == {}
        assert await allowed.json(f"http://127.0.0.1:{app.port}/jwks") == {}
        for private in ((), (ip_network("10.0.0.0/8"),)):
            with pytest.raises(FetchFailed, match="not an https URL"):
                await WebFetch(private=private, resolve=NameServer("127.0.0.1"), seconds=30).json(f"http://localhost:{app.port}/jwks")
        with pytest.raises(FetchFailed, match="not an https URL"):
            await allowed.json(f"http://{HOST}:{app.port}/jwks")
        with pytest.raises(FetchFailed, match="no address that may be called"):
            await WebFetch(private=LOOPBACK, resolve=NameServer("8.8.8.8"), seconds=30).json("http://localhost/jwks")


async def test_only_so_many_fetches_run_at_once(app: Site) -> None:
    app.hangs = True
    fetch = a_fetch(seconds=0.5)
    running = [asyncio.create_task(get(fetch, app)) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(FetchFailed, match="too many"):
        await get(fetch, app)
    assert all(isinstance(found, FetchFailed) for found in await asyncio.gather(*running, return_exceptions=True))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.test/jwks",
        "ftp://app.test/jwks",
        "file:///etc/passwd",
        "https://",
        "https:///jwks",
        "https://user@app.test/",
        "https://user:word@app.test/",
        "https://@app.test/",
        "https://app.test/jwks#top",
        "https://app.test:0x50/",
        "https://app.test:99999/",
        "https://app.test\\@evil.test/",
        "https://app.test/a b",
        "https://app.test/\r\nx: y",
        "https://app.test/\x00",
        "https://äpp.test/",
        "https://app%2etest/",
        "https://.app.test/",
        "https://app..test/",
        "https://" + "a" * 64 + ".test/",
        "https://app." + "a" * 64 + "/",
        "https://" + "a." * 126 + "test/",
        "https://app.test,evil.test/",
        "https://[fe80::1%25eth0]/",
    ],
)
def test_what_is_no_plain_https_url_is_never_called(url: str) -> None:
    with pytest.raises(FetchFailed):
        target_of(url)


@pytest.mark.parametrize("host", ["a" * 63 + ".test", "a." * 124 + "atest", "_jwks.app.test", "app", "x--y.test"])
def test_a_host_may_be_as_long_as_names_are(host: str) -> None:
    assert target_of(f"https://{host}/jwks").host == host


async def test_a_name_that_cannot_even_be_asked_for_is_an_answer_that_did_not_come() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise UnicodeError("label empty or too long")

    fetch = WebFetch(resolve=resolve)
    with pytest.raises(FetchFailed):
        await fetch.json("https://app.test/jwks")
    with pytest.raises(FetchFailed):
        await fetch.post("https://app.test/events", b"{}", {})


def test_a_url_is_taken_apart_once() -> None:
    target = target_of("https://APP.test/a/../jwks?q=1")
    assert (target.host, target.port, target.path, target.host_header) == ("app.test", 443, "/a/../jwks?q=1", "app.test")
    assert target_of("https://[2606:4700::1111]:8443").host_header == "[2606:4700::1111]:8443"
