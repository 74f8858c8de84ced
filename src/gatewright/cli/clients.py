"""`gatewright clients`: which there are, who is kept out, and their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.client_secrets import secret, the_client
from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.audit.weaknesses import WeaknessUse
    from gatewright.clients.book import ClientRow


@click.group(cls=DerivedGroup, commands=[secret])
def clients() -> None:
    """List clients, keep one out, make secrets, see who needs what weakens security."""


@clients.command("list")
@tenant_option
@json_option
@click.option("--after", default="", help="Go on behind this client id.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
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


@clients.command("who-uses")
@click.argument("weakness", type=click.Choice(["password_grant", "out_of_band"]))
@tenant_option
@json_option
@click.option("--after", default="", help="Go on behind this row (its `next` in --json).")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def who_uses(terminal: Terminal, weakness: str, tenant: str | None, after: str, count: int, *, as_json: bool) -> None:
    """Tell which clients and users still need what weakens security, the latest use first."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.audit.weaknesses import uses

        async with terminal.desk(tenant) as desk:
            found = await uses(desk.store, desk.tenant.id, weakness, after=after, count=count)
            return [await _use(desk, use) for use in found]

    heads = ["client_id", "user", "last_at", "times", "since", "until", "reason"]
    show_rows(heads, run(listed()), as_json=as_json, nothing=f"nobody used {weakness}")


async def _use(desk: Desk, use: WeaknessUse) -> dict[str, Any]:
    from gatewright.base.calendar import day, stamp
    from gatewright.clients.book import BY_ID
    from gatewright.users.book import BY_ID as USER

    client = await desk.store.one(BY_ID, id=use.client, tenant=desk.tenant.id)
    user = await desk.store.one(USER, id=use.person, tenant=desk.tenant.id) if use.person else None
    exception = client.terms.password_grant if client is not None and use.weakness == "password_grant" else None
    return {
        "client_id": client.client_id if client is not None else None,
        "user": user.email if user is not None else None,
        "kind": user.kind if user is not None else None,
        "last_at": stamp(use.last_at),
        "since": stamp(use.first_at),
        "times": use.total,
        "until": day(exception.until - 1) if exception is not None else None,
        "reason": exception.reason if exception is not None else None,
        "next": use.place,
    }


@clients.command()
@click.argument("client_id")
@tenant_option
@json_option
@click.pass_obj
@told
def disable(terminal: Terminal, client_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Refuse a client: its tokens end now, for good. What its users agreed to stays, for when it is enabled."""

    async def done() -> bool:
        from gatewright.clients.book import disable_client

        async with terminal.desk(tenant) as desk:
            row = await the_client(desk, client_id)
            return await desk.act(lambda deed: disable_client(deed, row))

    changed = run(done())
    sentence = (
        f"{client_id} is disabled and its tokens have ended; its users' consent stays: gatewright grants end --client {client_id}"
        if changed
        else f"{client_id} was disabled already"
    )
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
