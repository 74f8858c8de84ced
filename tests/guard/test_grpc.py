"""The guard in gRPC servers of both kinds, on a socket of this machine, with calls of all four kinds."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio
import pytest

from gatewright_guard.decide import needs
from gatewright_guard.grpc import AsyncInterceptor, Interceptor, caller
from gatewright_guard.sync import SyncGuard
from tests.guard.cases import bearing, bound
from tests.guard.drivers import settings_of
from tests.guard.makers import AUDIENCE, ISSUER, NOW, a_token
from tests.guard.server import AServer

BANK: Final = "/acme.Bank"
METHODS: Final = {
    f"{BANK}/Balance": needs("read:balance"),
    f"{BANK}/Feed": needs("read:balance"),
    f"{BANK}/Collect": needs("read:balance"),
    f"{BANK}/Talk": needs("read:balance"),
    f"{BANK}/Transfer": needs("transfer:funds"),
    f"{BANK}/Health": None,
    "/acme.Other/*": needs("read:other"),
}
Told = tuple[tuple[str, str], ...]


class Bank(grpc.GenericRpcHandler):
    """Every method answers with who calls; those that stream say it twice."""

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 - gRPC's
        if not handler_call_details.method.startswith(BANK + "/"):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"other")
        match handler_call_details.method.rpartition("/")[2]:
            case "Feed":
                return grpc.unary_stream_rpc_method_handler(self.stream)
            case "Collect":
                return grpc.stream_unary_rpc_method_handler(self.answer)
            case "Talk":
                return grpc.stream_stream_rpc_method_handler(self.stream)
            case "Health":
                return grpc.unary_unary_rpc_method_handler(self.well)
            case "Absent":
                return None
            case _:
                return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - gRPC's
        return caller().sub.encode()

    def stream(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - gRPC's
        yield caller().sub.encode()
        yield caller().client_id.encode()

    def well(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - gRPC's
        return b"well"


class AsyncBank(Bank):
    """The same, awaiting."""

    async def answer(self, request: Any, context: Any) -> bytes:  # noqa: ANN401 - gRPC's
        return caller().sub.encode()

    async def stream(self, request: Any, context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401 - gRPC's
        yield caller().sub.encode()
        yield caller().client_id.encode()

    async def well(self, request: Any, context: Any) -> bytes:  # noqa: ANN401 - gRPC's
        return b"well"


def called(channel: Any, method: str, metadata: Told) -> Any:  # noqa: ANN401 - gRPC's
    match method:
        case "Feed":
            return list(channel.unary_stream(f"{BANK}/Feed")(b"", metadata=metadata, timeout=10))
        case "Collect":
            return channel.stream_unary(f"{BANK}/Collect")(iter([b"a"]), metadata=metadata, timeout=10)
        case "Talk":
            return list(channel.stream_stream(f"{BANK}/Talk")(iter([b"a"]), metadata=metadata, timeout=10))
        case _:
            path = method if method.startswith("/") else f"{BANK}/{method}"
            return channel.unary_unary(path)(b"", metadata=metadata, timeout=10)


Ask = Callable[[str, Told], Any]


@pytest.fixture
def ask() -> Iterator[Ask]:
    guard = SyncGuard(ISSUER, AUDIENCE, **settings_of(AServer()))
    interceptor = Interceptor(guard, METHODS, origin="http://bank.test")
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Bank()], interceptors=[interceptor])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with guard, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield lambda method, metadata: called(channel, method, metadata)
    server.stop(None).wait(10)


def refused(ask: Ask, method: str, metadata: Told) -> tuple[str, str, str]:
    """The status, the cause and the challenge of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(method, metadata)
    return told(caught.value)


def told(fault: Any) -> tuple[str, str, str]:  # noqa: ANN401 - gRPC's
    # As pairs: in older versions of gRPC what `keys` says are no keys.
    said = dict(iter(fault.trailing_metadata()))
    return fault.code().name, json.loads(said["problem-bin"])["cause"], said.get("www-authenticate", "")


GOOD: Final = bearing(a_token())
REFUSED: Final = [
    ("Balance", (), "UNAUTHENTICATED", "token_missing"),
    ("Balance", bearing(a_token(exp=NOW - 100)), "UNAUTHENTICATED", "token_expired"),
    ("Balance", bearing("a", "b"), "UNAUTHENTICATED", "invalid_request"),
    ("Balance", bearing(a_token(scope="openid")), "PERMISSION_DENIED", "insufficient_scope"),
    ("Feed", (), "UNAUTHENTICATED", "token_missing"),
    ("Collect", (), "UNAUTHENTICATED", "token_missing"),
    ("Talk", bearing("gwa_bad"), "UNAUTHENTICATED", "invalid_token"),
    ("Transfer", GOOD, "PERMISSION_DENIED", "insufficient_scope"),
    ("Unnamed", (), "UNAUTHENTICATED", "token_missing"),
    ("Unnamed", GOOD, "PERMISSION_DENIED", "no_rule"),
    ("/acme.Other/Any", GOOD, "PERMISSION_DENIED", "insufficient_scope"),
    ("/acme.Third/Any", GOOD, "PERMISSION_DENIED", "no_rule"),
]


@pytest.mark.parametrize(("method", "metadata", "code", "cause"), REFUSED)
def test_a_call_is_refused_with_its_reason(ask: Ask, method: str, metadata: Told, code: str, cause: str) -> None:
    assert refused(ask, method, metadata)[:2] == (code, cause)


def test_a_refusal_is_the_same_challenge_as_over_http(ask: Ask) -> None:
    _, _, challenge = refused(ask, "Transfer", GOOD)
    assert challenge.startswith('Bearer realm="https://bank.acme.test", error="insufficient_scope"')
    assert 'scope="transfer:funds"' in challenge


def test_calls_of_every_kind_know_who_calls(ask: Ask) -> None:
    assert ask("Balance", GOOD) == ask("Collect", GOOD) == b"us_1"
    assert ask("Feed", GOOD) == ask("Talk", GOOD) == [b"us_1", b"budget-buddy"]
    assert ask("Health", ()) == b"well"
    assert ask("/acme.Other/Any", bearing(a_token(scope="read:other"))) == b"other"


def test_a_proof_names_the_method_and_does_once(ask: Ask) -> None:
    headers = bound("POST", jti="g1", path=f"{BANK}/Balance")
    assert ask("Balance", headers) == b"us_1"
    assert refused(ask, "Balance", headers)[:2] == ("UNAUTHENTICATED", "proof_wrong")


async def test_a_server_that_awaits_does_the_same() -> None:
    async with AServer().guard() as guard:
        server = grpc.aio.server(interceptors=[AsyncInterceptor(guard, METHODS)])
        server.add_generic_rpc_handlers((AsyncBank(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await the_bank_holds(channel)
        finally:
            await server.stop(None)


async def the_bank_holds(channel: Any) -> None:  # noqa: ANN401 - gRPC's
    balance, feed = channel.unary_unary(f"{BANK}/Balance"), channel.unary_stream(f"{BANK}/Feed")
    assert await balance(b"", metadata=GOOD, timeout=10) == b"us_1"
    assert [one async for one in feed(b"", metadata=GOOD, timeout=10)] == [b"us_1", b"budget-buddy"]
    assert await channel.unary_unary(f"{BANK}/Health")(b"", timeout=10) == b"well"
    for method, metadata, code, cause in REFUSED:
        if method not in ("Feed", "Collect", "Talk"):
            path = method if method.startswith("/") else f"{BANK}/{method}"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(path)(b"", metadata=metadata, timeout=10)
            assert told(caught.value)[:2] == (code, cause)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        assert [one async for one in feed(b"", timeout=10)]
    assert told(caught.value)[:2] == ("UNAUTHENTICATED", "token_missing")
