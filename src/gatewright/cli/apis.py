"""`gatewright apis`: what a tenant protects, and the ids under which APIs prove themselves."""

from __future__ import annotations

from typing import Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Terminal, json_option, looked, run, show_rows, tenant_option


@click.group(cls=DerivedGroup)
def apis() -> None:
    """List APIs with their scopes."""


@apis.command("list")
@tenant_option
@json_option
@click.pass_obj
@looked
def list_apis(terminal: Terminal, tenant: str | None, *, as_json: bool) -> None:
    """List APIs: the id or the audience is the name with which an API authenticates when it asks about a token."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.apis.book import apis_of, scopes_of
        from gatewright.base import duration, ids
        from gatewright.management.revocation import within
        from gatewright.tenants.credentials import live

        async with terminal.desk(tenant) as desk:
            number, now = desk.tenant.id, desk.clock.moment().now
            scopes = [scope for scope in await scopes_of(desk.store, number) if scope.retired_at is None]
            return [
                {
                    "id": ids.show(ids.API, row.id),
                    "audience": row.audience,
                    "name": row.name,
                    "status": "active" if row.disabled_at is None else "disabled",
                    "roles": row.roles,
                    "tokens": row.token_format,
                    "lifetime": duration.show(row.token_lifetime) if row.token_lifetime else "until revoked",
                    "revoked_within": await within(desk.store, number, row, now),
                    "usage": row.usage == 1,
                    "secrets": len(await live(desk.store, number, row.id, now)),
                    "scopes": [scope.name for scope in scopes if scope.api == row.id],
                }
                for row in await apis_of(desk.store, number)
            ]

    heads = ["id", "audience", "name", "status", "tokens", "lifetime", "revoked_within", "secrets", "scopes"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no APIs")
