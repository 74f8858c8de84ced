"""`gatewright serve`, as it is typed; what it does is in `cli.serve`."""

from __future__ import annotations

import sys

import click

from gatewright.cli.terminal import Terminal, looked


@click.command()
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes; one uses one core.")
@click.option("--data", help="The data folder.")
@click.pass_obj
@looked
def serve(terminal: Terminal, host: str | None, port: int | None, workers: int | None, data: str | None) -> None:
    """Serve until a signal: SIGTERM and Ctrl-C finish what is under way, then stop."""
    from gatewright.cli.serve import run

    terminal.given(listen__host=host, listen__port=port, listen__workers=workers, data=data)
    sys.exit(run(terminal.load()))
