"""A guard that is to report what it let in does so, and one that is not asks nobody."""

from typing import Any

import msgspec
import pytest

from gatewright_guard.decide import needs
from gatewright_guard.guard import Guard, Request
from gatewright_guard.sync import SyncGuard
from tests.guard.makers import AUDIENCE, ISSUER, a_token
from tests.guard.server import CREDENTIALS, AServer, Listening


def reporting() -> AServer:
    return AServer(bodies={"/-/usage": b'{"reporting": true}'})


def told(server: AServer) -> list[dict[str, Any]]:
    return [msgspec.json.decode(form["report"])["uses"] for path, _, form in server.forms if path == "/-/usage"]


def bearing(token: str) -> Request:
    return Request(authorization=(f"Bearer {token}",))


async def test_what_was_let_in_is_told_and_what_was_refused_is_not() -> None:
    server = reporting()
    async with server.guard(usage=True) as guard:
        for scope in ("read:balance", "transfer:funds"):
            await guard.check(bearing(a_token()), needs(scope))
        await guard.check(bearing("gwa_good"), needs("openid"))
    assert told(server) == [{"az_1": ["openid", "read:balance"]}]


async def test_what_the_apis_own_rule_refuses_was_not_used() -> None:
    server = reporting()
    async with server.guard(usage=True, allow=lambda _allowed, _request: False) as guard:
        await guard.check(bearing(a_token()), needs("read:balance"))
    assert told(server) == []


async def test_of_what_the_guard_takes_as_implied_the_tokens_own_scope_is_told() -> None:
    server = reporting()
    async with server.guard(usage=True, implies={"read:balance": ["see:bank"]}) as guard:
        await guard.check(bearing(a_token()), needs("see:bank"))
    assert told(server) == [{"az_1": ["read:balance"]}]


async def test_nothing_is_told_unless_it_is_switched_on() -> None:
    server = reporting()
    async with server.guard() as guard:
        await guard.check(bearing(a_token()), needs("read:balance"))
    assert server.asked["/-/usage"] == 0


def test_threads_report_too() -> None:
    with Listening(reporting()) as running:
        server, url = running.server, running.url
        server.metadata = {"issuer": url, "jwks_uri": f"{url}/jwks", "introspection_endpoint": f"{url}/introspect"}
        with SyncGuard(url, AUDIENCE, credentials=CREDENTIALS, usage=True) as guard:
            guard.check(bearing(a_token(iss=url, iat=1, exp=2**40)), needs("read:balance"))
        assert told(server) == [{"az_1": ["read:balance"]}]


def test_it_needs_the_apis_credentials() -> None:
    with pytest.raises(ValueError, match="credentials"):
        Guard(ISSUER, AUDIENCE, usage=True)
