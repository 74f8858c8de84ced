"""`gatewright init`, `migrate` and `settings`: from an empty folder to a store with somebody in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct

from gatewright.cli.terminal import Terminal, json_option, looked, operator, print_json, run, say, show_rows, told

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.base.moment import Clock, Moment
    from gatewright.settings import Loaded
    from gatewright.store import Store, Tx

ADMINISTRATOR: Final = "Administrator"

_SETTINGS_TEXT: Final = """\
# What the operator sets before the server starts. Every setting, its default and its reason: docs/reference/settings.md,
# or `gatewright settings`. Names of files count from this file's folder.

data = {data}

[listen]
host = "127.0.0.1"
port = {port}
"""


class First(Struct, frozen=True):
    """The tenant that `init` makes, with its first administrator."""

    slug: str
    name: str
    domains: tuple[str, ...]
    email: str


@click.command()
@click.option("--tenant", "slug", default="main", show_default=True, help="The tenant's slug.")
@click.option("--name", help="The tenant's name, as users see it.  [default: the slug]")
@click.option("--domain", "domains", multiple=True, help="An address under which it answers; may be repeated.  [default: this machine]")
@click.option("--data", help="The data folder.")
@click.option("--email", default="admin@localhost.localdomain", show_default=True, help="The first administrator's e-mail address.")
@json_option
@click.pass_obj
@told
def init(terminal: Terminal, slug: str, name: str | None, domains: tuple[str, ...], data: str | None, email: str, *, as_json: bool) -> None:
    """Make what is not there yet: the settings file, the root key, the store, a tenant and its first administrator.

    The administrator's password is printed this once. Run again, it makes only what is missing.
    """
    terminal.given(data=data)
    loaded = terminal.load()
    here = f"http://127.0.0.1:{loaded.settings.listen.port}"
    first = First(slug, name or slug, domains or (here,), email)
    _check(first)
    _write_settings(terminal, _port(loaded, first))
    loaded = terminal.load()
    made = [] if make_root_key(loaded) is None else [f"the root key {loaded.key_file}: keep a copy of it apart from the store's backups"]
    password, records = run(_furnished(terminal, first))
    made += records
    if as_json:
        print_json({"made": made, "administrator": email, "password": password})
        return
    for line in made or ["nothing: everything was there already"]:
        click.echo(f"made {line}" if made else line)
    if password is not None:
        click.echo(f"\nSign in at {first.domains[0]}/-/console as {email} with the password, shown this once:\n  {password}")
    if _ports(first) and loaded.settings.listen.port not in _ports(first):
        click.echo(
            f"! the settings say port {loaded.settings.listen.port}: start the server with `gatewright serve --port {_ports(first)[0]}`"
        )


def _ports(first: First) -> list[int]:
    """Return the ports of the domains that are on this machine."""
    from gatewright.tenants.loopback import port_of
    from gatewright.tenants.rules import parse_origin

    return [port for port in (port_of(parse_origin(domain).url) for domain in first.domains) if port is not None]


def _port(loaded: Loaded, first: First) -> int:
    """Return the port to listen on: that of a domain on this machine, unless the operator has set one."""
    ports = _ports(first)
    return ports[0] if ports and loaded.origins["listen.port"] == "default" else loaded.settings.listen.port


def _write_settings(terminal: Terminal, port: int) -> None:
    """Write the settings file where none is named and none is there."""
    from gatewright.settings import DEFAULT_FILE

    file = Path(DEFAULT_FILE)
    if terminal.names_a_file or "GATEWRIGHT_SETTINGS" in os.environ or file.exists():
        return
    import msgspec

    data = msgspec.json.encode(terminal.load().settings.data).decode()
    file.write_text(_SETTINGS_TEXT.format(data=data, port=port), encoding="utf-8")


def _check(first: First) -> None:
    """Refuse a tenant that cannot be, all reasons at once."""
    import re

    from gatewright.base.check import Faults, Findings
    from gatewright.tenants.rules import BadOrigin, parse_origin
    from gatewright.users.rules import email_fault

    findings = Findings()
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", first.slug):
        findings.add(("--tenant",), "small letters, digits and hyphens are expected, beginning with a letter or digit")
    for domain in first.domains:
        try:
            parse_origin(domain)
        except BadOrigin as fault:
            findings.add(("--domain",), f"{domain}: {fault}")
    sentence = email_fault(first.email)
    if sentence is not None:
        findings.add(("--email",), sentence)
    if len(findings):
        raise Faults(findings.all())


def make_root_key(loaded: Loaded) -> Path | None:
    """Make the key file and the folder around it, unless there is a key; return the file that was made."""
    from gatewright.base.moment import SystemDice
    from gatewright.keys.root import make_key_file

    file = loaded.key_file
    if file is None or file.exists():
        return None
    loaded.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_key_file(file, SystemDice())
    return file


async def _furnished(terminal: Terminal, first: First) -> tuple[str | None, list[str]]:
    async with terminal.store(prepared=True) as (store, clock):
        return await furnish(store, clock, first, operator())


async def furnish(store: Store, clock: Clock, first: First, actor: str) -> tuple[str | None, list[str]]:
    """Make the tenant, its first account, the administrator's role and the administrator, as far as they are not there.

    Returns the password that was made, and what was made.
    """
    from gatewright.users.passwords import SALT_BYTES, digest_of

    at = clock.moment()
    password = at.text(12)
    # Hashed before the transaction, in which nobody should wait for 25 ms of hashing.
    digest = digest_of(password, at.dice.bytes(SALT_BYTES))
    made = await store.run(_make, at, first, digest, actor)
    return (password if any(line.startswith("the administrator") for line in made) else None), made


async def _make(tx: Tx, at: Moment, first: First, digest: str, actor: str) -> list[str]:
    from gatewright.audit.deed import Deed
    from gatewright.oauth.paths import PATHS
    from gatewright.tenants.book import add_domain, make_tenant, tenant_named
    from gatewright.tenants.records import Look
    from gatewright.tenants.rules import parse_origin

    made = []
    row = await tenant_named(tx, first.slug)
    deed = Deed(tx, at, at.id() if row is None else row.id, actor)
    if row is None:
        await make_tenant(deed, first.slug, first.name, tuple(PATHS), Look())
        for position, text in enumerate(first.domains):
            await add_domain(deed, parse_origin(text), position)
        made.append(f"the tenant {first.slug} at {', '.join(first.domains)}")
    return made + await _administrator(deed, first, digest)


async def _administrator(deed: Deed, first: First, digest: str) -> list[str]:
    from gatewright.accounts.book import account_named, join, make_account
    from gatewright.apis.book import make_role, roles_of
    from gatewright.oauth.catalogue import MANAGEMENT_IDS
    from gatewright.users.book import make_user, user_by_email
    from gatewright.users.records import NewUser

    if await user_by_email(deed.tx, deed.tenant, first.email) is not None:
        return []
    account = await account_named(deed.tx, deed.tenant, first.slug)
    place = await make_account(deed, first.slug, first.name) if account is None else account.id
    roles = {role.name: role.id for role in await roles_of(deed.tx, deed.tenant) if role.retired_at is None}
    role = roles.get(ADMINISTRATOR) or await make_role(deed, ADMINISTRATOR, MANAGEMENT_IDS)
    person = await make_user(deed, NewUser(email=first.email, name=ADMINISTRATOR, password=digest))
    await join(deed, person=person, account=place, roles=frozenset([role]))
    return [f"the administrator {first.email}"]


@click.command()
@json_option
@click.pass_obj
@told
def migrate(terminal: Terminal, *, as_json: bool) -> None:
    """Bring the store to this version's schema, its progress printed. Servers wait for it, and do the same by themselves."""

    async def prepared() -> str:
        async with terminal.store(prepared=True, talkative=True) as (store, _):
            return store.engine

    engine = run(prepared())
    say("the store is at this version's schema", {"engine": engine, "current": True}, as_json=as_json)


@click.command()
@json_option
@click.pass_obj
@looked
def settings(terminal: Terminal, *, as_json: bool) -> None:
    """Show every setting, its value and where it came from."""
    from gatewright.settings import every_setting, shown_value, weaknesses

    loaded = terminal.load()
    rows = [
        {"name": one.name, "value": shown_value(loaded.settings, one.name), "from": loaded.origins[one.name], "variable": one.variable}
        for one in every_setting()
    ]
    show_rows(["name", "value", "from"], rows, as_json=as_json)
    for name, meaning in () if as_json else weaknesses(loaded.settings):
        click.echo(f"! {name}: {meaning}")
