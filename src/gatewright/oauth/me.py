"""Who am I? The holder of an access token learns whose it is and for which account: the first call of every integration (seed 002)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gatewright.base import ids
from gatewright.oauth.access import Access, present
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.catalogue import EMAIL, PROFILE
from gatewright.oauth.claims import subject
from gatewright.oauth.ports import World
from gatewright.oauth.userinfo import bearer, refusal


class Me(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose token it is and what it opens. Name and address only where their scopes were granted, as at userinfo."""

    sub: str
    kind: Literal["user", "client"]
    client_id: str
    scope: str
    account_id: str | None = None
    account: str | None = None
    name: str | None = None
    email: str | None = None


async def me(ask: Ask, world: World) -> Reply:
    """Answer with the user of an access token, or the client where it acts for itself, and the account; any scope will do.

    Raises:
        InvalidRequest: a token came in two places (RFC 6750 §2).
        InvalidToken: there is none, or it is no good.
        InsufficientScope: it is good, but not where it is used.
    """
    access = await present(bearer(ask), ask.issuer, world, now=ask.at.now, address=ask.address)
    if not isinstance(access, Access):
        raise refusal(access)
    standing, granted = access.standing, [scope.id for scope in access.scopes]
    world.uses.used(standing.grant, ask.at.now)
    return Reply(
        Me(
            sub=subject(standing, access.client),
            kind="user" if standing.person else "client",
            client_id=access.client.client_id,
            scope=access.scope,
            account_id=ids.show(ids.ACCOUNT, standing.account) if standing.account else None,
            account=standing.account_slug,
            name=(standing.person_name or None) if PROFILE in granted else None,
            email=standing.person_email if EMAIL in granted else None,
        )
    )
