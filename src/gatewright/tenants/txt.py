"""Asks the domain name system for TXT records: the port, and its one implementation over dnspython."""

from __future__ import annotations

from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

SECONDS: Final = 5.0


class NoAnswer(Exception):
    """Name servers did not answer, or answered that something is wrong with them; the text says what."""


class Txt(Protocol):
    """Reads TXT records."""

    async def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a name, none where it has none or does not exist.

        Raises:
            NoAnswer: nobody could tell.
        """


class DnsTxt:
    """Over the resolvers named by address and port, or those of the machine."""

    def __init__(self, resolvers: tuple[tuple[str, int], ...] = ()) -> None:
        self._resolvers = resolvers

    async def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a name."""
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._resolvers)
            if self._resolvers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._resolvers]
            found = await resolver.resolve(f"{name}.", dns.rdatatype.TXT, lifetime=SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError) as fault:
            raise NoAnswer(str(fault)[:200] or type(fault).__name__) from None
        return tuple([b"".join(data.strings).decode("utf-8", "replace") for data in found])
