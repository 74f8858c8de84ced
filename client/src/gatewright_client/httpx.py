"""Puts the token on the requests of `httpx.Client` and `httpx.AsyncClient`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import httpx

from gatewright_client.course import LONGEST_WAIT, Course, Facts, Renew, Wait
from gatewright_client.errors import ClientFault
from gatewright_client.origin import Origin
from gatewright_client.problem import explain
from gatewright_client.source import TokenSource


class BearerAuth(httpx.Auth):
    """`httpx.Client(base_url=api, auth=BearerAuth(source, api))`. `api` is the address of the one API that may see the token.

    A `401` with `invalid_token` is tried again with another token, and a `503` that says for how long is waited for, up to
    `longest_wait` seconds: each once, and only if the body can be sent twice. Everything else is the program's: `explain` reads it.
    """

    def __init__(
        self,
        source: TokenSource,
        api: str,
        *,
        longest_wait: float = LONGEST_WAIT,
        pause: Callable[[float], object] = time.sleep,
        pause_async: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._origin = Origin(api)
        self._longest_wait = longest_wait
        self._pause = pause
        self._pause_async = pause_async

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._origin.demand(str(request.url))
        token, course = self._source.token(), Course(self._longest_wait)
        while True:
            response = yield _bearing(request, token)
            facts = self._facts(request, response)
            if course.renews(facts):
                response.read()
            step = course.after(facts, lambda response=response: explain(response))
            if isinstance(step, Wait):
                self._pause(step.seconds)
            elif isinstance(step, Renew):
                try:
                    token = self._source.renewed(token)
                except ClientFault:
                    return  # the API's answer says more than that it could not be cured
            else:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        self._origin.demand(str(request.url))
        token, course = await self._source.token_async(), Course(self._longest_wait)
        while True:
            response = yield _bearing(request, token)
            facts = self._facts(request, response)
            if course.renews(facts):
                await response.aread()
            step = course.after(facts, lambda response=response: explain(response))
            if isinstance(step, Wait):
                await self._pause_async(step.seconds)
            elif isinstance(step, Renew):
                try:
                    token = await self._source.renewed_async(token)
                except ClientFault:
                    return
            else:
                return

    def _facts(self, request: httpx.Request, response: httpx.Response) -> Facts:
        # The client follows redirects below us, and drops the token on the way to another origin.
        return Facts(
            response.status_code,
            response.headers,
            request.method,
            replayable=isinstance(request.stream, httpx.ByteStream),
            at_home=self._origin.holds(str(response.url)),
        )


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["authorization"] = f"Bearer {token}"
    return request
