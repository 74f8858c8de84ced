"""The guard for code that does not await: answers in the calling thread what it can, and asks the server from one thread beside it."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as TookTooLong
from types import TracebackType
from typing import Any, Final, Self

import httpx

from gatewright_guard.decide import UNAVAILABLE, Allowed, Refusal, Requirement
from gatewright_guard.fetch import new_client
from gatewright_guard.guard import Guard, Weighing
from gatewright_guard.request import Proxies, Request
from gatewright_guard.resource import Resource

_SECONDS: Final = 5.0
"""How long a caller waits for the server, all questions together; each has a shorter time of its own."""


class SyncGuard:
    """A `Guard` with the same settings, for WSGI applications and other threads; any number of them may use it at once.

    A token that can be checked here is checked in the thread that asks. What needs the server, and what is renewed in the
    background, happens on an event loop in a daemon thread. Both are made when first needed, and anew in a forked process,
    so the guard may be made before a server such as gunicorn forks. For the same reason `http` is a function here that makes a
    client, which the guard closes.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        http: Callable[[], httpx.AsyncClient] = new_client,
        **settings: Any,  # noqa: ANN401 - those of Guard
    ) -> None:
        if isinstance(http, httpx.AsyncClient):
            raise TypeError("http is a function that makes a client: each process needs its own")
        self._http = http
        self._made = (issuer, audience, settings)
        # Made once to tell of slips where they are made, and of what needs no loop.
        described = Guard(issuer, audience, **settings)
        self.issuer: str = described.issuer
        self.audience: str = described.audience
        self.proxies: Proxies | None = described.proxies
        self.resource: Resource | None = described.resource
        self.no_rule: Refusal = described.no_rule
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = False

    def check(self, request: Request, requirement: Requirement, *, account: str | None = None) -> Allowed | Refusal:
        """Whether the request may do what needs these scopes, in this account (its id or slug) if the resource has one."""
        running = self._running
        if running is None or running.process != os.getpid():
            running = self._start()
        answer = running.guard.begin(request, requirement, account=account)
        if not isinstance(answer, Weighing):
            return answer
        asking = asyncio.run_coroutine_threadsafe(running.guard.finish(answer), running.loop)
        try:
            return asking.result(_SECONDS)
        except TookTooLong:
            asking.cancel()
            return UNAVAILABLE

    def close(self) -> None:
        """Stop the thread and what runs in it."""
        with self._lock:
            running, self._running, self._closed = self._running, None, True
        if running is not None and running.process == os.getpid():
            running.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> "_Running":
        with self._lock:
            if self._closed:
                raise RuntimeError("the guard is closed")
            if self._running is None or self._running.process != os.getpid():
                issuer, audience, settings = self._made
                http = self._http()
                self._running = _Running(Guard(issuer, audience, http=http, **settings), http)
            return self._running


class _Running:
    """A guard with the thread and the loop on which it asks."""

    def __init__(self, guard: Guard, http: httpx.AsyncClient) -> None:
        self._http = http
        self.process = os.getpid()
        self.guard = guard
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="gatewright-guard", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self.guard.start)
        self.loop.run_forever()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_SECONDS)
        self.loop.close()

    async def _close(self) -> None:
        await self.guard.aclose()
        await self._http.aclose()
