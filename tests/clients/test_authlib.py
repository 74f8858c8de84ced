"""Authlib, with which most Python programs sign their users in."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from tests.clients.conversation import ALL
from tests.clients.platform import BANK, LOOPBACK, PRIVATE_KEYS, REDIRECT, SECRETS
from tests.support.visitor import Arrival, Visitor

VERIFIER = "a-verifier-that-is-long-enough-0123456789-0123456789"
SECRET = SECRETS["CLIENT_SECRET"]


def over_httpx(**settings: Any) -> Any:  # noqa: ANN401 - the library has no types
    """Return Authlib's session over httpx, whose successor Authlib would rather see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = import_module("authlib.integrations.httpx_client").OAuth2Client
    return session(trust_env=False, **settings)


@pytest.fixture(params=[OAuth2Session, over_httpx], ids=["requests", "httpx"])
def session(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """How to make a session, which is closed when the test is over."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(request.param(**settings))


class App:
    """A program that signs its users in through Authlib."""

    def __init__(self, visitor: Visitor, make: Callable[..., Any], client_id: str, method: str, **settings: object) -> None:
        self.visitor = visitor
        self.about: dict[str, Any] = visitor.http.get("/.well-known/openid-configuration").json()
        ordinary = {"client_secret": SECRET, "redirect_uri": REDIRECT, "scope": ALL, "code_challenge_method": "S256"}
        proofs = {"token_endpoint_auth_method": method, "revocation_endpoint_auth_method": method}
        self.session = make(client_id=client_id, **{**ordinary, **proofs, **settings})
        if method == "private_key_jwt":
            self.session.register_client_auth_method(PrivateKeyJWT(self.about["token_endpoint"], headers={"kid": "rsa"}))

    def connect(self, **asked: str) -> dict[str, Any]:
        """Send the user away and take what comes back, up to the tokens."""
        there, state = self.session.create_authorization_url(
            self.about["authorization_endpoint"], code_verifier=VERIFIER, nonce="n-1", account="acme-dev", **asked
        )
        back = self.visitor.authorize(there.removeprefix(self.visitor.issuer))
        assert back.params["iss"] == self.visitor.issuer
        return self.exchange(back, state)

    def exchange(self, back: Arrival, state: str) -> dict[str, Any]:
        """Exchange the code."""
        where = self.about["token_endpoint"]
        return dict(self.session.fetch_token(where, authorization_response=back.full, state=state, code_verifier=VERIFIER))

    def believe(self, tokens: dict[str, Any], alg: str) -> dict[str, Any]:
        """Verify the ID token as the library does behind its web frameworks."""
        keys = KeySet.import_key_set(self.visitor.http.get("/jwks").json())
        told = jwt.decode(tokens["id_token"], keys, registry=JWSRegistry(algorithms=[alg], strict_check_header=False))
        params = {"nonce": "n-1", "client_id": self.session.client_id, "access_token": tokens["access_token"]}
        claims = CodeIDToken(told.claims, told.header, {"iss": {"values": [self.visitor.issuer]}}, params)
        claims.validate(leeway=0)
        return dict(claims)

    def live(self, alg: str) -> None:
        """Live a token's whole life."""
        tokens = self.connect()
        claims = self.believe(tokens, alg)
        about = self.session.get(self.about["userinfo_endpoint"]).json()
        assert about["sub"] == claims["sub"]
        assert about["email"] == "organizer@acme.test"
        renewed = dict(self.session.refresh_token(self.about["token_endpoint"]))
        assert renewed["refresh_token"] != tokens["refresh_token"]
        assert self.active(renewed["access_token"])
        assert self.session.revoke_token(self.about["revocation_endpoint"], token=renewed["refresh_token"]).status_code == httpx.codes.OK
        assert not self.active(renewed["access_token"])
        with pytest.raises(OAuthError, match="invalid_grant"):
            self.session.refresh_token(self.about["token_endpoint"])

    def active(self, token: str) -> bool:
        """Ask as the bank does, with the library's own call where the client may."""
        if self.session.token_endpoint_auth_method == "none":
            return bool(self.visitor.http.post("/introspect", data={"token": token}, auth=BANK).json()["active"])
        return bool(self.session.introspect_token(self.about["introspection_endpoint"], token=token).json()["active"])


@pytest.mark.parametrize(
    ("client_id", "method", "alg"),
    [
        ("either-way", "client_secret_basic", "RS256"),
        ("by-header", "client_secret_basic", "RS256"),
        ("by-body", "client_secret_post", "ES256"),
    ],
)
def test_a_client_with_a_secret(visitor: Visitor, session: Callable[..., Any], client_id: str, method: str, alg: str) -> None:
    App(visitor, session, client_id, method).live(alg)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the name is (RFC 9864), the algorithm is not
def test_a_client_with_a_private_key(visitor: Visitor, session: Callable[..., Any]) -> None:
    App(visitor, session, "by-key", "private_key_jwt", client_secret=PRIVATE_KEYS["RS256"]).live("EdDSA")


def test_a_public_client_with_a_loopback_port_of_its_choice(visitor: Visitor, session: Callable[..., Any]) -> None:
    redirect = LOOPBACK.replace("127.0.0.1", "127.0.0.1:51515")
    App(visitor, session, "on-a-phone", "none", client_secret=None, redirect_uri=redirect).live("RS256")


def test_a_form_post_is_understood(visitor: Visitor, session: Callable[..., Any]) -> None:
    app = App(visitor, session, "either-way", "client_secret_basic")
    assert app.believe(app.connect(response_mode="form_post"), "RS256")["sub"].startswith("us_")


@pytest.mark.parametrize(("client_id", "method"), [("service", "client_secret_basic"), ("service-by-key", "private_key_jwt")])
def test_a_service_gets_a_token_of_its_own(visitor: Visitor, session: Callable[..., Any], client_id: str, method: str) -> None:
    secret = SECRET if method == "client_secret_basic" else PRIVATE_KEYS["RS256"]
    app = App(visitor, session, client_id, method, client_secret=secret, scope="read:images")
    tokens = app.session.fetch_token(app.about["token_endpoint"], grant_type="client_credentials")
    assert (tokens["scope"], tokens["expires_in"]) == ("read:images", 3600)
    assert app.active(tokens["access_token"])
