"""A name server on loopback, over UDP and TCP, that answers TXT questions as a test says. Real packets, a thread of its own."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import TXT


@dataclass
class Names:
    """What the server knows, what is wrong with it, and what it was asked."""

    port: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)  # names that exist without a TXT record
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    silent: bool = False
    truncated: bool = False  # over UDP, so that whoever asks comes again over TCP
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where it is, as the setting names it."""
        return f"127.0.0.1:{self.port}"

    def answer(self, packet: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a packet, or None for silence."""
        query = dns.message.from_wire(packet)
        name = query.question[0].name.to_text().rstrip(".")
        self.asked.append(name)
        if self.silent:
            return None
        reply = dns.message.make_response(query)
        if self.rcode != dns.rcode.NOERROR:
            reply.set_rcode(self.rcode)
        elif self.truncated and not tcp:
            reply.flags |= dns.flags.TC
        elif name in self.texts:
            quoted = [" ".join(f'"{part}"' for part in _parts(text)) for text in self.texts[name]]
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, IN, TXT, *quoted))
        elif name not in self.known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


def _parts(text: str) -> list[str]:
    """A text in the pieces of 255 bytes that a record holds (RFC 1035 §3.3.14)."""
    return [text[start : start + 255] for start in range(0, max(len(text), 1), 255)]


@contextmanager
def name_server() -> Iterator[Names]:
    """Run a name server."""
    names = Names()

    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, sock = self.request
            reply = names.answer(packet, tcp=False)
            if reply is not None:
                sock.sendto(reply, self.client_address)

    class Streams(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            reply = names.answer(self.rfile.read(length), tcp=True)
            if reply is not None:
                self.wfile.write(struct.pack("!H", len(reply)) + reply)

    with ExitStack() as stack:
        servers = [stack.enter_context(server) for server in _on_one_port(Streams, Datagrams)]
        names.port = servers[0].server_address[1]
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
        for thread in threads:
            thread.start()
        try:
            yield names
        finally:
            for server in servers:
                server.shutdown()
            for thread in threads:
                thread.join()


def _on_one_port(
    streams: type[socketserver.BaseRequestHandler], datagrams: type[socketserver.BaseRequestHandler]
) -> tuple[socketserver.TCPServer, socketserver.UDPServer]:
    """Servers of both kinds at the same number, which may be free for the one and taken for the other."""
    for _ in range(20):
        tcp = socketserver.TCPServer(("127.0.0.1", 0), streams)
        try:
            return tcp, socketserver.UDPServer(tcp.server_address, datagrams)
        except OSError:
            tcp.server_close()
    raise AssertionError("no port is free for both TCP and UDP")


def nobody() -> int:
    """A port at which nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
