"""What the API asks beyond the token; `GATEWRIGHT["ALLOW"]` names it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatewright_guard.decide import Allowed
    from gatewright_guard.request import Request

READERS: Final = frozenset(os.environ.get("READ_ONLY_APPS", "").split())


def may(allowed: Allowed, request: Request) -> bool | str:
    """Return True, or why not. It runs in the thread of the request, so it may look into the database."""
    if allowed.claims.client_id in READERS and request.method not in ("GET", "HEAD"):
        return "This app may only read at the moment."
    return True
