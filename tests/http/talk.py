"""What apps and APIs say to the server in these tests, unless a test says otherwise."""

from __future__ import annotations

from typing import Any, Final

from tests.support.approving import VERIFIER, authorized, redirect_of, sign_in
from tests.support.house import ACME, CLIENT_SECRET, ENVIRON, Answer, Form, Node, basic

BUDDY: Final = basic("budget-buddy")
COPIER: Final = basic("image-copier")
BANK, EVENTS, REPORTS, IMAGING, APPS = (f"https://{name}.acme.test" for name in ("bank", "events", "reports", "imaging", "apps"))
BANK_API: Final = basic(BANK, ENVIRON["BANK_SECRET"])
FORM: Final = ("content-type", "application/x-www-form-urlencoded")
ORIGIN: Final = ("origin", "https://somebody.example")


async def a_code(node: Node, scope: str = "openid email read:balance", client: str = "budget-buddy", **params: str | None) -> str:
    """A code for Ann's access in her development account."""
    return (await authorized(node, await sign_in(node), client, scope, more=params))["code"]


def exchange(code: str, client: str = "budget-buddy", **changed: str | tuple[str, ...] | None) -> Form:
    """The form that exchanges a code."""
    form: dict[str, str | tuple[str, ...] | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_of(client),
        "code_verifier": VERIFIER,
    }
    return form | changed


async def tokens(
    node: Node, scope: str = "openid email read:balance", client: str = "budget-buddy", **params: str | None
) -> dict[str, Any]:
    """What the app gets for Ann's access."""
    resource = params.get("resource")
    code = await a_code(node, scope, client, **params)
    answer = await node.post("/token", exchange(code, client, resource=resource), basic(client))
    assert answer.status == 200, answer
    return answer.json


async def serve(node: Node, scope: str = "read:images", host: str = ACME, secret: str = CLIENT_SECRET) -> Answer:
    """A service's request for a token of its own."""
    return await node.post("/token", {"grant_type": "client_credentials", "scope": scope}, basic("image-copier", secret), host=host)
