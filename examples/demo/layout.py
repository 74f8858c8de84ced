"""Where everything of the demo listens, and its published passwords. The server is on 127.0.0.1, the apps on localhost:
cookies ignore ports, so on one host name they would share a jar.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

PLATFORM: Final = Path(__file__).resolve().parent.parent / "platform.example.toml"
BASE_PORT: Final = 8600
OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"

# Known to everybody who reads this: they open a demo on loopback and nothing else.
SECRETS: Final = {
    "BANK_API_SECRET": "demo-secret-of-the-bank-api-0123456789",
    "EVENTS_API_SECRET": "demo-secret-of-the-events-api-0123456789",
    "NOTES_API_SECRET": "demo-secret-of-the-notes-api-0123456789",
    "BUDGET_BUDDY_SECRET": "demo-secret-of-budget-buddy-0123456789",
    "EVENTS_WEB_SECRET": "demo-secret-of-events-web-0123456789",
    "IMAGE_COPIER_SECRET": "demo-secret-of-image-copier-0123456789",
    "ACME_DEMO_SECRET": "demo-secret-that-everybody-may-know-01",
    "WEEKLY_REPORT_SECRET": "demo-secret-of-weekly-report-0123456789",
    "ORGANIZER_PASSWORD": "organizer-demo",
    "MANAGER_PASSWORD": "manager-demo",
    "COPIER_PASSWORD": "copier-demo",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Every address of one running demo, counted up from its base port."""

    base: int = BASE_PORT

    @property
    def ports(self) -> dict[str, int]:
        """Name of a part → its port."""
        return {
            "server": self.base,
            "Budget Buddy": self.base + 1,
            "Acme Events": self.base + 2,
            "Image copier": self.base + 3,
            "Weekly Report": self.base + 4,
            "bank API": self.base + 11,
            "events API": self.base + 12,
            "imaging API": self.base + 13,
        }

    @property
    def issuer(self) -> str:
        """The server's address, which is also its issuer."""
        return f"http://127.0.0.1:{self.base}"

    @property
    def notes_port(self) -> int:
        """Return the port of the MCP server, which is started by itself (`examples/mcp`)."""
        return self.base + 14

    @property
    def notes(self) -> str:
        """Return the address of the MCP server, which is its audience too."""
        return f"http://127.0.0.1:{self.notes_port}/mcp"

    @property
    def demo_client(self) -> str:
        """The address that shows a code to whoever tries the platform without a program of their own."""
        asked = {"client_id": "acme-demo", "redirect_uri": OUT_OF_BAND, "response_type": "code", "scope": "openid view:events"}
        return f"{self.issuer}/authorize?{urlencode(asked, safe=':')}"

    def app(self, name: str) -> str:
        """Return the address of an app or API."""
        return f"http://localhost:{self.ports[name]}"

    def platform(self) -> str:
        """Return the platform file's text with this layout's ports."""
        text = PLATFORM.read_text(encoding="utf-8")
        for offset in (0, 1, 2, 14):
            text = text.replace(f":{BASE_PORT + offset}", f":{self.base + offset}")
        return text
