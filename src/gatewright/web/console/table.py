"""Every page of the console. Each asks operations of management and nothing else: which ones stands in its row (`docs/decisions/0027`).

`web.pages` has this table among its own, and is what others import it from.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from gatewright.web.console import access, apis, clients, log, refusals, secrets, start
from gatewright.web.console.desk import opened
from gatewright.web.console.rows import ConsolePage

PAGES: Final[tuple[ConsolePage, ...]] = (
    *start.PAGES,
    *apis.PAGES,
    *clients.PAGES,
    *access.PAGES,
    *refusals.PAGES,
    *log.PAGES,
    *secrets.PAGES,
)

WHOLE: Final = tuple([(row, partial(opened, row)) for row in PAGES if not row.tail])
NAMED: Final = tuple([(row, partial(opened, row)) for row in PAGES if row.tail])
