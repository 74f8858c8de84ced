"""The protocol endpoints: which methods each answers, whether browsers of other origins may ask, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct

from gatewright.market.manifest import json_schema
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.client_auth import named_client
from gatewright.oauth.device_authorization import device_authorization
from gatewright.oauth.grant_types import password
from gatewright.oauth.introspect import introspect
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.me import me
from gatewright.oauth.metadata import document
from gatewright.oauth.ports import World
from gatewright.oauth.revoke import revoke
from gatewright.oauth.token import token
from gatewright.oauth.uninstall import uninstall
from gatewright.oauth.usage import usage
from gatewright.oauth.userinfo import userinfo
from gatewright.oauth.why import why
from gatewright.web import jsonapi
from gatewright.web.jsonapi import Media
from gatewright.web.reply import CORS_ANY, cors_for

# Long enough to spare a fetch per sign-in, shorter than the time for which a new key is published before it signs.
_PUBLIC: Final = [(b"cache-control", b"public, max-age=300")]
_DOCUMENTS_KEPT: Final = 2000


Header = tuple[bytes, bytes]


class Endpoint(Struct, frozen=True):
    """One protocol endpoint. `cors` lets any origin read its replies, without cookies (`house` §3, Fetch standard).

    `api` has it answer at a tenant's API hosts as well, to tokens of any of the tenant's issuers. `json` lets it take a JSON body beside
    a form, for the clients that may send one; `document` names the parameter for which a whole JSON body stands. `readers` says for a
    single request who may; `choose` picks one of several representations.
    """

    run: Callable[[Ask, World], Awaitable[Reply]]
    methods: tuple[str, ...] = ("POST",)
    cors: bool = False
    body_optional: bool = False
    api: bool = False
    readers: Callable[[Ask, World], Awaitable[list[Header]]] | None = None
    choose: Callable[[bytes | None, bytes], Media] | None = None
    json: bool = False
    document: str = ""


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


async def readers(ask: Ask, world: World) -> list[Header]:
    """Return who may read the reply to a token request: any page, but of what a password bought only the client's own (`decisions` §9)."""
    if ask.params.get("grant_type") != password.NAME:
        return CORS_ANY
    client = await named_client(ask, world)
    own = client is not None and ask.origin is not None and ask.origin in client.settings.cors_origins
    return cors_for(ask.origin if own else None)


async def app_manifest(_ask: Ask, _world: World) -> Reply:
    """The JSON Schema of an app's manifest, the same at every issuer."""
    return Reply(json_schema(), 200, _PUBLIC)


ENDPOINTS: Final[dict[str, Endpoint]] = {
    "token": Endpoint(token, cors=True, readers=readers, json=True),
    "device_authorization": Endpoint(device_authorization),
    "introspect": Endpoint(introspect),
    "revoke": Endpoint(revoke, cors=True),
    "userinfo": Endpoint(userinfo, ("GET", "POST"), cors=True, body_optional=True),
    "me": Endpoint(me, ("GET", "HEAD"), cors=True, choose=jsonapi.choose, api=True),
    "why": Endpoint(why),
    "usage": Endpoint(usage, document="report"),
    "jwks": Endpoint(jwks, ("GET", "HEAD"), cors=True),
    "metadata": Endpoint(metadata, ("GET", "HEAD"), cors=True),
    "app_manifest": Endpoint(app_manifest, ("GET", "HEAD"), cors=True),
}

INSTALLS: Final = "/-/installs/"  # then the id of one
UNINSTALL: Final = Endpoint(uninstall, ("DELETE",))
