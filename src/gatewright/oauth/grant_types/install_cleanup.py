"""An app cleans up after it was uninstalled (`security-rules` 47): no token travels in an event, so it comes and proves who it is.

What it gets opens no more than the scopes that are marked for it, of those that it had, for the installation and not for its user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.oauth.errors import InvalidGrant, UnauthorizedClient
from gatewright.oauth.grant_types.approval import Approval, Call, aim, narrowing
from gatewright.oauth.grant_types.refresh_token import wanted

if TYPE_CHECKING:
    from gatewright.oauth.ports import World

NAME: Final = "urn:gatewright:params:oauth:grant-type:install-cleanup"
# One answer for an installation that is unknown, another app's, still there, or past its minutes.
NOTHING: Final = "no installation of this client under this install_id is being cleaned up"


async def approve(call: Call, world: World) -> Approval:
    """Decide on what is left of an installation. It was given by whoever uninstalled, so no setting of the client is asked."""
    ask, client = call.ask, call.client
    install = ids.read(ids.INSTALL, ask.params.need("install_id"))
    if client.public:
        raise UnauthorizedClient("a public client cannot prove that it is the app that was uninstalled")
    standing = None if install is None else await world.ledger.cleanup(client, ask.issuer.url, install, ask.at)
    if standing is None:
        raise InvalidGrant(NOTHING)
    fault = standing.fault(ask.at.now)
    if fault is not None:
        raise InvalidGrant(NOTHING, why=fault)
    catalogue = await world.directory.catalogue(standing.tenant)
    marked = {scope.name for scope in catalogue.scopes.values() if scope.cleanup}
    asked = wanted(ask.params.get("scope"), standing, catalogue) or tuple(catalogue.names(standing.ceiling))
    names = tuple([name for name in asked if name in marked])
    target = aim(names, standing, call, catalogue)
    named = narrowing(names, standing, target, catalogue)
    return Approval(standing=standing, client=client, target=target, named=named, not_after=standing.grant_expires_at)
