"""A place and a body for every operation, in the platform that is managed here."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

NEW: Final = {"client_id": "new-app", "client_name": "New", "redirect_uris": ["https://new.example/cb"], "scopes": ["openid"]}
PLACES: Final = {
    "client_id": "image-copier", "account": "acme-prod", "user": "robot@service.acme.test", "role": "Organizer", "scope": "read:balance",
    "api": quote("https://bank.acme.test", safe=""), "host": "login.acme.test", "grant": "gr_0000000000000",
    "event": "ev_0000000000000",
    "secret_id": "cs_0000000000000", "kid": "k", "app": "reporter", "install": "in_0000000000000",
    "decision": "de_0000000000000",
}  # fmt: skip
BODIES: Final[dict[str, Any]] = {
    "tenant.change": {"name": "X"}, "domains.add": {"origin": "https://x.acme.test"}, "domains.change": {"name": "X"},
    "apis.create": {"audience": "https://x.acme.test", "name": "X"}, "apis.change": {"name": "X"}, "apis.secrets.create": {},
    "scopes.create": {"name": "x", "text": "X"}, "scopes.change": {"text": "X"}, "scopes.rename": {"name": "x"},
    "roles.create": {"name": "X", "scopes": []}, "roles.change": {"scopes": []},
    "accounts.create": {"slug": "x", "name": "X"}, "accounts.change": {"name": "X"},
    "members.add": {"user": "root@acme.test", "roles": []}, "members.change": {"roles": []},
    "service_users.create": {"email": "x@acme.test"},
    "users.create": {"email": "x@acme.test", "password": "a password"}, "users.change": {"name": "X"},
    "users.set_password": {"password": "a password"},
    "clients.create": NEW, "clients.change": {"client_name": "X"}, "clients.secrets.create": {}, "clients.secrets.leaked": {},
    "events.secrets.create": {},
    "apps.create": {"app": "x", "manifest": {"name": "X", "description": "X", "version": "1"}}, "apps.change": {},
    "apps.publish": {"manifest": {"name": "X", "description": "X", "version": "1"}},
    "installs.hand_over": {"user": "robot@service.acme.test"}, "account_apps.hand_over": {"user": "robot@service.acme.test"},
    "grants.narrow": {"scopes": ["x"]}, "grants.end_all": {"account": "acme-prod"}, "access.end_all": {},
    "grants.shrink": {"unused": "90d"},
    "grants.narrow_all": {"account": "acme-prod", "scopes": ["read:balance"]},
}  # fmt: skip
