"""The guard beside running servers: what is taken back is refused within a second, in tasks and in threads."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import pytest

from gatewright_guard.decide import Allowed, Refusal, needs
from gatewright_guard.guard import Endpoints, Guard, Request
from gatewright_guard.reasons import Reason
from gatewright_guard.sync import SyncGuard
from tests.support.running import Deployment, Node
from tests.support.world import claims_of
from tests.survival.platform import CLOCK
from tests.survival.revocation import bought, http_to, revoke

READ = needs("read:clock")
SECONDS = 30


def endpoints(node: Node) -> Endpoints:
    """This very server's, whose address is not the deployment's."""
    url = node.url
    return Endpoints(jwks_uri=f"{url}/jwks", introspection=f"{url}/introspect", why=f"{url}/-/why", feed=f"{url}/-/feed")


def bearing(token: str) -> Request:
    return Request(authorization=(f"Bearer {token}",))


async def test_a_jwt_that_was_given_back_is_refused_within_a_second_and_the_caller_learns_why(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether the reason is told, however long this machine takes.
    monkeypatch.setattr("gatewright_guard.introspect._WHY_SECONDS", SECONDS)
    with deployment.serve() as node:
        async with http_to(node) as http:
            tokens = await bought(http, 6)
            issuer = str(claims_of(tokens[0])["iss"])
            threads = SyncGuard(issuer, CLOCK[0], credentials=CLOCK, follow=True, http=lambda: http_to(node), endpoints=endpoints(node))
            async with Guard(issuer, CLOCK[0], credentials=CLOCK, follow=True, http=http, endpoints=endpoints(node)) as guard:
                for token in tokens:
                    assert isinstance(await guard.check(bearing(token), READ), Allowed)
                    assert isinstance(await asyncio.to_thread(threads.check, bearing(token), READ), Allowed)
                took = []
                for token in tokens[1:]:
                    await revoke(http, token)
                    begun = time.monotonic()
                    refusals = [await refused(guard, token), await asyncio.to_thread(refused_in_a_thread, threads, token)]
                    took.append(time.monotonic() - begun)
                    assert [(refusal.status, refusal.reason) for refusal in refusals] == [(401, Reason.TOKEN_REVOKED)] * 2
                    assert all(refusal.more for refusal in refusals)
                assert isinstance(await guard.check(bearing(tokens[0]), READ), Allowed)
            await asyncio.to_thread(threads.close)
            # What one of a thousand takes is measured by tests/survival/revocation.py: here the machine may stand still.
            assert median(took) < 1.0


async def refused(guard: Guard, token: str) -> Refusal:
    async with asyncio.timeout(SECONDS):
        while isinstance(answer := await guard.check(bearing(token), READ), Allowed):  # noqa: ASYNC110 - as callers do
            await asyncio.sleep(0)
    return answer


def refused_in_a_thread(guard: SyncGuard, token: str) -> Refusal:
    deadline = time.monotonic() + SECONDS
    while isinstance(answer := guard.check(bearing(token), READ), Allowed):
        assert time.monotonic() < deadline
    return answer
