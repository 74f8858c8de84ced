"""The device authorization endpoint (RFC 8628 §3.1, §3.2): a device gets two codes, one to keep and one to show its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gatewright.base.networks import site_of
from gatewright.oauth import checks
from gatewright.oauth.ask import Ask, Reply
from gatewright.oauth.client_auth import authenticate
from gatewright.oauth.device import (
    GRANT_TYPE,
    INTERVAL,
    LIFETIME,
    Begun,
    NewDeviceRequest,
    new_device_code,
    new_user_code,
    shown,
    user_digest,
)
from gatewright.oauth.errors import InvalidRequest, TemporarilyUnavailable, UnauthorizedClient
from gatewright.oauth.paths import DEVICE_PAGE

if TYPE_CHECKING:
    from gatewright.oauth.client import Client
    from gatewright.oauth.ports import World

_TRIES = 5
_RETRY_AFTER = 60


class DeviceReply(Struct, frozen=True, kw_only=True):
    """§3.2; times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


async def device_authorization(ask: Ask, world: World) -> Reply:
    """Answer a device's request. What it asks for is checked like an authorization request's, so nobody types a code in vain.

    Raises:
        InvalidClient: the client is unknown or did not prove itself.
        UnauthorizedClient: it may not use the grant type.
        TemporarilyUnavailable: too many devices wait already, of this client or from this network.
    """
    client = await authenticate(ask, world)
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient(f"this client is not set up for the grant type '{GRANT_TYPE}'")
    catalogue = await world.directory.catalogue(client.tenant)
    draft = checks.Draft(ask.params, client, catalogue, None, ask.at.now)
    # What else stands in an authorization request is unknown here, and so ignored (§3.1).
    for check in (_account, checks.resources, checks.scope):
        check(draft)
    for breach in draft.breaches:
        world.usage.would_refuse(client.tenant, client.id, breach)
    return Reply(await _begun(ask, client, draft, world))


def _account(draft: checks.Draft) -> None:
    text = draft.params.get("account") or ""
    if len(text) > checks.LONGEST_ACCOUNT or not text.isprintable():
        raise InvalidRequest(f"the parameter 'account' is a name of at most {checks.LONGEST_ACCOUNT} characters")
    draft.found["account"] = text


async def _begun(ask: Ask, client: Client, draft: checks.Draft, world: World) -> DeviceReply:
    issuer, at = ask.issuer, ask.at
    for _ in range(_TRIES):
        number, user_code = at.id(), new_user_code(at)
        device_code, digest = new_device_code(number, client.tenant, at)
        new = NewDeviceRequest(
            id=number,
            tenant=client.tenant,
            issuer=issuer.url,
            client=client.id,
            device_digest=digest,
            user_digest=user_digest(user_code, client.tenant, world.sealer),
            scopes=" ".join(draft.scopes),
            resources=" ".join(draft.resources),
            account=draft.found["account"],
            network=site_of(ask.address),
            asked_at=at.now,
            expires_at=at.now + LIFETIME,
        )
        begun = await world.devices.begin(new)
        if begun is Begun.FULL:
            sentence = "too many devices are waiting for their users already: try again in a minute"
            raise TemporarilyUnavailable(
                sentence, retry_after=_RETRY_AFTER, why="live device requests of a client or a network are limited"
            )
        if begun is Begun.FRESH:
            page = issuer.url + DEVICE_PAGE
            return DeviceReply(
                device_code=device_code,
                user_code=shown(user_code),
                verification_uri=page,
                verification_uri_complete=f"{page}?user_code={shown(user_code)}",
                expires_in=LIFETIME,
                interval=INTERVAL,
            )
    raise TemporarilyUnavailable("no code was free: try again", why="user codes collide again and again")
