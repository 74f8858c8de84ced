"""Apps of the marketplace in a deployment under test: made as the platform file makes them, published in new versions, installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from gatewright.audit.deed import Deed
from gatewright.base.secret import Secret
from gatewright.clients.secrets import to_keep
from gatewright.market import apps
from gatewright.market.manifest import Manifest, shape_faults
from gatewright.market.rules import known_scopes, manifest_faults
from gatewright.oauth.client import RedirectMatch
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential
from tests.http.window import Window
from tests.support.house import ACME, CLIENT_SECRET, Answer, Node

REDIRECT = "https://reporter.example/installed"
SCOPES: tuple[Any, ...] = (
    {"scope": "read:balance", "reason": "To put your balance into the report"},
    {"scope": "transfer:funds", "reason": "To pay for the report", "required": False},
)
MANIFEST: dict[str, Any] = {
    "name": "Reporter",
    "description": "A report of your accounts each week",
    "version": "1.0.0",
    "auth": {"redirect_uri": REDIRECT, "scopes": SCOPES},
}
JSON = ("content-type", "application/json")


def manifest(**changed: object) -> Manifest:
    """The usual manifest with some keys changed; None leaves one out, and `scopes` are those of its auth."""
    scopes = changed.pop("scopes", None)
    document = {name: value for name, value in (MANIFEST | changed).items() if value is not None}
    if scopes is not None:
        document["auth"] = {**document["auth"], "scopes": scopes}
    plain = msgspec.json.decode(msgspec.json.encode(document))
    assert shape_faults(plain) == ()
    return msgspec.convert(plain, Manifest)


async def add_app(
    node: Node, slug: str = "reporter", *, host: str = ACME, redirect_match: RedirectMatch = "exact", **changed: object
) -> None:
    """Make an app with a secret that tests know."""
    tenant = await node.tenant(host)
    catalogue = await node.house.world.directory.catalogue(tenant)
    made = manifest(**changed)
    assert manifest_faults(made, known_scopes(catalogue)) == ()
    scopes = {one.scope: catalogue.scopes_by_name[one.scope].id for one in made.asked}

    async def unit(deed: Deed) -> None:
        number = await apps.make_app(deed, slug, made, scopes, redirect_match=redirect_match)
        kept = to_keep(Secret(CLIENT_SECRET), deed.tenant, str)
        await credentials.add(deed, "client", number, slug, NewCredential(method=kept.method, digest=kept.digest))

    await node.manage(tenant, unit)
    await node.hear()


async def publish(node: Node, slug: str = "reporter", *, version: str = "1.1.0", **changed: object) -> None:
    """Publish another version of an app."""
    tenant = await node.tenant()
    catalogue = await node.house.world.directory.catalogue(tenant)
    made = manifest(version=version, **changed)
    scopes = {one.scope: catalogue.scopes_by_name[one.scope].id for one in made.asked}

    async def unit(deed: Deed) -> None:
        found = await apps.app_named(deed.tx, tenant, slug)
        assert found is not None
        await apps.publish(deed, *found, made, scopes)

    await node.manage(tenant, unit)
    await node.hear()


def told(answer: Answer) -> dict[str, str]:
    """What an answer that leads to the app tells it."""
    assert answer.status == 303, answer
    return dict(parse_qsl(urlsplit(answer.header("location") or "").query, keep_blank_values=True))


async def signed_in(node: Node, *, host: str = ACME) -> Window:
    """A browser in which Ann is signed in."""
    window = Window(node, host)
    await window.sign_in(await window.open("/-/sign-in"))
    return window


async def install(window: Window, slug: str = "reporter", account: str = "acme-dev", **params: str) -> dict[str, str]:
    """Install an app, saying yes to all; what the app is told."""
    query = f"?{urlencode(params)}" if params else ""
    return told(await window.allow_all(await window.open(f"/{slug}/install{query}"), account))


async def exchange(node: Node, code: str, slug: str = "reporter", *, host: str = ACME, **changed: object) -> Answer:
    """What an app posts for its token: JSON, without a grant type."""
    body: Mapping[str, object] = {"client_id": slug, "client_secret": CLIENT_SECRET, "code": code} | changed
    return await node.ask("POST", "/token", headers=(JSON,), body=msgspec.json.encode(body), host=host)


async def installed(node: Node, window: Window | None = None, account: str = "acme-dev", slug: str = "reporter") -> dict[str, Any]:
    """Install an app as Ann and exchange its code; what the app has then."""
    window = window or await signed_in(node)
    answer = await exchange(node, (await install(window, slug, account))["code"], slug)
    assert answer.status == 200, answer
    return answer.json
