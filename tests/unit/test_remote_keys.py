"""The keys at a client's jwks_uri: kept for a while, looked up again for a new name, and not at a stranger's wish."""

import asyncio
import json
from typing import Any

import pytest

from gatewright.keys.remote import FRESH, LAST_GOOD, RETRY, RemoteFetch
from gatewright.keys.signing import make
from gatewright.oauth.ports import FetchFailed

URL = "https://app.test/jwks"
NOW = 1_800_000_000
ONE, OTHER = json.loads(make("ES256").public_jwk), json.loads(make("EdDSA").public_jwk)


class Site:
    """A client's web site: answers with `document`, or fails where there is none; counts how often it is asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.document: object = {"keys": list(keys)}
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def json(self, url: str) -> object:
        self.asked += 1
        await self.open.wait()
        if self.document is None:
            raise FetchFailed("the site is away")
        return self.document


async def kids(fetch: RemoteFetch, kid: str | None, now: int) -> set[str | None]:
    return {key.kid for key in (await fetch.keys(URL, kid, now=now)).keys}


async def test_keys_are_fetched_once_and_kept() -> None:
    site = Site(ONE)
    fetch = RemoteFetch(site)
    for second in range(0, FRESH, 100):
        assert await kids(fetch, ONE["kid"], NOW + second) == {ONE["kid"]}
    assert site.asked == 1


async def test_keys_are_looked_up_again_after_a_while() -> None:
    site = Site(ONE)
    fetch = RemoteFetch(site)
    await kids(fetch, ONE["kid"], NOW)
    site.document = {"keys": [OTHER]}
    assert await kids(fetch, ONE["kid"], NOW + FRESH) == {OTHER["kid"]}


async def test_an_unknown_name_is_looked_up_at_most_once_in_a_minute() -> None:
    site = Site(ONE)
    fetch = RemoteFetch(site)
    await kids(fetch, ONE["kid"], NOW)
    site.document = {"keys": [ONE, OTHER]}
    assert await kids(fetch, OTHER["kid"], NOW + RETRY - 1) == {ONE["kid"]}
    assert await kids(fetch, OTHER["kid"], NOW + RETRY) == {ONE["kid"], OTHER["kid"]}
    for second in range(1, RETRY):
        await kids(fetch, "invented", NOW + RETRY + second)
    assert site.asked == 2


async def test_the_last_good_keys_serve_for_a_day_while_the_site_is_away() -> None:
    site = Site(ONE)
    fetch = RemoteFetch(site)
    await kids(fetch, ONE["kid"], NOW)
    site.document = None
    assert await kids(fetch, ONE["kid"], NOW + LAST_GOOD - 1) == {ONE["kid"]}
    with pytest.raises(FetchFailed):
        await kids(fetch, ONE["kid"], NOW + LAST_GOOD)


async def test_a_site_that_never_answered_is_asked_once_in_a_minute() -> None:
    site = Site()
    site.document = None
    fetch = RemoteFetch(site)
    for second in (0, 1, RETRY - 1):
        with pytest.raises(FetchFailed):
            await kids(fetch, "k", NOW + second)
    assert site.asked == 1
    site.document = {"keys": [ONE]}
    assert await kids(fetch, "k", NOW + RETRY) == {ONE["kid"]}


@pytest.mark.parametrize("document", [[], "keys", {"keys": {}}, {}, 7])
async def test_what_is_no_key_set_is_a_failure(document: object) -> None:
    site = Site()
    site.document = document
    with pytest.raises(FetchFailed):
        await kids(RemoteFetch(site), "k", NOW)


async def test_many_callers_are_served_by_one_fetch() -> None:
    site = Site(ONE)
    site.open.clear()
    fetch = RemoteFetch(site)
    callers = [asyncio.create_task(kids(fetch, ONE["kid"], NOW)) for _ in range(20)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    site.open.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [{ONE["kid"]}] * 19
    assert site.asked == 1


async def test_who_asks_for_a_new_key_during_a_look_waits_for_it() -> None:
    site = Site(ONE)
    fetch = RemoteFetch(site)
    await kids(fetch, ONE["kid"], NOW)
    site.document = {"keys": [ONE, OTHER]}
    site.open.clear()
    first = asyncio.create_task(kids(fetch, OTHER["kid"], NOW + RETRY))
    await asyncio.sleep(0)
    second = asyncio.create_task(kids(fetch, OTHER["kid"], NOW + RETRY))
    await asyncio.sleep(0)
    site.open.set()
    assert OTHER["kid"] in await first
    assert OTHER["kid"] in await second


async def test_a_look_that_fails_after_everybody_left_disturbs_nobody() -> None:
    site = Site()
    site.document = None
    site.open.clear()
    fetch = RemoteFetch(site)
    caller = asyncio.create_task(kids(fetch, "k", NOW))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    site.open.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert site.asked == 1


async def test_an_rsa_key_without_alg_may_sign_with_either_padding() -> None:
    rsa = json.loads(make("RS256").public_jwk)
    del rsa["alg"]
    keys = (await RemoteFetch(Site(rsa)).keys(URL, rsa["kid"], now=NOW)).keys
    assert {str(key.alg) for key in keys} == {"RS256", "PS256"}
