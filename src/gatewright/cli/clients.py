"""`gatewright clients`: which there are, who is kept out, and their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.audit.weaknesses import WeaknessUse
    from gatewright.clients.book import ClientRow


@click.group(cls=DerivedGroup)
def clients() -> None:
    """List clients, keep one out, make secrets, see who needs what weakens security."""


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
    from gatewright.clients.rules import weaknesses
    from gatewright.tenants.credentials import live

    terms, now = row.terms, desk.clock.moment().now
    secrets = [one for one in await live(desk.store, desk.tenant.id, row.id) if one.expires_at is None or one.expires_at > now]
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
@told
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
    """Refuse a client: everything that it was given ends now."""

    async def done() -> bool:
        from gatewright.clients.book import disable_client

        async with terminal.desk(tenant) as desk:
            row = await _client(desk, client_id)
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
            row = await _client(desk, client_id)
            return await desk.act(lambda deed: enable_client(deed, row))

    changed = run(done())
    sentence = f"{client_id} is enabled" if changed else f"{client_id} was enabled already"
    say(sentence, {"client_id": client_id, "status": "active", "changed": changed}, as_json=as_json)


@clients.command()
@click.argument("client_id")
@click.option("--end", metavar="SECRET_ID", help="End this secret instead of making one.")
@click.option("--end-others", is_flag=True, help="End every other secret in the same moment.")
@click.option("--list", "only_list", is_flag=True, help="List the live secrets instead of making one.")
@tenant_option
@json_option
@click.pass_obj
@told
def secret(
    terminal: Terminal, client_id: str, end: str | None, tenant: str | None, *, end_others: bool, only_list: bool, as_json: bool
) -> None:
    """Make one more secret for a client and print it, this once. The others stay live, so that nothing stops meanwhile."""
    if only_list:
        heads = ["id", "method", "label", "created_at", "expires_at"]
        show_rows(heads, run(_secrets(terminal, client_id, tenant)), as_json=as_json, nothing=f"{client_id} has no live secret")
        return
    if end is not None:
        run(_end(terminal, client_id, tenant, end))
        say(f"the secret {end} has ended", {"client_id": client_id, "ended": end}, as_json=as_json)
        return
    made = run(_make(terminal, client_id, tenant, end_others=end_others))
    sentence = f"The new secret of {client_id}; it is shown this once and kept as a digest:\n  {made}"
    say(sentence, {"client_id": client_id, "client_secret": made}, as_json=as_json)


async def _client(desk: Desk, client_id: str) -> ClientRow:
    from gatewright.audit.deed import Refused
    from gatewright.clients.book import client_named

    row = await client_named(desk.store, desk.tenant.id, client_id)
    if row is None:
        raise Refused(f"there is no client {client_id} in the tenant {desk.tenant.slug}")
    return row


async def _secrets(terminal: Terminal, client_id: str, tenant: str | None) -> list[dict[str, Any]]:
    from gatewright.base import ids
    from gatewright.base.calendar import stamp
    from gatewright.tenants.credentials import live

    async with terminal.desk(tenant) as desk:
        row = await _client(desk, client_id)
        return [
            {
                "id": ids.show(ids.SECRET, kept.id),
                "method": kept.method,
                "label": kept.label,
                "created_at": stamp(kept.created_at),
                "expires_at": None if kept.expires_at is None else stamp(kept.expires_at),
            }
            for kept in await live(desk.store, desk.tenant.id, row.id)
        ]


async def _end(terminal: Terminal, client_id: str, tenant: str | None, shown: str) -> None:
    from gatewright.audit.deed import Refused
    from gatewright.base import ids
    from gatewright.tenants import credentials

    number = ids.read(ids.SECRET, shown)
    if number is None:
        raise Refused(f'"{shown}" is no secret\'s id, which looks like cs_… ; --list shows them')
    async with terminal.desk(tenant) as desk:
        row = await _client(desk, client_id)
        if not await desk.act(lambda deed: credentials.end(deed, "client", row.id, client_id, number)):
            raise Refused(f"{client_id} has no live secret {shown}; --list shows them")


async def _make(terminal: Terminal, client_id: str, tenant: str | None, *, end_others: bool) -> str:
    from gatewright.audit.deed import Refused
    from gatewright.clients.secrets import make_secret, to_keep
    from gatewright.tenants import credentials

    async with terminal.desk(tenant) as desk:
        row = await _client(desk, client_id)
        if row.terms.token_endpoint_auth_method in ("none", "private_key_jwt"):
            raise Refused(f"{client_id} proves itself without a secret")
        made = make_secret(desk.clock.moment())
        kept = to_keep(made, desk.tenant.id, str)  # a secret of ours is never short, so nothing slow is asked for

        async def replace(deed: Deed) -> None:
            for old in await credentials.live(deed.tx, deed.tenant, row.id) if end_others else ():
                await credentials.end(deed, "client", row.id, client_id, old.id)
            await credentials.add(deed, "client", row.id, client_id, method=kept.method, digest=kept.digest, label="terminal")

        await desk.act(replace)
        return made.reveal()
