"""The token source: one request for all who wait, saved before it is used, and what happens when the server says no or nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from gatewright_client.errors import Refused, SignInNeeded, StoreFault, Unavailable
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from gatewright_client.stores import Callbacks, Memory
from gatewright_client.tokens import Tokens
from gatewright_client.wire import MAX_ANSWER
from tests.client.places import Answer, Issuer, Watch
from tests.support.waiting import until


def refreshing(server: Server, tokens: Tokens) -> TokenSource:
    return TokenSource.refreshing(server, Memory(tokens))


# ---------------------------------------------------------------- one flight


def test_many_threads_that_want_a_token_cause_one_request(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    source, ready, go = refreshing(server, signed_in), threading.Barrier(21), threading.Event()
    issuer.before = lambda: go.wait(30)

    def want() -> str:
        ready.wait(30)
        return source.token()

    with ThreadPoolExecutor(20) as pool:
        wanted = [pool.submit(want) for _ in range(20)]
        ready.wait(30)
        until(lambda: issuer.forms, "the request")
        go.set()
        assert {one.result(30) for one in wanted} == {"access-1"}
    assert len(issuer.forms) == 1


async def test_many_tasks_and_a_thread_cause_one_request(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    source, go = refreshing(server, signed_in), threading.Event()
    issuer.before = lambda: go.wait(30)
    tasks = [asyncio.create_task(source.token_async()) for _ in range(50)]
    thread = asyncio.create_task(asyncio.to_thread(source.token))
    await asyncio.to_thread(until, lambda: issuer.forms, "the request")
    threads = [each.name for each in threading.enumerate()].count("gatewright-client")
    go.set()
    assert threads == 1, "who waits needs no thread of its own"
    assert set(await asyncio.gather(*tasks, thread)) == {"access-1"}
    assert len(issuer.forms) == 1


async def test_a_task_that_gives_up_loses_no_refresh_token(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    store, go = Memory(signed_in), threading.Event()
    source = TokenSource.refreshing(server, store)
    issuer.before = lambda: go.wait(30)
    task = asyncio.create_task(source.token_async())
    await asyncio.to_thread(until, lambda: issuer.forms, "the request")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await source.token_async() == "access-1"
    kept = store.load()
    assert kept is not None
    assert kept.refresh_token == "refresh-1"
    assert len(issuer.forms) == 1


def test_all_who_were_refused_the_same_token_get_one_new_one(issuer: Issuer, server: Server) -> None:
    source = TokenSource.client_credentials(server)
    first = source.token()
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: source.renewed(first), range(10))) == {"access-2"}
    assert len(issuer.forms) == 2


def test_who_joins_a_flight_that_trusts_the_refused_token_starts_another(issuer: Issuer, server: Server, watch: Watch) -> None:
    # A second process has the token of the file in memory no longer than the API's word that it is over.
    kept = Tokens(access_token="refused", renew_at=watch.now + 600, refresh_token="refresh-0", whose=server.whose(None))
    arrived, go = threading.Event(), threading.Event()

    def load() -> Tokens:
        arrived.set()
        assert go.wait(30)
        return kept

    joined = threading.Event()

    class Watched(TokenSource):
        def _take_off(self, refused: str | None) -> Future[Tokens]:
            flight = super()._take_off(refused)
            if refused is not None:
                joined.set()
            return flight

    source = Watched.refreshing(server, Callbacks(load, lambda _: None))
    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(source.token)
        assert arrived.wait(30)
        other = pool.submit(source.renewed, "refused")
        assert joined.wait(30)
        go.set()
        assert (plain.result(30), other.result(30)) == ("refused", "access-1")


# ---------------------------------------------------------------- saved first


def test_new_tokens_are_saved_before_anybody_gets_the_access_token(server: Server, signed_in: Tokens) -> None:
    saving, go = threading.Event(), threading.Event()
    saved: list[Tokens] = []

    def save(tokens: Tokens) -> None:
        saving.set()
        assert go.wait(30)
        saved.append(tokens)

    source = TokenSource.refreshing(server, Callbacks(lambda: signed_in, save))
    with ThreadPoolExecutor(1) as pool:
        wanted = pool.submit(source.token)
        assert saving.wait(30)
        assert not wanted.done()
        go.set()
        assert wanted.result(30) == "access-1"
    assert [one.refresh_token for one in saved] == ["refresh-1"]


def test_tokens_that_cannot_be_saved_are_not_used(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    def save(tokens: Tokens) -> None:
        raise StoreFault("the disk is full")

    source = TokenSource.refreshing(server, Callbacks(lambda: signed_in, save))
    with pytest.raises(StoreFault, match="the disk is full"):
        source.token()
    # The next try begins where this one began, and does not go on with what nobody kept.
    with pytest.raises(SignInNeeded):
        source.token()
    assert [form["refresh_token"] for form in issuer.forms] == ["refresh-0", "refresh-0"]


def test_a_new_sign_in_is_not_overtaken_by_the_renewal_of_the_old_one(
    issuer: Issuer, server: Server, signed_in: Tokens, watch: Watch
) -> None:
    kept, landing, go = [signed_in], threading.Event(), threading.Event()
    lock = threading.Lock()

    @contextmanager
    def alone() -> Iterator[None]:
        with lock:
            yield
        if threading.current_thread().name == "gatewright-client":
            landing.set()  # saved, and let go of; only then the new sign-in comes
            assert go.wait(30)

    source = TokenSource.refreshing(server, Callbacks(lambda: kept[-1], kept.append, alone))
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(source.token)
        assert landing.wait(30)
        source.adopt(Tokens(access_token="anew", renew_at=watch.now + 60, whose=server.whose(None)))
        go.set()
        assert old.result(30) == "access-1"
    assert source.token() == "anew"


def test_a_source_is_found_where_the_last_process_left_it(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    store = Memory(signed_in)
    assert TokenSource.refreshing(server, store).token() == "access-1"
    assert TokenSource.refreshing(server, store).token() == "access-1"
    assert len(issuer.forms) == 1


# ---------------------------------------------------------------- time


def test_a_token_is_renewed_a_minute_before_its_end(issuer: Issuer, server: Server, watch: Watch) -> None:
    source = TokenSource.client_credentials(server, scope="read:balance", resource="https://bank.acme.test", account="acme-dev")
    assert source.token() == "access-1"
    watch.now += 3539
    assert source.token() == "access-1"
    watch.now += 1
    assert source.token() == "access-2"
    asked = {"grant_type": "client_credentials", "scope": "read:balance", "resource": "https://bank.acme.test", "account": "acme-dev"}
    assert issuer.forms == [asked | {"client_id": "cli"}] * 2


def test_a_short_token_is_used_for_half_its_life_at_least(issuer: Issuer, server: Server, watch: Watch) -> None:
    issuer.life = 30
    source = TokenSource.client_credentials(server)
    assert source.token() == "access-1"
    watch.now += 14
    assert source.token() == "access-1"
    watch.now += 1
    assert source.token() == "access-2"


def test_a_token_without_an_end_is_never_renewed_by_itself(issuer: Issuer, server: Server, watch: Watch) -> None:
    issuer.life = None
    source = TokenSource.client_credentials(server)
    assert source.token() == "access-1"
    watch.now += 10**9
    assert source.token() == "access-1"


# ---------------------------------------------------------------- no, or nothing


def test_the_old_token_serves_while_the_server_is_away(issuer: Issuer, server: Server, watch: Watch) -> None:
    source = TokenSource.client_credentials(server)
    source.token()
    issuer.script = [Answer(500, b"<h1>oops</h1>")] * 2
    watch.now += 3550
    assert [source.token() for _ in range(5)] == ["access-1"] * 5
    assert len(issuer.forms) == 2, "it is asked once, and then not for a few seconds"
    watch.now += 6
    assert source.token() == "access-1"
    assert len(issuer.forms) == 3
    watch.now += 6
    assert source.token() == "access-2"


def test_a_token_that_has_ended_serves_nobody(issuer: Issuer, server: Server, watch: Watch) -> None:
    source = TokenSource.client_credentials(server)
    source.token()
    issuer.script = [Answer(500, b"<h1>oops</h1>")]
    watch.now += 3600
    with pytest.raises(Unavailable, match="answered 500"):
        source.token()
    assert source.token() == "access-2"


def test_a_server_that_says_when_to_come_back_is_not_asked_before(issuer: Issuer, server: Server, watch: Watch) -> None:
    source = TokenSource.client_credentials(server)
    issuer.script = [Answer(429, {"error": "temporarily_unavailable"}, {"retry-after": "30"})]
    for _ in range(2):
        with pytest.raises(Refused) as fault:
            source.token()
        assert (fault.value.error, fault.value.status, fault.value.retry_after, fault.value.temporary) == (
            "temporarily_unavailable",
            429,
            30,
            True,
        )
    assert len(issuer.forms) == 1
    watch.now += 30
    assert source.token() == "access-1"


def test_an_answer_that_was_lost_is_asked_for_again_at_once(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    issuer.script = [Answer(0)]
    assert refreshing(server, signed_in).token() == "access-1"
    assert [form["refresh_token"] for form in issuer.forms] == ["refresh-0", "refresh-0"]


@pytest.mark.parametrize(
    "page",
    [
        Answer(504, b"<h1>504 Gateway Time-out</h1>"),
        Answer(502, b""),
        Answer(500, {"message": "Endpoint request timed out"}),
        Answer(503, b"<h1>no upstream</h1>", {"retry-after": "30"}),
        Answer(504, b"\x1f\x8b", {"content-encoding": "gzip"}),
        Answer(502, b"x" * (MAX_ANSWER + 1)),
    ],
    ids=["504", "502", "JSON", "retry-after", "packed", "long"],
)
def test_a_gateways_page_is_no_answer_of_the_server_so_it_is_asked_again_at_once(
    issuer: Issuer, server: Server, signed_in: Tokens, page: Answer
) -> None:
    issuer.script = [page]
    assert refreshing(server, signed_in).token() == "access-1"
    assert [form["refresh_token"] for form in issuer.forms] == ["refresh-0", "refresh-0"]


def test_a_gateway_that_stays_broken_is_asked_twice_and_no_more(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    issuer.script = [Answer(504, b""), Answer(504, b"")]
    with pytest.raises(Unavailable, match="answered 504"):
        refreshing(server, signed_in).token()
    assert len(issuer.forms) == 2


def test_a_server_that_says_itself_that_it_did_nothing_is_not_asked_at_once(
    issuer: Issuer, server: Server, signed_in: Tokens, watch: Watch
) -> None:
    source = refreshing(server, signed_in)
    issuer.script = [Answer(503, {"error": "temporarily_unavailable"}, {"retry-after": "30"})]
    for _ in range(2):
        with pytest.raises(Refused, match="temporarily_unavailable"):
            source.token()
    assert len(issuer.forms) == 1
    watch.now += 30
    assert source.token() == "access-1"


def test_a_server_that_gives_no_new_refresh_token_means_the_old_one(issuer: Issuer, server: Server, signed_in: Tokens) -> None:
    issuer.script = [Answer(body={"access_token": "a", "token_type": "bearer", "expires_in": 60})]
    store = Memory(signed_in)
    assert TokenSource.refreshing(server, store).token() == "a"
    kept = store.load()
    assert kept is not None
    assert kept.refresh_token == "refresh-0"


def test_a_sign_in_that_has_ended_is_told_and_not_asked_about_again(
    issuer: Issuer, server: Server, signed_in: Tokens, watch: Watch
) -> None:
    source = refreshing(server, signed_in)
    issuer.refresh = "another"
    for _ in range(3):
        with pytest.raises(SignInNeeded, match="invalid_grant: This refresh token was used before"):
            source.token()
    assert len(issuer.forms) == 1
    anew = Tokens(access_token="anew", renew_at=watch.now + 60, refresh_token="another", whose=server.whose(None))
    source.adopt(anew)
    assert source.token() == "anew"
    watch.now += 61
    assert source.token() == "access-1"


def test_a_store_that_cannot_be_locked_is_looked_at_again(issuer: Issuer, server: Server, signed_in: Tokens, watch: Watch) -> None:
    newer = Tokens(access_token="newer", renew_at=watch.now + 60, refresh_token="another", whose=server.whose(None))
    found = [signed_in, newer]
    issuer.refresh = "another"
    assert TokenSource.refreshing(server, Callbacks(lambda: found.pop(0), lambda _: None)).token() == "newer"


def test_a_clients_own_fault_is_told_in_the_words_of_the_rfc(issuer: Issuer, server: Server) -> None:
    issuer.script = [Answer(401, {"error": "invalid_client", "error_description": "No such\x1b[2J client."})]
    with pytest.raises(Refused, match=r"^invalid_client: No such \[2J client\.$") as fault:
        TokenSource.client_credentials(server).token()
    assert not fault.value.temporary


# ---------------------------------------------------------------- whose


@pytest.mark.parametrize("whose", ["https://elsewhere.test cli", "{issuer} another", "{issuer} cli https://bank.acme.test", ""])
def test_tokens_of_somebody_else_are_never_sent(issuer: Issuer, server: Server, whose: str) -> None:
    other = Tokens(access_token="a", refresh_token="refresh-0", whose=whose.format(issuer=issuer.url))
    source = refreshing(server, other)
    with pytest.raises(SignInNeeded, match="nobody is signed in"):
        source.token()
    with pytest.raises(ValueError, match="this source is for"):
        source.adopt(other)
    assert issuer.place.asked == []


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "read:x write:x"},
        {"scope": ""},
        {"account": "acme-prod"},
        {"account": None},
        {"account": "acme-dev&scope=read:x"},
        {"resource": "https://bank.acme.test"},
    ],
)
def test_a_service_is_given_no_token_of_another_scope_account_or_api(issuer: Issuer, server: Server, other: dict[str, str | None]) -> None:
    store = Memory()
    mine: dict[str, Any] = {"scope": "read:x", "account": "acme-dev", "resource": "https://reports.acme.test"}
    assert TokenSource.client_credentials(server, store=store, **mine | other).token() == "access-1"
    assert TokenSource.client_credentials(server, store=store, **mine).token() == "access-2"
    assert {name: value for name, value in issuer.forms[1].items() if name in mine} == mine
    again = {**mine, "scope": "read:x read:x"}
    assert TokenSource.client_credentials(server, store=store, **again).token() == "access-2", "the same in other words"


def test_a_service_is_given_no_token_of_a_person(issuer: Issuer, server: Server, watch: Watch) -> None:
    person = Tokens(access_token="a-person", renew_at=watch.now + 600, refresh_token="refresh-0", whose=server.whose(None))
    assert TokenSource.client_credentials(server, store=Memory(person)).token() == "access-1"
    service = Memory()
    TokenSource.client_credentials(server, store=service).token()
    with pytest.raises(SignInNeeded, match="nobody is signed in"):
        TokenSource.refreshing(server, service).token()


def test_what_an_earlier_version_kept_for_a_service_is_asked_for_again(issuer: Issuer, server: Server, watch: Watch) -> None:
    store = Memory(Tokens(access_token="old", renew_at=watch.now + 600, whose=f"{issuer.url} cli https://reports.acme.test"))
    source = TokenSource.client_credentials(server, resource="https://reports.acme.test", store=store)
    assert source.token() == "access-1"
    kept = store.load()
    assert kept is not None
    assert kept.access_token == "access-1"


def test_what_an_earlier_version_kept_of_a_sign_in_goes_on(issuer: Issuer, server: Server, watch: Watch) -> None:
    store = Memory(Tokens(access_token="old", renew_at=watch.now, refresh_token="refresh-0", whose=f"{issuer.url} cli"))
    assert TokenSource.refreshing(server, store).token() == "access-1"


def test_a_refresh_token_of_a_service_is_not_kept(issuer: Issuer, server: Server) -> None:
    issuer.script = [Answer(body={"access_token": "a", "token_type": "Bearer", "refresh_token": "needless"})]
    store = Memory()
    TokenSource.client_credentials(server, store=store).token()
    kept = store.load()
    assert kept is not None
    assert kept.refresh_token is None


async def test_a_fixed_token_is_given_until_it_is_refused() -> None:
    source = TokenSource.fixed("given")
    assert (source.token(), await source.token_async()) == ("given", "given")
    for renew in (lambda: source.renewed("given"), lambda: asyncio.run(source.renewed_async("given"))):
        with pytest.raises(SignInNeeded, match="no way to renew it"):
            await asyncio.to_thread(renew)


def test_a_sign_in_without_a_refresh_token_ends_with_its_token(server: Server, watch: Watch) -> None:
    alone = Tokens(access_token="alone", renew_at=watch.now + 1, expires_at=watch.now + 2, whose=server.whose(None))
    source = refreshing(server, alone)
    assert source.token() == "alone"
    watch.now += 2
    with pytest.raises(SignInNeeded, match="no refresh token"):
        source.token()
