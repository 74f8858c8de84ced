"""The guard in front of a WSGI application: how an environ is read, and what the rules shut."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest

from gatewright_guard import wsgi
from gatewright_guard.request import Proxies
from gatewright_guard.sync import SyncGuard
from gatewright_guard.wsgi import GuardMiddleware, Rule, request_of
from tests.guard.cases import GOOD, RULES, Call, a_server, bearing, bound
from tests.guard.certificates import a_certificate
from tests.guard.drivers import a_sync_guard, called
from tests.guard.makers import a_token


def an_environ(**changes: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/balance",
        "QUERY_STRING": "",
        "HTTP_HOST": "bank.test",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.url_scheme": "https",
    } | changes


# ---------------------------------------------------------------- header fields that a server joined


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("Bearer a", ("Bearer a",)),
        ("Bearer a,Bearer b", ("Bearer a", "Bearer b")),
        ("Bearer a, bearer b", ("Bearer a", "bearer b")),
        ("Bearer a,DPoP b", ("Bearer a", "DPoP b")),
        ("Basic dTpw,Bearer a", ("Basic dTpw", "Bearer a")),
        ("Bearer a,Bearer", ("Bearer a", "Bearer")),
        ("Bearer a,Basic dTpw", ("Bearer a,Basic dTpw",)),
        ('Digest username="u", realm="r"', ('Digest username="u", realm="r"',)),
    ],
)
def test_two_authorization_headers_are_told_from_one(value: str, fields: tuple[str, ...]) -> None:
    assert request_of(an_environ(HTTP_AUTHORIZATION=value)).authorization == fields


def test_two_proofs_are_told_from_one() -> None:
    assert request_of(an_environ(HTTP_DPOP="a.b.c, d.e.f")).dpop == ("a.b.c", "d.e.f")


# ---------------------------------------------------------------- the address that was called


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://bank.test/balance"),
        ({"SCRIPT_NAME": "/api"}, "https://bank.test/api/balance"),
        ({"wsgi.url_scheme": "http", "HTTP_HOST": "bank.test:8080"}, "http://bank.test:8080/balance"),
        ({"PATH_INFO": "/caf\u00c3\u00a9"}, "https://bank.test/caf%C3%A9"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "/a%2Fb?c=d"}, "https://bank.test/a%2Fb"),
        ({"PATH_INFO": "/a/b", "RAW_URI": "/a%2Fb"}, "https://bank.test/a%2Fb"),
        ({"REQUEST_URI": "http://other.test/balance?c=d"}, "https://bank.test/balance"),
    ],
)
def test_a_proof_is_held_against_the_address_as_it_was_sent(changes: dict[str, str], url: str) -> None:
    assert request_of(an_environ(HTTP_DPOP="p", **changes)).url == url


def test_only_named_proxies_are_believed() -> None:
    certificate = a_certificate()
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = quote(certificate.public_bytes(Encoding.PEM).decode())
    said = an_environ(
        HTTP_DPOP="p",
        HTTP_X_FORWARDED_FOR="203.0.113.9",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="api.bank.test",
        HTTP_X_CLIENT_CERT=pem,
    )
    near = request_of(said, Proxies(["192.0.2.0/24"], certificate_header="X-Client-Cert", host_header="X-Forwarded-Host"))
    assert (near.address, near.url) == ("203.0.113.9", "https://api.bank.test/balance")
    assert near.certificate == certificate.public_bytes(Encoding.DER)
    far = request_of(said, Proxies(["10.0.0.0/8"], certificate_header="X-Client-Cert", host_header="X-Forwarded-Host"))
    assert (far.address, far.url, far.certificate) == ("192.0.2.7", "https://bank.test/balance", None)
    # What a caller sent under the proxy's name was joined to what the proxy said, and is no word of one proxy.
    both = request_of(
        {**said, "HTTP_X_CLIENT_CERT": f"{pem},{pem}"},
        Proxies(["192.0.2.0/24"], certificate_header="X-Client-Cert", host_header="X-Forwarded-Host"),
    )
    assert both.certificate is None


def test_nobody_knows_where_a_unix_socket_calls_from() -> None:
    assert request_of(an_environ(REMOTE_ADDR="")).address is None


# ---------------------------------------------------------------- the middleware


def an_app(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ.get(wsgi.KEY)).encode()[:40]]


@pytest.fixture
def guard() -> Iterable[SyncGuard]:
    with a_sync_guard(a_server()) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/open/", 200),
        ("GET", "/balance/", 200),
        ("GET", "/balance/more", 403),
        ("POST", "/balance", 403),
        ("OPTIONS", "/balance", 403),
        ("GET", "/BALANCE", 403),
        ("GET", "/accounts/acme-dev%2Fbalance", 200),
        ("GET", "/accounts/acme-prod%2Fbalance", 403),
        ("GET", "/accounts//balance", 403),
        ("GET", "//open", 403),
        ("GET", "/open/%2e%2e/balance", 403),
        ("GET", "/open/..%5Cbalance", 403),
        ("GET", "/caf%E9", 403),
        ("GET", "/", 403),
    ],
)
def test_what_no_rule_names_is_shut(guard: SyncGuard, method: str, path: str, status: int) -> None:
    assert called(GuardMiddleware(an_app, guard, RULES), Call(method, path, GOOD)).status == status


def test_rules_are_about_the_path_below_where_the_application_is_mounted(guard: SyncGuard) -> None:
    inner = GuardMiddleware(an_app, guard, RULES)

    def mounted(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = environ["PATH_INFO"][:4]
        environ["PATH_INFO"] = environ["PATH_INFO"][4:]
        return inner(environ, start_response)

    assert called(mounted, Call("GET", "/api/balance", GOOD)).status == 200
    assert called(mounted, Call("GET", "/api/nowhere", GOOD)).status == 403
    assert called(mounted, Call("GET", "/api", GOOD)).status == 403
    assert called(mounted, Call("GET", "/api/balance", bound(jti="w1", path="/api/balance"))).status == 200


def test_the_description_is_found_at_its_own_address_and_below_a_mount(guard: SyncGuard) -> None:
    inner = GuardMiddleware(an_app, guard, RULES)

    def mounted(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/.well-known", environ["PATH_INFO"].removeprefix("/.well-known")
        return inner(environ, start_response)

    answer = called(mounted, Call("GET", "/.well-known/oauth-protected-resource"))
    assert json.loads(answer.body)["resource"] == guard.audience


def test_what_stood_in_the_environ_before_counts_for_nothing(guard: SyncGuard) -> None:
    inner = GuardMiddleware(an_app, guard, RULES)

    def outer(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        environ[wsgi.KEY] = environ[wsgi.BY] = "an impostor"
        return inner(environ, start_response)

    assert called(outer, Call("GET", "/open")).body == b"None"


def test_a_scheme_that_is_no_token_is_no_token(guard: SyncGuard) -> None:
    app = GuardMiddleware(an_app, guard, [Rule(path="/any", needs=RULES[1].needs)])
    assert json.loads(called(app, Call("GET", "/any", bearing("x", scheme="Basic"))).body)["cause"] == "token_missing"
    assert called(app, Call("GET", "/any", bearing(a_token()))).body.startswith(b"Allowed(claims=")
