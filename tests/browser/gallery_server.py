"""A small loopback server that shows the samples exactly as the product does: real policy, real static names, real brand sheets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from gatewright.web.brand import DEFAULT_COLOR, brand_css
from gatewright.web.render import MESSAGE_HASH, SECRET_HASH, STATIC_PATH, WAKE_HASH, code_csp, form_post_csp, page_csp, render, static_file
from gatewright.web.views import ClientSecret, CodeByHand, Consent, FormPost, Message
from tests.browser.gallery_samples import SAMPLES

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="216" height="40" viewBox="0 0 216 40"><circle cx="20" cy="20" r="14" fill="none" '
    'stroke="#b3123f" stroke-width="6"/><path d="M20 12v16M12 20h16" stroke="#b3123f" stroke-width="4"/><text x="44" y="27" '
    'font-family="sans-serif" font-size="20" font-weight="700" fill="#3a0a18">contoso health</text></svg>'
)


class Gallery(ThreadingHTTPServer):
    """Remembers what forms posted; answers them with a page or, when told to, by sending the browser on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[tuple[str, list[tuple[str, str]]]] = []
        self.named: tuple[str, ...] = ()
        self.send_to = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Tests are quiet."""

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        assert isinstance(self.server, Gallery)
        parts = urlsplit(self.path)
        name = parts.path.removeprefix("/")
        if parts.path.startswith(STATIC_PATH):
            content, kind = static_file(parts.path.removeprefix(STATIC_PATH)) or (b"", "")
            self._send(200 if content else 404, content, kind)
        elif parts.path == "/-/brand.css":
            self._send(200, brand_css(f"#{parts.query}" if parts.query else DEFAULT_COLOR).encode(), "text/css; charset=utf-8")
        elif parts.path == "/-/brand/logo":
            self._send(200, LOGO.encode(), "image/svg+xml")
        elif parts.path == "/callback":
            self._send(200, b"<!doctype html><title>arrived</title>arrived", "text/html; charset=utf-8")
        elif view := SAMPLES.get(name):
            origin = f"http://{self.headers['Host']}/"
            script = MESSAGE_HASH if isinstance(view, Message) else WAKE_HASH if isinstance(view, Consent) and view.popup else ""
            script = SECRET_HASH if isinstance(view, ClientSecret) else script
            policy = form_post_csp(origin) if isinstance(view, FormPost) else page_csp(*self.server.named, script=script)
            if isinstance(view, CodeByHand):
                policy = code_csp()
            self._send(200, render(view), "text/html; charset=utf-8", {"Content-Security-Policy": policy})
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.server, Gallery)
        self.server.posted.append((urlsplit(self.path).path, parse_qsl(body, keep_blank_values=True)))
        if self.server.send_to:
            self._send(303, b"", "text/plain", {"Location": self.server.send_to})
        else:
            self._send(200, b"<!doctype html><title>posted</title>posted", "text/html; charset=utf-8")


@contextmanager
def serving() -> Iterator[Gallery]:
    """A gallery on a free port of this machine."""
    with Gallery() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
