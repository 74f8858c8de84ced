"""The issuer's keys and addresses, fetched and kept (RFC 8414 §3, OpenID Connect Discovery §4, RFC 7517 §5)."""

from typing import Final

import httpx
import msgspec

from gatewright_guard.address import secure_url
from gatewright_guard.fetch import Unavailable, fetch
from gatewright_guard.jose import BadKey, KeySet, read_jwks
from gatewright_guard.kept import Clock, Kept, Terms

_SECONDS: Final = 2.0
METADATA_TERMS: Final = Terms(fresh_for=3600, overdue_after=2 * 3600)
KEY_TERMS: Final = Terms(fresh_for=300, overdue_after=900)


class Metadata(msgspec.Struct, frozen=True):
    """What of an issuer's metadata the guard uses (RFC 8414 §2)."""

    issuer: str
    jwks_uri: str
    introspection_endpoint: str | None = None


async def fetch_metadata(http: httpx.AsyncClient, issuer: str) -> Metadata:
    """The issuer's metadata, if it names the issuer to the letter (OpenID Connect Discovery §4.3)."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    members = await fetch(http, http.build_request("GET", url), seconds=_SECONDS)
    try:
        metadata = msgspec.convert(members, Metadata)
        for address in (metadata.jwks_uri, metadata.introspection_endpoint):
            if address is not None:
                secure_url(address)
    except (msgspec.ValidationError, ValueError) as fault:
        raise Unavailable(f"{url} is no metadata that we can use: {fault}") from fault
    if metadata.issuer != issuer:
        raise Unavailable(f"{url} names another issuer: {metadata.issuer!r}")
    return metadata


async def fetch_keys(http: httpx.AsyncClient, jwks_uri: str) -> KeySet:
    """The keys at an address; a set without any that we can use is no answer, so that it does not displace a good one."""
    members = await fetch(http, http.build_request("GET", jwks_uri), seconds=_SECONDS)
    try:
        keys = read_jwks(members)
    except BadKey as fault:
        raise Unavailable(f"{jwks_uri} is no set of keys: {fault}") from fault
    if not keys.keys:
        raise Unavailable(f"{jwks_uri} has no key that we can use: {'; '.join(keys.passed_over)}")
    return keys


class RemoteKeys:
    """An issuer's keys: renewed in the background every 5 minutes, and used at most 24 hours while that fails."""

    def __init__(
        self, http: httpx.AsyncClient, clock: Clock, *, metadata: Kept[Metadata], jwks_uri: str | None = None, terms: Terms = KEY_TERMS
    ) -> None:
        self._http = http
        self._metadata = metadata
        self._jwks_uri = None if jwks_uri is None else secure_url(jwks_uri)
        self._kept = Kept(self._fetch, clock, terms)

    def at_hand(self) -> KeySet | None:
        """The keys, if nobody need be asked for them."""
        return self._kept.peek()

    async def current(self) -> KeySet:
        """The keys of now."""
        return await self._kept.get()

    async def newer_than(self, seen: KeySet) -> KeySet:
        """The keys after a token named one that is not among those seen: the issuer may have a new one."""
        return await self._kept.other_than(seen)

    async def aclose(self) -> None:
        """Stop what runs in the background."""
        await self._kept.aclose()

    async def _fetch(self) -> KeySet:
        return await fetch_keys(self._http, self._jwks_uri or (await self._metadata.get()).jwks_uri)
