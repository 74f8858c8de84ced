"""`gatewright report-only`: what the stricter rules that are tried out would have refused."""

from __future__ import annotations

from typing import Any

import click

from gatewright.cli.terminal import Terminal, json_option, looked, run, show_rows, tenant_option


@click.command("report-only")
@tenant_option
@json_option
@click.option("--client", help="Only this client.")
@click.pass_obj
@looked
def report_only(terminal: Terminal, tenant: str | None, client: str | None, *, as_json: bool) -> None:
    """List the rules that are only tried out, and which clients would break if they were meant.

    A rule that would have refused nothing since it is tried out can be meant: take it from the client's `report_only`.
    """

    async def listed() -> list[dict[str, Any]]:
        from gatewright.audit.deed import Refused
        from gatewright.base.calendar import stamp
        from gatewright.clients.book import client_named
        from gatewright.clients.watching import watches

        async with terminal.desk(tenant) as desk:
            number = 0
            if client is not None:
                row = await client_named(desk.store, desk.tenant.id, client)
                if row is None:
                    raise Refused(f"there is no client {client} in the tenant {desk.tenant.slug}")
                number = row.id
            return [
                {
                    "client": one.client_id,
                    "rule": one.rule,
                    "would_break": one.total > 0,
                    "since": stamp(one.since),
                    "refused": one.total,
                    "last": None if one.last_at is None else stamp(one.last_at),
                    "example": one.example,
                }
                for one in await watches(desk.store, desk.tenant.id, client=number)
            ]

    heads = ["client", "rule", "would_break", "since", "refused", "last", "example"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="no rule is tried out")
