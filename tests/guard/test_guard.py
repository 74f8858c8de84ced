"""The guard of an API, beside a server that answers, does not answer, or answers nonsense."""

import asyncio
import base64
import json
import logging
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Endpoints, Guard, Request
from gatewright_guard.introspect import Caller, Credentials
from gatewright_guard.reasons import Reason
from tests.guard.makers import AUDIENCE, ISSUER, NOW, a_jwk, a_token, some_claims
from tests.guard.server import CREDENTIALS, AClock, AServer, unreachable

BALANCE = needs("read:balance")


def bearing(token: str, address: str | None = None) -> Request:
    return Request(authorization=(f"Bearer {token}",), address=address)


async def allowed(guard: Guard, token: str) -> Allowed:
    answer = await guard.check(bearing(token), BALANCE)
    assert isinstance(answer, Allowed)
    return answer


async def refusal(guard: Guard, token: str, scope: str = "read:balance") -> Refusal:
    answer = await guard.check(bearing(token), needs(scope))
    assert isinstance(answer, Refusal)
    return answer


# ---------------------------------------------------------------- which way a token goes


async def test_a_jwt_is_verified_here_and_the_server_is_asked_for_its_keys_alone() -> None:
    server = AServer()
    async with server.guard() as guard:
        for _ in range(3):
            assert (await allowed(guard, a_token())).claims.sub == "us_1"
    assert server.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


async def test_an_opaque_token_is_introspected_with_the_apis_credentials() -> None:
    server = AServer()
    async with server.guard() as guard:
        claims = (await allowed(guard, "gwa_good")).claims
    assert (claims.sub, claims.account, claims.authorization_id) == ("us_1", "acme-dev", "az_1")
    (path, authorization, form), *more = server.forms
    assert not more
    assert (path, form) == ("/introspect", {"token": "gwa_good", "token_type_hint": "access_token"})
    # RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
    proof = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    assert proof == ":".join(map(quote_plus, CREDENTIALS))


async def test_the_callers_address_goes_along() -> None:
    server = AServer()
    async with server.guard() as guard:
        for address in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
            assert isinstance(await guard.check(bearing("gwa_good", address), BALANCE), Allowed)
    # What the server says of a token at one address is not its word for another.
    assert [form["ip_address"] for _, _, form in server.forms] == ["203.0.113.7", "203.0.113.8"]


async def test_in_mode_opaque_the_server_is_asked_about_jwts_too() -> None:
    server = AServer(tokens={})
    async with server.guard(mode="opaque") as guard:
        assert (await refusal(guard, a_token())).reason is Reason.INVALID_TOKEN
    assert server.asked["/introspect"] == 1
    assert server.asked["/jwks"] == 0


@pytest.mark.parametrize("settings", [{"mode": "jwt"}, {"credentials": None}])
async def test_where_only_jwts_are_good_nothing_else_is_sent_anywhere(settings: dict[str, Any]) -> None:
    server = AServer()
    async with server.guard(**settings) as guard:
        assert (await refusal(guard, "gwa_good")).reason is Reason.INVALID_TOKEN
        assert (await allowed(guard, a_token())).claims.sub == "us_1"
    assert server.asked["/introspect"] == 0


async def test_a_token_of_a_second_domain_of_the_tenant_is_accepted_where_it_is_named() -> None:
    server = AServer()
    token = a_token(iss="https://login.acme.test")
    assert (await refusal(server.guard(), token)).reason is Reason.INVALID_TOKEN
    await allowed(server.guard(other_issuers=["https://login.acme.test"]), token)


async def test_addresses_may_be_given_instead_of_found() -> None:
    server = AServer()
    endpoints = Endpoints(jwks_uri=f"{ISSUER}/jwks", introspection=f"{ISSUER}/introspect", why=f"{ISSUER}/elsewhere")
    guard = server.guard(endpoints=endpoints)
    await allowed(guard, a_token())
    await allowed(guard, "gwa_good")
    await refusal(guard, "gwa_bad")
    assert server.asked == {"/jwks": 1, "/introspect": 2, "/elsewhere": 1}


@pytest.mark.parametrize(
    ("headers", "query", "status", "reason"),
    [
        ((), "", 401, Reason.TOKEN_MISSING),
        (("Basic eDp5",), "", 401, Reason.TOKEN_MISSING),
        (("Bearer",), "", 400, Reason.INVALID_REQUEST),
        (("Bearer a", "Bearer b"), "", 400, Reason.INVALID_REQUEST),
        (("Bearer gwa_good",), "access_token=gwa_good", 400, Reason.INVALID_REQUEST),
        ((), "access_token=gwa_good", 400, Reason.INVALID_REQUEST),
        (("Bearer a.b.c",), "", 401, Reason.INVALID_TOKEN),
        (("Bearer eyJ.b.c",), "", 401, Reason.INVALID_TOKEN),
        (("Bearer " + "a" * 20_000,), "", 401, Reason.INVALID_TOKEN),
    ],
)
async def test_what_is_no_token_is_refused(headers: tuple[str, ...], query: str, status: int, reason: Reason) -> None:
    guard = AServer().guard()
    answer = await guard.check(Request(authorization=headers, query=query), BALANCE)
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.challenge().startswith(f'Bearer realm="{AUDIENCE}"')


# ---------------------------------------------------------------- keys


async def test_a_new_key_is_fetched_when_a_token_names_it() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, a_token())
    server.jwks.append(a_jwk(kid="k2"))
    clock.now += 11
    await allowed(guard, a_token(kid="k2"))
    assert server.asked["/jwks"] == 2
    await allowed(guard, a_token())


async def test_unknown_keys_cause_one_fetch_in_ten_seconds_however_many_are_named() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, a_token())
    clock.now += 11
    for n in range(5):
        assert (await refusal(guard, a_token(kid=f"stranger{n}"))).reason is Reason.INVALID_TOKEN
    assert server.asked["/jwks"] == 2
    clock.now += 10
    await refusal(guard, a_token(kid="stranger"))
    assert server.asked["/jwks"] == 3


async def test_a_hundred_callers_at_the_start_cause_one_fetch() -> None:
    server = AServer(hold=asyncio.Event())
    guard = server.guard()
    callers = [asyncio.ensure_future(guard.check(bearing(a_token()), BALANCE)) for _ in range(100)]
    await server.reached.wait()
    assert server.hold is not None
    server.hold.set()
    assert all(isinstance(answer, Allowed) for answer in await asyncio.gather(*callers))
    assert server.asked["/jwks"] == 1


async def test_a_caller_that_goes_away_does_not_take_the_keys_from_the_others() -> None:
    server = AServer(hold=asyncio.Event())
    guard = server.guard()
    first, second = (asyncio.ensure_future(guard.check(bearing(a_token()), BALANCE)) for _ in range(2))
    await server.reached.wait()
    first.cancel()
    assert server.hold is not None
    server.hold.set()
    assert isinstance(await second, Allowed)


async def settled() -> None:
    """Let what runs in the background finish."""
    if background := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
        await asyncio.wait(background)


async def test_keys_are_renewed_in_the_background_after_five_minutes() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, a_token())
    server.jwks = [a_jwk(kid="k2")]
    clock.now += 301
    token = a_token(kid="k1")
    # Nobody waits for it: this one is still held against the keys from before.
    await allowed(guard, token)
    await settled()
    assert server.asked["/jwks"] == 2
    assert (await refusal(guard, token)).reason is Reason.INVALID_TOKEN


async def test_after_a_quiet_night_nobody_is_let_in_by_an_old_key() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, a_token())
    server.jwks = [a_jwk(kid="k2")]
    clock.now += 8 * 3600
    assert (await refusal(guard, a_token(exp=NOW + 10**6))).reason is Reason.INVALID_TOKEN


async def test_keys_outlive_the_server_for_a_day_and_not_longer() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    token = a_token(exp=NOW + 10**6)
    await allowed(guard, token)
    server.status = 503
    for age in (301, 901, 24 * 3600 - 1):
        clock.now = NOW + age
        await allowed(guard, token)
        await settled()
    clock.now = NOW + 24 * 3600
    answer = await refusal(guard, token)
    assert (answer.status, answer.reason) == (503, Reason.UNAVAILABLE)
    server.status = 200
    clock.now += 3
    await allowed(guard, token)


async def test_a_server_that_is_away_is_not_hammered() -> None:
    server, clock = AServer(status=500), AClock()
    guard = server.guard(clock)
    for _ in range(5):
        assert (await refusal(guard, a_token())).status == 503
    assert server.asked["/.well-known/openid-configuration"] == 1
    clock.now += 2
    await refusal(guard, a_token())
    assert server.asked["/.well-known/openid-configuration"] == 2
    clock.now -= 1000
    await refusal(guard, a_token())
    assert server.asked["/.well-known/openid-configuration"] == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/.well-known/openid-configuration", b'{"issuer":"https://evil.test","jwks_uri":"https://id.acme.test/jwks"}'),
        ("/.well-known/openid-configuration", b'{"issuer":"https://id.acme.test/","jwks_uri":"https://id.acme.test/jwks"}'),
        ("/.well-known/openid-configuration", b'{"issuer":"https://id.acme.test"}'),
        ("/.well-known/openid-configuration", b'{"issuer":"https://id.acme.test","jwks_uri":"http://id.acme.test/jwks"}'),
        ("/.well-known/openid-configuration", b'{"issuer":"https://id.acme.test","jwks_uri":"https://["}'),
        ("/.well-known/openid-configuration", b"<html>"),
        ("/jwks", b"[]"),
        ("/jwks", b"{}"),
        ("/jwks", b'{"keys":[]}'),
        ("/jwks", b'{"keys":[{"kty":"oct","k":"AAAA"}]}'),
        ("/jwks", b'{"keys":[' + b" " * 300_000 + b"]}"),
        ("/jwks", b"\xff"),
        ("/jwks", b'{"keys":' + b"[" * 100_000),
    ],
)
async def test_an_answer_that_is_none_lets_nobody_in(path: str, body: bytes) -> None:
    server = AServer(bodies={path: body})
    assert (await refusal(server.guard(), a_token())).status == 503


async def test_a_packed_answer_is_not_unpacked() -> None:
    server = AServer(headers=[(b"content-encoding", b"gzip")])
    assert (await refusal(server.guard(), a_token())).status == 503


async def test_a_redirect_is_not_followed() -> None:
    server = AServer(status=302, headers=[(b"location", b"https://evil.test/")])
    assert (await refusal(server.guard(), a_token())).status == 503
    assert sum(server.asked.values()) == 1


async def test_a_server_that_does_not_answer_in_time_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright_guard.keys._SECONDS", 0.01)
    server = AServer(hold=asyncio.Event())
    assert (await refusal(server.guard(), a_token())).status == 503


async def test_where_nobody_listens_nobody_is_let_in(caplog: pytest.LogCaptureFixture) -> None:
    guard = AServer().guard(http=httpx.AsyncClient(transport=httpx.MockTransport(unreachable)))
    for token in (a_token(), "gwa_good"):
        answer = await refusal(guard, token)
        assert (answer.status, answer.reason) == (503, Reason.UNAVAILABLE)
        assert token not in caplog.text
    assert CREDENTIALS[1] not in caplog.text


# ---------------------------------------------------------------- introspection


async def test_the_servers_word_is_used_again_for_five_seconds() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, "gwa_good")
    server.tokens.clear()
    clock.now += 4.9
    await allowed(guard, "gwa_good")
    assert server.asked["/introspect"] == 1
    clock.now += 0.1
    assert (await refusal(guard, "gwa_good")).reason is Reason.INVALID_TOKEN


@pytest.mark.parametrize(("max_stale", "asked"), [(0, 3), (1, 2), (60, 1)])
async def test_how_long_it_is_used_again_is_a_setting(max_stale: float, asked: int) -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock, max_stale=max_stale)
    for _ in range(3):
        await allowed(guard, "gwa_good")
        clock.now += 0.5
    assert server.asked["/introspect"] == asked


async def test_it_is_never_used_past_the_tokens_end() -> None:
    server, clock = AServer(tokens={"gwa_good": some_claims(exp=NOW + 2)}), AClock()
    guard = server.guard(clock)
    await allowed(guard, "gwa_good")
    server.tokens.clear()
    clock.now += 2
    await refusal(guard, "gwa_good")


async def test_a_token_that_lives_until_revoked_has_no_end() -> None:
    guard = AServer(tokens={"gwa_good": some_claims(exp=None)}).guard()
    assert (await allowed(guard, "gwa_good")).claims.exp is None


async def test_that_a_token_is_inactive_is_kept_for_one_second() -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    for _ in range(3):
        await refusal(guard, "gwa_new")
    assert server.asked["/introspect"] == 1
    server.tokens["gwa_new"] = some_claims()
    clock.now += 1
    await allowed(guard, "gwa_new")


async def test_many_callers_with_one_token_cause_one_question() -> None:
    server = AServer(hold=asyncio.Event())
    guard = server.guard()
    callers = [asyncio.ensure_future(guard.check(bearing("gwa_good"), BALANCE)) for _ in range(50)]
    await server.reached.wait()
    callers[0].cancel()
    assert server.hold is not None
    server.hold.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert sum(isinstance(answer, Allowed) for answer in answers) == 49
    assert server.asked["/introspect"] == 1


async def test_the_memory_of_tokens_is_bounded_and_strangers_push_no_good_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright_guard.introspect._KEPT", 3)
    server = AServer(tokens={f"gwa_{n}": some_claims() for n in range(4)})
    guard = server.guard()
    await allowed(guard, "gwa_0")
    for n in range(10):
        await refusal(guard, f"gwx_{n}")
    await allowed(guard, "gwa_0")
    assert server.asked["/introspect"] == 11
    for n in (1, 2, 0, 3, 0, 1):
        await allowed(guard, f"gwa_{n}")
    # 1, 2 and 3 were new; 3 pushed 1 out, which was the longest unused.
    assert server.asked["/introspect"] == 15


@pytest.mark.proves("RFC 7662", "2.2")
@pytest.mark.parametrize("active", [b'"true"', b"1", b"null", b"[]", b'{"active":true}'])
async def test_only_true_is_true(active: bytes) -> None:
    claims = json.dumps(some_claims()).encode()
    server = AServer(bodies={"/introspect": b'{"active":' + active + b"," + claims[1:]})
    assert (await refusal(server.guard(), "gwa_good")).reason is Reason.INVALID_TOKEN


@pytest.mark.parametrize(
    "changes", [{"aud": "https://events.acme.test"}, {"iss": "https://evil.test"}, {"exp": NOW - 60}, {"sub": None}, {"aud": None}]
)
async def test_what_the_server_calls_active_is_still_held_against_this_api(changes: dict[str, Any]) -> None:
    guard = AServer(tokens={"gwa_good": some_claims(**changes)}).guard()
    assert (await refusal(guard, "gwa_good")).status == 401


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_a_server_that_does_not_answer_about_tokens_lets_nobody_in(status: int, caplog: pytest.LogCaptureFixture) -> None:
    server, clock = AServer(), AClock()
    guard = server.guard(clock)
    await allowed(guard, "gwa_good")
    server.status = status
    clock.now += 6
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await refusal(guard, "gwa_good")).status == 503
        server.status = 200
        await allowed(guard, "gwa_good")
    # Said once when it began and once when it ended.
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.name == "gatewright_guard"] == [
        "tokens cannot be introspected",
        "tokens can be introspected again",
    ]
    assert "gwa_good" not in caplog.text
    assert ("the API's id or secret is wrong" in caplog.text) is (status == 401)
    assert CREDENTIALS[1] not in caplog.text


async def test_an_issuer_without_introspection_endpoint_lets_no_opaque_token_in() -> None:
    server = AServer()
    del server.metadata["introspection_endpoint"]
    assert (await refusal(server.guard(), "gwa_good")).status == 503


# ---------------------------------------------------------------- why


async def test_the_guard_asks_why_an_authentic_token_is_not_enough() -> None:
    token = a_token()
    server = AServer(whys={token: {"cause": "role_lacks_scope", "detail": "No role has it.", "scopes": {}}})
    answer = await refusal(server.guard(), token, "transfer:funds")
    assert (answer.status, answer.reason, answer.detail) == (403, Reason.ROLE_LACKS_SCOPE, "No role has it.")
    (path, _, form) = server.forms[-1]
    assert (path, form["token"], form["scope"]) == ("/-/why", token, "transfer:funds")


async def test_a_wrong_secret_is_named_where_the_guard_asks_why(caplog: pytest.LogCaptureFixture) -> None:
    server = AServer()
    with caplog.at_level(logging.INFO, "gatewright_guard"):
        guard, token = server.guard(), a_token()
        await allowed(guard, token)
        server.status = 401
        assert (await refusal(guard, token, "transfer:funds")).status == 403
    assert "why a token was refused is not known: " in caplog.text
    assert "answered 401: the API's id or secret is wrong" in caplog.text


async def test_the_guard_asks_why_an_opaque_token_is_inactive() -> None:
    server = AServer(whys={"gwa_old": {"cause": "grant_ended", "detail": "The app was uninstalled."}})
    guard = server.guard()
    answer = await refusal(guard, "gwa_old")
    assert (answer.status, answer.error, answer.reason) == (401, "invalid_token", Reason.GRANT_ENDED)
    assert answer.detail == "The app was uninstalled."
    # The same question is not asked again at once.
    await refusal(guard, "gwa_old")
    assert server.asked["/-/why"] == 1


async def test_a_jwt_whose_grant_has_ended_is_answered_with_401_once_that_is_known() -> None:
    token = a_token()
    server = AServer(whys={token: {"cause": "grant_ended", "detail": ""}})
    answer = await refusal(server.guard(), token, "transfer:funds")
    assert (answer.status, answer.error) == (401, "invalid_token")


@pytest.mark.parametrize(
    "token",
    [a_token(exp=NOW - 60), a_token(aud="https://events.acme.test"), a_token("RS256"), "a.b.c.d" * 9],
    ids=["expired", "for another API", "by another key", "not a JWT"],
)
async def test_the_guard_does_not_ask_why_about_what_it_knows_or_what_nobody_signed(token: str) -> None:
    server = AServer(tokens={token: some_claims()} if "." not in token else {})
    await refusal(server.guard(mode="jwt"), token)
    assert server.asked["/-/why"] == 0


async def test_the_guard_does_not_ask_why_a_request_came_without_a_token() -> None:
    server = AServer()
    guard = server.guard()
    await guard.check(Request(), BALANCE)
    assert server.asked["/-/why"] == 0


async def test_the_guard_asks_about_a_foreign_account_and_hands_on_the_decision_and_its_page() -> None:
    token = a_token()
    server = AServer(whys={token: {"cause": "wrong_account", "detail": "No.", "decision": "de_1", "more": f"{ISSUER}/-/decision/x"}})
    guard = server.guard()
    answers = [await guard.check(bearing(token), BALANCE, account=account) for account in ("acme-prod", "acme-test", "acme-prod")]
    assert [form["account"] for _, _, form in server.forms] == ["acme-prod", "acme-test"]
    assert isinstance(answers[-1], Refusal)
    body = json.loads(answers[-1].body())
    assert (body["cause"], body["decision"], body["more"]) == ("wrong_account", "de_1", f"{ISSUER}/-/decision/x")


@pytest.mark.parametrize("said", ["", "line\nbreak", "x" * 501, "é"])
async def test_what_cannot_be_shown_of_a_decision_is_left_out(said: str) -> None:
    token = a_token()
    server = AServer(whys={token: {"cause": "role_lacks_scope", "decision": said, "more": said}})
    body = json.loads((await refusal(server.guard(), token, "transfer:funds")).body())
    assert body.keys().isdisjoint({"decision", "more"})


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"<html>", b'{"cause":1}', b'{"cause":"unknown"}', b'{"cause":"fresh_word","detail":"x"}', b'{"cause":null}']
)
async def test_without_a_good_answer_the_guard_says_what_it_sees(body: bytes) -> None:
    server = AServer(bodies={"/-/why": body})
    answer = await refusal(server.guard(), a_token(), "transfer:funds")
    assert (answer.status, answer.reason, answer.missing) == (403, Reason.INSUFFICIENT_SCOPE, ("transfer:funds",))


async def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatewright_guard.introspect._WHY_SECONDS", 0.01)
    server = AServer()
    guard = server.guard()
    await allowed(guard, a_token())
    server.hold = asyncio.Event()
    assert (await refusal(guard, a_token(), "transfer:funds")).reason is Reason.INSUFFICIENT_SCOPE


async def test_a_flood_of_refusals_is_no_flood_of_questions() -> None:
    server = AServer()
    guard = server.guard()
    await allowed(guard, a_token())
    server.hold = asyncio.Event()
    asked = [asyncio.ensure_future(guard.check(bearing(a_token(jti=str(n))), needs("x"))) for n in range(40)]
    # 32 are answered while the server is silent, which is as many as find eight questions under way.
    for answered, answer in enumerate(asyncio.as_completed(asked), 1):
        assert isinstance(await answer, Refusal)
        if answered == 32:
            server.hold.set()
    assert server.asked["/-/why"] == 8


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"issuer": "http://id.acme.test"}, "neither https"),
        ({"issuer": "id.acme.test"}, "neither https"),
        ({"issuer": "https://"}, "neither https"),
        ({"mode": "opaque"}, "credentials"),
        ({"credentials": ("", "x")}, "empty"),
        ({"credentials": ("x", "")}, "empty"),
        ({"credentials": ("x", "y"), "max_stale": -1}, "max_stale"),
        ({"credentials": ("x", "y"), "endpoints": Endpoints(introspection="http://id.acme.test/i")}, "neither https"),
        ({"endpoints": Endpoints(jwks_uri="ftp://id.acme.test")}, "neither https"),
    ],
)
def test_a_setting_that_would_make_it_unsafe_is_refused_at_the_start(settings: dict[str, Any], why: str) -> None:
    said: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "http": httpx.AsyncClient()} | settings
    with pytest.raises(ValueError, match=why):
        Guard(**said)


def test_other_issuers_are_a_list() -> None:
    with pytest.raises(TypeError, match="other_issuers"):
        Guard(ISSUER, AUDIENCE, other_issuers="https://login.acme.test")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8600", "http://localhost:8600", "http://[::1]:8600", "https://id.acme.test/t1"])
async def test_on_this_machine_plain_http_will_do(issuer: str) -> None:
    async with Guard(issuer, AUDIENCE) as guard:
        assert guard.issuer == issuer


async def test_a_guard_closes_the_client_that_it_made_and_no_other() -> None:
    http = AServer().client()
    async with Guard(ISSUER, AUDIENCE, http=http) as guest, Guard(ISSUER, AUDIENCE) as host:
        pass
    assert guest._http is http
    assert not http.is_closed
    assert host._http.is_closed


async def test_a_closed_guard_leaves_nothing_running() -> None:
    server = AServer(hold=asyncio.Event())
    guard = server.guard()
    callers = [asyncio.ensure_future(guard.check(bearing(token), BALANCE)) for token in (a_token(), "gwa_good")]
    await server.reached.wait()
    await guard.aclose()
    await asyncio.wait(callers)
    assert len(asyncio.all_tasks()) == 1


def test_neither_secrets_nor_tokens_are_printed() -> None:
    assert CREDENTIALS[1] not in repr(Credentials(*CREDENTIALS))
    assert "gwa_good" not in repr(bearing("gwa_good"))
    assert "gwa_good" not in repr(Caller("gwa_good"))
