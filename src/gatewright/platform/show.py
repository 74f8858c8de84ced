"""Plans and their outcomes as people and as machines read them. The second kind is part of the CLI's promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gatewright.base.calendar import day
from gatewright.base.check import Fault
from gatewright.platform.apply import Applied, Plan
from gatewright.platform.steps import Change, Detail

_DONE = {"+": "made", "~": "changed", "-": "taken away"}
_TO_DO = {"+": "to make", "~": "to change", "-": "to take away"}


def plan_text(plan: Plan) -> str:
    """Return a plan as lines of text."""
    return "\n".join([*_lines(plan), _summary(plan, _TO_DO)])


def applied_text(applied: Applied) -> str:
    """Return what an apply did as lines of text, with the secrets that it made."""
    lines = [*_lines(applied.plan), _summary(applied.plan, _DONE)]
    for made in applied.secrets:
        lines += ["", f"The secret of client {made.client_id}; it is shown this once and kept as a digest:", f"  {made.secret.reveal()}"]
    return "\n".join(lines)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as a JSON document."""
    document: dict[str, Any] = msgspec.to_builtins(plan)
    return document


def applied_document(applied: Applied) -> dict[str, Any]:
    """Return what an apply did as a JSON document, with the secrets that it made."""
    secrets = [{"client_id": made.client_id, "client_secret": made.secret.reveal()} for made in applied.secrets]
    return {**plan_document(applied.plan), "secrets": secrets}


def faults_document(faults: tuple[Fault, ...]) -> dict[str, Any]:
    """Return faults as a JSON document."""
    return {"faults": [{"path": fault.path, "line": fault.line, "rule": fault.rule, "cure": fault.cure} for fault in faults]}


def _lines(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        yield f"{change.sign} {change.kind} {change.name}"
        yield from (f"    {line}" for line in _change(change))
    yield from (f"! {notice}" for notice in plan.notices)


def _change(change: Change) -> Iterator[str]:
    for detail in change.details:
        yield f"{detail.key}: {_detail(detail)}"
    for hit in change.hits:
        yield f"hits {'at least ' if hit.more else ''}{hit.count} {hit.what}"
    for client in change.clients:
        grants = f"{client.grants} live grant{'' if client.grants == 1 else 's'}, " if client.grants else ""
        used = "never used" if client.last_used is None else f"last used on {day(client.last_used)}"
        yield f"client {client.client_id}: {grants}{used}"


def _detail(detail: Detail) -> str:
    before, after = detail.before, detail.after
    if isinstance(before, list) and isinstance(after, list) and before:
        moved = [*(f"+{item}" for item in after if item not in before), *(f"-{item}" for item in before if item not in after)]
        return " ".join(moved) or f"{_value(before)} → {_value(after)}"
    return _value(after) if before in (None, "", [], {}) else f"{_value(before)} → {_value(after)}"


def _value(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return "nothing" if value in (None, "", [], {}) else msgspec.json.encode(value).decode()


def _summary(plan: Plan, words: dict[str, str]) -> str:
    if not plan.changes:
        return f"Tenant {plan.tenant} is as the file says."
    counts = {sign: sum(change.sign == sign for change in plan.changes) for sign in words}
    return f"Tenant {plan.tenant}: " + ", ".join(f"{count} {words[sign]}" for sign, count in counts.items() if count) + "."
