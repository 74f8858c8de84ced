"""The network that a caller is in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNKNOWN: Final = "unknown"
_LOOPBACK_6: Final = "::/48"  # the site of ::1


def network_of(address: str) -> str:
    """Return the network whose sign-ins are counted together: what one household or company has (/24 or /64)."""
    return _network(address, 64)


def site_of(address: str) -> str:
    """Return the network whose devices are counted together (/24 or /48): of /64s one customer of a provider has as many as they like."""
    return _network(address, 48)


def is_loopback(site: str) -> bool:
    """Tell whether a site is a computer's own, where its proxies are too."""
    return site == _LOOPBACK_6 or (site != UNKNOWN and ip_network(site).is_loopback)


def in_site(site: str, address: str) -> bool | None:
    """Tell whether an address is in a site; None where that cannot be told, as of addresses of two versions, which one home has."""
    own = site_of(address)
    if UNKNOWN in (site, own) or ip_network(site).version != ip_network(own).version:
        return None
    return own == site


def _network(address: str, length_6: int) -> str:
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network(f"{found}/{24 if found.version == 4 else length_6}", strict=False))
