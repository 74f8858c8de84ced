"""Refused calls in the log: one line each with the id that the caller has, and no flood of them."""

from __future__ import annotations

import msgspec

from gatewright.audit.refusals import MOST_ALIKE, MOST_LINES, Refusals
from gatewright.audit.usage import Counters
from gatewright.base.log import Log
from gatewright.oauth.access import Form
from gatewright.oauth.decision import Verdict
from gatewright.oauth.finding import Finding
from tests.support import builders as b
from tests.support.clock import NOON, TestClock


def a_finding(number: int = 1, **changed: object) -> Finding:
    found = Finding(number=number, authorization=b.AUTHORIZATION, api=b.BANK.id, at=NOON, form=Form.JWT, cause=Verdict.ROLE_LACKS_SCOPE)
    return msgspec.structs.replace(found, **changed)


def told() -> tuple[Refusals, list[str]]:
    lines: list[str] = []
    return Refusals(Counters(), Log(TestClock(), style="json", write=lines.append)), lines


def test_a_line_names_whose_access_it_was_and_nothing_of_the_call() -> None:
    refusals, lines = told()
    finding = a_finding(account="other-co", scopes=())
    refusals.refused(finding, b.TENANT, "budget-buddy")
    line = msgspec.json.decode(lines[0])
    del line["at"]
    assert line == {
        "level": "info",
        "event": "call.refused",
        "tenant": b.TENANT,
        "decision": finding.decision,
        "cause": "role_lacks_scope",
        "because": "",
        "api": "ap_0000000000035",
        "client": "budget-buddy",
        "authorization": "az_00000000003x1",
    }


def test_a_flood_of_one_cause_leaves_room_for_others_and_is_counted() -> None:
    refusals, lines = told()
    for number in range(MOST_ALIKE + 40):
        refusals.refused(a_finding(number), b.TENANT, "x")
    assert len(lines) == MOST_ALIKE
    refusals.refused(a_finding(cause=Verdict.TOKEN_EXPIRED), b.TENANT, "x")
    assert msgspec.json.decode(lines[-1])["left_out"] == 40
    refusals.refused(a_finding(at=NOON + 60), b.TENANT, "x")
    assert "left_out" not in msgspec.json.decode(lines[-1])
    assert len(lines) == MOST_ALIKE + 2


def test_a_flood_of_everything_ends_too() -> None:
    refusals, lines = told()
    for number in range(2 * MOST_LINES):
        refusals.refused(a_finding(number, api=1000 + number), b.TENANT, "x")
    assert len(lines) == MOST_LINES
