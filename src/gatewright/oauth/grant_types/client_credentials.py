"""The client credentials grant (RFC 6749 §4.4): a service acts for itself, or as the service user that it is tied to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.oauth.catalogue import OPENID_API, Catalogue
from gatewright.oauth.decision import printable, requested
from gatewright.oauth.errors import InvalidGrant, InvalidRequest, InvalidScope, UnauthorizedClient
from gatewright.oauth.grant_types.approval import Approval, Call, aim, narrowing

if TYPE_CHECKING:
    from gatewright.oauth.authorization import Standing
    from gatewright.oauth.ports import World

NAME: Final = "client_credentials"


async def approve(call: Call, world: World) -> Approval:
    """Decide on the one authorization that the client has of itself; nothing is used up and nothing is written."""
    ask, client = call.ask, call.client
    if client.public:
        raise UnauthorizedClient("a public client has no credentials of its own (RFC 6749 section 4.4)")
    catalogue = await world.directory.catalogue(client.tenant)
    names = wanted(call, catalogue)
    settings = client.settings
    standing = await world.ledger.back_end(client, ask.issuer.url, account=settings.account, person=settings.service_user, now=ask.at.now)
    fault = standing.fault(ask.at.now)
    if fault is not None:
        raise InvalidGrant("the account or service user that this client acts for is not active", why=fault)
    _same_account(ask.params.get("account"), standing)
    target = aim(names, standing, call, catalogue, whole=True)
    named = narrowing(names, standing, target, catalogue)
    return Approval(standing=standing, client=client, target=target, named=named)


def wanted(call: Call, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the scopes that are asked for, none of which may need a user (`security-rules` 26).

    Raises:
        InvalidScope: one of them does, or is unknown, or none was asked for and the client must.
    """
    scope = call.ask.params.get("scope")
    names = requested(scope, catalogue, call.client, call.breaches)
    known = catalogue.scopes_by_name
    services = tuple([name for name in names if known[name].api != OPENID_API])
    if scope is not None and len(services) < len(names):
        personal = next(name for name in names if known[name].api == OPENID_API)
        raise InvalidScope(f"{printable(personal)} needs a user who signs in; a service has none")
    return services


def _same_account(asked: str | None, standing: Standing) -> None:
    """Refuse an `account` that is not the client's own. Which accounts there are beside it is not told."""
    if asked is None:
        return
    if not standing.account:
        raise InvalidRequest("this client is not tied to an account, so it cannot name one in 'account'")
    if asked not in (standing.account_slug, ids.show(ids.ACCOUNT, standing.account)):
        raise InvalidRequest("the parameter 'account' is not the account that this client is tied to")
