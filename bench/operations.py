"""What is measured: for each operation how its requests are made, what a right answer holds, and what it may cost."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from html import unescape
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from bench.load import Request, body_of, fire, get, header_of, post
from bench.seed import Flavour, Seeder, spread
from bench.world import BANK, BANK_SCOPES, CHALLENGE, DEVICE, EVENTS, EVENTS_SCOPES, REDIRECT, SECRETS, SERVICE, VERIFIER, WEB, Cast
from gatewright.oauth.device import GRANT_TYPE

POOL: Final = 1000  # different tokens shown in turn where showing one changes nothing
_JWTS: Final = 200
_BROWSERS: Final = 200
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Stage:
    """Where requests go and what they are made of."""

    def __init__(self, cast: Cast, seeder: Seeder) -> None:
        self.cast = cast
        self.seeder = seeder
        self.host = cast.host
        self._opaque: list[bytes] = []
        self._jwts: list[bytes] = []

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        name, _, port = self.host.partition(":")
        return name, int(port)

    def web(self, form: str) -> bytes:
        """Return a token request of the web client."""
        return post(self.host, "/token", f"{form}&client_id={WEB}&client_secret={SECRETS['BENCH_WEB_SECRET']}")

    def exchange(self, code: str) -> bytes:
        """Return the request that exchanges a code."""
        return self.web(f"grant_type=authorization_code&code={code}&redirect_uri={quote(REDIRECT, safe='')}&code_verifier={VERIFIER}")

    def tokens(self) -> list[str]:
        """Return some opaque tokens of users."""
        return [self.seeder.access_token(number) for number in self.seeder.rows_of("openid", POOL)]

    def jwts(self) -> list[str]:
        """Return some JWTs of users, got from the server by exchanging codes."""
        codes = [self.exchange(self.seeder.code(number)) for number in self.seeder.fresh("events", _JWTS)]
        got = fire(*self.address, codes, 1, keep=True)
        return [msgspec.json.decode(body_of(answer), type=_Answer).access_token for answer in got.answers]


class _Answer(Struct, frozen=True):
    access_token: str


class Operation(Struct, frozen=True, kw_only=True):
    """One thing to measure. `target` is what it may cost, server and database together, on SQLite and on PostgreSQL, in µs of CPU.

    `steps` is how many HTTP requests one operation is.
    """

    name: str
    says: str
    prepare: Callable[[Stage, int], list[Request]]
    proof: bytes
    target: tuple[int, int]
    good: frozenset[int] = frozenset({200})
    steps: int = 1


def _service(scopes: tuple[str, ...]) -> Callable[[Stage, int], list[Request]]:
    def prepare(stage: Stage, count: int) -> list[Request]:
        form = f"grant_type=client_credentials&client_id={SERVICE}&client_secret={SECRETS['BENCH_SERVICE_SECRET']}"
        return [post(stage.host, "/token", f"{form}&scope={quote(' '.join(scopes), safe='')}")] * count

    return prepare


def _exchange(stage: Stage, count: int) -> list[Request]:
    return [stage.exchange(stage.seeder.code(number)) for number in stage.seeder.fresh("openid", count)]


def _refresh(flavour: Flavour) -> Callable[[Stage, int], list[Request]]:
    def prepare(stage: Stage, count: int) -> list[Request]:
        tokens = [stage.seeder.refresh_token(number) for number in stage.seeder.rows_of(flavour, count)]
        return [stage.web(f"grant_type=refresh_token&refresh_token={token}") for token in tokens]

    return prepare


def _introspect(stage: Stage, count: int) -> list[Request]:
    credentials = f"client_id={quote(BANK, safe='')}&client_secret={SECRETS['BENCH_BANK_SECRET']}"
    return _turns([post(stage.host, "/introspect", f"token={token}&{credentials}") for token in stage.tokens()], count)


def _userinfo(stage: Stage, count: int) -> list[Request]:
    return _turns([get(stage.host, "/userinfo", f"Authorization: Bearer {token}\r\n") for token in stage.tokens()], count)


def _userinfo_jwt(stage: Stage, count: int) -> list[Request]:
    return _turns([get(stage.host, "/userinfo", f"Authorization: Bearer {token}\r\n") for token in stage.jwts()], count)


def _verify(stage: Stage, count: int) -> list[Request]:
    tokens, ask = stage.tokens(), _proxied(BANK, "BENCH_BANK_SECRET", "/accounts/acme/balance?since=2026-01-01")
    return _turns([get(stage.host, "/-/verify", f"Authorization: Bearer {token}\r\n{ask}") for token in tokens], count)


def _verify_kept(stage: Stage, count: int) -> list[Request]:
    tokens, ask = stage.jwts(), _proxied(EVENTS, "BENCH_EVENTS_SECRET", "/events")
    return _turns([get(stage.host, "/-/verify", f"Authorization: Bearer {token}\r\n{ask}") for token in tokens], count)


def _verify_public(stage: Stage, count: int) -> list[Request]:
    return [get(stage.host, "/-/verify", _proxied(BANK, "BENCH_BANK_SECRET", "/health"))] * count


def _proxied(api: str, secret: str, target: str) -> str:
    """Return what a proxy says beside the token of its caller, as the recipe for nginx has it."""
    shown = b64encode(f"{quote(api, safe='')}:{SECRETS[secret]}".encode()).decode()
    original = f"X-Original-Method: GET\r\nX-Original-URI: {target}\r\nX-Original-Host: api.bench.test\r\n"
    return f"Gatewright-Api: Basic {shown}\r\n{original}X-Forwarded-For: 203.0.113.7\r\n"


def _turns(requests: list[bytes], count: int) -> list[Request]:
    return [requests[index] for index in spread(list(range(len(requests))), count)]


def _device_wait(stage: Stage, count: int) -> list[Request]:
    form = f"grant_type={quote(GRANT_TYPE, safe='')}&client_id={DEVICE}"
    return [post(stage.host, "/token", f"{form}&device_code={code}") for code in stage.seeder.devices(count)]


def _revoke(stage: Stage, count: int) -> list[Request]:
    return [_given_back(stage, stage.seeder.access_token(number)) for number in stage.seeder.rows_of("openid", count)]


def _revoke_refresh(stage: Stage, count: int) -> list[Request]:
    return [_given_back(stage, stage.seeder.refresh_token(number)) for number in stage.seeder.rows_of("plain", count)]


def _given_back(stage: Stage, token: str) -> bytes:
    return post(stage.host, "/revoke", f"token={token}&client_id={WEB}&client_secret={SECRETS['BENCH_WEB_SECRET']}")


def _document(path: str) -> Callable[[Stage, int], list[Request]]:
    def prepare(stage: Stage, count: int) -> list[Request]:
        return [get(stage.host, path)] * count

    return prepare


def _authorize(stage: Stage, count: int) -> list[Request]:
    cookies = stage.seeder.sessions(min(count, _BROWSERS))
    asks = [_ask_for_code(stage, cookie) for cookie in cookies]

    def follow(answer: bytes) -> bytes:
        sent = parse_qs(urlsplit(header_of(answer, "location")).query)
        return stage.exchange(sent["code"][0] if "code" in sent else "none")

    return [(asks[index % len(asks)], follow) for index in range(count)]


def _ask_for_code(stage: Stage, session: str = "") -> bytes:
    query = urlencode(
        {
            "response_type": "code",
            "client_id": WEB,
            "redirect_uri": REDIRECT,
            "scope": " ".join(("openid", "profile", "email", *BANK_SCOPES)),
            "state": "s-0123456789abcdef",
            "nonce": "n-0123456789abcdef",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
    )
    return get(stage.host, f"/authorize?{query}", f"Cookie: gw_session={session}\r\n" if session else "")


def sign_ins(stage: Stage, count: int) -> list[bytes]:
    """Return the requests by which that many different users send their name and password, each in a browser of its own."""
    found = []
    for name in stage.seeder.readers(count):
        first = fire(*stage.address, [_ask_for_code(stage)], 1, keep=True, good=frozenset({303})).answers[0]
        cookie = header_of(first, "set-cookie").partition(";")[0]
        page = fire(*stage.address, [get(stage.host, header_of(first, "location"), f"Cookie: {cookie}\r\n")], 1, keep=True).answers[0]
        hidden = {key: unescape(value) for key, value in _HIDDEN.findall(page.decode())}
        form = urlencode({**hidden, "username": name, "password": SECRETS["BENCH_PASSWORD"], "choice": "continue"})
        found.append(post(stage.host, "/-/sign-in", form, f"Cookie: {cookie}\r\n"))
    return found


OPERATIONS: Final = (
    Operation(
        name="cc-jwt",
        says="client_credentials, JWT ES256",
        prepare=_service(EVENTS_SCOPES),
        proof=b'"access_token":"eyJ',
        target=(95, 95),
    ),
    Operation(
        name="cc-opaque", says="client_credentials, opaque", prepare=_service(BANK_SCOPES), proof=b'"access_token":"gwa_', target=(75, 75)
    ),
    Operation(name="introspect", says="introspection, opaque user token", prepare=_introspect, proof=b'"active":true', target=(60, 85)),
    Operation(name="userinfo", says="userinfo, opaque", prepare=_userinfo, proof=b'"email_verified":true', target=(75, 95)),
    Operation(name="userinfo-jwt", says="userinfo, JWT", prepare=_userinfo_jwt, proof=b'"email_verified":true', target=(150, 170)),
    Operation(name="refresh", says="refresh with rotation", prepare=_refresh("plain"), proof=b'"refresh_token":"gwr_', target=(110, 160)),
    Operation(
        name="refresh-openid", says="refresh with rotation and ID token", prepare=_refresh("openid"), proof=b'"id_token":"', target=(0, 0)
    ),
    Operation(name="exchange", says="code exchange, PKCE, ES256 ID token", prepare=_exchange, proof=b'"id_token":"', target=(170, 240)),
    Operation(
        name="authorize",
        says="authorize with a session, then exchange",
        prepare=_authorize,
        proof=b'"id_token":"',
        target=(450, 550),
        good=frozenset({200, 303}),
        steps=2,
    ),
    Operation(name="revoke", says="revocation, access token", prepare=_revoke, proof=b"", target=(90, 140)),
    Operation(name="revoke-refresh", says="revocation, refresh token", prepare=_revoke_refresh, proof=b"", target=(90, 140)),
    Operation(
        name="device-wait",
        says="a device asks whether its user answered, and waits",
        prepare=_device_wait,
        proof=b'"authorization_pending"',
        target=(60, 85),
        good=frozenset({400}),
    ),
    Operation(
        name="discovery",
        says="discovery",
        prepare=_document("/.well-known/openid-configuration"),
        proof=b'"token_endpoint"',
        target=(40, 40),
    ),
    Operation(
        name="verify", says="verify address, opaque user token", prepare=_verify, proof=b"gatewright-decision: allowed", target=(80, 105)
    ),
    Operation(
        name="verify-kept",
        says="verify address, JWT, kept for 30 s",
        prepare=_verify_kept,
        proof=b"gatewright-decision: allowed",
        target=(60, 60),
    ),
    Operation(
        name="verify-public",
        says="verify address, public route",
        prepare=_verify_public,
        proof=b"gatewright-decision: public",
        target=(60, 60),
    ),
    Operation(name="jwks", says="JWKS", prepare=_document("/jwks"), proof=b'"keys"', target=(40, 40)),
)
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
