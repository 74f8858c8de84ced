"""What we tell the world of an issuer (RFC 8414 §2, OpenID Connect Discovery §3), computed from the tables that do the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatewright.base.calendar import day
from gatewright.oauth.catalogue import MANAGEMENT_IDS, Catalogue
from gatewright.oauth.claims import ACR_PASSWORD
from gatewright.oauth.claims import SUPPORTED as CLAIMS
from gatewright.oauth.client_auth import SUPPORTED as METHODS
from gatewright.oauth.client_auth import none, private_key_jwt
from gatewright.oauth.grant_types import OFFERED
from gatewright.oauth.issuer import Issuer
from gatewright.oauth.paths import url_of

RESPONSE_TYPES: Final = ("code",)
RESPONSE_MODES: Final = ("query", "form_post")
PROMPTS: Final = ("none", "login", "consent", "select_account")
SIGNING_ALGS: Final = ("RS256", "ES256", "EdDSA")

# `none` proves nothing, so it is no way to ask about a token (RFC 7662 §2.1).
_PROVING: Final = tuple(method for method in METHODS if method != none.NAME)

_ENDPOINTS: Final = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "userinfo_endpoint": "userinfo",
    "jwks_uri": "jwks",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "device_authorization_endpoint": "device_authorization",
    "end_session_endpoint": "end_session",
}

# Said also where it is false or the default: what is absent means `true` for request_uri_parameter_supported and includes the implicit
# grant for grant_types_supported, neither of which is so here.
_SAME_EVERYWHERE: Final[Mapping[str, object]] = {
    "response_types_supported": RESPONSE_TYPES,
    "response_modes_supported": RESPONSE_MODES,
    "grant_types_supported": OFFERED,
    "code_challenge_methods_supported": ("S256",),
    "token_endpoint_auth_methods_supported": METHODS,
    "token_endpoint_auth_signing_alg_values_supported": private_key_jwt.ALGS,
    "revocation_endpoint_auth_methods_supported": METHODS,
    "revocation_endpoint_auth_signing_alg_values_supported": private_key_jwt.ALGS,
    "introspection_endpoint_auth_methods_supported": _PROVING,
    "introspection_endpoint_auth_signing_alg_values_supported": private_key_jwt.ALGS,
    "subject_types_supported": ("public",),
    "id_token_signing_alg_values_supported": SIGNING_ALGS,
    "claims_supported": CLAIMS,
    "claim_types_supported": ("normal",),
    "acr_values_supported": (ACR_PASSWORD,),
    "prompt_values_supported": PROMPTS,
    "display_values_supported": ("page",),
    "ui_locales_supported": ("en",),
    "claims_parameter_supported": True,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "require_request_uri_registration": False,
    "authorization_response_iss_parameter_supported": True,
    "frontchannel_logout_supported": False,
    "backchannel_logout_supported": False,
    "tls_client_certificate_bound_access_tokens": False,
}


def document(issuer: Issuer, catalogue: Catalogue) -> Mapping[str, object]:
    """Return the document of an issuer, the same at both of its addresses."""
    endpoints = {member: url_of(issuer, endpoint) for member, endpoint in _ENDPOINTS.items()}
    every = catalogue.scopes.values()
    scopes = catalogue.names(frozenset(catalogue.scopes) - MANAGEMENT_IDS)
    found: dict[str, object] = {"issuer": issuer.url, **endpoints, "scopes_supported": scopes, **_SAME_EVERYWHERE}
    # RFC 8414 §2 leaves room for members of one's own: what an app's developer can learn nowhere else in time.
    renamed = {alias: scope.name for scope in every for alias in scope.aliases}
    retiring = {scope.name: day(scope.retires_at) for scope in every if scope.retires_at is not None}
    return found | {name: value for name, value in (("gw_scopes_renamed", renamed), ("gw_scopes_retiring", retiring)) if value}
