"""The Express example: Node verifies Gatewright's tokens with a library that nobody here wrote, and answers as the guard does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gatewright_client.challenge import bearer_challenge
from gatewright_client.problem import explain
from gatewright_client.proof import Secret
from gatewright_client.server import Server
from gatewright_client.source import TokenSource
from tests.client.deployment import BANK, SECRETS, VAULT, signed_in
from tests.client.places import METADATA, Answer, Asked, Place
from tests.clients.conversation import node_program
from tests.support.running import ROOT, Node
from tests.support.waiting import until

KEY: Final = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "k1", "use": "sig"})
OTHER: Final = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "k1", "use": "sig"})
NEW: Final = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "k2", "use": "sig"})


@contextmanager
def running(issuer: str) -> Iterator[httpx.Client]:
    """A client of the example's bank, which runs in a process of its own."""
    environment = {**os.environ, "ISSUER": issuer, "AUDIENCE": BANK, "PORT": "0"}
    command = [node_program(), "bank.js"]
    # In a group of its own: what is started may start Node and die alone.
    with subprocess.Popen(
        command, cwd=ROOT / "examples" / "express", env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            with httpx.Client(base_url=said.split()[-1], trust_env=False, timeout=30) as http:
                yield http
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def bank(node: Node) -> Iterator[httpx.Client]:
    with running(node.deployment.issuer) as http:
        yield http


class Signing:
    """An issuer whose tokens a test writes itself."""

    def __init__(self) -> None:
        self.place = Place(self._answer)
        self.keys = [KEY]
        self.away = False

    def _answer(self, asked: Asked) -> Answer:
        if self.away:
            return Answer(503, None)
        if asked.path == METADATA:
            return Answer(body={"issuer": self.place.url, "jwks_uri": f"{self.place.url}/jwks"})
        return Answer(body={"keys": [key.as_dict(private=False) for key in self.keys]})

    def token(self, *, key: ECKey = KEY, head: Mapping[str, object] | None = None, **more: object) -> str:
        now = int(time.time())
        claims = {"iss": self.place.url, "aud": BANK, "sub": "us_1", "client_id": "cli", "scope": "read:balance", "jti": "1"}
        members: dict[str, Any] = {**claims, "iat": now, "exp": now + 60, "account": "acme-dev", "account_id": "ac_1", **more}
        members = {name: value for name, value in members.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "at+jwt", **(head or {})}, members, key)


@pytest.fixture(scope="module")
def signing() -> Iterator[Signing]:
    signing = Signing()
    with signing.place.serving():
        yield signing


@pytest.fixture(scope="module")
def strict(signing: Signing) -> Iterator[httpx.Client]:
    with running(signing.place.url) as http:
        yield http


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def cause(answer: httpx.Response) -> tuple[int, str]:
    problem = explain(answer)
    assert problem is not None, answer.text
    return answer.status_code, problem.cause


# ---------------------------------------------------------------- with Gatewright


def test_a_service_and_a_user_are_let_in(node: Node, bank: httpx.Client) -> None:
    with Server(node.deployment.issuer, Secret("reports", SECRETS["CLIENT_SECRET"])) as server:
        token = TokenSource.client_credentials(server, scope="read:balance", resource=BANK).token()
    assert bank.get("/balance", headers=bearing(token)).json() == {"user": "reports", "app": "reports"}
    user = signed_in(node, "read:balance", BANK).access_token
    found = bank.get("/accounts/acme-dev/balance", headers=bearing(user)).json()
    assert (found["user"].startswith("us_"), found["account"]) == (True, "acme-dev")
    assert cause(bank.get("/accounts/acme-prod/balance", headers=bearing(user))) == (403, "wrong_account")
    lacking = bank.post("/transfers", headers=bearing(user))
    assert cause(lacking) == (403, "insufficient_scope")
    assert bearer_challenge(lacking.headers["www-authenticate"]) == {
        "realm": BANK,
        "error": "insufficient_scope",
        "error_description": "The access token lacks a scope that this needs.",
        "scope": "transfer:funds",
    }


def test_an_opaque_token_of_another_api_is_not_let_in(node: Node, bank: httpx.Client) -> None:
    token = signed_in(node, "vault:read:balance", VAULT).access_token
    assert cause(bank.get("/balance", headers=bearing(token))) == (401, "invalid_token")


# ---------------------------------------------------------------- with tokens that Gatewright would not make


def test_a_good_token_of_ours_is_good(strict: httpx.Client, signing: Signing) -> None:
    assert strict.get("/accounts/ac_1/balance", headers=bearing(signing.token())).json() == {"user": "us_1", "account": "ac_1"}
    everywhere = signing.token(account=None, account_id=None, gw_reach="read:balance")
    assert strict.get("/accounts/acme-prod/balance", headers=bearing(everywhere)).status_code == 200


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"exp": 1_000_000_000}, "token_expired"),
        ({"aud": VAULT}, "wrong_audience"),
        ({"cnf": {"jkt": "x"}}, "token_bound"),
        ({"iss": "https://id.acme.test"}, "invalid_token"),
        ({"key": OTHER}, "invalid_token"),
        ({"head": {"typ": "JWT"}}, "invalid_token"),
        ({"head": {"kid": "k9"}}, "invalid_token"),
        ({"client_id": None}, "invalid_token"),
        ({"exp": None}, "invalid_token"),
        ({"jti": None}, "invalid_token"),
        ({"key": OTHER, "exp": 1_000_000_000}, "invalid_token"),
        ({"key": OTHER, "aud": VAULT}, "invalid_token"),
    ],
)
@pytest.mark.proves("RFC 9068", "4")
def test_a_token_with_a_flaw_is_not_let_in(strict: httpx.Client, signing: Signing, more: dict[str, Any], found: str) -> None:
    assert cause(strict.get("/balance", headers=bearing(signing.token(**more)))) == (401, found)


@pytest.mark.parametrize("token", ["e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "x", "=" * 5000])
def test_what_is_no_token_is_not_let_in(strict: httpx.Client, token: str) -> None:
    assert strict.get("/balance", headers=bearing(token)).status_code in (400, 401)


@pytest.mark.parametrize("more", [{"account": "acme-prod", "account_id": "ac_2"}, {"account": None, "account_id": None}])
def test_another_account_is_not_opened(strict: httpx.Client, signing: Signing, more: dict[str, Any]) -> None:
    assert cause(strict.get("/accounts/acme-dev/balance", headers=bearing(signing.token(**more)))) == (403, "wrong_account")


@pytest.mark.parametrize("scope", ["", "read:balances", "xread:balance", ["read:balance"]])
def test_a_scope_is_a_whole_word(strict: httpx.Client, signing: Signing, scope: object) -> None:
    assert cause(strict.get("/balance", headers=bearing(signing.token(scope=scope)))) == (403, "insufficient_scope")


@pytest.mark.proves("RFC 6750", "3")
def test_without_a_token_the_challenge_says_no_error(strict: httpx.Client) -> None:
    answer = strict.get("/balance")
    assert (cause(answer), answer.headers["www-authenticate"]) == ((401, "token_missing"), f'Bearer realm="{BANK}"')
    assert cause(strict.get("/balance", headers={"authorization": "Basic eDp5"})) == (401, "token_missing")


@pytest.mark.proves("RFC 6750", "2")
def test_a_token_is_sent_once_and_never_in_the_address(strict: httpx.Client, signing: Signing) -> None:
    token = signing.token()
    twice = [("authorization", f"Bearer {token}")] * 2
    for answer in (
        strict.get("/balance", params={"access_token": token}),
        strict.get("/balance", headers=twice),
        strict.get("/balance", headers={"authorization": "Bearer"}),
        strict.get("/balance", headers={"authorization": f"Bearer {token} {token}"}),
    ):
        assert cause(answer) == (400, "invalid_request")


def test_nobody_is_let_in_while_nobody_can_be_asked() -> None:
    signing = Signing()
    signing.away = True
    with signing.place.serving(), running(signing.place.url) as http:
        answer = http.get("/balance", headers=bearing(signing.token()))
        assert (cause(answer), answer.headers["retry-after"]) == ((503, "unavailable"), "2")
        signing.away = False
        assert http.get("/balance", headers=bearing(signing.token())).status_code == 200
        # What was fetched serves on while the server is away.
        signing.away = True
        assert http.get("/balance", headers=bearing(signing.token())).status_code == 200


def test_a_new_key_is_fetched_when_a_token_names_it() -> None:
    signing = Signing()
    with signing.place.serving(), running(signing.place.url) as http:
        assert http.get("/balance", headers=bearing(signing.token())).status_code == 200
        signing.keys = [KEY, NEW]
        until(lambda: http.get("/balance", headers=bearing(signing.token(key=NEW))).status_code == 200, "the new key")
        asked = len(signing.place.asked)
        for _ in range(20):
            assert cause(http.get("/balance", headers=bearing(signing.token(head={"kid": "k9"})))) == (401, "invalid_token")
        assert len(signing.place.asked) <= asked + 1, "whoever invents keys makes nobody fetch them"


def test_the_guide_shows_the_example() -> None:
    shown = (ROOT / "docs/guides/protect-an-express-api.md").read_text(encoding="utf-8").split("```js\n")[1].split("```")[0]
    written = (ROOT / "examples/express/bank.js").read_text(encoding="utf-8")
    lines = [line for line in shown.splitlines() if line and "…" not in line and not line.startswith("const { requires }")]
    assert [line for line in lines if line not in written.splitlines()] == []
    assert len(lines) > 3
