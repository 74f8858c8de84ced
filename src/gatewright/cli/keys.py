"""`gatewright keys`: the root key of the deployment, and the signing keys of a tenant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.keys.book import KeyRow
    from gatewright.keys.signer import KeySigner


@click.group(cls=DerivedGroup)
def keys() -> None:
    """The root key, and the signing keys of a tenant."""


@keys.command()
@json_option
@click.pass_obj
@told
def init(terminal: Terminal, *, as_json: bool) -> None:
    """Make the root key's file, readable by its owner alone, unless there is one."""
    from gatewright.cli.setup import make_root_key

    loaded = terminal.load()
    made = make_root_key(loaded)
    place = str(loaded.key_file or "GATEWRIGHT_KEY")
    sentence = (
        f"made the root key {made}: keep a copy of it apart from the store's backups" if made else f"there is a root key already: {place}"
    )
    say(sentence, {"root_key": place, "made": made is not None}, as_json=as_json)


@keys.command("list")
@tenant_option
@json_option
@click.pass_obj
@looked
def list_keys(terminal: Terminal, tenant: str | None, *, as_json: bool) -> None:
    """List a tenant's signing keys: which sign, which are published already, which still are."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.keys.book import OF_TENANT

        async with terminal.desk(tenant) as desk:
            now = desk.clock.moment().now
            return [_shown(row, now) for row in await desk.store.all(OF_TENANT, tenant=desk.tenant.id)]

    heads = ["kid", "alg", "state", "signs_from", "signs_until", "published_until"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no keys yet: the first token makes one")


def _shown(row: KeyRow, now: int) -> dict[str, Any]:
    from gatewright.base.calendar import stamp

    if row.signs_from > now:
        state = "next"
    elif row.signs_until is None or row.signs_until > now:
        state = "signs"
    else:
        state = "published" if row.published_until is None or row.published_until > now else "gone"
    ends = {name: getattr(row, name) for name in ("signs_from", "signs_until", "published_until")}
    return {"kid": row.kid, "alg": row.alg, "state": state, **{name: None if at is None else stamp(at) for name, at in ends.items()}}


@keys.command()
@tenant_option
@json_option
@click.pass_obj
@told
def rotate(terminal: Terminal, tenant: str | None, *, as_json: bool) -> None:
    """Give each present signing key a successor: published at once, it signs as soon as everybody can know it."""

    async def done() -> list[dict[str, Any]]:
        from gatewright.base.calendar import stamp

        async with terminal.desk(tenant) as desk:
            made = await _signer(terminal, desk).rotate(desk.clock.moment(), desk.tenant.id, actor=desk.actor)
            return [{"kid": one.kid, "alg": one.alg, "signs_from": stamp(one.signs_from)} for one in made]

    show_rows(["kid", "alg", "signs_from"], run(done()), as_json=as_json, nothing="no key is in use, or each has its successor already")


@keys.command()
@click.argument("kid")
@tenant_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
@told
def retire(terminal: Terminal, kid: str, tenant: str | None, *, as_json: bool, yes: bool) -> None:
    """Take a key away at once because somebody else may have it: nothing that it signed is believed any more."""
    if not yes:
        click.confirm(f"Every token that {kid} signed will be refused from now on. Go on?", abort=True, err=True)

    async def done() -> bool:
        async with terminal.desk(tenant) as desk:
            return await _signer(terminal, desk).retire(desk.clock.moment(), desk.tenant.id, kid, actor=desk.actor)

    from gatewright.audit.deed import Refused

    if not run(done()):
        raise Refused(f"there is no key {kid}")
    say(f"the key {kid} is gone", {"kid": kid, "gone": True}, as_json=as_json)


def _signer(terminal: Terminal, desk: Desk) -> KeySigner:
    from gatewright.app import root_key
    from gatewright.keys.sealer import Wrapper
    from gatewright.keys.signer import KeySigner

    return KeySigner(desk.store, desk.clock, Wrapper(root_key(terminal.load(), os.environ)), lambda: False)
