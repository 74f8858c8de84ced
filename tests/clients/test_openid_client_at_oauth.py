"""openid-client against `/oauth/…` as seed 002's platform has it: code, refresh, password, and the first call to `/v1/me`."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.conversation import Steps, converse, plan
from tests.clients.platform import SECRETS
from tests.support.visitor import Visitor

SERVICE = "integration@service.acme.test"


def lived(steps: Steps, account: str) -> None:
    """See that the token lived its whole life."""
    assert set(steps["tokens"]["members"]) >= {"access_token", "expires_in", "refresh_token", "token_type"}
    assert (steps["tokens"]["expires_in"], steps["tokens"]["account"]) == (7200, account)
    assert (steps["me"]["status"], steps["me"]["type"]) == (200, "application/vnd.api+json")
    assert steps["me"]["attributes"]["account-slug"] == account
    assert steps["renewed"] == {"expires_in": 7200, "rotated": True}
    assert steps["still"]["attributes"] == steps["me"]["attributes"]
    assert steps["gone"]["status"] == 401


def test_a_user_signs_in_by_a_code(visitor: Visitor) -> None:
    told = plan("integration", "client_secret_post", asked={"account": "acme-dev"})
    lived(converse("oauth_paths.js", visitor, told), "acme-dev")


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_a_service_user_signs_in_by_its_password(visitor: Visitor, method: str) -> None:
    told = plan("integration", method, grant="password", username=SERVICE, password=SECRETS["PASSWORD"])
    lived(converse("oauth_paths.js", visitor, told), "acme-prod")


def test_the_token_request_exactly_as_seed_002_prints_it(visitor: Visitor, http: httpx.Client) -> None:
    form = {
        "grant_type": "password",
        "client_id": "integration",
        "client_secret": SECRETS["CLIENT_SECRET"],
        "username": SERVICE,
        "password": SECRETS["PASSWORD"],
    }
    answer = http.post("/oauth/token", data=form)
    assert answer.status_code == httpx.codes.OK
    assert answer.history == []
    assert {"access_token", "refresh_token", "expires_in", "token_type"} <= answer.json().keys()
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (7200, "Bearer")
    refresh = form | {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
    renewed = http.post(
        "/oauth/token", data={name: refresh[name] for name in ("grant_type", "client_id", "client_secret", "refresh_token")}
    )
    assert renewed.json()["expires_in"] == 7200
    headers = {"Authorization": f"Bearer {renewed.json()['access_token']}", "Accept": "application/vnd.api+json"}
    found = http.get("/v1/me", headers=headers).json()["data"]["attributes"]
    assert found["account-slug"] == "acme-prod"
    assert found["account-id"].startswith("ac_")
