"""A stricter rule can be tried out: what it would refuse passes as before, and is counted (`docs/guides/change-safely.md`).

A setting that is stricter than what a client does today is named in the client's `report_only`. Whatever checks such a setting asks
`enforce`; there is no other way for a rule to be only watched. Taking the name out of the list is all that it takes to mean it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from gatewright.base.mask import masked

if TYPE_CHECKING:
    from gatewright.oauth.client import Client
    from gatewright.oauth.errors import OAuthError

Rule = Literal["pkce", "redirect_match", "allowed_ips", "scopes_policy", "unknown_scopes", "token_endpoint_auth_method", "password_grant"]
"""The settings that can be tried out, by their own names."""

LONGEST_EXAMPLE: Final = 300


class Breach(Struct, frozen=True):
    """What a rule would have refused. The example says of the request what finds its sender, and nothing secret."""

    rule: Rule
    example: str


def watched(rule: Rule, client: Client) -> bool:
    """Tell whether a client is only watched for a rule."""
    return rule in client.settings.report_only


def enforce(rule: Rule, client: Client, fault: OAuthError, **request: str | None) -> Breach:
    """Refuse, or return what the pipeline is to count where the client is only watched for the rule.

    Raises:
        OAuthError: the fault, where the rule is meant.
    """
    if not watched(rule, client):
        raise fault
    return breach(rule, fault.description, **request)


def breach(rule: Rule, sentence: str, **request: str | None) -> Breach:
    """Return what a rule would have refused, with those parts of the request that find its sender."""
    parts = [f"{name}={value}" for name, value in request.items() if value]
    return Breach(rule, str(masked(f"{sentence} [{' '.join(parts)}]" if parts else sentence))[:LONGEST_EXAMPLE])
