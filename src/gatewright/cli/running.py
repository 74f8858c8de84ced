"""`gatewright serve`, as it is typed; what it does is in `cli.serve`."""

from __future__ import annotations

import sys

import click

from gatewright.cli.terminal import Terminal, told


@click.command()
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes; one uses one core.")
@click.pass_obj
@told
def serve(terminal: Terminal, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until a signal: SIGTERM and Ctrl-C finish what is under way, then stop."""
    from gatewright.cli.serve import run

    sys.exit(run(terminal.load(listen__host=host, listen__port=port, listen__workers=workers)))
