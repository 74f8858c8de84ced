"""An app that receives events: a real server on this machine that answers what a test says, and keeps what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

Reply = bytes | None  # None hangs
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def status(code: int, *headers: str) -> bytes:
    """An answer with a status, and a body that nobody may ever see."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {code} Said\r\n{lines}content-length: 27\r\n\r\nsecret insides of the house".encode()


class Came:
    """One request."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def event(self) -> dict[str, Any]:
        """What it told."""
        return msgspec.json.decode(self.body, type=dict[str, Any])


class Receiver:
    """Answers each request with what `answers` says for its path."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.answers: Callable[[Came], Reply] = lambda _: OK
        self.port = 0
        self.over = asyncio.Event()
        self.heard = asyncio.Condition()
        self.open = 0
        self.most = 0

    def url(self, path: str = "/events") -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def until(self, count: int) -> None:
        """Wait until so many requests came."""
        async with self.heard:
            await self.heard.wait_for(lambda: len(self.came) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            came = Came(head[0].split(" ")[1], headers, body)
            async with self.heard:
                self.came.append(came)
                self.heard.notify_all()
            reply = self.answers(came)
            if reply is None:
                await self.over.wait()
            else:
                writer.write(reply)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens while the block runs."""
    opened = Receiver()
    server = await asyncio.start_server(opened.serve, "127.0.0.1", 0, backlog=2048)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        opened.over.set()
        server.close()
        await server.wait_closed()
