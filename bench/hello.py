"""The least that an ASGI application can do: what uvicorn and the load generator cost by themselves."""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

import uvicorn

_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def hello(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    if scope["method"] == "POST":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


def main() -> None:
    """Serve on a port until told to stop."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2048)
    config = uvicorn.Config(
        hello, http="httptools", loop="uvloop", ws="none", lifespan="off", access_log=False, log_config=None, server_header=False
    )
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
