"""One small API and what it is to answer, whatever framework it is written in: the table that every door of the guard is held to."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Request
from gatewright_guard.rules import Rule
from tests.guard.makers import NOW, a_key, a_token, some_claims
from tests.guard.proofs import a_proof, thumbprint_of
from tests.guard.server import AServer

HOST: Final = "bank.test"
BARRED: Final = "us_barred"
SCOPES: Final = ("read:balance", "transfer:funds")
TOLD: Final = ("content-type", "cache-control", "www-authenticate", "retry-after")
"""The header fields that a refusal consists of."""


class Route(msgspec.Struct, frozen=True):
    """One endpoint: its path, its method, and what `requires` is told; it answers with the caller's `sub`."""

    path: str
    scopes: tuple[str, ...] = ()
    more: Mapping[str, Any] = {}
    method: str = "GET"
    account_in: str | None = None

    @property
    def name(self) -> str:
        return self.path.split("/")[1]

    @property
    def said(self) -> dict[str, Any]:
        """What `requires` is told by name."""
        return {**self.more, "account_in": self.account_in}

    @property
    def rule(self) -> Rule:
        return Rule(path=self.path, needs=needs(*self.scopes, **self.more), methods=frozenset({self.method}), account_in=self.account_in)


ROUTES: Final = (
    Route("/balance", ("read:balance",)),
    Route("/transfers", ("transfer:funds",), method="POST"),
    Route("/both", ("read:balance", "transfer:funds")),
    Route("/either", (), {"any_of": ["read:balance", "transfer:funds"]}),
    Route("/accounts/{account}/balance", ("read:balance",), account_in="account"),
    Route("/organizers", ("read:balance",), {"roles": ["Organizer"]}),
    Route("/secure", ("read:balance",), {"acr": ["phr"], "max_age": 300}),
)
RULES: Final = (Rule(path="/open", needs=None), *(route.rule for route in ROUTES))


class Call(msgspec.Struct, frozen=True):
    """A request."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A response, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, str]:
        """The header fields that a refusal consists of."""
        return {name: self.headers[name] for name in TOLD if name in self.headers}


Ask = Callable[[Call], Answer]


class Case(msgspec.Struct, frozen=True):
    """A request and what it is answered: 200 and the caller's `sub`, or a refusal."""

    name: str
    call: Call
    status: int = 200
    cause: str | None = None


def bearing(*tokens: str, scheme: str = "Bearer") -> tuple[tuple[str, str], ...]:
    return tuple(("authorization", f"{scheme} {token}") for token in tokens)


def bound(proof_for: str = "GET", *, jti: str, path: str = "/balance", **claims: object) -> tuple[tuple[str, str], ...]:
    """The headers of a token that is bound to a key, with a proof."""
    token = a_token(cnf={"jkt": thumbprint_of(a_key(kid="holder"))}, **claims)  # type: ignore[arg-type]
    return (*bearing(token, scheme="DPoP"), ("dpop", a_proof(token, jti=jti, htm=proof_for, htu=f"http://{HOST}{path}")))


def _get(path: str, *headers: tuple[str, str], query: str = "") -> Call:
    return Call("GET", path, headers, query)


GOOD: Final = bearing(a_token())
BOTH: Final = bearing(a_token(scope="read:balance transfer:funds"))

CASES: Final = (
    Case("without a token", _get("/balance"), 401, "token_missing"),
    Case("with a good token", _get("/balance", *GOOD)),
    Case("with a good opaque token", _get("/balance", *bearing("gwa_good"))),
    Case("with an opaque token that nobody knows", _get("/balance", *bearing("gwa_bad")), 401, "invalid_token"),
    Case("with two tokens", _get("/balance", *GOOD, *GOOD), 400, "invalid_request"),
    Case("with a password and a token", _get("/balance", *bearing("dTpw", scheme="Basic"), *GOOD), 400, "invalid_request"),
    Case("with a token and a password", _get("/balance", *GOOD, *bearing("dTpw", scheme="Basic")), 400, "invalid_request"),
    Case("with a password alone", _get("/balance", *bearing("dTpw", scheme="Basic")), 401, "token_missing"),
    Case("with half a token", _get("/balance", *bearing("a b")), 400, "invalid_request"),
    Case("with a token in the address", _get("/balance", query="access_token=gwa_good"), 400, "invalid_request"),
    Case("with a token in both places", _get("/balance", *GOOD, query="a=b&access_token=gwa_good"), 400, "invalid_request"),
    Case("with another query", _get("/balance", *GOOD, query="month=5")),
    Case("with an expired token", _get("/balance", *bearing(a_token(exp=NOW - 100))), 401, "token_expired"),
    Case("with a token that expired by a slow clock", _get("/balance", *bearing(a_token(exp=NOW - 9)))),
    Case("with a token that is over by any clock", _get("/balance", *bearing(a_token(exp=NOW - 11))), 401, "token_expired"),
    Case("with a token of a fast clock", _get("/balance", *bearing(a_token(iat=NOW + 9, nbf=NOW + 9)))),
    Case("with a token of tomorrow", _get("/balance", *bearing(a_token(nbf=NOW + 86400))), 401, "token_early"),
    Case("with another API's token", _get("/balance", *bearing(a_token(aud="https://events.acme.test"))), 401, "wrong_audience"),
    Case("with a stranger's token", _get("/balance", *bearing(a_token(kid="k9"))), 401, "invalid_token"),
    Case("HEAD without a token", Call("HEAD", "/balance"), 401, "token_missing"),
    Case("HEAD with a good token", Call("HEAD", "/balance", GOOD)),
    Case("lacking the scope", _get("/balance", *bearing(a_token(scope="openid"))), 403, "insufficient_scope"),
    Case("POST lacking the scope", Call("POST", "/transfers", GOOD), 403, "insufficient_scope"),
    Case("POST with the scope", Call("POST", "/transfers", BOTH)),
    Case("lacking one of both scopes", _get("/both", *GOOD), 403, "insufficient_scope"),
    Case("with both scopes", _get("/both", *BOTH)),
    Case("with either scope", _get("/either", *bearing(a_token(scope="transfer:funds")))),
    Case("with neither scope", _get("/either", *bearing(a_token(scope="openid"))), 403, "insufficient_scope"),
    Case("in the token's account", _get("/accounts/acme-dev/balance", *GOOD)),
    Case("in the token's account, by its id", _get("/accounts/ac_1/balance", *GOOD)),
    Case("in another account", _get("/accounts/acme-prod/balance", *GOOD), 403, "wrong_account"),
    Case("in an account of other letters", _get("/accounts/acm%C3%A9/balance", *bearing(a_token(account="acmé")))),
    Case("with a role", _get("/organizers", *bearing(a_token(roles=["Organizer"])))),
    Case("without the role", _get("/organizers", *bearing(a_token(roles=["Guest"]))), 403, "role_missing"),
    Case("after a good sign-in", _get("/secure", *bearing(a_token(acr="phr", auth_time=NOW)))),
    Case("after a weak sign-in", _get("/secure", *bearing(a_token(acr="pwd", auth_time=NOW))), 401, "authentication_insufficient"),
    Case("long after a sign-in", _get("/secure", *bearing(a_token(acr="phr", auth_time=1))), 401, "authentication_insufficient"),
    Case("where the API's own rule says no", _get("/balance", *bearing(a_token(sub=BARRED))), 403, "denied_by_api"),
    Case("where the API's own rule says no to an opaque token", _get("/balance", *bearing("gwa_barred")), 403, "denied_by_api"),
    Case("with a bound token and its proof", _get("/balance", *bound(jti="c1"))),
    Case("with a bound token and another request's proof", _get("/balance", *bound("POST", jti="c2")), 401, "proof_wrong"),
    Case("with a bound token and no proof", _get("/balance", bound(jti="c3")[0]), 401, "proof_wrong"),
    Case("with a bound token and two proofs", _get("/balance", *bound(jti="c4"), bound(jti="c5")[1]), 401, "proof_wrong"),
    Case("with a bound token as a bearer token", _get("/balance", *bearing(bound(jti="c6")[0][1][5:])), 401, "token_bound"),
    Case("with a bound token that lacks the scope", _get("/balance", *bound(jti="c7", scope="openid")), 403, "insufficient_scope"),
    Case("in an account, with a bound token", _get("/accounts/ac_1/balance", *bound(jti="c8", path="/accounts/ac_1/balance"))),
)


def a_server() -> AServer:
    return AServer(tokens={"gwa_good": some_claims(), "gwa_barred": some_claims(sub=BARRED)})


def at_once(allowed: Allowed, request: Request) -> bool | str:
    """The API's own rule; it sees the request of its framework."""
    assert request.native is not None
    return "You are barred from this bank." if allowed.claims.sub == BARRED else True


async def awaiting(allowed: Allowed, request: Request) -> bool | str:
    """The same rule, as one that awaits."""
    return at_once(allowed, request)


async def expected(call: Call) -> Answer:
    """What the call is to be answered, from the guard itself and no framework."""
    route = next(route for route in ROUTES if route.name == call.path.split("/")[1])
    account = None if route.account_in is None else call.path.split("/")[2].replace("%C3%A9", "é")
    said = {name: tuple(value for field, value in call.headers if field == name) for name in ("authorization", "dpop")}
    request = Request(
        authorization=said["authorization"],
        dpop=said["dpop"],
        query=call.query,
        method=call.method,
        url=f"http://{HOST}{call.path}",
        native=call,
    )
    async with a_server().guard(allow=at_once) as guard:
        answer = await guard.check(request, needs(*route.scopes, **route.more), account=account)
    if isinstance(answer, Allowed):
        return Answer(200, {}, b"" if call.method == "HEAD" else answer.claims.sub.encode())
    return written(answer, call)


def written(refusal: Refusal, call: Call) -> Answer:
    """A refusal as a response."""
    return Answer(refusal.status, dict(refusal.headers()), b"" if call.method == "HEAD" else refusal.body())
