"""The `gatewright` command: a table of its commands, each loaded when it is asked for, so that the terminal need not wait."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

import click

from gatewright import __version__
from gatewright.cli.terminal import Terminal

# Name → where it is defined, and what the list of commands says of it without loading it.
_MADE: Final = "derived:made"  # all of it is made from operations of that name
_COMMANDS: Final = {
    "init": ("setup:init", "Make the root key, the settings file, the store, a tenant and its first administrator."),
    "serve": ("running:serve", "Serve until a signal."),
    "plan": ("platform_file:plan", "Show what a platform file would change, and whom it would hit."),
    "apply": ("platform_file:apply", "Make true what a platform file says."),
    "explain": (_MADE, "Tell which scopes a client would get for a user in an account, and why not the others."),
    "decision": (_MADE, "Tell why an API refused a call, from the link that its caller was given."),
    "tenant": (_MADE, "Show and change the tenant itself."),
    "domains": ("domains:domains", "Where a tenant answers, and the domains that it claims and proves."),
    "users": ("users:users", "List, make and change users, keep one out or let one in, set roles."),
    "accounts": (_MADE, "List, make and change accounts."),
    "members": (_MADE, "List who belongs to an account, let users in, set their roles."),
    "service-users": (_MADE, "Make, stop and delete service users of an account."),
    "roles": (_MADE, "List, make and change roles."),
    "apis": ("apis:apis", "List, make and change APIs, make their secrets."),
    "scopes": (_MADE, "List, make and change scopes of APIs."),
    "clients": ("clients:clients", "List, register and change clients, keep one out or let one in, make secrets."),
    "apps": ("apps:apps", "Check, publish, withdraw and keep out apps."),
    "installs": (_MADE, "List installs of apps, end them, hand them to service users."),
    "account-apps": (_MADE, "The same for the apps of one account."),
    "weaknesses": (_MADE, "List which clients and users still need what weakens security."),
    "grants": ("grants:grants", "List what was given to clients, narrow it, end it."),
    "report-only": ("report_only:report_only", "List what stricter rules that are tried out would have refused."),
    "access": (_MADE, "List what clients were given for an account, and end it."),
    "events": ("events:events", "What clients are told: what became of it, telling it again, what signs it."),
    "keys": ("keys:keys", "The root key, and the signing keys of a tenant."),
    "audit": ("audit:audit", "Show what happened, by whom and when; export it."),
    "backup": ("backup:backup", "Copy the store into a file while it runs."),
    "restore": ("backup:restore", "Put a backup in the place of an empty store."),
    "migrate": ("setup:migrate", "Bring the store to this version's schema; `serve` does it by itself."),
    "settings": ("setup:settings", "Show every setting, its value and where it came from."),
}


class LateGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, _, name = found[0].partition(":")
        command = getattr(import_module(f"gatewright.cli.{module}"), name)
        if found[0] == _MADE:
            command = command((cmd_name,), found[1])
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from gatewright.base.check import choice

            raise click.UsageError(f'there is no command "{args[0]}"; {choice(args[0], list(_COMMANDS))}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--settings", "file", type=click.Path(dir_okay=False, path_type=Path), help="The settings file.  [default: gatewright.toml]")
@click.version_option(__version__, prog_name="gatewright")
@click.pass_context
def group(ctx: click.Context, file: Path | None) -> None:
    """Gatewright: opens a platform's API to apps, and gives each no more than it was granted."""
    ctx.obj = Terminal(file)
