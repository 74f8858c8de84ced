"""Where a deployment answers on this machine itself, for whoever came by another name or port than any tenant has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatewright.store import Query
from gatewright.tenants.rules import is_loopback

if TYPE_CHECKING:
    from gatewright.store import Store

HTTP: Final = 80
NAMED: Final = 5  # as many addresses as a sentence names
_LOOKED_AT: Final = 1000

# Plain http is for loopback alone (`rules.parse_origin`), and what is https has a front with an address of its own.
_ORIGINS: Final = Query(
    str,
    """SELECT d.origin FROM domain d JOIN tenant t ON t.id = d.tenant
        WHERE d.origin LIKE :like AND d.kind = 'issuer' AND t.disabled_at IS NULL ORDER BY d.origin LIMIT :count""",
)


def address_of(host: str, port: int = HTTP) -> str:
    """Return the address of a port of this machine as a domain is written."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port == HTTP else f"http://{shown}:{port}"


def port_of(origin: str) -> int | None:
    """Return the port of a plain http origin, which is one of this machine; None for any other."""
    parts = urlsplit(origin)
    return (parts.port or HTTP) if parts.scheme == "http" else None


def to_answer_there(address: str) -> str:
    """Return the command that makes an address a domain of the tenant."""
    return f"`gatewright domains add --origin {address}`"


async def loopback_origins(store: Store, count: int = NAMED) -> list[str]:
    """Return where tenants answer on this machine."""
    return await store.all(_ORIGINS, like="http://%", count=count)


async def unreached(store: Store, host: str, port: int) -> str | None:
    """Return why nobody would reach a server that listens on loopback without a proxy, with the cure, or None.

    Where a domain is https, something in front of the server answers there, and hands requests on under that name.
    """
    if not is_loopback(host) or await store.all(_ORIGINS, like="https://%", count=1):
        return None
    origins = await loopback_origins(store, _LOOKED_AT)
    if any(port_of(origin) == port for origin in origins):
        return None
    if not origins:
        return "no tenant has a domain yet, so every page is answered 421: `gatewright init` or `gatewright apply FILE` makes one"
    here = address_of(host, port)
    domains = ", ".join(origins[:NAMED])
    return f"no tenant answers at {here}: every page there is answered 421. The domains are {domains}; {to_answer_there(here)} adds it"
