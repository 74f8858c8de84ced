"""A platform file that a test writes, and what its plan and its apply say."""

import shutil
from pathlib import Path

import pytest

from gatewright.base.check import Faults
from gatewright.clients.registry import Registry
from gatewright.oauth.client import Client
from gatewright.platform.apply import Applied, Plan, apply, plan
from gatewright.platform.reading import read_text
from gatewright.store import Store
from gatewright.tenants.book import tenant_named
from tests.support.clock import TestClock

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "platform.example.toml"
ENVIRON = {
    "BANK_API_SECRET": "a-secret-of-the-bank-api-0123456789-0123",
    "EVENTS_API_SECRET": "a-secret-of-the-events-api-0123456789",
    "NOTES_API_SECRET": "a-secret-of-the-notes-api-0123456789",
    "ORGANIZER_PASSWORD": "organizer's own",
    "MANAGER_PASSWORD": "manager's own",
    "COPIER_PASSWORD": "copier's own",
    "BUDGET_BUDDY_SECRET": "short-one",
    "EVENTS_WEB_SECRET": "a-secret-of-events-web-0123456789-0123",
    "IMAGE_COPIER_SECRET": "a-secret-of-image-copier-0123456789-01",
    "ACME_DEMO_SECRET": "a-secret-that-everybody-may-know-012345",
    "WEEKLY_REPORT_SECRET": "a-secret-of-weekly-report-0123456789-0",
}
SMALL = """
[tenant]
slug = "acme"
name = "Acme"
domains = ["https://id.acme.test"]
[[apis]]
audience = "https://api.acme.test"
name = "API"
[apis.scopes]
"read:a" = "Read a"
"read:b" = "Read b"
[[roles]]
name = "Reader"
scopes = ["read:a", "read:b"]
[[accounts]]
slug = "one"
name = "One"
[[users]]
email = "u@acme.test"
memberships = [{ account = "one", roles = ["Reader"] }]
[[clients]]
client_id = "web"
client_name = "Web"
redirect_uris = ["https://web.example/cb"]
scopes = ["openid", "read:a", "read:b"]
"""


class Played:
    """A file that a test writes, applied to a store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.clock = TestClock()
        self.file = folder / "platform.toml"
        shutil.copytree(EXAMPLE.parent / "apps", folder / "apps", dirs_exist_ok=True)
        self.environ = dict(ENVIRON)

    async def apply(self, text: str) -> Applied:
        return await apply(self.store, read_text(text, self.file), self.clock.moment(), self.environ, "os:tester")

    async def plan(self, text: str) -> Plan:
        return await plan(self.store, read_text(text, self.file), self.clock.moment(), self.environ)

    async def faults(self, text: str) -> list[str]:
        with pytest.raises(Faults) as caught:
            await self.plan(text)
        return [str(fault) for fault in caught.value.faults]

    async def tenant(self) -> int:
        row = await tenant_named(self.store, "acme")
        assert row is not None
        return row.id

    async def client(self, client_id: str = "web") -> Client:
        found = await Registry(self.store, lambda: True).client(await self.tenant(), client_id)
        assert found is not None
        return found
