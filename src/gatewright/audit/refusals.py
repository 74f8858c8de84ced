"""Calls that APIs refused: each counted by its cause, and told in the log as long as there are not too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatewright.base import ids
from gatewright.base.log import Event

if TYPE_CHECKING:
    from gatewright.audit.usage import Counters
    from gatewright.base.log import Log
    from gatewright.oauth.finding import Finding

MOST_LINES: Final = 600  # a minute, in one process
MOST_ALIKE: Final = 60  # a minute, of one cause at one API
_MINUTE: Final = 60


class Refusals:
    """Tells the log of refusals. A flood of them, which any client can make, fills no disk: what is left out is counted in the next
    line that is written.
    """

    __slots__ = ("_alike", "_counters", "_left_out", "_lines", "_log", "_minute")

    def __init__(self, counters: Counters, log: Log) -> None:
        self._counters = counters
        self._log = log
        self._minute = 0
        self._lines = 0
        self._alike: dict[tuple[int, str], int] = {}
        self._left_out = 0

    def refused(self, finding: Finding, tenant: int, client: str) -> None:
        """Count a refusal, and write its line: whose access it was about, and no more of the user or the call."""
        self._counters.count(f"refused_{finding.cause}", tenant, finding.api)
        if not self._has_room(finding):
            self._left_out += 1
            return
        more = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        self._log.tell(
            Event.CALL_REFUSED,
            tenant=tenant,
            decision=finding.decision,
            cause=finding.cause.value,
            because=finding.because,
            api=ids.show(ids.API, finding.api),
            client=client,
            authorization=ids.show(ids.AUTHORIZATION, finding.authorization),
            **more,
        )

    def _has_room(self, finding: Finding) -> bool:
        minute = finding.at // _MINUTE
        if minute != self._minute:
            self._minute, self._lines = minute, 0
            self._alike.clear()
        key = (finding.api, finding.cause.value)
        alike = self._alike.get(key, 0)
        if alike >= MOST_ALIKE or self._lines >= MOST_LINES:
            return False
        self._alike[key] = alike + 1
        self._lines += 1
        return True
