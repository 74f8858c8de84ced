"""The terminal: starts the server, and manages what needs somebody who can read the key and the store."""


def main() -> None:
    """Run the `gatewright` command."""
    from gatewright.cli.main import group

    group(prog_name="gatewright")
