"""Token introspection (RFC 7662): an API asks about a token for itself, a client about one of its own; others learn nothing."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gatewright.base import ids
from gatewright.base.digest import Kind, b64
from gatewright.oauth import refresh
from gatewright.oauth.access import Access, Form, present
from gatewright.oauth.api_auth import named_api, prove_api
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.authorization import Standing, role_names
from gatewright.oauth.catalogue import Api
from gatewright.oauth.claims import subject
from gatewright.oauth.client import Client
from gatewright.oauth.client_auth import FAILED, authenticate
from gatewright.oauth.errors import InvalidClient
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.ports import World


class Inactive(Struct, frozen=True):
    """All that is said of a token that is unknown, over, or not this caller's (RFC 7662 §2.2)."""

    active: bool = False


class Active(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of a token that is good now (RFC 7662 §2.2, RFC 9068 §2.2); `gw_…` as in our JWTs."""

    active: bool
    scope: str
    client_id: str
    username: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    sub: str
    aud: str | None = None
    iss: str
    jti: str | None = None
    account_id: str | None = None
    account: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    gw_az: str
    gw_reach: str = ""
    roles: tuple[str, ...] = ()
    cnf: dict[str, str] | None = None


INACTIVE: Final = Inactive()


async def introspect(ask: Ask, world: World) -> Reply:
    """Answer an introspection request: one statement, whatever the token.

    Raises:
        InvalidClient: the caller proved to be neither an API nor a client.
        InvalidRequest: there is no token in the request.
    """
    caller = await _caller(ask, world)
    text = ask.params.need("token")
    if text.startswith(Kind.REFRESH):
        return Reply(INACTIVE if isinstance(caller, Api) else await _of_refresh_token(text, caller, ask, world))
    # RFC 7662 §2.1 leaves room for the context in which the token was shown: the guard tells from where.
    access = await present(text, ask.issuer, world, now=ask.at.now, address=ask.params.get("ip_address"))
    if not isinstance(access, Access) or not _may_ask(caller, access):
        return Reply(INACTIVE)
    world.usage.count("introspected", ask.issuer.tenant, access.client.id)
    world.uses.used(access.standing.grant, ask.at.now)
    return Reply(describe(access, ask.issuer, caller.id if isinstance(caller, Api) else None))


async def _caller(ask: Ask, world: World) -> Api | Client:
    named = await named_api(ask, world)
    if named is not None:
        await prove_api(*named, world, ask.issuer.tenant, now=ask.at.now)
        return named[0]
    client = await authenticate(ask, world)
    if client.public:
        raise InvalidClient(FAILED, why="a public client proves nothing")
    return client


def _may_ask(caller: Api | Client, access: Access) -> bool:
    if isinstance(caller, Api):
        return access.api is not None and access.api.id == caller.id
    return caller.settings.introspects and access.client.id == caller.id


def describe(access: Access, issuer: Issuer, api: int | None) -> Active:
    """Return what is said of a good token; an API is told of its own scopes alone."""
    standing, token, allowed = access.standing, access.token, access.allowed
    # RFC 9449 §6.2: an API has to know that the token is nobody's without the proof of its key.
    key = None if token.handle is None else token.handle.cnf
    return Active(
        active=True,
        scope=allowed.scope if api is None else allowed.own,
        client_id=access.client.client_id,
        username=standing.person_email or None,
        token_type="Bearer" if key is None else "DPoP",
        exp=token.exp,
        iat=standing.opened_at if token.form is Form.STANDING else token.iat,
        sub=subject(standing, access.client),
        aud=issuer.url if access.api is None else access.api.audience,
        iss=issuer.url,
        jti=token.jti,
        account_id=_account_id(standing),
        account=standing.account_slug,
        auth_time=standing.auth_time,
        acr=standing.acr,
        gw_az=ids.show_again(ids.AUTHORIZATION, standing.id),
        gw_reach="" if standing.account else allowed.reach,
        roles=role_names(standing, access.catalogue, access.client) if _names_roles(access, api) else (),
        cnf=None if key is None else {"jkt": b64(key)},
    )


def _names_roles(access: Access, api: int | None) -> bool:
    return access.api is not None and access.api.id == api and access.api.names_roles


def _account_id(standing: Standing) -> str | None:
    return ids.show_again(ids.ACCOUNT, standing.account) if standing.account else None


async def _of_refresh_token(text: str, client: Client, ask: Ask, world: World) -> Active | Inactive:
    """Say of a refresh token to its own client whether it would be accepted now; the answer uses nothing up."""
    shown = refresh.parse(text)
    standing = None if shown is None or not client.settings.introspects else await world.ledger.redeemable(shown.authorization)
    if shown is None or standing is None or standing.tenant != ask.issuer.tenant or standing.issuer != ask.issuer.url:
        return INACTIVE
    if standing.client != client.id or not refresh.prove(shown, standing, world.sealer) or shown.generation != standing.generation:
        return INACTIVE
    if standing.fault(ask.at.now) is not None or refresh.expired(standing, ask.at.now):
        return INACTIVE
    catalogue = await world.directory.catalogue(standing.tenant)
    ends = [end for end in (standing.refresh_idle_until, standing.refresh_until) if end is not None]
    return Active(
        active=True,
        scope=standing.today(None, catalogue, client).scope,
        client_id=client.client_id,
        username=standing.person_email or None,
        exp=min(ends, default=None),
        sub=subject(standing, client),
        iss=ask.issuer.url,
        account_id=_account_id(standing),
        account=standing.account_slug,
        auth_time=standing.auth_time,
        acr=standing.acr,
        gw_az=ids.show_again(ids.AUTHORIZATION, standing.id),
    )
