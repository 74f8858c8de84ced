"""oauth4webapi, the strictest of the client libraries: it checks what the specifications say and forgives nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.conversation import ALL, Steps, converse, plan
from tests.clients.platform import BANK, LOOPBACK, private_jwk
from tests.support.visitor import Visitor

EVENTS = {"scope": "openid offline_access view:events", "audience": "https://events.acme.test", "access_token_alg": "ES256"}
ROOMS = {"scope": "openid offline_access view:rooms", "audience": "https://rooms.acme.test", "access_token_alg": "RS256"}


def lived(steps: Steps) -> None:
    """See that the token lived its whole life."""
    assert steps["mix-up"]["noticed"]
    assert steps["userinfo"]["sub"].startswith("us_")
    assert steps["renewed"] == {"rotated": True, "id_token": True}
    assert steps["before"]["active"] is True
    assert steps["after"]["active"] is False
    assert steps["refused"]["error"] == "invalid_grant"


@pytest.mark.parametrize("document", ["oidc", "oauth2"])
def test_a_third_party_client_with_its_secret_in_the_header(visitor: Visitor, document: str) -> None:
    asked = {"account": "acme-dev", "prompt": "consent"}
    steps = converse("oauth4webapi.js", visitor, plan("either-way", "client_secret_basic", document=document, asked=asked))
    lived(steps)
    assert visitor.seen == ["Sign in", "Allow Either way to use your data?"]
    assert steps["tokens"]["scope"] == ALL
    assert steps["tokens"]["expires_in"] == 7200
    assert steps["userinfo"]["email"] == "organizer@acme.test"
    assert steps["userinfo"]["given_name"] == "An"


def test_a_first_party_client_is_trusted_without_a_question(visitor: Visitor) -> None:
    asked = {"max_age": "3600", "prompt": "select_account"}
    lived(converse("oauth4webapi.js", visitor, plan("by-header", "client_secret_basic", max_age=3600, asked=asked)))
    assert visitor.seen == ["Sign in", "Choose an account"]


def test_a_secret_in_the_body_an_es256_id_token_and_a_form_post(visitor: Visitor) -> None:
    asked = {"account": "acme-dev", "response_mode": "form_post"}
    lived(converse("oauth4webapi.js", visitor, plan("by-body", "client_secret_post", id_token_alg="ES256", asked=asked)))
    assert visitor.seen[-1] == "Back to By body"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_private_key_and_an_eddsa_id_token(visitor: Visitor, alg: str) -> None:
    auth = {"method": "private_key_jwt", "jwk": private_jwk(alg)}
    lived(converse("oauth4webapi.js", visitor, plan("by-key", "private_key_jwt", id_token_alg="EdDSA", auth=auth)))


def test_a_public_client_with_a_loopback_port_of_its_choice(visitor: Visitor, http: httpx.Client) -> None:
    redirect = LOOPBACK.replace("127.0.0.1", "127.0.0.1:49152")
    steps = converse("oauth4webapi.js", visitor, plan("on-a-phone", "none", redirect_uri=redirect))
    assert steps["renewed"] == {"rotated": True, "id_token": True}
    assert steps["refused"]["error"] == "invalid_grant"
    asked = http.post("/introspect", data={"token": steps["revoked"]["token"]}, auth=BANK)
    assert asked.json() == {"active": False}


@pytest.mark.parametrize("api", [EVENTS, ROOMS], ids=["ES256", "RS256"])
def test_a_jwt_access_token_convinces_a_resource_server(visitor: Visitor, api: dict[str, str]) -> None:
    steps = converse("oauth4webapi.js", visitor, plan("either-way", "client_secret_basic", **api))
    lived(steps)
    claims = steps["judged"]["claims"]
    assert claims["scope"].split()[-1] == api["scope"].split()[-1]
    assert (claims["client_id"], claims["account"]) == ("either-way", "acme-dev")
    assert steps["judged"]["elsewhere"] != "ok"


@pytest.mark.parametrize(("client_id", "method"), [("service", "client_secret_basic"), ("service-by-key", "private_key_jwt")])
def test_a_service_gets_a_token_of_its_own(visitor: Visitor, client_id: str, method: str) -> None:
    told = plan(client_id, method, grant="client_credentials", scope="read:images", audience="https://images.acme.test")
    if method == "private_key_jwt":
        told["auth"] = {"method": method, "jwk": private_jwk("ES256")}
    steps = converse("oauth4webapi.js", visitor, {**told, "access_token_alg": "EdDSA"})
    assert steps["tokens"] == {"scope": "read:images", "expires_in": 3600}
    assert steps["judged"]["claims"]["sub"] == client_id
    assert (steps["before"]["active"], steps["after"]["active"]) == (True, False)
