"""The network that a caller is in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNKNOWN: Final = "unknown"
_LOOPBACK_6: Final = "::/64"  # that of ::1


def network_of(address: str) -> str:
    """Return the network whose sign-ins are counted together: what one household or company has (/24 or /64)."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network(f"{found}/{24 if found.version == 4 else 64}", strict=False))


def is_loopback(network: str) -> bool:
    """Tell whether a network is a computer's own, where its proxies are too."""
    return network != UNKNOWN and (network == _LOOPBACK_6 or ip_network(network).is_loopback)


def in_network(network: str, address: str) -> bool | None:
    """Tell whether an address is in a network; None where that cannot be told, as of addresses of two versions, which one home has."""
    own = network_of(address)
    if UNKNOWN in (network, own) or ip_network(network).version != ip_network(own).version:
        return None
    return own == network
