"""What a client is told of the person who signed in (OpenID Connect Core §5.3)."""

from __future__ import annotations

from typing import Final

from gatewright.base import ids
from gatewright.oauth.access import Access, NoAccess, present
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.catalogue import OPENID
from gatewright.oauth.claims import for_userinfo, subject
from gatewright.oauth.decision import Verdict
from gatewright.oauth.errors import InsufficientScope, InvalidRequest, InvalidToken
from gatewright.oauth.ports import World
from gatewright_guard.reasons import Reason

_SCHEME: Final = "bearer "


async def userinfo(ask: Ask, world: World) -> Reply:
    """Answer with the claims that the token's scopes and the row's `claims` open today.

    Raises:
        InvalidRequest: a token came in the header and in the body (RFC 6750 §2).
        InvalidToken: there is none, or it is no good.
        InsufficientScope: it has no `openid`, or nobody signed in for it, or it is good, but not where it is used.
    """
    access = await present(bearer(ask), ask.issuer, world, now=ask.at.now, address=ask.address)
    if not isinstance(access, Access):
        raise refusal(access)
    standing = access.standing
    granted = [scope.id for scope in access.scopes]
    if OPENID not in granted or not standing.person:
        raise InsufficientScope("the access token was not issued for userinfo: it lacks the scope openid", scope="openid")
    world.uses.used(standing.grant, ask.at.now)
    body: dict[str, object] = {"sub": subject(standing, access.client), **for_userinfo(standing, granted, access.client)}
    if standing.account:
        body["account_id"] = ids.show(ids.ACCOUNT, standing.account)
        body["account"] = standing.account_slug
    return Reply(body)


def bearer(ask: Ask) -> str:
    """Return the access token of a request: in the header, or in the form of a POST, never in the address (RFC 6750 §2).

    Raises:
        InvalidRequest: it is in both.
        InvalidToken: it is in neither; without a description, for nothing was done wrong yet (§3.1).
    """
    header, field = ask.authorization, ask.params.get("access_token")
    if header is not None and header[:7].lower() == _SCHEME:
        if field is not None:
            raise InvalidRequest("the access token was sent in the Authorization header and in the body: use one of them")
        return header[7:].strip()
    if field is None:
        raise InvalidToken("")
    return field


def refusal(found: NoAccess) -> InvalidToken | InsufficientScope:
    """Return what the holder of such a token is answered at every address that takes one: 401, unless the token itself is good and
    another one would not help (`decisions` §9).
    """
    why = found.cause or "unknown token"
    if found.cause is Verdict.IP_NOT_ALLOWED:
        return InsufficientScope(sentence(found.cause), scope="", why=why)
    return InvalidToken(sentence(found.cause), why=why)


def sentence(cause: Verdict | None) -> str:
    """Return what the holder of a token is told of its end: of one that is not authentic, nothing."""
    return Reason.INVALID_TOKEN.sentence if cause is None else Reason(cause).sentence
