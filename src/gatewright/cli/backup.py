"""`gatewright backup` and `restore`: everything in one file that either engine can be filled from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gatewright.cli.terminal import Missing, Terminal, exists, json_option, looked, run, say, told


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@looked
def backup(terminal: Terminal, file: Path, *, as_json: bool) -> None:
    """Copy the store into FILE as it is at this moment, while the server goes on.

    The root key is not in it: keep that apart, since with both anybody can be anybody.
    """
    from gatewright.app import store_address
    from gatewright.base.moment import SystemClock
    from gatewright.store.backup import backup as copy

    loaded = terminal.load()
    if not exists(loaded):
        raise Missing(f"there is no store at {loaded.store_url}")
    rows = run(copy(store_address(loaded, os.environ), file, now=SystemClock().moment().now))
    sentence = f"{file} holds {sum(rows.values())} rows of {len(rows)} tables; the root key is not in it"
    say(sentence, {"file": str(file), "rows": rows}, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@told
def restore(terminal: Terminal, file: Path, *, as_json: bool) -> None:
    """Fill an empty store from FILE. What was ended since the backup was made is live again: look through it first."""
    from gatewright.app import store_address
    from gatewright.base.moment import SystemClock
    from gatewright.store.backup import restore as fill
    from gatewright.store.progress import Brief

    loaded = terminal.load()
    if loaded.store_url.startswith("sqlite:"):
        loaded.data.mkdir(mode=0o700, parents=True, exist_ok=True)

    def tell(sentence: str) -> None:
        click.echo(sentence, err=True)

    clock = SystemClock()
    brief = Brief(tell, lambda: clock.moment().now_ms)
    rows = run(fill(store_address(loaded, os.environ), file, now=clock.moment().now, say=brief))
    sentence = f"restored {sum(rows.values())} rows of {len(rows)} tables; start the server with the root key of the same deployment"
    say(sentence, {"file": str(file), "rows": rows}, as_json=as_json)
