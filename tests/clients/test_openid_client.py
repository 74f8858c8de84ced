"""openid-client, with which most Node programs sign their users in."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.conversation import Steps, converse, plan
from tests.clients.platform import BANK, LOOPBACK, SIGNED_OUT, private_jwk
from tests.support.visitor import Visitor


def lived(steps: Steps) -> None:
    """See that the token lived its whole life."""
    assert steps["discovered"]["pkce"] is True
    assert steps["userinfo"]["name"] == "An organizer"
    assert steps["renewed"] == {"rotated": True, "id_token": True}
    assert steps["before"]["active"] is True
    assert steps["after"]["active"] is False
    assert steps["refused"]["error"] == "invalid_grant"


def test_as_its_own_manual_begins_and_until_the_user_signs_out(visitor: Visitor) -> None:
    steps = converse("openid_client.js", visitor, plan("either-way", "default", signed_out=SIGNED_OUT))
    lived(steps)
    assert steps["left"] == {"url": SIGNED_OUT, "state": "left"}


def test_who_signed_out_has_to_sign_in_again(visitor: Visitor) -> None:
    told = plan("by-body", "client_secret_post", id_token_alg="ES256", signed_out=SIGNED_OUT)
    converse("openid_client.js", visitor, told)
    steps = converse("openid_client.js", visitor, told)
    lived(steps)
    # The consent is remembered; that somebody is there is not.
    assert steps["seen"]["pages"] == ["Sign in"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_goes_in_the_header_or_in_the_body(visitor: Visitor, method: str) -> None:
    lived(converse("openid_client.js", visitor, plan("either-way", method, document="oauth2")))


def test_a_private_key_and_an_eddsa_id_token(visitor: Visitor) -> None:
    auth = {"method": "private_key_jwt", "jwk": private_jwk("ES256")}
    lived(converse("openid_client.js", visitor, plan("by-key", "private_key_jwt", id_token_alg="EdDSA", auth=auth)))


def test_a_form_post_to_a_web_framework(visitor: Visitor) -> None:
    asked = {"account": "acme-prod", "response_mode": "form_post"}
    lived(converse("openid_client.js", visitor, plan("either-way", "client_secret_basic", asked=asked)))


def test_an_old_library_without_pkce_is_served_where_its_client_may_do_without(visitor: Visitor) -> None:
    lived(converse("openid_client.js", visitor, plan("old-library", "client_secret_post", pkce=False)))


def test_a_public_client_with_a_loopback_port_of_its_choice(visitor: Visitor, http: httpx.Client) -> None:
    redirect = LOOPBACK.replace("127.0.0.1", "127.0.0.1:50505")
    steps = converse("openid_client.js", visitor, plan("on-a-phone", "none", redirect_uri=redirect))
    assert steps["renewed"] == {"rotated": True, "id_token": True}
    assert steps["refused"]["error"] == "invalid_grant"
    asked = http.post("/introspect", data={"token": steps["revoked"]["token"]}, auth=BANK)
    assert asked.json() == {"active": False}


def test_a_service_gets_a_token_of_its_own(visitor: Visitor) -> None:
    steps = converse("openid_client.js", visitor, plan("service", "client_secret_post", grant="client_credentials", scope="read:images"))
    assert steps["tokens"] == {"scope": "read:images", "expires_in": 3600}
