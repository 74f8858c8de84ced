"""Runs the widget on this machine: a small gateway that makes events of requests. The environment names the platform.

GATEWRIGHT_ISSUER=http://127.0.0.1:8600 WIDGET_CLIENT_ID=… WIDGET_CLIENT_SECRET=… python -m examples.lambda_widget
"""

from __future__ import annotations

import contextlib
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from cryptography.fernet import Fernet

from examples.lambda_widget.widget import Answer, Settings, Widget

PORT: Final = 8606


def event_of(method: str, target: str, cookie: str, address: str) -> dict[str, Any]:
    """Return the event of an HTTP API, payload format 2.0, as far as the functions look at it."""
    parts = urlsplit(target)
    return {
        "version": "2.0",
        "routeKey": f"{method} {parts.path}",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "cookies": [part.strip() for part in cookie.split(";") if part.strip()],
        "requestContext": {"http": {"method": method, "path": parts.path, "sourceIp": address}, "stage": "$default"},
        "isBase64Encoded": False,
    }


def gateway(widget: Widget, port: int) -> ThreadingHTTPServer:
    """Return a server that hands requests to the widget."""

    class Gateway(BaseHTTPRequestHandler):
        def _ask(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self._answer(widget(event_of(self.command, self.path, self.headers.get("cookie", ""), self.client_address[0])))

        def _answer(self, answer: Answer) -> None:
            body = answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in (*answer["headers"].items(), *(("set-cookie", one) for one in answer["cookies"])):
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _ask  # noqa: N815 - the base class looks for these names

    return ThreadingHTTPServer(("127.0.0.1", port), Gateway)


def main() -> None:
    """Serve until Ctrl-C."""
    try:
        issuer, client_id, secret = (os.environ[name] for name in ("GATEWRIGHT_ISSUER", "WIDGET_CLIENT_ID", "WIDGET_CLIENT_SECRET"))
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set: it says where the platform is, or which client of it this is")
    settings = Settings(issuer, client_id, secret, f"http://localhost:{PORT}", Fernet.generate_key().decode())
    with gateway(Widget(settings, httpx.Client(timeout=10)), PORT) as server:
        print(f"the widget is at {settings.url}; its redirect URI is {settings.callback}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
