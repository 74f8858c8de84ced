"""What caches between us and others may keep, and what scripts of other origins may read."""

from __future__ import annotations

import pytest

from tests.http.talk import FORM, ORIGIN
from tests.support.house import Node

DOCUMENTS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks")


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_what_a_cache_keeps_is_the_same_for_every_origin(node: Node, path: str) -> None:
    plain, foreign = await node.get(path), await node.get(path, ORIGIN)
    assert plain.header("cache-control") == "public, max-age=300"
    assert sorted(plain.headers) == sorted(foreign.headers)
    assert plain.header("access-control-allow-origin") == "*"


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_head_says_what_get_says(node: Node, path: str) -> None:
    got, headed = await node.get(path), await node.ask("HEAD", path)
    assert (headed.status, sorted(headed.headers)) == (got.status, sorted(got.headers))


@pytest.mark.parametrize("path", ["/token", "/revoke", "/userinfo"])
@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("POST", (FORM,), b"grant_type=x&grant_type=y"),
        ("POST", (("content-type", "text/plain"),), b"x"),
        ("POST", (FORM,), b"a=%ff"),
        ("POST", (FORM,), b"a" * 70_000),
        ("PUT", (), b""),
    ],
)
async def test_a_refusal_is_never_kept_and_readable_by_scripts(
    node: Node, path: str, method: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    answer = await node.ask(method, path, headers=(*headers, ORIGIN), body=body)
    assert 400 <= answer.status < 500
    assert answer.header("cache-control") == "no-store"
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("access-control-allow-credentials") is None
    assert answer.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("path", ["/introspect", "/-/why"])
async def test_what_only_servers_ask_is_not_for_scripts(node: Node, path: str) -> None:
    for method in ("POST", "OPTIONS", "GET"):
        answer = await node.ask(method, path, headers=(FORM, ORIGIN), body=b"token=x" if method == "POST" else b"")
        assert answer.header("access-control-allow-origin") is None
        assert answer.header("cache-control") == "no-store"


async def test_credentials_in_an_address_are_none(node: Node) -> None:
    query = "/token?grant_type=client_credentials&client_id=image-copier&client_secret=x"
    assert (await node.get(query)).status == 405
    assert (await node.ask("POST", query, headers=(FORM,), body=b"a=b")).error == (400, "invalid_request")
    assert (await node.get("/userinfo?access_token=gwa_x")).header("www-authenticate") == 'Bearer realm="gatewright"'


async def test_the_states_are_told_at_any_host(node: Node) -> None:
    for host in ("10.0.0.1:8600", "nobody.test", None):
        alive, ready = await node.ask("GET", "/-/health", host=host), await node.ask("GET", "/-/ready", host=host)
        assert alive.json == {"status": "ok"}
        # This node's clock is a test's, not the database's.
        assert ready.json == {"status": "not ready"}
        assert alive.header("cache-control") == ready.header("cache-control") == "no-store"
