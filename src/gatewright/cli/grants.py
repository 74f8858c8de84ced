"""`gatewright grants`: what was given to clients, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.ledger.grants import Grant
    from gatewright.oauth.catalogue import Catalogue


@click.group(cls=DerivedGroup)
def grants() -> None:
    """List what was given to clients, and end it."""


@grants.command("list")
@tenant_option
@json_option
@click.option("--client", help="Only what this client was given.")
@click.option("--user", help="Only what this user gave (an e-mail address).")
@click.option("--before", help="Go on behind this grant (its id).")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@told
def list_grants(
    terminal: Terminal, tenant: str | None, client: str | None, user: str | None, before: str | None, count: int, *, as_json: bool
) -> None:
    """List live grants, the latest first."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.apis.catalogues import Catalogues
        from gatewright.ledger.listing import NEWEST, grants_of

        async with terminal.desk(tenant) as desk:
            found = await grants_of(
                desk.store,
                desk.tenant.id,
                client=0 if client is None else await _client(desk, client),
                person=0 if user is None else await _user(desk, user),
                before=NEWEST if before is None else _number(before),
                count=count,
            )
            catalogue = await Catalogues(desk.store, lambda: True).get(desk.tenant.id)
            return [await _shown(desk, grant, catalogue) for grant in found]

    heads = ["id", "client", "user", "account", "scopes", "source", "made_at"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no live grants")


@grants.command()
@click.argument("grant_id")
@tenant_option
@json_option
@click.pass_obj
@told
def end(terminal: Terminal, grant_id: str, tenant: str | None, *, as_json: bool) -> None:
    """End a grant: every code and token under it is refused from now on."""

    async def done() -> bool:
        from gatewright.market.installs import take_back

        async with terminal.desk(tenant) as desk:
            number, at = _number(grant_id), desk.clock.moment()
            return await desk.store.run(take_back, at, tenant=desk.tenant.id, grant=number, because="by_admin", actor=desk.actor)

    from gatewright.audit.deed import Refused

    if not run(done()):
        raise Refused(f"there is no live grant {grant_id}")
    say(f"the grant {grant_id} has ended, and everything under it", {"id": grant_id, "ended": True}, as_json=as_json)


def _number(shown: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.base import ids

    number = ids.read(ids.GRANT, shown)
    if number is None:
        raise Refused(f'"{shown}" is no grant\'s id, which looks like gr_… ; `gatewright grants list` shows them')
    return number


async def _client(desk: Desk, client_id: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.clients.book import client_named

    row = await client_named(desk.store, desk.tenant.id, client_id)
    if row is None:
        raise Refused(f"there is no client {client_id} in the tenant {desk.tenant.slug}")
    return row.id


async def _user(desk: Desk, email: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.users.book import user_by_email

    row = await user_by_email(desk.store, desk.tenant.id, email)
    if row is None:
        raise Refused(f"there is no user {email} in the tenant {desk.tenant.slug}")
    return row.id


async def _shown(desk: Desk, grant: Grant, catalogue: Catalogue) -> dict[str, Any]:
    from gatewright.accounts.book import BY_ID as ACCOUNT
    from gatewright.base import ids
    from gatewright.base.calendar import stamp
    from gatewright.clients.book import BY_ID as CLIENT
    from gatewright.users.book import BY_ID as USER

    tenant = desk.tenant.id
    client = await desk.store.one(CLIENT, id=grant.client, tenant=tenant)
    user = await desk.store.one(USER, id=grant.person, tenant=tenant) if grant.person else None
    account = await desk.store.one(ACCOUNT, id=grant.account, tenant=tenant) if grant.account else None
    return {
        "id": ids.show(ids.GRANT, grant.id),
        "client": client.client_id if client is not None else None,
        "user": user.email if user is not None else None,
        "account": account.slug if account is not None else None,
        "scopes": catalogue.names(grant.scopes),
        "declined": catalogue.names(grant.declined_scopes),
        "source": grant.source,
        "made_at": stamp(grant.made_at),
        "expires_at": None if grant.expires_at is None else stamp(grant.expires_at),
    }
