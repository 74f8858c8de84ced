"""Which addresses are safe to be asked at. Pure."""

import ipaddress
from urllib.parse import urlsplit


def secure_url(url: str) -> str:
    """The address, if what is sent there cannot be read on the way: https, or http to this machine (RFC 6749 §1.6)."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and _is_here(parts.hostname or ""):
        return url
    raise ValueError(f"{url!r} is neither https nor http to this machine")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
