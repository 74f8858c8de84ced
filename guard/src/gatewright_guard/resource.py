"""What an API says of itself, so that a client that only knows the API's address finds the server (RFC 9728). Pure."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gatewright_guard.address import secure_url
from gatewright_guard.dpop import ALGORITHMS

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What of the metadata an API decides itself (RFC 9728 §2); every member may be left out."""

    name: str | None = None
    documentation: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    scopes: tuple[str, ...] = ()
    """The scopes that a client is told of; the names alone."""


class _Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document (RFC 9728 §2)."""

    resource: str
    authorization_servers: tuple[str, ...]
    bearer_methods_supported: tuple[str, ...] = ("",)
    scopes_supported: tuple[str, ...] = ()
    dpop_signing_alg_values_supported: tuple[str, ...] = ()
    tls_client_certificate_bound_access_tokens: bool = False
    resource_name: str | None = None
    resource_documentation: str | None = None
    resource_policy_uri: str | None = None
    resource_tos_uri: str | None = None


class Resource:
    """The document of one API and where it lies: at the API's own host, so that the audience's address leads to it.

    An audience that is no address, or one that nobody can trust on the way, has none.
    """

    def __init__(self, audience: str, issuers: Sequence[str], description: Description, *, certificates: bool, proofs: bool = True) -> None:
        self._audience = audience
        self._issuers = tuple(issuers)
        self._description = description
        self._certificates = certificates
        self._algorithms = ALGORITHMS if proofs else ()
        self.path, self.url = well_known(audience)

    def document(self, scopes: Sequence[str] = ()) -> bytes:
        """The metadata as JSON; the scopes that a framework knows join those of the description."""
        said = self._description
        return msgspec.json.encode(
            _Metadata(
                resource=self._audience,
                authorization_servers=self._issuers,
                bearer_methods_supported=("header",),
                scopes_supported=tuple(dict.fromkeys((*said.scopes, *scopes))),
                dpop_signing_alg_values_supported=self._algorithms,
                tls_client_certificate_bound_access_tokens=self._certificates,
                resource_name=said.name,
                resource_documentation=said.documentation,
                resource_policy_uri=said.policy_uri,
                resource_tos_uri=said.tos_uri,
            )
        )


def well_known(audience: str) -> tuple[str | None, str | None]:
    """The path and the address of an API's metadata: the well-known words go between host and path (RFC 9728 §3.1)."""
    try:
        secure_url(audience)
    except ValueError:
        return None, None
    parts = urlsplit(audience)
    # RFC 9728 §1.2: an identifier has no fragment; one with a query would not be found by the path alone.
    if parts.fragment or parts.query:
        return None, None
    path = WELL_KNOWN + parts.path.rstrip("/")
    return path, f"{parts.scheme}://{parts.netloc}{path}"


HEADERS: Final = (("content-type", "application/json"), ("cache-control", "public, max-age=300"), ("access-control-allow-origin", "*"))
"""The document's header fields: any browser may read it, as it is public."""
