"""May this request pass? What a proxy asks in front of an API in any language: the guard's decision, made here (`docs/decisions/0021`).

The API's own table of routes says what the request needs; the token is held against its row as everywhere else (`access.present`), and
what is told of a refusal is what the guard and the address that says why would tell. Nothing but the row is read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from gatewright.base import ids
from gatewright.base.digest import b64
from gatewright.oauth.access import Access, Form, present
from gatewright.oauth.ask import Ask, Params
from gatewright.oauth.catalogue import Api, Catalogue
from gatewright.oauth.claims import subject
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.ports import World
from gatewright.oauth.why import told
from gatewright_guard.bearer import presented
from gatewright_guard.decide import NO_RULE, NO_TOKEN, Allowed, Refusal, Requirement, decide, decided_by, explained, refused
from gatewright_guard.reasons import Reason
from gatewright_guard.refused import Cause, Refused
from gatewright_guard.resource import well_known
from gatewright_guard.rules import Match
from gatewright_guard.verify import Claims, scope_set

if TYPE_CHECKING:
    from gatewright.base.moment import Moment

_ANY_TOKEN: Final = Requirement()
_MAY_BE_EXPLAINED: Final = (Reason.INSUFFICIENT_SCOPE, Reason.WRONG_ACCOUNT, Reason.INVALID_TOKEN)


class Original(Struct, frozen=True, kw_only=True):
    """The request that is to pass, as its caller sent it to the proxy."""

    method: str
    target: str
    """Path and query, undecoded (RFC 9112 §3.2.1)."""
    host: str
    authorization: tuple[str, ...] = ()
    address: str = ""
    """Where its caller is; empty where the proxy did not tell, which no client that is kept to addresses survives."""

    def __repr__(self) -> str:
        return f"Original({self.method}, {self.host}, …)"


class Open(Struct, frozen=True):
    """The route asks nobody for a token."""


OPEN: Final = Open()


async def verify(original: Original, api: Api, catalogue: Catalogue, issuer: Issuer, world: World, at: Moment) -> Open | Allowed | Refusal:
    """Return whether a request to an API may pass, and who it is of."""
    if api.usage:
        world.uses.scopes.asked(issuer.tenant, api.id, at.now)
    match = catalogue.rules(api).match_target(original.method, original.target, original.host)
    if match is not None and match.rule.needs is None:
        return OPEN
    answer = await _decided(original, match, api, catalogue, issuer, world, at)
    if isinstance(answer, Allowed):
        world.usage.count("verified", issuer.tenant, api.id)
        if match is not None:
            return answer
        # Only who holds a good token learns that there is no route.
        answer = NO_RULE
    # With a decision id it was counted by whoever gave it one.
    if answer.decision is None:
        world.usage.count(f"refused_{answer.reason}", issuer.tenant, api.id)
    return structs.replace(answer, realm=api.audience, resource_metadata=_about(api, issuer))


async def _decided(
    original: Original, match: Match | None, api: Api, catalogue: Catalogue, issuer: Issuer, world: World, at: Moment
) -> Allowed | Refusal:
    needs = _ANY_TOKEN if match is None or match.rule.needs is None else match.rule.needs
    account = None if match is None else match.account
    try:
        sent = presented(original.authorization, original.target.partition("?")[2])
    except Refused as fault:
        # A proxy hands on 401 and 403 and makes a fault of its own of anything else.
        return structs.replace(refused(fault.cause), status=401)
    if sent is None:
        return NO_TOKEN
    found = await present(sent.token, issuer, world, now=at.now, address=original.address, catalogue=catalogue)
    if isinstance(found, Access) and found.api is not None and found.api.id == api.id:
        world.usage.count("verified", issuer.tenant, found.client.id)
        world.uses.used(found.standing.grant, at.now)
        claims = _claims(found, issuer)
        # No proof of a key gets here, so a bound token is refused, and one that is sent as bound while it is not.
        unbound = sent.scheme == "dpop" and not claims.bound
        answer = refused(Cause.TOKEN_UNBOUND) if unbound else decide(claims, needs, account=account, now=at.now)
        if api.usage and isinstance(answer, Allowed) and match is not None:
            scopes = decided_by(claims, needs, account)
            world.uses.scopes.used(issuer.tenant, api, found.standing.id, scopes, catalogue, at.now)
    elif isinstance(found, Access) and found.token.form is Form.JWT:
        # As a guard that verifies JWTs itself says it: the signature is right, so who shows it may know.
        answer = refused(Cause.AUDIENCE_WRONG)
    else:
        answer = refused(Cause.TOKEN_INACTIVE)
    if isinstance(answer, Allowed) or answer.reason not in _MAY_BE_EXPLAINED:
        return answer
    ask = Ask(Params({} if account is None else {"account": account}), issuer, at)
    known = await told(found, api, answer.missing or needs.all_of, ask, world)
    return explained(answer, known.cause, known.detail, decision=known.decision or None, more=known.more or None)


def _about(api: Api, issuer: Issuer) -> str | None:
    """Return where the API is described (RFC 9728 §5.1): here, since behind a proxy nobody else does it."""
    return f"{issuer.url.rstrip('/')}/-/resource/{ids.show(ids.API, api.id)}" if well_known(api.audience)[0] is not None else None


_scopes: Final = lru_cache(maxsize=1024)(scope_set)


def _claims(access: Access, issuer: Issuer) -> Claims:
    """Return what introspection would say to the API, as its guard reads it."""
    standing, token = access.standing, access.token
    return Claims(
        sub=subject(standing, access.client),
        client_id=access.client.client_id,
        scopes=_scopes(access.allowed.own),
        iss=issuer.url,
        aud=() if access.api is None else (access.api.audience,),
        exp=token.exp,
        iat=token.iat,
        jti=token.jti,
        account_id=ids.show_again(ids.ACCOUNT, standing.account) if standing.account else None,
        account=standing.account_slug,
        authorization_id=ids.show_again(ids.AUTHORIZATION, standing.id),
        reach=_scopes("" if standing.account else access.allowed.reach),
        confirmation=None if token.handle is None or token.handle.cnf is None else {"jkt": b64(token.handle.cnf)},
        members={},
    )
