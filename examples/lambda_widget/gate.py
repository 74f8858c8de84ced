"""The function in front of the widget's own API: an authorizer that asks the guard, in the simple form of an HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gatewright_guard.decide import Allowed, needs
from gatewright_guard.guard import Guard, Request


class Gate:
    """`handler = Gate(lambda: Guard(issuer, audience, credentials=(id, secret)), {"GET /reports": "read:reports"})`.

    The gateway answers 401 or 403 by itself where this says no; the reason goes along in the context, for its access log and for
    the body of its answer. The guard, with the server's keys and its short memory of tokens, lives as long as the instance.
    """

    def __init__(self, guard: Callable[[], Guard], scopes: Mapping[str, str]) -> None:
        self._runner = asyncio.Runner()
        self._make = guard
        self._guard: Guard | None = None
        self._scopes = scopes

    def __call__(self, event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
        """Answer one authorizer event (payload format 2.0, simple response)."""
        return self._runner.run(self._decided(event))

    def close(self) -> None:
        """Let go of connections; a function's instance just vanishes."""
        if self._guard is not None:
            self._runner.run(self._guard.aclose())
        self._runner.close()

    async def _decided(self, event: Mapping[str, Any]) -> dict[str, Any]:
        scope = self._scopes.get(event["routeKey"])
        if scope is None:
            return {"isAuthorized": False, "context": {"reason": "no scope is set for this route"}}
        if self._guard is None:
            self._guard = self._make()  # inside the loop in which it will be used
        headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
        shown = (headers["authorization"],) if "authorization" in headers else ()
        request = Request(authorization=shown, query=event.get("rawQueryString", ""), address=event["requestContext"]["http"]["sourceIp"])
        answer = await self._guard.check(request, needs(scope))
        if isinstance(answer, Allowed):
            return {"isAuthorized": True, "context": {"user": answer.claims.sub, "account": answer.claims.account or ""}}
        return {"isAuthorized": False, "context": {"reason": answer.reason.value, "challenge": answer.challenge()}}
