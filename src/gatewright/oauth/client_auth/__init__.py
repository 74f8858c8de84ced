"""Who is calling? One table of methods; the loop over it asks once that one is used, and that it is this client's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol

from gatewright.base.digest import Kind, digest, same
from gatewright.oauth.ask import Ask
from gatewright.oauth.client import Client
from gatewright.oauth.client_auth import none, private_key_jwt, secret
from gatewright.oauth.client_auth.presented import FAILED, Presented
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import InvalidClient, InvalidRequest, OAuthError
from gatewright.oauth.ports import World
from gatewright.oauth.report_only import Breach, enforce
from gatewright.oauth.report_only import breach as breach_of

__all__ = ["FAILED", "METHODS", "SUPPORTED", "Method", "Presented", "authenticate", "may_call", "named_client"]


class Method(Protocol):
    """A module of this package that is a client authentication method."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """What the method is called in this table."""

    def find(self, ask: Ask) -> Presented | None:
        """Return what a request shows by this method."""

    async def verify(self, client: Client, presented: Presented, ask: Ask, world: World) -> None:
        """Prove it, or raise `InvalidClient`."""


METHODS: Final[tuple[Method, ...]] = (secret, private_key_jwt)
"""The methods that prove something. `none` is what is left when a request uses none of them."""

_VERIFY: Final[Mapping[str, Method]] = {
    secret.BASIC: secret,
    secret.POST: secret,
    private_key_jwt.NAME: private_key_jwt,
    none.NAME: none,
}

SUPPORTED: Final = tuple(_VERIFY)
"""The methods by their names in metadata (RFC 8414 §2)."""

# The setting of a client → the names under which a request may use it.
_USED_AS: Final[Mapping[str, frozenset[str]]] = {
    secret.NAME: frozenset({secret.BASIC, secret.POST}),
    secret.BASIC: frozenset({secret.BASIC}),
    secret.POST: frozenset({secret.POST}),
    private_key_jwt.NAME: frozenset({private_key_jwt.NAME}),
    none.NAME: frozenset({none.NAME}),
}

_NO_ONES_DIGEST: Final = "A" * 43
_MAPPED_BITS: Final = 96  # in front of an IPv4 address that IPv6 shows (RFC 4291 §2.5.5.2)
_LONGEST_ADDRESS: Final = 64  # characters of an IPv6 address with a zone (RFC 4007 §11.2)


async def authenticate(ask: Ask, world: World) -> Client:
    """Return the client that proved to be the sender of a request (RFC 6749 §2.3, §3.2.1).

    Raises:
        InvalidClient: it is unknown, proved nothing, is disabled, or calls from an address that is not its own.
        InvalidRequest: it used more than one method, or names two clients.
    """
    presented = _one(ask)
    client = await world.directory.client(ask.issuer.tenant, presented.client_id)
    if client is None:
        # As much work as for a wrong secret, and the same words.
        same(digest(Kind.CLIENT_SECRET, ask.issuer.tenant, presented.proof[:1024]), _NO_ONES_DIGEST)
        raise InvalidClient(FAILED, why="unknown client", challenge=presented.header)
    breaches: list[Breach] = []
    if presented.method not in _USED_AS[client.settings.token_endpoint_auth_method]:
        breaches.append(_other_method(client, presented, ask))
    await _VERIFY[presented.method].verify(client, presented, ask, world)
    # Only now, so that a stranger does not learn what state a client is in.
    if client.disabled:
        raise InvalidClient("this client is disabled", why=Verdict.CLIENT_DISABLED, challenge=presented.header)
    if client.settings.allowed_ips and not may_call(client.settings.allowed_ips, ask.address):
        fault = InvalidClient("this client may not be used from this address", why=Verdict.IP_NOT_ALLOWED, challenge=presented.header)
        breaches.append(enforce("allowed_ips", client, fault, address=ask.address))
    for breach in breaches:
        world.usage.would_refuse(client.tenant, client.id, breach)
    return client


async def named_client(ask: Ask, world: World) -> Client | None:
    """Return the client that a request names; nothing is proved by that."""
    try:
        presented = _one(ask)
    except OAuthError:
        return None
    return await world.directory.client(ask.issuer.tenant, presented.client_id)


def _other_method(client: Client, presented: Presented, ask: Ask) -> Breach:
    """Refuse a method that is not the client's, or let it prove itself by that one while its own is tried out. Never without a proof."""
    fault = InvalidClient(FAILED, why=f"{presented.method} is not this client's method", challenge=presented.header)
    if presented.method == none.NAME or client.public:
        raise fault
    enforce("token_endpoint_auth_method", client, fault)
    sentence = f"{presented.method} is not {client.settings.token_endpoint_auth_method}, the way in which this client proves itself"
    return breach_of("token_endpoint_auth_method", sentence, address=ask.address)


def _one(ask: Ask) -> Presented:
    """Return the one method that a request uses."""
    found = [presented for method in METHODS if (presented := method.find(ask)) is not None]
    if len(found) > 1:
        raise InvalidRequest("more than one way of client authentication was used: use one")
    presented = found[0] if found else none.find(ask)
    if presented is None:
        raise InvalidClient("the client did not say who it is: send its credentials, or its client_id if it is public")
    named = ask.params.get("client_id")
    if named is not None and named != presented.client_id:
        raise InvalidRequest("the parameter 'client_id' is not the client that the credentials are for")
    return presented


def may_call(allowed: tuple[str, ...], address: str) -> bool:
    """Tell whether an address lies in one of the networks that a client is kept to; an unknown address lies in none."""
    # An API hands on what its caller's address is said to be; what is too long for one is not remembered.
    return len(address) <= _LONGEST_ADDRESS and _may_call(allowed, address)


@lru_cache(maxsize=4096)
def _may_call(allowed: tuple[str, ...], address: str) -> bool:
    try:
        number = _plain(ip_address(address))
    except ValueError:
        return False
    return any(number in network for network in _networks(allowed))


@lru_cache(maxsize=1024)
def _networks(allowed: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple([_plain_network(ip_network(text, strict=False)) for text in allowed])


def _plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 network that somebody wrote as ::ffff:a.b.c.d/n, with 96 bits in front."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None or network.prefixlen < _MAPPED_BITS else IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _plain(number: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2)."""
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return number if mapped is None else mapped
