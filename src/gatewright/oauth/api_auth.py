"""Which API is asking? A protected resource proves itself with credentials of its own (RFC 7662 §2.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from gatewright.base import ids
from gatewright.base.digest import Kind, digest, same
from gatewright.oauth.ask import Ask
from gatewright.oauth.catalogue import Api, ApiSecret, Catalogue
from gatewright.oauth.client_auth import secret
from gatewright.oauth.client_auth.presented import FAILED, Presented
from gatewright.oauth.errors import InvalidClient
from gatewright.oauth.ports import World

_LONGEST: Final = 1024
_LONGEST_ID: Final = 32


async def named_api(ask: Ask, world: World) -> tuple[Api, Presented] | None:
    """Return the API that a request's credentials name, by its id or its audience; nothing is proved yet."""
    presented = secret.find(ask)
    if presented is None:
        return None
    catalogue = await world.directory.catalogue(ask.issuer.tenant)
    api = _find(presented.client_id, catalogue)
    return None if api is None else (api, presented)


async def prove_api(api: Api, presented: Presented, world: World, tenant: int, *, now: int) -> ApiSecret:
    """Return which of an API's live secrets the caller proved to know.

    Raises:
        InvalidClient: it knows none, or the API is disabled.
    """
    shown = digest(Kind.API_SECRET, tenant, presented.proof[:_LONGEST])
    # Every digest is compared, so that the time tells nothing of which one it was.
    right = [kept for kept in await world.directory.api_credentials(tenant, api.id) if same(shown, kept.digest) & kept.is_live(now)]
    if not right or len(presented.proof) > _LONGEST:
        raise InvalidClient(FAILED, why="wrong secret of an API, or one that ran out", challenge=presented.header)
    if api.disabled:
        raise InvalidClient("this API is disabled", challenge=presented.header)
    return right[0]


async def authenticate_api(ask: Ask, world: World) -> Api:
    """Return the API that proved to be the sender of a request.

    Raises:
        InvalidClient: no API did.
    """
    named = await named_api(ask, world)
    if named is None:
        raise InvalidClient(FAILED, why="no API of this name", challenge=ask.authorization is not None)
    await prove_api(*named, world, ask.issuer.tenant, now=ask.at.now)
    return named[0]


@lru_cache(maxsize=1024)
def _read(name: str) -> int | None:
    return ids.read(ids.API, name)


def _number(name: str) -> int | None:
    # Strangers name what they like; what is too long for an id is not remembered.
    return _read(name) if len(name) <= _LONGEST_ID else None


def _find(name: str, catalogue: Catalogue) -> Api | None:
    number = _number(name)
    return catalogue.apis_by_audience.get(name) if number is None else catalogue.apis.get(number)
