"""Devices that ask to be let in (RFC 8628), over a playground: what they ask, and what their users answer."""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.oauth import device, refresh
from gatewright.oauth.authorization import CodeTerms, NewAuthorization
from gatewright.oauth.client import Client
from gatewright.oauth.device import GRANT_TYPE
from gatewright.oauth.device_authorization import device_authorization
from gatewright.oauth.visit import Consent
from tests.support import builders as b
from tests.support.world import Param, Playground

PUBLIC: dict[str, Param] = {"client_id": "budget-buddy", "client_secret": None}


def a_device(**settings: Any) -> Client:  # noqa: ANN401 - as `builders.a_client` has them
    """A third-party program on a device, which keeps no secret."""
    ordinary: dict[str, Any] = {
        "type": "device",
        "token_endpoint_auth_method": "none",
        "grant_types": (GRANT_TYPE, "refresh_token"),
        "redirect_uris": (),
    }
    return b.a_client(**(ordinary | settings))


async def begin(ground: Playground, **params: Param) -> dict[str, Any]:
    """Ask for the two codes."""
    named: dict[str, Param] = {} if ground.authorization else {"client_id": "budget-buddy"}
    reply = await device_authorization(ground.ask({**named, "scope": "openid read:balance", **params}), ground.world)
    assert reply.status == 200
    members: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(reply.body))
    return members


async def poll(ground: Playground, begun: dict[str, Any], **params: Param) -> dict[str, Any]:
    """Ask whether the user has answered."""
    named = {} if ground.authorization else PUBLIC
    return await ground.post(grant_type=GRANT_TYPE, device_code=begun["device_code"], **(named | params))


def number_of(begun: dict[str, Any]) -> int:
    """The id of a request."""
    number = device.request_of(begun["device_code"])
    assert number is not None
    return number


async def approval(ground: Playground, begun: dict[str, Any], *scopes: int, **changed: object) -> tuple[Consent, NewAuthorization]:
    """What the person says yes to, and the authorization that comes of it."""
    at = ground.clock.moment()
    request = await ground.devices.find(number_of(begun))
    assert request is not None
    client = await ground.directory.client_by_row(request.tenant, request.client)
    assert client is not None
    granted = frozenset(scopes)
    renewal = refresh.terms(client, granted, ground.issuer.policy, at.now)
    new = NewAuthorization(
        id=request.id,
        tenant=b.TENANT,
        issuer=ground.issuer.url,
        opened_by=GRANT_TYPE,
        grant=0,
        client=client.id,
        client_epoch=client.epoch,
        person=b.PERSON,
        account=b.ACCOUNT,
        membership=b.MEMBERSHIP,
        scopes=granted,
        auth_time=at.now - 60,
        acr="pwd",
        amr="pwd",
        access_secret=at.text(),
        refresh_secret=at.text() if renewal.issued else None,
        refresh_idle_until=renewal.idle_until,
        refresh_until=renewal.until,
        code=CodeTerms(digest="", expires_at=request.expires_at, challenge=None, redirect_uri=None),
        opened_at=at.now,
        sweep_at=renewal.sweep_at,
    )
    consent = Consent(tenant=b.TENANT, client=client.id, person=b.PERSON, account=b.ACCOUNT, granted=granted)
    return consent, msgspec.structs.replace(new, **changed)


async def say_yes(ground: Playground, begun: dict[str, Any], *scopes: int, **changed: object) -> bool:
    """Let the person answer yes to these scopes; tell whether the answer counted."""
    consent, new = await approval(ground, begun, *scopes, **changed)
    return await ground.devices.allow(ground.clock.moment(), new.id, consent, new, address="203.0.113.7")


async def say_no(ground: Playground, begun: dict[str, Any]) -> bool:
    """Let the person answer no."""
    return await ground.devices.deny(ground.clock.moment(), number_of(begun), b.TENANT, b.PERSON, address="203.0.113.7")
