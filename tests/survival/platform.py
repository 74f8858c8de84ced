"""The platform on which servers are hurt: a first-party app, one that asks its user, a service, and APIs of both kinds."""

from __future__ import annotations

from typing import Final

from tests.support.platforms import acme

REDIRECT: Final = "https://app.example/callback"
SECRETS: Final = {
    "DESK_SECRET": "secret-of-the-desk-api-0123456789abcdef",
    "CLOCK_SECRET": "secret-of-the-clock-api-0123456789abcdef",
    "CLIENT_SECRET": "secret-of-every-client-0123456789abcdef",
    "PASSWORD": "organizer-demo",
}
CLIENT_SECRET: Final = SECRETS["CLIENT_SECRET"]
DESK: Final = ("https://desk.acme.test", SECRETS["DESK_SECRET"])
CLOCK: Final = ("https://clock.acme.test", SECRETS["CLOCK_SECRET"])

PLATFORM: Final = acme(
    {"acme-dev": ["Reader", "Writer"]},
    """
[[apis]]
audience = "https://desk.acme.test"
name     = "Acme Desk"
token    = { format = "opaque", lifetime = "2h" }
secret   = { env = "DESK_SECRET" }
[apis.scopes]
"read:notes"  = { text = "Read notes", reach = "tenant" }
"write:notes" = { text = "Write notes", reach = "tenant" }
"pin:notes"   = { text = "Pin notes", reach = "tenant" }

[[apis]]
audience = "https://clock.acme.test"
name     = "Acme Clock"
roles    = "off"
token    = { format = "jwt", lifetime = "15m" }
secret   = { env = "CLOCK_SECRET" }
[apis.scopes]
"read:clock" = { text = "Read the clock", reach = "tenant" }

[[roles]]
name   = "Reader"
scopes = ["read:notes"]

[[roles]]
name   = "Writer"
scopes = ["write:notes", "pin:notes"]

[[clients]]
client_id     = "own-app"
client_name   = "Own app"
party         = "first"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
scopes        = ["openid", "read:notes", "write:notes"]
secret        = { env = "CLIENT_SECRET" }

[[clients]]
client_id     = "asking-app"
client_name   = "Asking app"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
scopes        = ["openid", "read:notes", "write:notes", "pin:notes"]
secret        = { env = "CLIENT_SECRET" }

[[clients]]
client_id   = "service"
client_name = "A service"
type        = "service"
grant_types = ["client_credentials"]
scopes      = ["read:notes", "write:notes", "read:clock"]
scopes_policy = "all_allowed"
audience    = "first"
secret      = { env = "CLIENT_SECRET" }
""",
)
