"""The guard for code that does not await: answers in the calling thread what it can, and asks the server from one thread beside it."""

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

import httpx

from gatewright_guard.decide import UNAVAILABLE, Allowed, Refusal, Requirement
from gatewright_guard.fetch import new_client
from gatewright_guard.guard import Guard, OwnRule, Verdict, Weighing
from gatewright_guard.request import Proxies, Request
from gatewright_guard.resource import Resource

_SECONDS: Final = 5.0
"""How long a caller waits for the server, all questions together; each has a shorter time of its own."""


class SyncGuard:
    """A `Guard` with the same settings, for WSGI applications and other threads; any number of them may use it at once.

    A token that can be checked here is checked in the thread that asks. What needs the server, and what is renewed in the
    background, happens on an event loop in a daemon thread. Both are made when first needed, and anew in a forked process,
    so the guard may be made before a server such as gunicorn forks. For the same reason `http` is a function here that makes a
    client, which the guard closes. The API's own rule is asked in the thread that asks, where its database connection is and no
    event loop.
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
        self.clock: Callable[[], float] = settings.get("clock", time.time)
        if settings.get("allow") is not None:
            settings = {**settings, "allow": _at_home(settings["allow"])}
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
        running = self._now()
        answer = running.guard.begin(request, requirement, account=account)
        if not isinstance(answer, Weighing):
            return answer
        errands: _Errands = SimpleQueue()
        before = _ERRANDS.set(errands)
        try:
            asking = running.ask(answer)
        finally:
            _ERRANDS.reset(before)
        asking.add_done_callback(lambda _: errands.put(None))
        try:
            while (errand := errands.get(timeout=_SECONDS)) is not None:
                errand()
        except Empty:
            asking.cancel()
            return UNAVAILABLE
        return asking.result()

    async def acheck(self, request: Request, requirement: Requirement, *, account: str | None = None) -> Allowed | Refusal:
        """The same for code that awaits, on any event loop and on a new one for each request; the API's own rule should await too."""
        running = self._now()
        answer = running.guard.begin(request, requirement, account=account)
        if not isinstance(answer, Weighing):
            return answer
        try:
            return await asyncio.wait_for(asyncio.wrap_future(running.ask(answer)), _SECONDS)
        except TimeoutError:
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

    def _now(self) -> "_Running":
        running = self._running
        return self._start() if running is None or running.process != os.getpid() else running

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

    def ask(self, weighing: Weighing) -> Future[Allowed | Refusal]:
        """Go on on the loop, in the context of whoever calls this."""
        return asyncio.run_coroutine_threadsafe(self.guard.finish(weighing), self.loop)

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


_Errands = SimpleQueue[Callable[[], None] | None]
_ERRANDS: Final = ContextVar[_Errands | None]("gatewright_guard_errands", default=None)
"""What the thread that waits for an answer is to do meanwhile."""


def _at_home(rule: OwnRule) -> OwnRule:
    """A rule that is asked in the thread that waits for the answer, if one does."""

    def ask(allowed: Allowed, request: Request) -> Verdict | Awaitable[Verdict]:
        errands = _ERRANDS.get()
        if errands is None:
            return rule(allowed, request)
        verdict: Future[Verdict | Awaitable[Verdict]] = Future()

        def errand() -> None:
            try:
                verdict.set_result(rule(allowed, request))
            except Exception as fault:  # noqa: BLE001 - it goes on to whoever asked
                verdict.set_exception(fault)

        errands.put(errand)
        return _settled(verdict)

    return ask


async def _settled(future: Future[Verdict | Awaitable[Verdict]]) -> Verdict:
    verdict = await asyncio.wrap_future(future)
    return await verdict if inspect.isawaitable(verdict) else verdict
