"""Devices that sign their users in elsewhere (RFC 8628), by libraries that nobody here wrote."""

from __future__ import annotations

import pytest

from gatewright.oauth.device import GRANT_TYPE
from tests.clients.conversation import Steps, converse, plan
from tests.support.visitor import Visitor

SCOPE = "openid profile read:balance"


def told(client_id: str, method: str, **more: object) -> dict[str, object]:
    """What a script is told: like any other, but nobody is sent back."""
    return plan(client_id, method, **({"scope": SCOPE, "asked": {}} | more))


def signed_in(steps: Steps) -> None:
    """See that the device was let in, and what it got lived its whole life."""
    assert GRANT_TYPE in steps["discovered"]["grants"]
    assert steps["begun"]["complete"] == f"{steps['begun']['uri']}?user_code={steps['begun']['user_code']}"
    assert steps["answered"]["heading"] == "You can go back to your device"
    assert (steps["tokens"]["scope"], steps["tokens"]["nonce"]) == (SCOPE, None)
    assert steps["userinfo"]["name"] == "An organizer"
    assert steps["renewed"] == {"rotated": True}
    assert steps["ended"]["error"] == "invalid_grant"


def test_openid_client_signs_somebody_in_at_a_device(visitor: Visitor) -> None:
    steps = converse("device_openid_client.js", visitor, told("television", "none"))
    signed_in(steps)
    assert steps["answered"]["pages"] == [
        "Sign in",
        "Connect a device",
        "Choose an account",
        "Let Television on another device use your data?",
        "You can go back to your device",
    ]


def test_a_program_that_keeps_a_secret_signs_somebody_in_too(visitor: Visitor) -> None:
    signed_in(converse("device_openid_client.js", visitor, told("set-top", "client_secret_basic", asked={"account": "acme-prod"})))


def test_a_no_reaches_openid_client(visitor: Visitor) -> None:
    visitor.allow = False
    steps = converse("device_openid_client.js", visitor, told("television", "none", asked={"account": "acme-dev"}))
    assert (steps["answered"]["heading"], steps["refused"]) == ("You said no", {"error": "access_denied"})


@pytest.mark.parametrize("document", ["oidc", "oauth2"])
def test_oauth4webapi_is_told_to_wait_to_slow_down_and_then_who_signed_in(visitor: Visitor, document: str) -> None:
    steps = converse("device_oauth4webapi.js", visitor, told("television", "none", document=document))
    assert steps["begun"] == {"expires_in": 600, "interval": 5, "cached": "no-store"}
    assert steps["waiting"]["told"][-1] == "slow_down"
    assert set(steps["waiting"]["told"][:-1]) == {"authorization_pending"}
    assert (steps["tokens"], steps["again"]) == ({"scope": SCOPE}, {"error": "invalid_grant"})
