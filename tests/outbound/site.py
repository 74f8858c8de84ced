"""A web site on this machine, with a certificate of its own, that answers whatever a test says."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "app.test"
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@cache
def certificate() -> tuple[bytes, bytes]:
    """A certificate for HOST and for 127.0.0.1 that signed itself, and its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def trusting() -> ssl.SSLContext:
    """What a caller who knows the site's certificate uses."""
    return ssl.create_default_context(cadata=certificate()[0].decode())


class Site:
    """Answers each connection with `pieces`, byte for byte, and keeps what was asked."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.requests: list[bytes] = []
        self.hangs = False
        self.port = 0
        self.gone = asyncio.Event()

    def answers(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
            if self.hangs:
                await self.gone.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def site(*, tls: bool = True) -> AsyncIterator[Site]:
    """A site that listens while the block runs."""
    open_site = Site()
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            chain = Path(folder) / "site.pem"
            chain.write_bytes(b"".join(certificate()))
            context.load_cert_chain(chain)
    server = await asyncio.start_server(open_site.serve, "127.0.0.1", 0, ssl=context)
    open_site.port = server.sockets[0].getsockname()[1]
    try:
        yield open_site
    finally:
        open_site.gone.set()
        server.close()
        await server.wait_closed()
