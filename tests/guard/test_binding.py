"""Bound tokens at the guard: good from their holder, worth nothing from anybody else."""

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Guard, Request
from gatewright_guard.reasons import Reason
from gatewright_guard.starlette import admit, protect, requires
from tests.guard.makers import ISSUER, a_key, a_token, some_claims
from tests.guard.proofs import URL, a_proof, thumbprint_of
from tests.guard.server import AClock, AServer

BALANCE = needs("read:balance")
CERTIFICATE = b"the DER of a certificate"
BY_KEY: dict[str, Any] = {"cnf": {"jkt": thumbprint_of(a_key(kid="holder"))}}
BY_CERTIFICATE: dict[str, Any] = {"cnf": {"x5t#S256": urlsafe_b64encode(hashlib.sha256(CERTIFICATE).digest()).rstrip(b"=").decode()}}


async def asked(guard: Guard, token: str, *, scheme: str = "DPoP", proofs: tuple[str, ...] = (), certificate: bytes | None = None) -> Any:  # noqa: ANN401 - Allowed or Refusal
    return await guard.check(Request(authorization=(f"{scheme} {token}",), url=URL, dpop=proofs, certificate=certificate), BALANCE)


@pytest.mark.proves("RFC 9449", "7.1")
@pytest.mark.parametrize("opaque", [False, True])
async def test_a_bound_token_with_its_proof_is_good_once_for_each_proof(opaque: bool) -> None:
    token = "gwa_bound" if opaque else a_token(**BY_KEY)
    async with AServer(tokens={"gwa_bound": some_claims(**BY_KEY)}).guard() as guard:
        first, again, another = a_proof(token), a_proof(token), a_proof(token, jti="p2")
        assert isinstance(await asked(guard, token, proofs=(first,)), Allowed)
        refusal = await asked(guard, token, proofs=(again,))
        assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_dpop_proof", Reason.PROOF_WRONG)
        assert isinstance(await asked(guard, token, proofs=(another,)), Allowed)


@pytest.mark.proves("RFC 9449", "7.1")
@pytest.mark.proves("RFC 9449", "7.2")
async def test_a_token_bound_to_a_key_is_no_bearer_token_and_the_challenge_says_so() -> None:
    token = a_token(**BY_KEY)
    async with AServer().guard() as guard:
        refusal = await asked(guard, token, scheme="Bearer", proofs=(a_proof(token),))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_token", Reason.TOKEN_BOUND)
    assert refusal.challenge().startswith('DPoP realm="https://bank.acme.test", error="invalid_token"')
    assert 'algs="ES256 ' in refusal.challenge()


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize("how", ["none", "two", "another key", "another token"])
async def test_without_one_proof_of_its_own_key_it_is_nobodys(how: str) -> None:
    token = a_token(**BY_KEY)
    proofs = {
        "none": (),
        "two": (a_proof(token), a_proof(token, jti="p2")),
        "another key": (a_proof(token, key=a_key(kid="thief")),),
        "another token": (a_proof(a_token(jti="j2")),),
    }[how]
    async with AServer().guard() as guard:
        refusal = await asked(guard, token, proofs=proofs)
    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_dpop_proof", Reason.PROOF_WRONG)


async def test_what_a_bound_token_lacks_is_said_in_a_challenge_of_its_kind() -> None:
    token = a_token(**BY_KEY, scope="openid")
    async with AServer().guard() as guard:
        refusal = await asked(guard, token, proofs=(a_proof(token),))
    assert refusal.challenge().startswith("DPoP ")
    assert 'error="insufficient_scope"' in refusal.challenge()


@pytest.mark.proves("RFC 9449", "7.1")
@pytest.mark.parametrize("claims", [{}, BY_CERTIFICATE])
async def test_a_token_that_is_bound_to_no_key_does_not_become_bound_by_a_word(claims: dict[str, Any]) -> None:
    token = a_token(**claims)
    async with AServer().guard() as guard:
        refusal = await asked(guard, token, proofs=(a_proof(token),), certificate=CERTIFICATE)
    assert (refusal.status, refusal.reason) == (401, Reason.TOKEN_UNBOUND)


@pytest.mark.proves("RFC 8705", "3")
@pytest.mark.parametrize(("certificate", "good"), [(CERTIFICATE, True), (b"another", False), (None, False)])
async def test_a_token_bound_to_a_certificate_is_good_with_it_alone(certificate: bytes | None, good: bool) -> None:
    async with AServer().guard() as guard:
        answer = await asked(guard, a_token(**BY_CERTIFICATE), scheme="Bearer", certificate=certificate)
    assert isinstance(answer, Allowed) if good else (answer.status, answer.reason) == (401, Reason.CERTIFICATE_WRONG)


@pytest.mark.parametrize("with_proof", [True, False])
@pytest.mark.parametrize("with_certificate", [True, False])
async def test_of_two_bindings_both_must_hold(with_proof: bool, with_certificate: bool) -> None:
    token = a_token(cnf={**BY_KEY["cnf"], **BY_CERTIFICATE["cnf"]})
    async with AServer().guard() as guard:
        answer = await asked(
            guard, token, proofs=(a_proof(token),) if with_proof else (), certificate=CERTIFICATE if with_certificate else None
        )
    assert isinstance(answer, Allowed) is (with_proof and with_certificate)


@pytest.mark.proves("RFC 7800", "3.1")
@pytest.mark.parametrize("cnf", [{}, {"kid": "x"}, {"jwk": {}}, {**BY_KEY["cnf"], "kid": "x"}, {"jkt": 7}, {"x5t#S256": None}])
async def test_a_binding_that_cannot_be_proved_here_is_nobodys(cnf: dict[str, Any]) -> None:
    token = a_token(cnf=cnf)
    async with AServer().guard() as guard:
        for scheme in ("Bearer", "DPoP"):
            refusal = await asked(guard, token, scheme=scheme, proofs=(a_proof(token),), certificate=CERTIFICATE)
            assert isinstance(refusal, Refusal)
            assert refusal.status == 401


async def test_a_stranger_with_a_proof_learns_nothing() -> None:
    async with AServer().guard() as guard:
        refusal = await asked(guard, "gwa_invented", proofs=(a_proof("gwa_invented"),))
    assert json.loads(refusal.body())["cause"] == "invalid_token"


async def test_who_was_admitted_is_asked_for_more_in_the_same_request_without_another_proof() -> None:
    guard = AServer().guard()
    app = Starlette()

    @requires("read:balance")
    async def more(request: HttpRequest) -> JSONResponse:
        await admit(request, needs("openid"))
        await admit(request, needs("transfer:funds"))
        return JSONResponse("never")

    app.router.routes.append(Route("/balance", more))
    protect(app, guard)
    token = a_token(**BY_KEY)
    async with guard, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://bank.acme.test") as client:
        heads = {"authorization": f"DPoP {token}", "dpop": a_proof(token)}
        first, again = await client.get("/balance", headers=heads), await client.get("/balance", headers=heads)
    assert (first.json()["cause"], again.json()["cause"]) == ("insufficient_scope", "proof_wrong")


@pytest.mark.proves("RFC 9449", "4.3")
@pytest.mark.parametrize(
    ("origins", "url", "good"),
    [
        ((), "https://bank.acme.test/balance", True),
        ((), "https://BANK.acme.test:443/balance", True),
        ((), "https://evil.example/balance", False),
        ((), "http://bank.acme.test/balance", False),
        (("https://api.acme.test", "http://127.0.0.1:9000"), "http://127.0.0.1:9000/balance", True),
        (("https://api.acme.test", "http://127.0.0.1:9000"), "https://bank.acme.test/balance", False),
    ],
)
async def test_a_proof_that_was_made_for_another_server_is_none_whatever_host_the_request_names(
    origins: tuple[str, ...], url: str, good: bool
) -> None:
    token = a_token(**BY_KEY)
    request = Request(authorization=(f"DPoP {token}",), url=url, dpop=(a_proof(token, htu=url),))
    async with AServer().guard(origins=origins) as guard:
        assert isinstance(await guard.check(request, BALANCE), Allowed) is good


async def test_where_the_audience_is_no_address_the_called_one_counts() -> None:
    token, http = a_token(**BY_KEY, aud="urn:acme:bank"), AServer().client()
    request = Request(authorization=(f"DPoP {token}",), url=URL, dpop=(a_proof(token),))
    async with http, Guard(ISSUER, "urn:acme:bank", http=http, clock=AClock()) as guard:
        assert isinstance(await guard.check(request, BALANCE), Allowed)
