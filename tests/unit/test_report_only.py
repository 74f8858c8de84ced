"""Rules that are tried out: one way to pass, and nothing secret in what is kept of it."""

from typing import get_args

import msgspec
import pytest

from gatewright.clients.rules import _MEANT, settings_faults, weaknesses
from gatewright.oauth.client import ClientSettings
from gatewright.oauth.errors import InvalidRequest
from gatewright.oauth.report_only import LONGEST_EXAMPLE, Breach, Rule, enforce, watched
from tests.support.builders import a_client

FAULT = InvalidRequest("the parameter 'code_challenge' is missing")


def test_a_rule_that_is_meant_refuses() -> None:
    with pytest.raises(InvalidRequest):
        enforce("pkce", a_client(report_only=("allowed_ips",)), FAULT)


def test_a_rule_that_is_tried_out_passes_and_says_what_it_would_have_refused() -> None:
    found = enforce("pkce", a_client(report_only=("pkce",)), FAULT, redirect_uri="https://web.example/cb", address=None)
    assert found == Breach("pkce", "the parameter 'code_challenge' is missing [redirect_uri=https://web.example/cb]")


def test_an_example_holds_nothing_secret_and_has_an_end() -> None:
    secret = "gwr_" + "A" * 60
    found = enforce("pkce", a_client(report_only=("pkce",)), FAULT, redirect_uri=f"https://web.example/cb?code={secret}", more="x" * 9000)
    assert secret not in found.example
    assert len(found.example) <= LONGEST_EXAMPLE


def test_no_rule_is_tried_out_unless_it_is_named() -> None:
    assert not any(watched(rule, a_client()) for rule in get_args(Rule))


def settings(**changed: object) -> ClientSettings:
    return msgspec.structs.replace(a_client().settings, **changed)


@pytest.mark.parametrize("rule", get_args(Rule))
def test_whatever_can_be_tried_out_is_a_setting_with_a_stricter_state_and_a_weakness_until_it_is_meant(rule: Rule) -> None:
    assert rule in _MEANT
    assert rule in ClientSettings.__struct_fields__
    tried = settings(report_only=(rule,), allowed_ips=("203.0.113.0/24",), unknown_scopes="refuse")
    if rule == "password_grant":
        tried = msgspec.structs.replace(tried, grant_types=("authorization_code", "password"))
    assert [key for key, _ in settings_faults(tried) if key.startswith("report_only")] == []
    # A way that is to be shut, and is only watched, makes nothing weaker than it is.
    assert (f"{rule}_report_only" in weaknesses(tried)) is (rule != "password_grant")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"report_only": ("pkce",), "pkce": "optional"}, 'write pkce = "required"'),
        ({"report_only": ("redirect_match",), "redirect_match": "subpath"}, 'redirect_match = "exact"'),
        ({"report_only": ("redirect_match",), "pkce": "optional"}, "needs PKCE"),
        ({"report_only": ("redirect_match",), "type": "spa", "token_endpoint_auth_method": "none"}, "prove themselves"),
        ({"report_only": ("allowed_ips",)}, "addresses in allowed_ips"),
        ({"report_only": ("scopes_policy",), "scopes_policy": "all_allowed"}, 'scopes_policy = "required"'),
        ({"report_only": ("unknown_scopes",), "unknown_scopes": "ignore"}, 'unknown_scopes = "refuse"'),
        ({"report_only": ("pkce", "pkce")}, "twice"),
        ({"report_only": ("password_grant",)}, '"password" in grant_types'),
        ({"report_only": ("pkce",), "type": "spa", "token_endpoint_auth_method": "none"}, "never let off PKCE"),
        ({"report_only": ("token_endpoint_auth_method",), "type": "spa", "token_endpoint_auth_method": "none"}, "the method that is to be"),
    ],
)
def test_trying_out_nothing_or_less_than_a_standard_demands_is_refused(changed: dict[str, object], word: str) -> None:
    found = [(key, sentence) for key, sentence in settings_faults(settings(**changed)) if key.startswith("report_only")]
    assert len(found) == 1
    assert word in found[0][1]
