"""A small authorization server for the guard's tests: a real ASGI application, reached without a socket."""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs

import httpx
import uvicorn

from gatewright_guard.guard import Guard
from tests.guard.makers import AUDIENCE, ISSUER, NOW, a_jwk, some_claims
from tests.support.waiting import until

Message = MutableMapping[str, Any]
CREDENTIALS = ("ap_1", "an api's secret: %+&")
ORIGINS = (AUDIENCE, "http://bank.test", "https://api.bank.test")
"""Where the bank is called in these tests."""


@dataclass
class AClock:
    """Seconds that pass when a test says so."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class AServer:
    """What it answers can be changed, and it counts what it was asked."""

    jwks: list[dict[str, Any]] = field(default_factory=lambda: [a_jwk()])
    metadata: dict[str, Any] = field(
        default_factory=lambda: {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/jwks",
            "introspection_endpoint": f"{ISSUER}/introspect",
            "response_types_supported": ["code"],
        }
    )
    tokens: dict[str, dict[str, Any]] = field(default_factory=lambda: {"gwa_good": some_claims()})
    whys: dict[str, object] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    forms: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        path = scope["path"]
        self.asked[path] += 1
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        body = (await receive()).get("body", b"")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        headers = dict(scope["headers"])
        if scope["method"] == "POST":
            self.forms.append((path, headers[b"authorization"].decode(), form))
        answer = self.bodies.get(path) or json.dumps(self._answer(path, form)).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers]})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, path: str, form: dict[str, str]) -> object:
        match path:
            case "/.well-known/openid-configuration":
                return self.metadata
            case "/jwks":
                return {"keys": self.jwks}
            case "/introspect":
                claims = self.tokens.get(form["token"])
                return {"active": False} if claims is None else {"active": True, **claims}
            case "/-/why":
                return self.whys.get(form["token"], {"cause": "unknown"})
            case _:
                return {}

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self))

    def guard(self, clock: AClock | None = None, **settings: Any) -> Guard:  # noqa: ANN401 - the guard's own
        """A guard of the bank that asks this server."""
        said: dict[str, Any] = {
            "credentials": CREDENTIALS,
            "http": self.client(),
            "clock": clock or AClock(),
            "origins": ORIGINS,
        } | settings
        return Guard(ISSUER, AUDIENCE, **said)


def unreachable(request: httpx.Request) -> httpx.Response:
    """What a server that is away answers."""
    raise httpx.ConnectError("nobody listens", request=request)


class Listening:
    """The server on a real socket of this machine, in a thread of its own."""

    def __init__(self, server: AServer) -> None:
        self.server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._uvicorn = uvicorn.Server(uvicorn.Config(server, log_level="warning", lifespan="off", ws="none"))
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._uvicorn.started, "the server to listen")
        return self

    def __exit__(self, *_: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(10)
        self._socket.close()
