"""`gatewright clients`: which there are, who is kept out, and their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.client_secrets import secret, the_client
from gatewright.cli.terminal import Desk, Terminal, json_option, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.clients.book import ClientRow


@click.group(commands=[secret])
def clients() -> None:
    """List clients, keep one out or let one in, make secrets."""


@clients.command("list")
@tenant_option
@json_option
@click.option("--after", default="", help="Go on behind this client id.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@told
def list_clients(terminal: Terminal, tenant: str | None, after: str, count: int, *, as_json: bool) -> None:
    """List clients by id, with what makes them less safe than the defaults."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.clients.book import LIST

        async with terminal.desk(tenant) as desk:
            rows = await desk.store.all(LIST, tenant=desk.tenant.id, after=after, count=count)
            return [await _shown(desk, row) for row in rows]

    heads = ["client_id", "type", "party", "status", "client_name", "secrets", "weaknesses"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no clients")


async def _shown(desk: Desk, row: ClientRow) -> dict[str, Any]:
    from gatewright.base.calendar import stamp
    from gatewright.clients.renewal import live
    from gatewright.clients.rules import weaknesses

    terms, now = row.terms, desk.clock.moment().now
    secrets = await live(desk.store, row, now)
    short = ("short_secret",) if any(secret.method == "argon2id" for secret in secrets) else ()
    return {
        "client_id": row.client_id,
        "client_name": terms.client_name,
        "type": terms.type,
        "party": terms.party,
        "status": "active" if row.disabled_at is None else "disabled",
        "secrets": len(secrets),
        "weaknesses": [*weaknesses(terms), *short],
        "changed_at": stamp(row.changed_at),
    }


@clients.command()
@click.argument("client_id")
@tenant_option
@json_option
@click.pass_obj
@told
def disable(terminal: Terminal, client_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Refuse a client: everything that it was given ends now."""

    async def done() -> bool:
        from gatewright.clients.book import disable_client

        async with terminal.desk(tenant) as desk:
            row = await the_client(desk, client_id)
            return await desk.act(lambda deed: disable_client(deed, row))

    changed = run(done())
    sentence = f"{client_id} is disabled; what it was given has ended" if changed else f"{client_id} was disabled already"
    say(sentence, {"client_id": client_id, "status": "disabled", "changed": changed}, as_json=as_json)


@clients.command()
@click.argument("client_id")
@tenant_option
@json_option
@click.pass_obj
@told
def enable(terminal: Terminal, client_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Answer a client again; nothing that was ended comes back."""

    async def done() -> bool:
        from gatewright.clients.book import enable_client

        async with terminal.desk(tenant) as desk:
            row = await the_client(desk, client_id)
            return await desk.act(lambda deed: enable_client(deed, row))

    changed = run(done())
    sentence = f"{client_id} is enabled" if changed else f"{client_id} was enabled already"
    say(sentence, {"client_id": client_id, "status": "active", "changed": changed}, as_json=as_json)
