"""A platform with people and services who manage it, and how they talk to the management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gatewright.oauth.catalogue import MANAGEMENT, MANAGEMENT_SCOPES
from tests.support.approving import REDIRECTS, VERIFIER, authorized, sign_in
from tests.support.house import ACME, GLOBEX, Answer, Node, basic, bearer

API: Final = "/-/api/v1"
EVERYTHING: Final = [scope.name for scope in MANAGEMENT_SCOPES if scope.reach == "tenant"]
OWN: Final = [scope.name for scope in MANAGEMENT_SCOPES if scope.reach == "account"]


def listed(names: list[str]) -> str:
    """A list as TOML and JSON both write it."""
    return msgspec.json.encode(names).decode()


def administration(slug: str, domains: str) -> str:
    """What is added to a platform so that it can be managed: an operator's service, a reader's, an admin's console."""
    return f"""
[tenant]
slug = "{slug}"
name = "{slug.title()}"
domains = {domains}
paths = ["standard", "o", "oauth"]

[[roles]]
name = "Platform admin"
scopes = {listed(EVERYTHING)}

[[roles]]
name = "Account admin"
scopes = {listed([*OWN, "view:events"])}

[[accounts]]
slug = "{slug}-hq"
name = "Headquarters"

[[users]]
email = "root@{slug}.test"
name = "The admin"
password = {{ env = "ANN_PASSWORD" }}
memberships = [{{ account = "{slug}-hq", roles = ["Platform admin"] }}]

[[users]]
email = "ann@{slug}.test"
memberships = [{{ account = "{slug}-dev", roles = ["Organizer", "Account admin"] }}]

[[clients]]
client_id = "ops"
client_name = "Operations"
type = "service"
party = "first"
scopes = {listed(EVERYTHING)}
secret = {{ env = "CLIENT_SECRET" }}

[[clients]]
client_id = "reader"
client_name = "Reader"
type = "service"
party = "first"
scopes = {listed([name for name in EVERYTHING if name.endswith(":read")] + ["gw:clients:write", "gw:roles:write", "gw:users:write"])}
secret = {{ env = "CLIENT_SECRET" }}

[[clients]]
client_id = "events-web"
client_name = "Acme Events"
party = "first"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://events.example/callback?from=acme"]
scopes = {listed(["openid", "profile", "create:events", "view:events", "read:reports", *EVERYTHING, *OWN])}
"""


class Manager:
    """Somebody with an access token for the management API of a node."""

    def __init__(self, node: Node, token: str, host: str = ACME) -> None:
        self.node = node
        self.token = token
        self.host = host

    async def ask(
        self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None, *, raw: bytes | None = None
    ) -> Answer:
        """Send one request."""
        heads = {"authorization": f"Bearer {self.token}", **(headers or {})}
        body = raw if raw is not None else b"" if document is None else msgspec.json.encode(document)
        if body:
            heads.setdefault("content-type", "application/json")
        return await self.node.ask(method, API + path, headers=list(heads.items()), body=body, host=self.host)

    async def must(self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send one request, which must succeed, and return the document of the answer."""
        answer = await self.ask(method, path, document, headers)
        assert answer.status < 300, answer
        await self.node.hear()
        return answer.json if answer.body else None

    async def change(self, path: str, document: object) -> Any:  # noqa: ANN401 - JSON
        """Change a record as it is now."""
        shown = await self.ask("GET", path)
        return await self.must("PATCH", path, document, {"if-match": shown.header("etag") or ""})

    async def problem(self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Send one request, which must be refused, and return the problem."""
        answer = await self.ask(method, path, document, headers)
        assert answer.status >= 400, answer
        assert answer.header("content-type") == "application/problem+json"
        found = msgspec.json.decode(answer.body, type=dict[str, Any])
        assert found["status"] == answer.status
        return found


def at(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


async def managed(node: Node) -> Node:
    """Let a node's platforms be managed."""
    await node.apply(administration("acme", '["https://id.acme.test", "https://login.acme.test"]'))
    return node


async def service(node: Node, client: str = "ops", scope: str = " ".join(EVERYTHING), host: str = ACME) -> Manager:
    """A service with these scopes, tenant-wide."""
    answer = await node.post("/token", {"grant_type": "client_credentials", "scope": scope}, basic(client), host=host)
    assert answer.status == 200, answer
    return Manager(node, answer.json["access_token"], host)


async def person(node: Node, email: str, scope: str, account: str) -> Manager:
    """A person who signed in and allowed the admin's console these scopes in an account."""
    browser = await sign_in(node, email)
    back = await authorized(node, browser, "events-web", scope, more={"account": account, "resource": MANAGEMENT.audience})
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": REDIRECTS["events-web"],
        "code_verifier": VERIFIER,
        "resource": MANAGEMENT.audience,
    }
    answer = await node.post("/token", form, basic("events-web"))
    assert answer.status == 200, answer
    return Manager(node, answer.json["access_token"])


__all__ = ["ACME", "API", "EVERYTHING", "GLOBEX", "OWN", "Manager", "administration", "at", "bearer", "managed", "person", "service"]
