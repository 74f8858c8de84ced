"""Servers on real sockets that answer what a test has them answer, and remember what they were asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl

METADATA: Final = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. A status of 0 closes the connection without a word."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Place:
    """One server. `answer` decides; a test may set another one at any time."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                if self.headers.get("transfer-encoding") == "chunked":
                    body = b"".join(_chunks(self.rfile))
                else:
                    body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                place.asked.append(asked)
                answer = place.answer(asked)
                if answer.status == 0:
                    self.close_connection = True
                    return
                raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", "content-length": str(len(raw)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the base class looks for these names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[Place]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _chunks(stream: Any) -> Iterator[bytes]:  # noqa: ANN401 - a socket's file
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


class Issuer:
    """An authorization server that rotates refresh tokens and takes each of them once."""

    def __init__(self) -> None:
        self.place = Place(self._answer)
        self.url = self.place.url
        self.life: int | str | None = 3600
        self.count = 0
        self.refresh = "refresh-0"
        self.script: list[Answer] = []  # answers that come before the ordinary ones
        self.before: Callable[[], object] = lambda: None  # happens while a token is being made
        self.more: dict[str, object] = {}  # further members of the metadata
        self._lock = threading.Lock()

    @property
    def forms(self) -> list[dict[str, str]]:
        """What the token endpoint was sent."""
        return [asked.form for asked in self.place.asked if asked.path == "/token"]

    def _answer(self, asked: Asked) -> Answer:
        if asked.path == METADATA:
            return Answer(body={"issuer": self.url, "token_endpoint": f"{self.url}/token", **self.more})
        if self.script:
            return self.script.pop(0)
        form = asked.form
        self.before()
        with self._lock:
            if form["grant_type"] == "refresh_token":
                if form["refresh_token"] != self.refresh:
                    return Answer(400, {"error": "invalid_grant", "error_description": "This refresh token was used before."})
                self.refresh = f"refresh-{self.count + 1}"
            self.count += 1
            tokens: dict[str, object] = {"access_token": f"access-{self.count}", "token_type": "Bearer", "scope": "read:balance"}
        if self.life is not None:
            tokens["expires_in"] = self.life
        if form["grant_type"] == "refresh_token":
            tokens["refresh_token"] = self.refresh
        return Answer(body=tokens)


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now
