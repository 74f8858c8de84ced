"""How APIs and browsers ask in these tests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote_plus

import msgspec

from gatewright.base import ids
from gatewright.base.digest import Kind, digest
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.catalogue import Api, ApiSecret
from gatewright.oauth.introspect import introspect
from gatewright.oauth.ports import World
from gatewright.oauth.revoke import revoke
from gatewright.oauth.userinfo import userinfo
from gatewright.oauth.why import why
from tests.support import builders as b
from tests.support.world import SECRET, Param, Playground

API_SECRET = "gwp_a-secret-of-the-api-that-nobody-guesses"
Endpoint = Callable[[Ask, World], Awaitable[Reply]]


def basic(name: str, secret: str) -> str:
    """The header of HTTP Basic authentication, form-encoded first (RFC 6749 §2.3.1)."""
    return "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()


def as_api(ground: Playground, api: Api = b.BANK, secret: str = API_SECRET) -> str:
    """Give an API its secret, and return the header by which it is known."""
    ground.directory.api_secrets[api.id] = (ApiSecret(digest(Kind.API_SECRET, b.TENANT, API_SECRET)),)
    return basic(ids.show(ids.API, api.id), secret)


async def members(ground: Playground, endpoint: Endpoint, header: str | None, params: dict[str, Param]) -> dict[str, Any]:
    """Ask an endpoint; the members of its reply."""
    ground.authorization = header
    reply = await endpoint(ground.ask(params), ground.world)
    ground.authorization = None
    assert reply.status == 200
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(reply.body))
    return found


async def introspected(ground: Playground, token: str, header: str | None = None, **params: Param) -> dict[str, Any]:
    """What the bank's API, or whose header it is, learns of a token."""
    return await members(ground, introspect, header or as_api(ground), {"token": token, **params})


async def explained(ground: Playground, token: str, header: str | None = None, **params: Param) -> dict[str, Any]:
    """What the bank's API learns of a refusal."""
    return await members(ground, why, header or as_api(ground), {"token": token, **params})


async def who(ground: Playground, token: str) -> dict[str, Any]:
    """What the holder of a token learns at userinfo."""
    return await members(ground, userinfo, f"Bearer {token}", {})


async def revoked(ground: Playground, token: str, **params: Param) -> None:
    """Give a token back as the usual client."""
    ordinary: dict[str, Param] = {"client_id": "budget-buddy", "client_secret": SECRET, "token": token}
    reply = await revoke(ground.ask(ordinary | params), ground.world)
    assert (reply.status, reply.body) == (200, None)


async def a_pair(ground: Playground, *scopes: int) -> dict[str, Any]:
    """The usual client's tokens for these scopes; registers the client where it is not yet there."""
    client = ground.directory.clients.get((b.TENANT, "budget-buddy")) or await ground.add()
    return await ground.exchange(await ground.code(client, *scopes))
