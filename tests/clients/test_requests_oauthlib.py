"""requests-oauthlib, as programs use it that were written for a platform of years ago: at `/o/…/`, mostly without PKCE."""

from __future__ import annotations

import pytest
import requests
from oauthlib.oauth2 import AccessDeniedError, BackendApplicationClient, InvalidGrantError, LegacyApplicationClient
from requests_oauthlib import OAuth2Session

from tests.clients.platform import REDIRECT, SECRETS
from tests.support.running import Node
from tests.support.visitor import Visitor

SECRET = SECRETS["CLIENT_SECRET"]


@pytest.fixture(autouse=True)
def _loopback_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """oauthlib wants this said before it talks http."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def elsewhere(node: Node, visitor: Visitor) -> Visitor:
    """A visitor of the other tenant, which has the old addresses alone and is found by its host."""
    visitor.issuer = f"http://localhost:{node.port}"
    visitor.http.base_url = visitor.issuer
    visitor.http.headers["Host"] = f"localhost:{node.port}"
    return visitor


@pytest.mark.parametrize("pkce", [None, "S256"])
def test_the_whole_life_of_a_token_at_the_old_addresses(elsewhere: Visitor, pkce: str | None) -> None:
    about = requests.get(f"{elsewhere.issuer}/.well-known/openid-configuration", timeout=10).json()
    assert about["token_endpoint"] == f"{elsewhere.issuer}/o/token/"
    with OAuth2Session("old-library", redirect_uri=REDIRECT, scope=["openid", "email", "read:balance"], pkce=pkce) as session:
        there, _ = session.authorization_url(about["authorization_endpoint"])
        back = elsewhere.authorize(there.removeprefix(elsewhere.issuer))
        tokens = session.fetch_token(about["token_endpoint"], authorization_response=back.full, client_secret=SECRET)
        assert tokens["scope"] == ["openid", "email", "read:balance"]
        assert session.get(about["userinfo_endpoint"]).json()["email"] == "organizer@acme.test"
        renewed = session.refresh_token(about["token_endpoint"], auth=("old-library", SECRET))
        assert renewed["refresh_token"] != tokens["refresh_token"]
        ended = requests.post(
            about["revocation_endpoint"], data={"token": renewed["refresh_token"]}, auth=("old-library", SECRET), timeout=10
        )
        assert ended.status_code == requests.codes.ok
        asked = requests.post(
            about["introspection_endpoint"], data={"token": renewed["access_token"]}, auth=("old-library", SECRET), timeout=10
        )
        assert asked.json() == {"active": False}
        with pytest.raises(InvalidGrantError):
            session.refresh_token(about["token_endpoint"], auth=("old-library", SECRET))


@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("include", [True, False])
def test_the_old_addresses_answer_with_and_without_a_slash(visitor: Visitor, slash: str, include: bool) -> None:
    with OAuth2Session("old-library", redirect_uri=REDIRECT, scope=["read:balance"]) as session:
        there, _ = session.authorization_url(f"{visitor.issuer}/o/authorize{slash}", account="acme-dev")
        back = visitor.authorize(there.removeprefix(visitor.issuer))
        tokens = session.fetch_token(
            f"{visitor.issuer}/o/token{slash}", authorization_response=back.full, client_secret=SECRET, include_client_id=include
        )
    assert tokens["scope"] == ["read:balance"]


def test_a_user_who_says_no_is_told_in_the_librarys_own_words(visitor: Visitor) -> None:
    visitor.allow = False
    with OAuth2Session("old-library", redirect_uri=REDIRECT, scope=["read:balance"]) as session:
        there, _ = session.authorization_url(f"{visitor.issuer}/o/authorize/", account="acme-dev", prompt="consent")
        back = visitor.authorize(there.removeprefix(visitor.issuer))
        with pytest.raises(AccessDeniedError):
            session.fetch_token(f"{visitor.issuer}/o/token/", authorization_response=back.full, client_secret=SECRET)


def test_a_widget_that_takes_a_password_learns_who_it_is_and_gives_the_token_back(elsewhere: Visitor) -> None:
    """Seed 001, option 2: "Send them to /o/token/ with grant_type=password, username, and password"."""
    there = elsewhere.issuer
    with OAuth2Session(client=LegacyApplicationClient(client_id="widget", scope=["openid", "profile", "email"])) as session:
        tokens = session.fetch_token(
            f"{there}/o/token/", username="organizer@acme.test", password=SECRETS["PASSWORD"], client_id="widget", client_secret=SECRET
        )
        assert tokens["token_type"] == "Bearer"
        assert session.get(f"{there}/o/userinfo/").json()["name"] == "An organizer"
        renewed = session.refresh_token(f"{there}/o/token/", auth=("widget", SECRET))
        ended = requests.post(f"{there}/o/revoke_token/", data={"token": renewed["refresh_token"]}, auth=("widget", SECRET), timeout=10)
        assert (ended.status_code, ended.history) == (requests.codes.ok, [])
        assert session.get(f"{there}/o/userinfo/").status_code == requests.codes.unauthorized


@pytest.mark.parametrize(("username", "password"), [("organizer@acme.test", "wrong"), ("nobody@acme.test", "organizer-demo")])
def test_a_wrong_password_is_invalid_grant_in_the_librarys_own_words(elsewhere: Visitor, username: str, password: str) -> None:
    with (
        OAuth2Session(client=LegacyApplicationClient(client_id="widget", scope=["openid"])) as session,
        pytest.raises(InvalidGrantError, match="wrong, or may not be used here"),
    ):
        session.fetch_token(f"{elsewhere.issuer}/o/token/", username=username, password=password, client_secret=SECRET)


def test_a_back_end_of_the_old_platform_gets_a_token_of_its_own(elsewhere: Visitor) -> None:
    """Seed 001, option 3: "Your backend requests an access token from /o/token/ using grant_type=client_credentials"."""
    with OAuth2Session(client=BackendApplicationClient(client_id="lambda", scope=["read:balance"])) as session:
        tokens = session.fetch_token(f"{elsewhere.issuer}/o/token/", client_secret=SECRET)
        assert tokens["account"] == "acme-dev"
        asked = requests.post(
            f"{elsewhere.issuer}/o/introspect/", data={"token": tokens["access_token"]}, auth=("lambda", SECRET), timeout=10
        )
        assert asked.json()["active"] is True


def test_a_service_gets_a_token_of_its_own(visitor: Visitor) -> None:
    client = BackendApplicationClient(client_id="service", scope=["read:images"])
    with OAuth2Session(client=client) as session:
        tokens = session.fetch_token(f"{visitor.issuer}/oauth/token", client_secret=SECRET)
    assert (tokens["scope"], tokens["expires_in"]) == (["read:images"], 3600)
