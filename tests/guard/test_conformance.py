"""One table of requests, every framework: the same API answers the same, to the byte."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gatewright_guard.decide import UNAVAILABLE
from gatewright_guard.jose import b64url
from gatewright_guard.request import Proxies
from tests.guard.cases import (
    CASES,
    GOOD,
    HOST,
    SCOPES,
    Answer,
    Ask,
    Call,
    Case,
    a_server,
    at_once,
    awaiting,
    bearing,
    bound,
    expected,
    written,
)
from tests.guard.certificates import a_certificate
from tests.guard.drivers import CLOSED, DRIVERS
from tests.guard.makers import AUDIENCE, ISSUER, a_key, a_token
from tests.guard.proofs import a_proof, thumbprint_of

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.fixture(params=DRIVERS)
def door(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def ask(door: str) -> Iterator[Ask]:
    with DRIVERS[door](a_server()) as asking:
        yield asking


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_table_says_what_the_guard_says(case: Case) -> None:
    answer = await expected(case.call)
    assert answer.status == case.status
    if case.cause is not None and case.call.method != "HEAD":
        assert json.loads(answer.body)["cause"] == case.cause


@pytest.mark.parametrize("rule", [at_once, awaiting], ids=["rule", "awaiting-rule"])
async def test_every_request_is_answered_as_the_table_says(door: str, rule: object) -> None:
    wanted = {case.name: await expected(case.call) for case in CASES}
    got = await in_a_thread(door, rule)
    assert {name: (got[name], answer) for name, answer in wanted.items() if not same(got[name], answer)} == {}


async def in_a_thread(door: str, rule: object) -> dict[str, Answer]:
    """What the door answers to the whole table; in a thread, since the doors bring event loops of their own."""

    def answers() -> dict[str, Answer]:
        with DRIVERS[door](a_server(), allow=rule) as ask:
            return {case.name: ask(case.call) for case in CASES}

    return await asyncio.to_thread(answers)


def same(answer: Answer, wanted: Answer) -> bool:
    """Equal in all that the guard says; what a framework adds to an answer of the API's own is its affair."""
    if wanted.status == 200:
        return (answer.status, answer.body) == (200, wanted.body)
    length = answer.headers.get("content-length")
    return (answer.status, answer.told, answer.body) == (wanted.status, wanted.told, wanted.body) and (length or "0") > "0"


def test_a_proof_does_once(ask: Ask) -> None:
    call = Call("GET", "/balance", bound(jti="once"))
    assert ask(call).status == 200
    answer = ask(call)
    assert (answer.status, json.loads(answer.body)["cause"]) == (401, "proof_wrong")
    assert answer.headers["www-authenticate"].startswith("DPoP ")


def test_what_is_open_is_open_whatever_is_sent(ask: Ask) -> None:
    for headers in ((), GOOD, bearing("gwa_bad"), bearing("a", "b")):
        answer = ask(Call("GET", "/open", headers))
        assert (answer.status, answer.body) == (200, b"us_1")


def test_what_nobody_wrote_is_closed_by_a_table_and_absent_from_a_framework(door: str, ask: Ask) -> None:
    strange, known = ask(Call("GET", "/nowhere")), ask(Call("GET", "/nowhere", GOOD))
    if door in CLOSED:
        assert (strange.status, json.loads(strange.body)["cause"]) == (401, "token_missing")
        assert (known.status, json.loads(known.body)["cause"]) == (403, "no_rule")
    else:
        assert (strange.status, known.status) == (404, 404)


@pytest.mark.proves("RFC 9728", "3.1")
def test_the_api_describes_itself(ask: Ask) -> None:
    answer = ask(Call("GET", WELL_KNOWN))
    assert answer.status == 200
    assert (answer.headers["content-type"], answer.headers["access-control-allow-origin"]) == ("application/json", "*")
    said = json.loads(answer.body)
    assert (said["resource"], said["authorization_servers"]) == (AUDIENCE, [ISSUER])
    assert said["scopes_supported"] == list(SCOPES)
    head = ask(Call("HEAD", WELL_KNOWN))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(answer.body)))


def test_where_the_server_is_away_the_answer_is_503_and_says_when_to_come_again(door: str) -> None:
    server = a_server()
    server.status = 500
    with DRIVERS[door](server) as ask:
        for token in (GOOD, bearing("gwa_good")):
            call = Call("GET", "/balance", token)
            answer = ask(call)
            assert same(answer, written(UNAVAILABLE, call)), answer
            assert answer.headers["retry-after"] == "2"


def test_keys_at_hand_do_while_the_server_is_away(door: str) -> None:
    server = a_server()
    with DRIVERS[door](server) as ask:
        assert ask(Call("GET", "/balance", GOOD)).status == 200
        server.status = 500
        assert ask(Call("GET", "/balance", GOOD)).status == 200
        assert ask(Call("GET", "/balance", bearing("gwa_good"))).status == 503


NEAR = Proxies(["192.0.2.0/24", "127.0.0.1/32"], certificate_header="x-client-cert", host_header="x-forwarded-host")


@pytest.mark.proves("RFC 8705", "3")
def test_a_token_that_is_bound_to_a_certificate_is_good_for_its_holder(door: str) -> None:
    certificate = a_certificate()
    thumbprint = b64url(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
    token = bearing(a_token(cnf={"x5t#S256": thumbprint}))
    shown = ("x-client-cert", quote(certificate.public_bytes(Encoding.PEM).decode()))
    with DRIVERS[door](a_server(), proxies=NEAR) as ask:
        assert ask(Call("GET", "/balance", (*token, shown))).status == 200
        for headers in (token, (*token, shown, shown)):
            answer = ask(Call("GET", "/balance", headers))
            assert (answer.status, json.loads(answer.body)["cause"]) == (401, "certificate_wrong")
    with DRIVERS[door](a_server()) as ask:
        assert ask(Call("GET", "/balance", (*token, shown))).status == 401


def test_a_proof_names_the_address_that_the_proxy_tells(door: str) -> None:
    token = a_token(cnf={"jkt": thumbprint_of(a_key(kid="holder"))})
    forwarded = (("x-forwarded-proto", "https"), ("x-forwarded-host", "api.bank.test"))
    with DRIVERS[door](a_server(), proxies=NEAR) as ask:
        for number, (origin, status) in enumerate({"https://api.bank.test": 200, f"http://{HOST}": 401}.items()):
            proof = ("dpop", a_proof(token, jti=f"x{number}", htu=f"{origin}/balance"))
            assert ask(Call("GET", "/balance", (*bearing(token, scheme="DPoP"), proof, *forwarded))).status == status
