"""What clients of years ago say to the server in these tests, and the platform that lets them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from tests.http.window import CHALLENGE
from tests.support.house import CLIENT_SECRET, ENVIRON, Answer, Form, Node

PASSWORD: Final = ENVIRON["ANN_PASSWORD"]
PAGE: Final = "https://app.acme.test"

PLATFORM: Final = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test", "https://login.acme.test"]
paths = ["standard", "o", "oauth"]

[[users]]
email = "connector@service.acme.test"
kind = "service"
name = "A connector"
password = { env = "ANN_PASSWORD" }
memberships = [{ account = "acme-prod", roles = ["Organizer"] }]

[[users]]
email = "kim@acme.test"
name = "Kim Example"
email_verified = true
password = { env = "ANN_PASSWORD" }
memberships = [{ account = "acme-dev", roles = ["Participant"] }]

[[clients]]
client_id = "connector"
client_name = "Connector"
redirect_uris = ["https://connector.example/callback"]
grant_types = ["authorization_code", "password", "refresh_token"]
scopes = ["read:balance"]
scopes_policy = "all_allowed"
password_grant = { until = 2027-12-31, reason = "the connector is being rewritten" }
secret = { env = "CLIENT_SECRET" }

[[clients]]
client_id = "widget"
client_name = "Widget"
type = "spa"
party = "first"
internal = true
redirect_uris = ["https://app.acme.test/callback"]
grant_types = ["authorization_code", "password", "refresh_token"]
scopes = ["openid", "profile", "email", "read:balance"]
scopes_policy = "all_allowed"
cors_origins = ["https://app.acme.test"]
password_grant = { until = 2027-12-31, reason = "the widget gets a sign-in page" }

[[apis]]
audience = "https://bank.acme.test"
name = "Acme Bank"
[apis.scopes]
"read:balance" = { text = "See your balance", demo = true }

[[clients]]
client_id = "acme-demo"
client_name = "Acme demo"
type = "demo"
redirect_uris = ["urn:ietf:wg:oauth:2.0:oob"]
out_of_band = true
scopes = ["openid", "email", "read:balance", "view:events", "transfer:funds"]
secret = { env = "CLIENT_SECRET" }

[[clients]]
client_id = "terminal"
client_name = "Terminal"
party = "first"
redirect_uris = ["urn:ietf:wg:oauth:2.0:oob", "https://terminal.example/callback"]
out_of_band = true
scopes = ["openid", "read:balance"]
secret = { env = "CLIENT_SECRET" }
"""
OOB: Final = "urn:ietf:wg:oauth:2.0:oob"


def by_hand(client: str = "acme-demo", scope: str = "openid read:balance", **changed: str | None) -> str:
    """The address to which a program without one of its own sends its user, as seed 002 has it."""
    params: dict[str, str | None] = {"client_id": client, "redirect_uri": OOB, "response_type": "code", "scope": scope}
    if client != "acme-demo":
        params |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    return "/oauth/authorize?" + urlencode([(name, value) for name, value in (params | changed).items() if value is not None])


async def furnished(node: Node) -> Node:
    """The node with clients of years ago."""
    await node.apply(PLATFORM)
    return node


def printed(**changed: str | None) -> Form:
    """The token request as seed 002 prints it."""
    form: dict[str, str | None] = {
        "grant_type": "password",
        "client_id": "connector",
        "client_secret": CLIENT_SECRET,
        "username": "connector@service.acme.test",
        "password": PASSWORD,
    }
    return form | changed


def typed(**changed: str | None) -> Form:
    """The token request of a page into which somebody typed a password, as seed 001 describes it."""
    form: dict[str, str | None] = {"grant_type": "password", "client_id": "widget", "username": "kim@acme.test", "password": PASSWORD}
    return form | changed


async def bought(node: Node, form: Form | None = None, path: str = "/oauth/token") -> Answer:
    """What a password buys."""
    answer = await node.post(path, printed() if form is None else form)
    assert answer.status == 200, answer
    return answer
