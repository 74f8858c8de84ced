"""What of a request the guard looks at, whatever framework received it, and what of it a proxy in front has to say. Pure."""

import ipaddress
import ssl
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote

import msgspec

Headers = Callable[[str], Sequence[str]]
"""The values of a header field, in order, by its name in lower case."""

_MAX_CERTIFICATE: Final = 16 * 1024
_MAX_PEERS: Final = 1024


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request the guard looks at."""

    authorization: tuple[str, ...] = ()
    """The value of every Authorization header, in order."""
    query: str = ""
    address: str | None = None
    """Where the caller is, as far as the API can trust it; passed on to the server."""
    method: str = "GET"
    url: str = ""
    """The address that was called, without its query, as the caller knows it; looked at for DPoP alone (RFC 9449 §4.3)."""
    dpop: tuple[str, ...] = ()
    """The value of every DPoP header, in order."""
    certificate: bytes | None = None
    """The client's certificate in DER, from the TLS connection or from a trusted proxy (RFC 8705 §3)."""
    native: object = None
    """The framework's own request, for the API's own rule."""

    def __repr__(self) -> str:
        return f"Request(…, method={self.method!r}, address={self.address!r})"


class Seen(msgspec.Struct, frozen=True):
    """What is known of a caller once the proxies in front were believed or not."""

    address: str | None
    origin: str
    certificate: bytes | None = None


class Proxies:
    """The proxies whose word about a caller is believed: only what comes from an address in `networks` (RFC 8705 §6.5, RFC 9440 §4).

    From them the caller's address is the last of X-Forwarded-For that is no proxy's, the scheme is that of X-Forwarded-Proto, the host
    that of `host_header` where one is named and that of Host otherwise, and the certificate is in `certificate_header`: as RFC 9440
    §2.2 has it, or as URL-encoded PEM, which nginx calls `$ssl_client_escaped_cert`. The proxy has to remove what a caller sent
    under these names.
    """

    def __init__(self, networks: Sequence[str], *, certificate_header: str | None = None, host_header: str | None = None) -> None:
        if isinstance(networks, str):
            raise TypeError("networks is a list of networks, not one text")
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._certificate_header = None if certificate_header is None else certificate_header.lower()
        # Many a proxy hands on X-Forwarded-Host as its caller sent it, and the application may look at Host.
        self._host_header = None if host_header is None else host_header.lower()
        self._known: dict[str, bool] = {}

    @property
    def tells_certificates(self) -> bool:
        """Whether tokens that are bound to a certificate can be used behind these proxies."""
        return self._certificate_header is not None

    def seen(self, peer: str | None, origin: str, headers: Headers) -> Seen:
        """Who calls, if the connection comes from `peer` and says so; `origin` is the address that the connection was made to."""
        if peer is None or not self.holds(peer):
            return Seen(peer, origin)
        hops = [hop.strip() for value in headers("x-forwarded-for") for hop in value.split(",") if hop.strip()]
        address = next((hop for hop in reversed(hops) if not self.holds(hop)), hops[0] if hops else peer)
        scheme, host = _only(headers("x-forwarded-proto")), None if self._host_header is None else _only(headers(self._host_header))
        old_scheme, _, old_host = origin.partition("://")
        return Seen(address, f"{scheme or old_scheme}://{host or old_host}", self._certificate(headers))

    def holds(self, address: str) -> bool:
        """Whether an address is one of the proxies."""
        known = self._known.get(address)
        if known is None:
            try:
                found = ipaddress.ip_address(address)
            except ValueError:
                return False
            known = any(found in network for network in self._networks)
            if len(self._known) < _MAX_PEERS:
                self._known[address] = known
        return known

    def _certificate(self, headers: Headers) -> bytes | None:
        if self._certificate_header is None:
            return None
        text = _only(headers(self._certificate_header))
        return None if text is None else certificate_of(text)


def _only(values: Sequence[str]) -> str | None:
    # Two of them are no word of one proxy.
    return values[0].strip() or None if len(values) == 1 and "," not in values[0] else None


def certificate_of(text: str) -> bytes | None:
    """The DER of a certificate in a header: `:base64:` (RFC 9440 §2.2), or PEM with its signs percent-encoded; None if it is neither."""
    if len(text) > _MAX_CERTIFICATE:
        return None
    try:
        if len(text) > 2 and text.startswith(":") and text.endswith(":"):
            return b64decode(text[1:-1], validate=True)
        pem = unquote(text).strip()
        return ssl.PEM_cert_to_DER_cert(pem) if pem.startswith(ssl.PEM_HEADER) else None
    except (NotBase64, ValueError):
        return None
