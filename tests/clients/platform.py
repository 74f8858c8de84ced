"""The platform that the client libraries meet: clients of every kind, and APIs whose tokens are signed in every way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.support.platforms import acme, jwks

REDIRECT: Final = "https://app.example/callback"
SIGNED_OUT: Final = "https://app.example/bye"
LOOPBACK: Final = "http://127.0.0.1/callback"

SECRETS: Final = {
    "BANK_SECRET": "secret-of-the-bank-api-0123456789abcdef",
    "EVENTS_SECRET": "secret-of-the-events-api-0123456789abcdef",
    "CLIENT_SECRET": "secret-of-every-client-0123456789abcdef",
    "PASSWORD": "organizer-demo",
}
BANK: Final = ("https://bank.acme.test", SECRETS["BANK_SECRET"])  # written as it is, which RFC 6749 §2.3.1 would not have

PRIVATE_KEYS: Final[Mapping[str, ECKey | RSAKey | OKPKey]] = {
    "ES256": ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "ec", "use": "sig"}),
    "RS256": RSAKey.generate_key(2048, parameters={"alg": "RS256", "kid": "rsa", "use": "sig"}),
    "EdDSA": OKPKey.generate_key("Ed25519", parameters={"alg": "EdDSA", "kid": "ed", "use": "sig"}),
}


def private_jwk(alg: str) -> dict[str, Any]:
    """Return the key with which a client signs its assertions."""
    return dict(PRIVATE_KEYS[alg].as_dict(private=True))


_WORLD: Final = acme(
    {"acme-dev": ["Organizer"], "acme-prod": []},
    tenant='paths = ["standard", "o", "oauth"]',
    user='email_verified = true\nprofile = { given_name = "An", family_name = "Organizer", locale = "en" }\n',
    rest="""[[apis]]
audience = "https://bank.acme.test"
name     = "Acme Bank"
roles    = "off"
token    = { format = "opaque", lifetime = "2h" }
secret   = { env = "BANK_SECRET" }
[apis.scopes]
"read:balance"   = "See the balance of your bank accounts"
"transfer:funds" = { text = "Send money from your bank accounts", risk = "high" }

[[apis]]
audience = "https://events.acme.test"
name     = "Acme Events"
token    = { format = "jwt", lifetime = "15m" }
secret   = { env = "EVENTS_SECRET" }
[apis.scopes]
"create:events" = "Create events"
"view:events"   = "See events"

[[apis]]
audience = "https://rooms.acme.test"
name     = "Acme Rooms"
roles    = "off"
token    = { format = "jwt", lifetime = "15m", alg = "RS256" }
[apis.scopes]
"view:rooms" = "See rooms"

[[apis]]
audience = "https://images.acme.test"
name     = "Acme Images"
token    = { format = "jwt", lifetime = "1h", alg = "EdDSA" }
[apis.scopes]
"read:images" = { text = "Read images", reach = "tenant" }

[[roles]]
name   = "Organizer"
scopes = ["create:events", "view:events"]

[[users]]
email       = "integration@service.acme.test"
kind        = "service"
name        = "An integration"
password    = { env = "PASSWORD" }
memberships = [{ account = "acme-prod", roles = ["Organizer"] }]
""",
)

_CLIENT: Final = """
[[clients]]
client_id     = "%s"
client_name   = "%s"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["%s"]
scopes        = ["openid", "profile", "email", "offline_access", "read:balance", "create:events", "view:events", "view:rooms"]
"""
_SECRET: Final = 'secret = { env = "CLIENT_SECRET" }\n'
_OWN_TOKENS: Final = "introspects = true\n"
_LEAVES: Final = f'post_logout_redirect_uris = ["{SIGNED_OUT}"]\n'


def _client(client_id: str, *lines: str, redirect: str = REDIRECT) -> str:
    return _CLIENT % (client_id, client_id.replace("-", " ").capitalize(), redirect) + "".join(lines)


def platform() -> str:
    """Return the platform file."""
    keys = f'token_endpoint_auth_method = "private_key_jwt"\njwks = {jwks(*PRIVATE_KEYS.values())}\n'
    return _WORLD + "".join(
        [
            _client("either-way", _SECRET, _OWN_TOKENS, _LEAVES),
            _client("by-header", _SECRET, _OWN_TOKENS, 'token_endpoint_auth_method = "client_secret_basic"\nparty = "first"\n'),
            _client(
                "by-body",
                _SECRET,
                _OWN_TOKENS,
                _LEAVES,
                'token_endpoint_auth_method = "client_secret_post"\nid_token_signed_response_alg = "ES256"\n',
            ),
            _client("by-key", keys, _OWN_TOKENS, 'id_token_signed_response_alg = "EdDSA"\n'),
            _client("old-library", _SECRET, _OWN_TOKENS, 'pkce = "optional"\n'),
            _client("lambda-widget", _SECRET, redirect="https://widget.example/callback"),
            _client("on-a-phone", 'type = "native"\ntoken_endpoint_auth_method = "none"\n', redirect=LOOPBACK),
            _INTEGRATION,
            _DEVICE % ("television", "Television", "device", ""),
            _DEVICE % ("set-top", "Set-top box", "web", _SET_TOP + _SECRET),
            _SERVICE % ("service", _SECRET),
            _SERVICE % ("service-by-key", keys),
        ]
    )


# As seed 002 has it: a client of years ago, whose requests name no scope.
_INTEGRATION: Final = """
[[clients]]
client_id      = "integration"
client_name    = "An integration"
redirect_uris  = ["https://app.example/callback"]
scopes         = ["read:balance"]
scopes_policy  = "all_allowed"
pkce           = "optional"
password_grant = { until = 2028-06-30, reason = "the connector is being rewritten" }
secret         = { env = "CLIENT_SECRET" }
"""

_SET_TOP: Final = 'grant_types = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]\n'
_DEVICE: Final = """
[[clients]]
client_id   = "%s"
client_name = "%s"
type        = "%s"
scopes      = ["openid", "profile", "read:balance"]
%s"""

_SERVICE: Final = """
[[clients]]
client_id   = "%s"
client_name = "A service"
type        = "service"
grant_types = ["client_credentials"]
scopes      = ["read:images"]
introspects = true
%s"""

OTHER_TENANT: Final = """
[tenant]
slug    = "older"
name    = "An older platform"
domains = ["http://localhost:{port}"]
paths   = ["o"]

[[apis]]
audience = "https://bank.acme.test"
name     = "A bank"
roles    = "off"
token    = { format = "opaque", lifetime = "2h" }
secret   = { env = "BANK_SECRET" }
[apis.scopes]
"read:balance" = "See the balance of your bank accounts"

[[accounts]]
slug = "acme-dev"
name = "Acme (Dev)"

[[users]]
email       = "organizer@acme.test"
name        = "An organizer"
password    = { env = "PASSWORD" }
memberships = [{ account = "acme-dev" }]

[[clients]]
client_id     = "old-library"
client_name   = "Old library"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
scopes        = ["openid", "profile", "email", "read:balance"]
secret        = { env = "CLIENT_SECRET" }
pkce          = "optional"
introspects   = true

[[clients]]
client_id      = "widget"
client_name    = "A widget"
party          = "first"
internal       = true
grant_types    = ["password", "refresh_token"]
scopes         = ["openid", "profile", "email", "read:balance"]
password_grant = { until = 2028-06-30, reason = "the widget gets a sign-in page" }
secret         = { env = "CLIENT_SECRET" }

[[clients]]
client_id   = "lambda"
client_name = "A service"
type        = "service"
scopes      = ["read:balance"]
account     = "acme-dev"
introspects = true
secret      = { env = "CLIENT_SECRET" }
"""
