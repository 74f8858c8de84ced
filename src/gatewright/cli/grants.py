"""`gatewright grants`: what was given to clients, listed, narrowed and ended."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.ledger.grants import Grant
    from gatewright.ledger.managing import Narrowed, Survey
    from gatewright.ledger.target import Target
    from gatewright.oauth.catalogue import Catalogue


@click.group(cls=DerivedGroup)
def grants() -> None:
    """List what was given to clients, narrow it, end it."""


@grants.command("list")
@tenant_option
@json_option
@click.option("--client", help="Only what this client was given.")
@click.option("--user", help="Only what this user gave (an e-mail address).")
@click.option("--account", help="Only what was given for this account (its slug).")
@click.option("--before", help="Go on behind this grant (its id).")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def list_grants(
    terminal: Terminal,
    tenant: str | None,
    client: str | None,
    user: str | None,
    account: str | None,
    before: str | None,
    count: int,
    *,
    as_json: bool,
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
                account=0 if account is None else await _account(desk, account),
                before=NEWEST if before is None else _number(before),
                count=count,
            )
            catalogue = await Catalogues(desk.store, desk.clock, lambda: True).get(desk.tenant.id)
            used = await _used(desk, found, catalogue)
            return [{**await _shown(desk, grant, catalogue), **used[grant.id]} for grant in found]

    heads = ["id", "client", "user", "account", "scopes", "unused", "source", "made_at"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no live grants")


class Which(NamedTuple):
    """The grants that a command names, as they were typed."""

    grants: tuple[str, ...]
    client: str | None
    user: str | None
    account: str | None


def which_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command name grants: one by one, or those of a client, a user or an account; it is handed them as `which`."""

    @functools.wraps(command)
    def naming(
        *args: object, grant_ids: tuple[str, ...], client: str | None, user: str | None, account: str | None, **kwargs: object
    ) -> None:
        command(*args, which=Which(grant_ids, client, user, account), **kwargs)

    ids = click.argument("grant_ids", metavar="[GRANT]...", nargs=-1)
    those = (
        click.option("--client", help="Those of this client."),
        click.option("--user", help="Those of this user (an e-mail address)."),
        click.option("--account", help="Those of this account (its slug)."),
        click.option("--dry-run", "dry", is_flag=True, help="Only say how many it would be."),
        click.option("--yes", "sure", is_flag=True, help="Do not ask first."),
    )
    found: Callable[..., None] = naming
    for option in reversed((ids, *those)):
        found = option(found)
    return found


@grants.command()
@tenant_option
@json_option
@which_options
@click.pass_obj
@told
def end(terminal: Terminal, tenant: str | None, which: Which, *, as_json: bool, dry: bool, sure: bool) -> None:
    """End grants: every code and token under them is refused from now on.

    Name them one by one, by their ids or those of installations, or all of a client, a user or an account; of several that are named,
    those that fit all.
    """

    async def done() -> tuple[Survey, int]:
        async with terminal.desk(tenant) as desk:
            targets = await _targets(desk, which)
            found = await _surveyed(desk, targets, frozenset())
            _sure_of(found, "end", which, dry=dry, sure=sure)
            at = desk.clock.moment()
            return found, 0 if dry else sum([await _ended(desk, one, at) for one in targets])

    found, ended = run(done())
    if dry:
        say(f"would end {_counted(found)}", {"dry_run": True, **_facts(found)}, as_json=as_json)
    elif len(which.grants) == 1:
        say(f"the grant {which.grants[0]} has ended, and everything under it", {"id": which.grants[0], "ended": True}, as_json=as_json)
    else:
        say(f"{_grants(ended)} ended, and everything under {'it' if ended == 1 else 'them'}", {"ended": ended}, as_json=as_json)


@grants.command()
@click.option("--scope", "scopes", multiple=True, required=True, help="What is taken from them; several times for several.")
@tenant_option
@json_option
@which_options
@click.pass_obj
@told
def narrow(terminal: Terminal, scopes: tuple[str, ...], tenant: str | None, which: Which, *, as_json: bool, dry: bool, sure: bool) -> None:
    """Take scopes from grants, which keep the rest; one that has nothing left ends.

    Tokens show it when they are next introspected or refreshed, a JWT when it expires. What a user may give can be given again: to keep a
    scope from a client for good, take it from the client. Back-end services are left as they are for that reason.
    """

    async def done() -> tuple[Survey, Narrowed]:
        from gatewright.ledger.managing import Narrowed, narrow_grants

        async with terminal.desk(tenant) as desk:
            targets = await _targets(desk, which)
            numbers = await _scopes(desk, scopes)
            found = await _surveyed(desk, targets, numbers)
            _sure_of(found, "narrow", which, dry=dry, sure=sure)
            if dry:
                return found, Narrowed()
            at = desk.clock.moment()
            parts = [await narrow_grants(desk.store, at, one, numbers, actor=desk.actor) for one in targets]
            return found, Narrowed(sum(part.grants for part in parts), sum(part.ended for part in parts))

    found, narrowed = run(done())
    kept = f"; {_grants(found.kept)} of back-end services stay: take the scope from the client instead" if found.kept else ""
    if dry:
        say(f"would narrow {_counted(found)}{kept}", {"dry_run": True, **_facts(found)}, as_json=as_json)
        return
    nothing = f", of which {narrowed.ended} had nothing left and ended" if narrowed.ended else ""
    document = {"narrowed": narrowed.grants, "ended": narrowed.ended, "kept": found.kept}
    say(f"{_grants(narrowed.grants)} narrowed{nothing}{kept}", document, as_json=as_json)


async def _ended(desk: Desk, target: Target, at: Moment) -> int:
    from gatewright.ledger.managing import end_grants
    from gatewright.market.installs import take_back

    if target.grant:
        # What an app was given is its installation, which ends with it; of many at once, `market.settling` ends the installations.
        meant = target.grant
        return int(await desk.store.run(take_back, at, tenant=target.tenant, grant=meant, because="by_admin", actor=desk.actor))
    return await end_grants(desk.store, at, target, because="by_admin", actor=desk.actor)


async def _targets(desk: Desk, which: Which) -> list[Target]:
    from gatewright.audit.deed import Refused
    from gatewright.ledger.target import Target

    if not any(which):
        raise Refused("which grants? Name one or more, or --client, --user or --account")
    target = Target(
        tenant=desk.tenant.id,
        client=0 if which.client is None else await _client(desk, which.client),
        person=0 if which.user is None else await _user(desk, which.user),
        account=0 if which.account is None else await _account(desk, which.account),
    )
    if not which.grants:
        return [target]
    if any(which[1:]):
        raise Refused("name grants one by one, or those of a client, user or account; not both")
    return [Target(tenant=desk.tenant.id, grant=await _meant(desk, shown)) for shown in dict.fromkeys(which.grants)]


async def _surveyed(desk: Desk, targets: list[Target], losing: frozenset[int]) -> Survey:
    from gatewright.audit.deed import Refused
    from gatewright.base import ids
    from gatewright.ledger.managing import Survey, survey

    found = [await survey(desk.store, target, losing=losing) for target in targets]
    for target, one in zip(targets, found, strict=True):
        if target.grant and not losing and not one.grants:
            raise Refused(f"there is no live grant {ids.show(ids.GRANT, target.grant)}")
    return found[0] if len(found) == 1 else Survey(grants=sum(one.grants for one in found), kept=sum(one.kept for one in found))


def _sure_of(found: Survey, what: str, which: Which, *, dry: bool, sure: bool) -> None:
    """Ask before many are hit; who names each grant knows what they do."""
    import sys

    from gatewright.audit.deed import Refused

    if dry or sure or which.grants or not found.grants:
        return
    if not sys.stdin.isatty():
        raise Refused(f"this would {what} {_counted(found)}: look with --dry-run, then say --yes")
    click.confirm(f"{what.capitalize()} {_counted(found)}?", abort=True, err=True)


def _counted(found: Survey) -> str:
    most = "at least " if found.more else ""
    users = f" of {found.users} user{'' if found.users == 1 else 's'}" if found.users else ""
    return f"{most}{_grants(found.grants)}{users}"


def _grants(count: int) -> str:
    return f"{count} grant{'' if count == 1 else 's'}"


def _facts(found: Survey) -> dict[str, object]:
    import msgspec

    facts: dict[str, object] = msgspec.to_builtins(found)
    return facts


async def _scopes(desk: Desk, names: tuple[str, ...]) -> frozenset[int]:
    """Return the ids of scopes by any of their names, retired ones too."""
    from gatewright.apis.book import namings_of
    from gatewright.audit.deed import Refused
    from gatewright.base.check import choice
    from gatewright.oauth.catalogue import OPENID_SCOPES

    known = {scope.name: scope.id for scope in OPENID_SCOPES}
    known |= {row.name: row.scope for row in await namings_of(desk.store, desk.tenant.id)}
    for name in names:
        if name not in known:
            raise Refused(f'there is no scope "{name}" in the tenant {desk.tenant.slug}; {choice(name, sorted(known))}')
    return frozenset([known[name] for name in names])


async def _meant(desk: Desk, shown: str) -> int:
    """Return the number of a grant, or of the one that an installation is of."""
    from gatewright.audit.deed import Refused
    from gatewright.base import ids
    from gatewright.market.installs import BY_ID

    install = ids.read(ids.INSTALL, shown)
    of = None if install is None else await desk.store.one(BY_ID, id=install, tenant=desk.tenant.id)
    if of is None:
        return _number(shown)
    if not of.consent_grant:
        raise Refused(f"{shown} is of an app that was given nothing; `gatewright installs end` takes it away")
    return of.consent_grant


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


async def _account(desk: Desk, slug: str) -> int:
    from gatewright.accounts.book import account_named
    from gatewright.audit.deed import Refused

    row = await account_named(desk.store, desk.tenant.id, slug)
    if row is None:
        raise Refused(f"there is no account {slug} in the tenant {desk.tenant.slug}")
    return row.id


async def _user(desk: Desk, email: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.users.book import user_by_email

    row = await user_by_email(desk.store, desk.tenant.id, email)
    if row is None:
        raise Refused(f"there is no user {email} in the tenant {desk.tenant.slug}")
    return row.id


async def _used(desk: Desk, found: list[Grant], catalogue: Catalogue) -> dict[int, dict[str, Any]]:
    """Return what is known of the use of each scope, and which are known to be unused."""
    from msgspec import to_builtins

    from gatewright.ledger.scope_use import reporting, uses_of
    from gatewright.management.scope_use import told_use
    from gatewright.oauth.scope_use import Held, uses

    now, tenant = desk.clock.moment().now, desk.tenant.id
    reports = await reporting(desk.store, tenant, catalogue)
    days = await uses_of(desk.store, tenant, [grant.id for grant in found])
    told: dict[int, dict[str, Any]] = {}
    for grant in found:
        held = Held(scopes=grant.scopes, changed_at=grant.changed_at, days=days.get(grant.id, {}))
        use = [told_use(one, catalogue.scopes[one.scope].name) for one in uses(held, catalogue, reports, now)]
        told[grant.id] = {"unused": [one.scope for one in use if one.use in ("unused", "never")], "use": to_builtins(use)}
    return told


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
