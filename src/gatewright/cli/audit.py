"""`gatewright audit`: what happened, by whom and when."""

from __future__ import annotations

from typing import Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Terminal, json_option, looked, run, show_rows, tenant_option


@click.group(cls=DerivedGroup, invoke_without_command=True)
@tenant_option
@json_option
@click.option("--act", default="", help="Only this act, such as client.made.")
@click.option("--actor", default="", help="Only what this one did, such as os:root.")
@click.option("--subject", default="", help="Only what was done to this one.")
@click.option("--before", type=int, help="Go on behind this entry (its number).")
@click.option("--count", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def audit(
    terminal: Terminal, tenant: str | None, act: str, actor: str, subject: str, before: int | None, count: int, *, as_json: bool
) -> None:
    """Show what happened, by whom and when, the latest first."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    _check(act)

    async def listed() -> list[dict[str, Any]]:
        import msgspec

        from gatewright.audit.book import NEWEST, entries
        from gatewright.base.calendar import stamp

        async with terminal.desk(tenant) as desk:
            end = NEWEST if before is None else before
            found = await entries(desk.store, desk.tenant.id, before=end, act=act, actor=actor, subject=subject, count=count)
            return [
                {
                    "number": entry.id,
                    "at": stamp(entry.at),
                    "actor": entry.actor,
                    "client": entry.client,
                    "address": entry.address,
                    "act": entry.act,
                    "subject": entry.subject,
                    "detail": msgspec.json.decode(entry.detail) if as_json else entry.detail,
                }
                for entry in found
            ]

    heads = ["at", "actor", "act", "subject", "detail"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="nothing of that kind was done")


def _check(act: str) -> None:
    from gatewright.audit.book import Act
    from gatewright.audit.deed import Refused
    from gatewright.base.check import choice

    known = [one.value for one in Act]
    if act and act not in known:
        raise Refused(f'there is no act "{act}"; {choice(act, known)}')
