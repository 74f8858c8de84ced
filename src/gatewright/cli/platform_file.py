"""`gatewright plan` and `gatewright apply`: a tenant as a file says it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gatewright.cli.terminal import Terminal, exists, json_option, looked, operator, print_json, run, told

if TYPE_CHECKING:
    from gatewright.base.moment import Clock
    from gatewright.platform.apply import Applied, Plan
    from gatewright.platform.reading import Reading
    from gatewright.store import Store

CHANGES: Final = 4  # exit status of `plan --check` when something would change

_file = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@_file
@json_option
@click.option("--check", is_flag=True, help=f"Exit with {CHANGES} when something would change.")
@click.pass_obj
@looked
def plan(terminal: Terminal, file: Path, *, as_json: bool, check: bool) -> None:
    """Show what FILE would change, and whom it would hit. Nothing is changed."""
    from gatewright.platform.reading import read_file
    from gatewright.platform.show import plan_document, plan_text

    reading = read_file(file)
    found = _with_logos(terminal, reading, run(_planned(terminal, reading)))
    if as_json:
        print_json(plan_document(found))
    else:
        click.echo(plan_text(found))
    if check and found.changes:
        sys.exit(CHANGES)


@click.command()
@_file
@json_option
@click.option("--yes", is_flag=True, help="Do not ask before access is taken away.")
@click.pass_obj
@told
def apply(terminal: Terminal, file: Path, *, as_json: bool, yes: bool) -> None:
    """Make true what FILE says, in one transaction. A second time changes nothing.

    Secrets that are made are printed once.
    """
    from msgspec.structs import replace

    from gatewright.platform.reading import read_file
    from gatewright.platform.show import applied_document, applied_text

    reading = read_file(file)
    applied = run(_applied(terminal, reading, sure=yes))
    applied = replace(applied, plan=_with_logos(terminal, reading, applied.plan))
    if as_json:
        print_json(applied_document(applied))
    else:
        click.echo(applied_text(applied))


def _with_logos(terminal: Terminal, reading: Reading, plan: Plan) -> Plan:
    """Return the plan with a notice of each logo that the file names and pages go without."""
    from msgspec.structs import replace

    from gatewright.platform.document import logos_in
    from gatewright.tenants.logos import LIMIT, Logos

    folder = terminal.load().data / "logos"
    lacking = [] if reading.tenant is None else [name for name in logos_in(reading.tenant.value) if not Logos(folder).has(name)]
    told = [f"no page shows the logo {name}: there is no such file of at most {LIMIT // 1024} KiB in {folder}" for name in lacking]
    return replace(plan, notices=(*plan.notices, *told))


async def _planned(terminal: Terminal, reading: Reading) -> Plan:
    from gatewright.platform.apply import plan as planned

    async with _store_to_look_at(terminal) as (store, clock):
        return await planned(store, reading, clock.moment(), os.environ)


async def _applied(terminal: Terminal, reading: Reading, *, sure: bool) -> Applied:
    from gatewright.audit.deed import Refused
    from gatewright.platform.apply import apply as make_true
    from gatewright.platform.apply import plan as planned
    from gatewright.platform.show import plan_text

    async with terminal.store(prepared=True) as (store, clock):
        if reading.prune and not sure:
            found = await planned(store, reading, clock.moment(), os.environ)
            if any(change.sign == "-" for change in found.changes):
                click.echo(plan_text(found), err=True)
                if not sys.stdin.isatty():
                    raise Refused("the file takes something away: read the list above, then say --yes")
                click.confirm("Take that away?", abort=True, err=True)
        return await make_true(store, reading, clock.moment(), os.environ, operator(), terminal.wrapper())


@asynccontextmanager
async def _store_to_look_at(terminal: Terminal) -> AsyncIterator[tuple[Store, Clock]]:
    """Open the store, or an empty one in its place where there is none yet: a plan makes nothing."""
    if exists(terminal.load()):
        async with terminal.store() as opened:
            yield opened
        return
    from gatewright.base.moment import SystemClock
    from gatewright.store import migrate, open_store

    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/empty.sqlite3"
        await migrate(url, now=clock.moment().now)
        store = await open_store(url)
        try:
            yield store, clock
        finally:
            await store.close()
