"""The guard for threads: beside a real server on a socket, with many callers at once, across a fork, and with nobody there."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gatewright_guard.decide import UNAVAILABLE, Allowed, Refusal, needs
from gatewright_guard.guard import Request
from gatewright_guard.reasons import Reason
from gatewright_guard.sync import SyncGuard
from tests.guard.makers import AUDIENCE, a_key, a_token, some_claims
from tests.guard.proofs import URL, a_proof, thumbprint_of
from tests.guard.server import CREDENTIALS, AServer, Listening

AT_ANY_TIME: dict[str, Any] = {"iat": 1, "exp": 2**40}
BALANCE = needs("read:balance")


@pytest.fixture
def listening() -> Iterator[Listening]:
    with Listening(AServer()) as running:
        server, url = running.server, running.url
        server.metadata = {"issuer": url, "jwks_uri": f"{url}/jwks", "introspection_endpoint": f"{url}/introspect"}
        server.tokens = {"gwa_good": some_claims(iss=url, **AT_ANY_TIME)}
        yield running


def bearing(token: str) -> Request:
    return Request(authorization=(f"Bearer {token}",))


def test_jwts_are_verified_in_the_calling_thread_and_opaque_tokens_introspected_once(listening: Listening) -> None:
    url = listening.url
    with SyncGuard(url, AUDIENCE, credentials=CREDENTIALS) as guard:
        for token in (a_token(iss=url, **AT_ANY_TIME), "gwa_good") * 3:
            answer = guard.check(bearing(token), BALANCE)
            assert isinstance(answer, Allowed)
            assert answer.claims.sub == "us_1"
        before = listening.server.asked.copy()
        # With the keys at hand, the thread that asks is enough: the loop may stand still.
        with held(guard):
            assert isinstance(guard.check(bearing(a_token(iss=url, **AT_ANY_TIME)), BALANCE), Allowed)
    assert before == listening.server.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1, "/introspect": 1}


class held:  # noqa: N801 - read as a word
    """The guard's loop, standing still."""

    def __init__(self, guard: SyncGuard) -> None:
        assert guard._running is not None
        self._loop, self._go = guard._running.loop, threading.Event()

    def __enter__(self) -> None:
        stands = threading.Event()

        def stand() -> None:
            stands.set()
            self._go.wait(10)

        self._loop.call_soon_threadsafe(stand)
        assert stands.wait(10)

    def __exit__(self, *_: object) -> None:
        self._go.set()


def test_a_hundred_threads_at_the_start_cause_one_question_of_each_kind(listening: Listening) -> None:
    tokens = (a_token(iss=listening.url, **AT_ANY_TIME), "gwa_good")
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard, ThreadPoolExecutor(100) as threads:
        ready = threading.Barrier(100)

        def ask(number: int) -> bool:
            ready.wait(30)
            return isinstance(guard.check(bearing(tokens[number % 2]), BALANCE), Allowed)

        assert all(threads.map(ask, range(100)))
    assert listening.server.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1, "/introspect": 1}


def test_the_servers_reason_reaches_threads_too(listening: Listening) -> None:
    token = a_token(iss=listening.url, **AT_ANY_TIME)
    listening.server.whys[token] = {"cause": "role_lacks_scope", "detail": "No role.", "decision": "d1", "more": f"{listening.url}/-/d1"}
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        refusal = guard.check(bearing(token), needs("transfer:funds"))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.decision, refusal.more) == (Reason.ROLE_LACKS_SCOPE, "d1", f"{listening.url}/-/d1")


def test_a_proof_is_used_up_once_however_the_answer_is_found(listening: Listening) -> None:
    token = a_token(iss=listening.url, **AT_ANY_TIME, cnf={"jkt": thumbprint_of(a_key(kid="holder"))})
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        for number in range(2):
            proof = a_proof(token, jti=f"p{number}", iat=int(time.time()))
            request = Request(authorization=(f"DPoP {token}",), url=URL, dpop=(proof,))
            # It lacks a scope, so that the server is asked for the reason after the proof was looked at.
            refusal = guard.check(request, needs("transfer:funds"))
            assert isinstance(refusal, Refusal)
            assert refusal.reason is Reason.INSUFFICIENT_SCOPE


def test_a_rule_that_awaits_works_in_threads(listening: Listening) -> None:
    async def rule(allowed: Allowed, request: Request) -> str:
        return f"not {allowed.claims.sub}"

    with SyncGuard(listening.url, AUDIENCE, allow=rule) as guard:
        refusal = guard.check(bearing(a_token(iss=listening.url, **AT_ANY_TIME)), BALANCE)
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "not us_1"


def test_after_a_fork_the_child_asks_for_itself(listening: Listening) -> None:
    token = a_token(iss=listening.url, **AT_ANY_TIME)
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        assert isinstance(guard.check(bearing(token), BALANCE), Allowed)
        child = os.fork()
        if child == 0:
            good = False
            try:
                good = isinstance(guard.check(bearing("gwa_good"), BALANCE), Allowed)
            finally:  # or the child would go on with the other tests
                os._exit(0 if good else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert isinstance(guard.check(bearing(token), BALANCE), Allowed)


def test_where_nobody_listens_nobody_is_let_in() -> None:
    with SyncGuard("http://127.0.0.1:9", AUDIENCE, credentials=CREDENTIALS) as guard:
        for token in (a_token(), "gwa_good"):
            refusal = guard.check(bearing(token), BALANCE)
            assert isinstance(refusal, Refusal)
            assert refusal.status == 503


def test_a_client_is_made_for_each_process_and_closed_with_the_guard(listening: Listening) -> None:
    made: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(trust_env=False))
        return made[-1]

    with SyncGuard(listening.url, AUDIENCE, http=make) as guard:
        assert isinstance(guard.check(bearing(a_token(iss=listening.url, **AT_ANY_TIME)), BALANCE), Allowed)
    assert [client.is_closed for client in made] == [True]
    with pytest.raises(TypeError, match="function"):
        SyncGuard(listening.url, AUDIENCE, http=made[0])  # type: ignore[arg-type]


def test_a_slip_is_told_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="credentials"):
        SyncGuard("https://id.acme.test", AUDIENCE, mode="opaque")


def test_code_that_awaits_gets_the_same_answers_on_a_new_loop_each_time(listening: Listening) -> None:
    jwt, lacking = a_token(iss=listening.url, **AT_ANY_TIME), needs("transfer:funds")
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        for token in (jwt, "gwa_good", jwt, "gwa_bad"):
            answer = asyncio.run(guard.acheck(bearing(token), BALANCE))
            assert isinstance(answer, Refusal) is (token == "gwa_bad")
            assert isinstance(answer, Allowed) or answer == guard.check(bearing(token), BALANCE)
            assert asyncio.run(guard.acheck(bearing(token), lacking)) == guard.check(bearing(token), lacking)


async def test_one_who_waits_for_the_server_keeps_nobody_from_going_on(listening: Listening) -> None:
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        assert isinstance(guard.check(bearing(a_token(iss=listening.url, **AT_ANY_TIME)), BALANCE), Allowed)
        with held(guard):
            waiting = asyncio.create_task(guard.acheck(bearing("gwa_good"), BALANCE))
            # It needs the guard's loop, which stands still; this one does not.
            assert isinstance(await guard.acheck(bearing(a_token(iss=listening.url, **AT_ANY_TIME)), BALANCE), Allowed)
            assert not waiting.done()
        assert isinstance(await waiting, Allowed)


def test_whoever_waits_too_long_is_told_to_come_again(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright_guard.sync._SECONDS", 0.05)
    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS) as guard:
        guard._start()
        with held(guard):
            assert guard.check(bearing("gwa_good"), BALANCE) == UNAVAILABLE
            assert asyncio.run(guard.acheck(bearing("gwa_good"), BALANCE)) == UNAVAILABLE
        monkeypatch.undo()


@pytest.mark.parametrize("late", [False, True])
def test_a_rule_is_asked_in_the_thread_that_waits_and_its_fault_comes_out_there(listening: Listening, late: bool) -> None:
    seen: list[int] = []

    def at_once(allowed: Allowed, request: Request) -> bool:
        seen.append(threading.get_ident())
        raise LookupError("no connection")

    async def awaiting(allowed: Allowed, request: Request) -> bool:
        raise LookupError("no connection")

    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS, allow=awaiting if late else at_once) as guard:
        for token in ("gwa_good", a_token(iss=listening.url, **AT_ANY_TIME)) * 2:
            with pytest.raises(LookupError, match="no connection"):
                guard.check(bearing(token), BALANCE)
    assert set(seen) == (set() if late else {threading.get_ident()})


def test_rules_of_many_threads_do_not_mix(listening: Listening) -> None:
    mine = threading.local()

    def rule(allowed: Allowed, request: Request) -> bool:
        return bool(request.native == mine.name)

    with SyncGuard(listening.url, AUDIENCE, credentials=CREDENTIALS, max_stale=0, allow=rule) as guard, ThreadPoolExecutor(20) as threads:

        def ask(number: int) -> bool:
            mine.name = number
            request = Request(authorization=("Bearer gwa_good",), native=number)
            return isinstance(guard.check(request, BALANCE), Allowed)

        assert all(threads.map(ask, range(200)))


def test_a_closed_guard_lets_nobody_in_and_leaves_no_thread(listening: Listening) -> None:
    guard = SyncGuard(listening.url, AUDIENCE)
    assert isinstance(guard.check(bearing(a_token(iss=listening.url, **AT_ANY_TIME)), BALANCE), Allowed)
    guard.close()
    guard.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "gatewright-guard"]
    with pytest.raises(RuntimeError, match="closed"):
        guard.check(bearing("gwa_good"), BALANCE)
