"""`gatewright domains`: where a tenant answers, and the domains that it claims and proves by a TXT record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, print_json, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.keys.sealer import RootSealer
    from gatewright.tenants.claims import ClaimRow


@click.group(cls=DerivedGroup)
def domains() -> None:
    """Where a tenant answers: list, add, remove; claim, check, drop, free."""


@domains.command("list")
@tenant_option
@json_option
@click.pass_obj
@looked
def list_domains(terminal: Terminal, tenant: str | None, *, as_json: bool) -> None:
    """List the issuers and API hosts of a tenant, and what it claims, with how each is verified."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.base.calendar import stamp
        from gatewright.tenants.book import DOMAINS
        from gatewright.tenants.claims import OF_TENANT

        async with terminal.desk(tenant) as desk:
            claims = {row.host: row for row in await desk.store.all(OF_TENANT, tenant=desk.tenant.id)}
            found = []
            for row in await desk.store.all(DOMAINS, tenant=desk.tenant.id):
                claim = claims.pop(row.host, None)
                state = "verified" if claim is None else claim.state
                seen = None if claim is None else stamp(claim.seen_at)
                told = "" if claim is None else claim.told
                by = "operator" if claim is None else "txt"
                found.append({"origin": row.origin, "kind": row.kind, "state": state, "verified_by": by, "seen_at": seen, "found": told})
            for claim in claims.values():
                seen = stamp(claim.seen_at) if claim.seen_at else None
                found.append(
                    {
                        "origin": claim.origin,
                        "kind": "issuer",
                        "state": claim.state,
                        "verified_by": None,
                        "seen_at": seen,
                        "found": claim.told,
                    }
                )
            return found

    show_rows(["origin", "kind", "state", "verified_by", "found"], run(listed()), as_json=as_json, nothing="the tenant has no domain")


@domains.command()
@click.argument("origin")
@tenant_option
@json_option
@click.pass_obj
@told
def claim(terminal: Terminal, origin: str, tenant: str | None, *, as_json: bool) -> None:
    """Say that a domain is the tenant's, and print the TXT record that proves it. Nothing changes until the record is found."""

    async def claimed() -> dict[str, object]:
        from gatewright.audit.deed import Refused
        from gatewright.tenants import claims
        from gatewright.tenants.rules import BadOrigin, parse_origin

        try:
            wanted = parse_origin(origin)
        except BadOrigin as fault:
            raise Refused(f"{origin}: {fault}") from None
        own = terminal.load().settings.domains.own
        async with terminal.desk(tenant) as desk:
            await desk.act(lambda deed: claims.claim(deed, wanted, own))
            return claims.shown(await _claim(desk, wanted.url), _sealer(terminal))

    found = run(claimed())
    if as_json:
        print_json(found)
        return
    click.echo(
        f"Add this record to the zone of {origin}:\n\n"
        f'  {found["record_name"]}.  TXT  "{found["record_value"]}"\n\n'
        f"It is looked for by itself from now on; `gatewright domains check {found['origin']}` looks at once."
    )


@domains.command()
@click.argument("origin")
@tenant_option
@json_option
@click.pass_obj
@told
def check(terminal: Terminal, origin: str, tenant: str | None, *, as_json: bool) -> None:
    """Look now for the record of a claimed domain, and do what follows."""

    async def checked() -> tuple[str, str]:
        from gatewright.app import txt_records
        from gatewright.audit.deed import Refused
        from gatewright.tenants import claims

        async with terminal.desk(tenant) as desk:
            row = await _claim(desk, origin)
            at, txt = desk.clock.moment(), txt_records(terminal.load())
            state, told = await claims.check(desk.store, at, txt, _sealer(terminal), row, desk.actor)
            if state is None:
                raise Refused("somebody else looked in this moment; `gatewright domains list` shows what was found")
            return state, told

    state, sentence = run(checked())
    say(f"{origin} is {state}: {sentence}", {"origin": origin, "state": state, "found": sentence}, as_json=as_json)


@domains.command()
@click.argument("origin")
@tenant_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
@told
def drop(terminal: Terminal, origin: str, tenant: str | None, *, as_json: bool, yes: bool) -> None:
    """Take a claim back; a domain that was proved by it is given up."""

    async def dropped() -> str:
        from gatewright.tenants import claims

        async with terminal.desk(tenant) as desk:
            row = await _claim(desk, origin)
            if row.state in ("verified", "failing") and not yes:
                click.confirm(f"{origin} answers today; everything issued there ends to work. Go on?", abort=True, err=True)
            await desk.act(lambda deed: claims.drop(deed, row))
            return row.state

    state = run(dropped())
    say(f"{origin} is claimed no more", {"origin": origin, "was": state}, as_json=as_json)


@domains.command()
@click.argument("host")
@tenant_option
@json_option
@click.pass_obj
@told
def free(terminal: Terminal, host: str, tenant: str | None, *, as_json: bool) -> None:
    """Let a host that a tenant gave up go to another one before its 90 days are over."""

    async def freed() -> bool:
        from gatewright.tenants.book import free as let_go

        async with terminal.desk(tenant) as desk:
            return await desk.act(lambda deed: let_go(deed, host))

    changed = run(freed())
    sentence = f"any tenant may have {host} now" if changed else f"{host} is not kept back"
    say(sentence, {"host": host, "freed": changed}, as_json=as_json)


def _sealer(terminal: Terminal) -> RootSealer:
    from gatewright.app import root_key
    from gatewright.keys.sealer import RootSealer

    return RootSealer(root_key(terminal.load(), os.environ))


async def _claim(desk: Desk, origin: str) -> ClaimRow:
    from gatewright.audit.deed import Refused
    from gatewright.base.check import choice
    from gatewright.tenants.claims import OF_TENANT

    rows = {row.origin: row for row in await desk.store.all(OF_TENANT, tenant=desk.tenant.id)}
    found = rows.get(origin) or rows.get(f"https://{origin}")
    if found is None:
        raise Refused(f"the tenant {desk.tenant.slug} does not claim {origin}; {choice(origin, list(rows))}")
    return found
