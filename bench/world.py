"""The platform on which the benchmarks run: two APIs, six scopes, two roles, one user, three clients."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from bench.raw import Raw
from gatewright.base.digest import Kind, b64
from gatewright.oauth.catalogue import EMAIL, OPENID, PROFILE, text_of
from gatewright.oauth.pkce import challenge_of

BANK: Final = "https://bank.bench.test"  # opaque tokens
EVENTS: Final = "https://events.bench.test"  # JWTs
BANK_SCOPES: Final = ("read:balance", "transfer:funds", "list:payees")
EVENTS_SCOPES: Final = ("create:events", "update:events", "view:events")
WEB: Final = "bench-web"
SERVICE: Final = "bench-service"
DEVICE: Final = "bench-device"
REDIRECT: Final = "http://localhost:8601/callback"
EMAIL_OF_USER: Final = "user@bench.test"
VERIFIER: Final = "benchmark-verifier-0123456789-0123456789-0123456789"
CHALLENGE: Final = challenge_of(VERIFIER)

# Each looks like one that we made, so that it is kept as a fast digest.
SECRETS: Final = {
    "BENCH_BANK_SECRET": Kind.API_SECRET + b64(b"b" * 32),
    "BENCH_EVENTS_SECRET": Kind.API_SECRET + b64(b"e" * 32),
    "BENCH_WEB_SECRET": Kind.CLIENT_SECRET + b64(b"w" * 32),
    "BENCH_SERVICE_SECRET": Kind.CLIENT_SECRET + b64(b"s" * 32),
    "BENCH_PASSWORD": "benchmark-password-0123",
}

_PLATFORM: Final = """
[tenant]
slug    = "bench"
name    = "Bench"
domains = ["{origin}"]
paths   = ["standard"]

[[apis]]
audience = "https://bank.bench.test"
name     = "Bank"
token    = {{ format = "opaque", lifetime = "2h" }}
secret   = {{ env = "BENCH_BANK_SECRET" }}
routes   = [
  {{ path = "/health", public = true }},
  {{ path = "/accounts/{{account}}/transfers", methods = ["POST"], scopes = ["transfer:funds"], account_in = "account" }},
  {{ path = "/accounts/{{account}}/payees/*", scopes = ["list:payees"], account_in = "account" }},
  {{ path = "/accounts/{{account}}/balance", methods = ["GET"], scopes = ["read:balance"], account_in = "account" }},
]
[apis.scopes]
"read:balance"   = "See the balance"
"transfer:funds" = "Send money"
"list:payees"    = "See to whom money was sent"

[[apis]]
audience = "https://events.bench.test"
name     = "Events"
token    = {{ format = "jwt", lifetime = "15m" }}
secret   = {{ env = "BENCH_EVENTS_SECRET" }}
verify_max_age = "30s"
routes   = [{{ path = "/events", methods = ["GET"], scopes = ["view:events"] }}]
[apis.scopes]
"create:events" = "Create events"
"update:events" = "Change events"
"view:events"   = "See events"

[[roles]]
name   = "Owner"
scopes = ["read:balance", "transfer:funds", "create:events", "update:events"]

[[roles]]
name   = "Member"
scopes = ["list:payees", "view:events"]

[[accounts]]
slug = "acme"
name = "Acme"

[[users]]
email       = "user@bench.test"
name        = "A user"
password    = {{ env = "BENCH_PASSWORD" }}
memberships = [{{ account = "acme", roles = ["Owner", "Member"] }}]

[[clients]]
client_id     = "bench-web"
client_name   = "Bench web app"
type          = "web"
party         = "first"
grant_types   = ["authorization_code", "refresh_token"]
redirect_uris = ["http://localhost:8601/callback"]
scopes        = [
  "openid", "profile", "email",
  "read:balance", "transfer:funds", "list:payees",
  "create:events", "update:events", "view:events",
]
secret        = {{ env = "BENCH_WEB_SECRET" }}
id_token_signed_response_alg = "ES256"

[[clients]]
client_id   = "bench-service"
client_name = "Bench service"
type        = "service"
grant_types = ["client_credentials"]
scopes      = ["read:balance", "transfer:funds", "list:payees", "create:events", "update:events", "view:events"]
secret      = {{ env = "BENCH_SERVICE_SECRET" }}

[[clients]]
client_id   = "bench-device"
client_name = "Bench device"
type        = "device"
scopes      = ["openid", "read:balance"]
"""

# With name, e-mail and whether it is verified, and `sub`: eight claims at userinfo.
PROFILE_OF_USER: Final = '{"family_name":"User","given_name":"A","locale":"en","zoneinfo":"Europe/Vienna"}'


def platform_file(origin: str) -> str:
    """Return the platform file for an issuer."""
    return _PLATFORM.format(origin=origin)


class Cast(Struct, frozen=True, kw_only=True):
    """The ids that the platform got when it was applied, as seeding needs them."""

    origin: str
    tenant: int
    bank: int
    events: int
    web: int
    service: int
    account: int
    person: int
    membership: int
    roles: str
    scopes: dict[str, int]

    @property
    def host(self) -> str:
        """What the Host header says."""
        return self.origin.partition("://")[2]

    def ids(self, *names: str) -> str:
        """Return the stored text of scopes."""
        openid = {"openid": OPENID, "profile": PROFILE, "email": EMAIL}
        return text_of(tuple([openid.get(name) or self.scopes[name] for name in names]))

    @property
    def everything(self) -> str:
        """The stored text of all that the web client may have."""
        return self.ids("openid", "profile", "email", *BANK_SCOPES, *EVENTS_SCOPES)


def read_cast(raw: Raw, origin: str) -> Cast:
    """Look the platform up in its store."""

    def number(sql: str) -> int:
        return int(raw.rows(sql)[0][0])

    person = number(f"SELECT id FROM person WHERE email = '{EMAIL_OF_USER}'")  # noqa: S608 - texts of ours
    membership = raw.rows(f"SELECT id, account, roles FROM membership WHERE person = {person}")[0]  # noqa: S608
    return Cast(
        origin=origin,
        tenant=number("SELECT id FROM tenant WHERE slug = 'bench'"),
        bank=number(f"SELECT id FROM api WHERE audience = '{BANK}'"),  # noqa: S608
        events=number(f"SELECT id FROM api WHERE audience = '{EVENTS}'"),  # noqa: S608
        web=number(f"SELECT id FROM client WHERE client_id = '{WEB}'"),  # noqa: S608
        service=number(f"SELECT id FROM client WHERE client_id = '{SERVICE}'"),  # noqa: S608
        account=int(membership[1]),
        person=person,
        membership=int(membership[0]),
        roles=str(membership[2]),
        scopes={str(name): int(row) for name, row in raw.rows("SELECT name, id FROM scope")},
    )
