"""What a domain of a tenant may be, and how a request's Host finds it."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}
_LONGEST_HOST: Final = 253


class BadOrigin(Exception):
    """A domain cannot be one; the sentence says why."""


class Origin(Struct, frozen=True):
    """A domain: its URL, which is the issuer (RFC 8414 §2), and the key under which a Host header finds it."""

    url: str
    host: str


def parse_origin(text: str) -> Origin:
    """Return the origin that an admin wrote: scheme, host and port, nothing else (RFC 6454 §4).

    Raises:
        BadOrigin: it is none, or plain http elsewhere than on loopback.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        raise BadOrigin('an address that begins with "https://" is expected')
    rest = rest.removesuffix("/")
    if any(char in rest for char in "/?#@\\"):
        raise BadOrigin("a domain is a scheme, a host and a port: no path, query, fragment or user name")
    name, port = _split(rest)
    host = _canonical(name)
    if host is None:
        raise BadOrigin(_why_no_host(name))
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise BadOrigin(f'"{port}" is no port')
    if scheme == "http" and not is_loopback(host):
        raise BadOrigin("plain http is for this machine alone (127.0.0.1, [::1], localhost); use https")
    if port is not None and port == _DEFAULT_PORTS["http" if scheme == "https" else "https"]:
        raise BadOrigin(f"{scheme} on port {port} is read as the other scheme")
    shown = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return Origin(f"{scheme}://{shown}", shown)


def host_key(header: bytes) -> str | None:
    """Return the key of a Host header (RFC 9110 §7.2): lower case, in its one spelling, without a default port; None if it is no host."""
    if not header or len(header) > _LONGEST_HOST + 6:
        return None
    try:
        text = header.decode("ascii")
    except UnicodeDecodeError:
        return None
    name, port = _split(text)
    host = _canonical(name)
    if host is None:
        return None
    if port is None or port in _DEFAULT_PORTS.values():
        return host
    return f"{host}:{port}" if _PORT.fullmatch(port) and int(port) <= 65535 else None


def is_loopback(host: str) -> bool:
    """Tell whether a canonical host is this machine itself (RFC 6761 §6.3, RFC 8252 §7.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def name_of(host: str) -> str:
    """Return the canonical host of an origin's key, without its port."""
    name, _ = _split(host)
    return name


def _split(text: str) -> tuple[str, str | None]:
    """Return host and port; None where no port is written."""
    if text.startswith("["):
        name, bracket, port = text.partition("]")
        if not bracket or (port and not port.startswith(":")):
            return "", None
        return name + bracket, port[1:] if port else None
    name, colon, port = text.partition(":")
    return name, port if colon else None


def _canonical(name: str) -> str | None:
    if name.startswith("["):
        try:
            address = IPv6Address(name[1:-1])
        except ValueError:
            return None
        return None if address.scope_id else f"[{address}]"
    lowered = name.lower()
    if not lowered.isascii():
        lowered = _ascii(lowered) or ""
    labels = lowered.split(".")
    if not lowered or len(lowered) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        return None
    if labels[-1].isdecimal():
        # What ends with a number is an IPv4 address, in its one spelling, or nothing (WHATWG URL §3.5).
        try:
            return str(ip_address(lowered))
        except ValueError:
            return None
    return lowered


def _ascii(name: str) -> str | None:
    """Return the A-label form (RFC 5890 §2.3.2.1), or None where its older and newer rules disagree, as with `ß`."""
    try:
        encoded = name.encode("idna").decode()
        back = encoded.encode().decode("idna")
    except UnicodeError:
        return None
    return encoded if back == name else None


def _why_no_host(name: str) -> str:
    if name.isascii():
        return f'"{name}" is no host name' if name else "the host is missing"
    return f'"{name}" has no one spelling in the domain name system: write its ASCII form, which begins with xn--'
