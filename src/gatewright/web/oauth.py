"""The protocol endpoints: which methods each answers, whether browsers of other origins may ask, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct

from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.introspect import introspect
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.metadata import document
from gatewright.oauth.ports import World
from gatewright.oauth.revoke import revoke
from gatewright.oauth.token import token
from gatewright.oauth.userinfo import userinfo
from gatewright.oauth.why import why

# Long enough to spare a fetch per sign-in, shorter than the time for which a new key is published before it signs.
_PUBLIC: Final = [(b"cache-control", b"public, max-age=300")]
_DOCUMENTS_KEPT: Final = 2000


class Endpoint(Struct, frozen=True):
    """One protocol endpoint. `cors` lets any origin read its replies, without cookies (`house` §3, Fetch standard).

    `api` has it answer at a tenant's API hosts as well, to tokens of any of the tenant's issuers.
    """

    run: Callable[[Ask, World], Awaitable[Reply]]
    methods: tuple[str, ...] = ("POST",)
    cors: bool = False
    body_optional: bool = False
    api: bool = False


_documents: dict[Issuer, tuple[object, bytes]] = {}


async def metadata(ask: Ask, world: World) -> Reply:
    """RFC 8414 §3 and OpenID Connect Discovery §4: one document, kept as bytes until the catalogue behind it changes."""
    catalogue = await world.directory.catalogue(ask.issuer.tenant)
    kept = _documents.get(ask.issuer)
    if kept is None or kept[0] is not catalogue:
        if len(_documents) >= _DOCUMENTS_KEPT:
            _documents.clear()
        kept = _documents[ask.issuer] = (catalogue, msgspec.json.encode(document(ask.issuer, catalogue)))
    return Reply(kept[1], 200, _PUBLIC)


async def jwks(ask: Ask, world: World) -> Reply:
    """RFC 7517 §5: the tenant's public keys."""
    return Reply(await world.signer.jwks(ask.issuer.tenant), 200, _PUBLIC)


ENDPOINTS: Final[dict[str, Endpoint]] = {
    "token": Endpoint(token, cors=True),
    "introspect": Endpoint(introspect),
    "revoke": Endpoint(revoke, cors=True),
    "userinfo": Endpoint(userinfo, ("GET", "POST"), cors=True, body_optional=True),
    "why": Endpoint(why),
    "jwks": Endpoint(jwks, ("GET", "HEAD"), cors=True),
    "metadata": Endpoint(metadata, ("GET", "HEAD"), cors=True),
}
