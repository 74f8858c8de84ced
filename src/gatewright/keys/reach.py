"""Which addresses we may call on a stranger's word: a client's jwks_uri must never make us knock at a door inside the house."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries (RFC 6890), written out: what the standard library calls global changed between its versions.
_REFUSED_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
# Only 2000::/3 is handed out at all. In it: protocol assignments with Teredo (2001::/23), documentation, 6to4 and the like. Mapped
# addresses (::ffff:0:0/96) and NAT64 (64:ff9b::/96) lie outside of it, so that no IPv4 address comes in by another name.
_GLOBAL_6: Final = IPv6Network("2000::/3")
_REFUSED_6: Final = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))


def is_global(address: Address) -> bool:
    """Tell whether an address belongs to the public Internet, and is spelled as what it is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address.scope_id is None and address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)


def may_call(text: str, private: tuple[Network, ...]) -> bool:
    """Tell whether we may connect to an address: a global one, or one of the networks that the operator allowed by name."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return is_global(address) or any(address.version == network.version and address in network for network in private)
