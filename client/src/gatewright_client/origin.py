"""Where a token or a secret may be sent: to one origin, and never in clear over a network."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from gatewright_client.errors import WrongOrigin

_PORTS: Final = {"https": 443, "http": 80}


def secure_url(url: str) -> str:
    """The address, if what is sent there cannot be read on the way: https, or http to this machine (RFC 6749 §1.6)."""
    parts = urlsplit(url)
    if parts.username is None and parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname))):
        return url
    raise ValueError(f"{url!r} is neither https nor http to this machine")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Origin:
    """Scheme, host and port of an API (RFC 6454 §4), which is all of the world that gets to see its token."""

    def __init__(self, url: str) -> None:
        self._url = secure_url(url)
        self._triple = _triple(url)

    def holds(self, url: str) -> bool:
        """Whether an address is of this origin."""
        return _triple(url) == self._triple

    def demand(self, url: str) -> None:
        """Stop a request that goes elsewhere.

        Raises:
            WrongOrigin: it does.
        """
        if not self.holds(url):
            there = urlsplit(url)
            raise WrongOrigin(f"the token is for {self._url}, so a request to {there.scheme}://{there.hostname} was not sent with it")


def _triple(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)
