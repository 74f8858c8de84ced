"""The guard in gRPC: an interceptor with a table of what each method needs, and what the table does not name is closed.

A refusal is `UNAUTHENTICATED` or `PERMISSION_DENIED`; its trailing metadata has the challenge as `www-authenticate` and the problem
document as `problem-bin`.
"""

import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar, copy_context
from typing import Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio

from gatewright_guard.decide import Allowed, Refusal, Requirement
from gatewright_guard.door import Caller, caller_in
from gatewright_guard.guard import Guard
from gatewright_guard.request import Request
from gatewright_guard.sync import SyncGuard

__all__ = ["AsyncInterceptor", "Caller", "Guard", "Interceptor", "SyncGuard", "caller"]

Methods = Mapping[str, Requirement | None]
"""What `/package.Service/Method`, or with a star for the method every other one of a service, needs; None opens it to everybody."""

_ANY_TOKEN: Final = Requirement()
_ADMITTED: Final = ContextVar[Allowed | None]("gatewright_admitted", default=None)
_CODES: Final = {403: grpc.StatusCode.PERMISSION_DENIED, 503: grpc.StatusCode.UNAVAILABLE}


def caller() -> Caller:
    """Who sent the call that is being answered, once they were admitted."""
    return caller_in(_ADMITTED.get())


class _Table:
    """The methods, and how a call looks to the guard; `origin` is the server's address as callers know it, for DPoP."""

    def __init__(self, guard: Guard | SyncGuard, methods: Methods, origin: str | None) -> None:
        self._methods = methods
        self._origin = (guard.audience if origin is None else origin).rstrip("/")
        self._closed = guard.no_rule

    def opens(self, method: str) -> bool:
        """Whether a method is open to everybody."""
        return self._needed(method, _ANY_TOKEN) is None

    def requirement(self, method: str) -> Requirement:
        """What to ask the guard about a method that is not open."""
        return self._needed(method, None) or _ANY_TOKEN

    def judged(self, method: str, answer: Allowed | Refusal) -> Allowed | Refusal:
        """The answer, or that the method is closed; only who holds a good token learns that."""
        closed = self._needed(method, None) is None
        return self._closed if closed and isinstance(answer, Allowed) else answer

    def _needed(self, method: str, unsaid: Requirement | None) -> Requirement | None:
        star = method.rpartition("/")[0] + "/*"
        return self._methods[method] if method in self._methods else self._methods.get(star, unsaid)

    def request(self, details: Any, context: Any) -> Request:  # noqa: ANN401 - gRPC's, which its kinds of server type apart
        said = [(name, value) for name, value in details.invocation_metadata or () if isinstance(value, str)]
        shown = context.auth_context().get("x509_pem_cert")
        return Request(
            authorization=tuple(value for name, value in said if name == "authorization"),
            address=_address(context.peer()),
            method="POST",
            url=self._origin + details.method,
            dpop=tuple(value for name, value in said if name == "dpop"),
            certificate=ssl.PEM_cert_to_DER_cert(shown[0].decode("ascii")) if shown else None,
            native=context,
        )


def _address(peer: str) -> str | None:
    kind, _, where = unquote(peer).partition(":")
    return where.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else None


def _said(refusal: Refusal) -> tuple[tuple[str, str | bytes], ...]:
    challenge = tuple((name, value) for name, value in refusal.headers() if name == "www-authenticate")
    return (*challenge, ("problem-bin", refusal.body()))


def _code(refusal: Refusal) -> grpc.StatusCode:
    return _CODES.get(refusal.status, grpc.StatusCode.UNAUTHENTICATED)


def _rebuilt(handler: Any, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:  # noqa: ANN401 - as above
    """A handler of the same kind, with another behaviour."""
    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(around(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer)


class Interceptor(grpc.ServerInterceptor):
    """For `grpc.server(…, interceptors=[Interceptor(guard, methods)])`."""

    def __init__(self, guard: SyncGuard, methods: Methods, *, origin: str | None = None) -> None:
        self._guard = guard
        self._table = _Table(guard, methods, origin)

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:  # noqa: ANN401 - as above
        handler, details = continuation(handler_call_details), handler_call_details
        if handler is None or self._table.opens(details.method):
            return handler

        def around(behaviour: Callable[..., Any]) -> Callable[..., Any]:
            def one(request: Any, context: Any) -> Any:  # noqa: ANN401 - as above
                within = copy_context()
                within.run(_ADMITTED.set, self._admitted(details, context))
                return within.run(behaviour, request, context)

            def many(request: Any, context: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
                within = copy_context()
                within.run(_ADMITTED.set, self._admitted(details, context))
                answers, end = iter(within.run(behaviour, request, context)), object()
                # Each step may be taken by another thread.
                while (answer := within.run(next, answers, end)) is not end:
                    yield answer

            return many if handler.response_streaming else one

        return _rebuilt(handler, around)

    def _admitted(self, details: Any, context: Any) -> Allowed:  # noqa: ANN401 - as above
        answer = self._guard.check(self._table.request(details, context), self._table.requirement(details.method))
        answer = self._table.judged(details.method, answer)
        if isinstance(answer, Refusal):
            context.set_trailing_metadata(_said(answer))
            context.abort(_code(answer), answer.detail)
            raise AssertionError("an aborted call went on")  # noqa: TRY004 - gRPC raises before
        return answer


class AsyncInterceptor(grpc.aio.ServerInterceptor):
    """For `grpc.aio.server(interceptors=[AsyncInterceptor(guard, methods)])`, whose methods are coroutines or asynchronous generators."""

    def __init__(self, guard: Guard, methods: Methods, *, origin: str | None = None) -> None:
        self._guard = guard
        self._table = _Table(guard, methods, origin)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:  # noqa: ANN401 - as above
        handler, details = await continuation(handler_call_details), handler_call_details
        if handler is None or self._table.opens(details.method):
            return handler

        def around(behaviour: Callable[..., Any]) -> Callable[..., Any]:
            async def one(request: Any, context: Any) -> Any:  # noqa: ANN401 - as above
                _ADMITTED.set(await self._admitted(details, context))
                return await behaviour(request, context)

            async def many(request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
                _ADMITTED.set(await self._admitted(details, context))
                async for answer in behaviour(request, context):
                    yield answer

            return many if inspect.isasyncgenfunction(behaviour) else one

        return _rebuilt(handler, around)

    async def _admitted(self, details: Any, context: Any) -> Allowed:  # noqa: ANN401 - as above
        answer = await self._guard.check(self._table.request(details, context), self._table.requirement(details.method))
        answer = self._table.judged(details.method, answer)
        if isinstance(answer, Refusal):
            await context.abort(_code(answer), answer.detail, _said(answer))
            raise AssertionError("an aborted call went on")  # noqa: TRY004 - gRPC raises before
        return answer
