"""A platform with two banks, one of which takes JWTs, and the programs that call them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import httpx
import uvicorn
from fastapi import FastAPI
from joserfc.jwk import ECKey

from gatewright_client.tokens import Tokens
from gatewright_guard.fastapi import Caller, Guard, protect, requires
from tests.support.platforms import acme, jwks
from tests.support.running import Node
from tests.support.visitor import Visitor

SECRETS: Final = {
    "API_SECRET": "secret-of-the-api-0123456789abcdef",
    "CLIENT_SECRET": "secret-of-every-client-0123456789abcdef",
    "PASSWORD": "organizer-demo",
}
BANK: Final = "https://bank.acme.test"  # JWTs
VAULT: Final = "https://vault.acme.test"  # opaque tokens
KEY: Final = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "k1", "use": "sig"})
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, Appendix B
CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

_API: Final = """
[[apis]]
audience = "https://%s.acme.test"
name     = "Acme %s"
token    = { format = "%s", lifetime = "15m" }
secret   = { env = "API_SECRET" }
[apis.scopes]
"%sread:balance"   = "See the balance of your accounts"
"%stransfer:funds" = "Send money from your accounts"
"""
_SCOPES: Final = 'scopes = ["read:balance", "transfer:funds", "vault:read:balance", "vault:transfer:funds"]'
_REST: Final = f"""
[[roles]]
name   = "Saver"
scopes = ["read:balance", "vault:read:balance"]

[[clients]]
client_id   = "reports"
client_name = "Reports"
type        = "service"
account     = "acme-dev"
secret      = {{ env = "CLIENT_SECRET" }}
{_SCOPES}

[[clients]]
client_id   = "reports-by-key"
client_name = "Reports"
type        = "service"
account     = "acme-dev"
token_endpoint_auth_method = "private_key_jwt"
jwks        = {jwks(KEY)}
{_SCOPES}

[[clients]]
client_id   = "bank-cli"
client_name = "Bank at the terminal"
type        = "native"
token_endpoint_auth_method = "none"
grant_types   = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
redirect_uris = ["http://127.0.0.1/callback"]
{_SCOPES}
"""
_APIS: Final = _API % ("bank", "Bank", "jwt", "", "") + _API % ("vault", "Vault", "opaque", "vault:", "vault:")
PLATFORM: Final = acme({"acme-dev": ["Saver"], "acme-prod": []}, _APIS + _REST)


def bank(issuer: str, audience: str, prefix: str = "") -> FastAPI:
    """A bank behind the guard."""
    guard = Guard(issuer, audience, credentials=(audience, SECRETS["API_SECRET"]), max_stale=0)
    app = FastAPI()
    protect(app, guard)

    @app.get("/balance")
    async def balance(caller: Annotated[Caller, requires(f"{prefix}read:balance")]) -> dict[str, str]:
        return {"user": caller.sub, "account": caller.account or ""}

    @app.get("/accounts/{account}/balance")
    async def balance_of(
        account: str, caller: Annotated[Caller, requires(f"{prefix}read:balance", account_in="account")]
    ) -> dict[str, str]:
        return {"user": caller.sub, "account": account}

    @app.post("/transfers")
    async def transfer(caller: Annotated[Caller, requires(f"{prefix}transfer:funds")]) -> dict[str, bool]:
        return {"sent": True}

    return app


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of an application on a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none"))
    up = threading.Event()
    begin = server.startup

    async def startup(sockets: object = None) -> None:
        await begin()
        up.set()

    server.startup = startup  # type: ignore[method-assign]  # the one moment that is worth waiting for
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert up.wait(30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def signed_in(node: Node, scope: str, resource: str, *, account: str = "acme-dev") -> Tokens:
    """What the bank's program holds after its user has signed in by the browser (RFC 8252)."""
    issuer, redirect = node.deployment.issuer, "http://127.0.0.1:49152/callback"
    with node.client() as http:
        visitor = Visitor(http, issuer, account=account)
        query = {"response_type": "code", "client_id": "bank-cli", "redirect_uri": redirect, "scope": scope, "resource": resource}
        arrived = visitor.authorize("/authorize", **query, code_challenge=CHALLENGE, code_challenge_method="S256", account=account)
        form = {"grant_type": "authorization_code", "code": arrived.params["code"], "redirect_uri": redirect, "client_id": "bank-cli"}
        answer = http.post("/token", data=form | {"code_verifier": VERIFIER, "resource": resource})
    assert answer.status_code == httpx.codes.OK, answer.text
    said = answer.json()
    return Tokens(
        access_token=said["access_token"],
        renew_at=0.0,  # so that it is renewed at the first use
        refresh_token=said["refresh_token"],
        scope=said["scope"],
        whose=f"{issuer} bank-cli {resource}",
    )
