"""A signal to stop: what is under way is answered, what is new is refused at once, and the last one out closes the door."""

from __future__ import annotations

import base64
import json
import signal
import socket
from urllib.parse import urlencode

import pytest

from tests.support.running import Deployment, Node
from tests.support.waiting import until
from tests.survival.platform import CLIENT_SECRET

BODY = urlencode({"grant_type": "client_credentials", "scope": "read:notes"}).encode()


def head(node: Node) -> bytes:
    """Return the head of a token request whose body is still to come."""
    credentials = base64.b64encode(f"service:{CLIENT_SECRET}".encode()).decode()
    lines = [
        "POST /token HTTP/1.1",
        f"Host: {node.host['Host']}",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(node: Node) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", node.port), timeout=30)


def answer(line: socket.socket) -> tuple[int, dict[str, object]]:
    """Read one answer with its JSON body."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += received(line)
    start, _, body = raw.partition(b"\r\n\r\n")
    heads = dict(one.lower().split(b": ", 1) for one in start.split(b"\r\n")[1:])
    while len(body) < int(heads[b"content-length"]):
        body += received(line)
    return int(start.split()[1]), json.loads(body)


def received(line: socket.socket) -> bytes:
    """Receive something; that the connection is closed instead is the failure that this test looks for."""
    part = line.recv(65536)
    assert part, "the server closed the connection without an answer"
    return part


def refused(node: Node) -> bool:
    """Tell whether a new connection is refused."""
    try:
        connected(node).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_answered_and_what_is_new_is_refused(on_sqlite: Deployment, kind: signal.Signals) -> None:
    with on_sqlite.serve() as node, connected(node) as idle, connected(node) as busy:
        idle.sendall(head(node) + BODY)
        assert answer(idle)[0] == 200
        busy.sendall(head(node) + BODY[:5])
        node.process.send_signal(kind)
        assert idle.recv(1) == b"", "an idle connection is let go"
        until(lambda: refused(node), "new connections to be refused")
        busy.sendall(BODY[5:])
        status, tokens = answer(busy)
        node.end()
    assert (status, tokens["scope"]) == (200, "read:notes")
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


def test_a_request_that_never_ends_is_put_off_when_the_time_is_up(on_sqlite: Deployment) -> None:
    with on_sqlite.serve(GATEWRIGHT_LISTEN_DRAIN="1s") as node, connected(node) as busy:
        busy.sendall(head(node) + BODY[:5])
        node.process.send_signal(signal.SIGTERM)
        status, refusal = answer(busy)
        node.end()
    assert (status, refusal["error"]) == (503, "temporarily_unavailable")
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


def test_whoever_starts_it_again_finds_its_place_free(on_sqlite: Deployment) -> None:
    for _ in range(2):
        with on_sqlite.serve(workers=2) as node, connected(node) as line:
            line.sendall(head(node) + BODY)
            assert answer(line)[0] == 200
