"""What an API says of itself, and where (RFC 9728)."""

import json

import httpx
import pytest
from starlette.applications import Starlette

from gatewright_guard import starlette
from gatewright_guard.asgi import GuardMiddleware, Rule, request_of
from gatewright_guard.decide import needs
from gatewright_guard.guard import Guard
from gatewright_guard.resource import Description, Resource
from tests.guard.makers import AUDIENCE, ISSUER
from tests.guard.server import AServer


@pytest.mark.proves("RFC 9728", "3.1")
@pytest.mark.parametrize(
    ("audience", "path", "url"),
    [
        (
            "https://bank.acme.test",
            "/.well-known/oauth-protected-resource",
            "https://bank.acme.test/.well-known/oauth-protected-resource",
        ),
        (
            "https://acme.test:8443/bank/v1/",
            "/.well-known/oauth-protected-resource/bank/v1",
            "https://acme.test:8443/.well-known/oauth-protected-resource/bank/v1",
        ),
        (
            "http://127.0.0.1:9/mcp",
            "/.well-known/oauth-protected-resource/mcp",
            "http://127.0.0.1:9/.well-known/oauth-protected-resource/mcp",
        ),
        ("urn:acme:bank", None, None),
        ("http://bank.acme.test", None, None),
        ("https://bank.acme.test/?v=1", None, None),
        ("https://bank.acme.test/#x", None, None),
    ],
)
def test_the_document_lies_where_the_identifier_says(audience: str, path: str | None, url: str | None) -> None:
    resource = Resource(audience, [ISSUER], Description(), certificates=False)
    assert (resource.path, resource.url) == (path, url)


@pytest.mark.proves("RFC 9728", "2")
async def test_the_middleware_serves_the_document_with_the_scopes_of_its_rules() -> None:
    guard = AServer().guard(description=Description(name="Acme Bank", documentation="https://acme.test/docs", scopes=("openid",)))

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("the application was asked")

    wrapped = GuardMiddleware(app, guard, [Rule(path="/a", needs=needs("read:balance", any_of=["x", "y"])), Rule(path="/b", needs=None)])
    async with guard, httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url=AUDIENCE) as client:
        reply = await client.get("/.well-known/oauth-protected-resource")
        head = await client.head("/.well-known/oauth-protected-resource")
        assert (await client.post("/.well-known/oauth-protected-resource")).status_code == 401
    assert reply.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["openid", "read:balance", "x", "y"],
        "dpop_signing_alg_values_supported": ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"],
        "resource_name": "Acme Bank",
        "resource_documentation": "https://acme.test/docs",
    }
    assert (reply.headers["content-type"], reply.headers["access-control-allow-origin"]) == ("application/json", "*")
    assert (head.headers["content-length"], head.content) == (str(len(reply.content)), b"")


@pytest.mark.proves("RFC 9728", "5.1")
async def test_a_challenge_leads_to_a_document_that_is_there() -> None:
    app = Starlette()
    guard = AServer().guard()
    starlette.protect(app, guard, scopes=["read:balance"])
    refusal = await guard.check(request_of({"type": "http", "headers": []}), needs("read:balance"))
    url = refusal.challenge().partition('resource_metadata="')[2].partition('"')[0]  # type: ignore[union-attr]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        assert json.loads((await client.get(url)).content)["scopes_supported"] == ["read:balance"]


async def test_an_api_need_not_describe_itself() -> None:
    async with AServer().guard(description=None) as guard:
        refusal = await guard.check(request_of({"type": "http", "headers": []}), needs("a"))
    assert guard.resource is None
    assert refusal.challenge() == 'Bearer realm="https://bank.acme.test"'  # type: ignore[union-attr]


def test_a_guard_whose_audience_is_no_address_describes_nothing() -> None:
    assert Guard(ISSUER, "urn:acme:bank").resource is None
