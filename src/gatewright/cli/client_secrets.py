"""`gatewright clients secret`: a client's secrets, made, replaced, ended, reported leaked, listed."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.terminal import Desk, Terminal, json_option, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.clients.book import ClientRow
    from gatewright.clients.renewal import Made

_WARNING = "Copy it and keep it in a safe place: it is shown this once and kept as a digest, so nobody can show it again."
_READABLE = "This client's secrets can be read again at its secret page, which is a weakness (secret_readable)."


class Period(click.ParamType[int]):
    """A duration, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        import re

        from gatewright.base.duration import seconds

        text = str(value)
        if not re.fullmatch(r"[0-9]{1,6}[smhd]", text):
            self.fail(f'"{text}" is no duration: write a number and s, m, h or d, such as 90d', param, ctx)
        return seconds(text)


@click.command()
@click.argument("client_id")
@click.option("--label", default="terminal", show_default=True, help="What the new secret is called.")
@click.option("--expires", type=Period(), metavar="DURATION", help="How long the new secret is good, such as 365d.  [default: until ended]")
@click.option("--overlap", type=Period(), metavar="DURATION", help="Replace the present secret, which goes on for so long.")
@click.option("--end-others", is_flag=True, help="Replace all present secrets, which end in the same moment.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Write the new secret into a new file instead.")
@click.option("--list", "only_list", is_flag=True, help="List the live secrets instead of making one.")
@click.option("--end", metavar="SECRET_ID", help="End this secret instead of making one.")
@click.option("--leaked", metavar="SECRET_ID", help="End this secret because others may have it, and all that the client was given.")
@click.option("--keep-access", is_flag=True, help="With --leaked: let what the client was given go on.")
@tenant_option
@json_option
@click.pass_obj
@told
def secret(terminal: Terminal, /, client_id: str, tenant: str | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - as above
    """Make one more secret for a client and print it, this once. Two may be live, so that nothing stops while one is replaced."""
    _check(options)
    if options["only_list"]:
        heads = ["id", "label", "created_at", "made_by", "expires_at", "last_used_at", "last_used_from", "method"]
        show_rows(heads, run(_listed(terminal, client_id, tenant)), as_json=as_json, nothing=f"{client_id} has no live secret")
    elif options["end"] is not None:
        run(_ended(terminal, client_id, tenant, options["end"]))
        say(f"the secret {options['end']} has ended", {"client_id": client_id, "ended": options["end"]}, as_json=as_json)
    elif options["leaked"] is not None:
        _leaked(terminal, client_id, tenant, options, as_json=as_json)
    else:
        _make(terminal, client_id, tenant, options, as_json=as_json)


def _check(options: dict[str, Any]) -> None:
    acts = [name for name in ("only_list", "end", "leaked") if options[name]]
    making = [name for name in ("overlap", "end_others", "expires", "file") if options[name]]
    if len(acts) > 1 or (acts and making):
        raise click.UsageError("--list, --end and --leaked each stand alone: the others are for making a secret")
    if options["overlap"] and options["end_others"]:
        raise click.UsageError("--overlap lets the present secret go on for a while, --end-others ends it now: say one of them")
    if options["keep_access"] and not options["leaked"]:
        raise click.UsageError("--keep-access belongs to --leaked")


def _leaked(terminal: Terminal, client_id: str, tenant: str | None, options: dict[str, Any], *, as_json: bool) -> None:
    shown, goes_on = options["leaked"], options["keep_access"]
    run(_ended(terminal, client_id, tenant, shown, leaked=True, access_goes_on=goes_on))
    rest = "what the client was given goes on" if goes_on else "all that the client was given has ended"
    sentence = f"the secret {shown} has ended, and {rest}; `gatewright clients secret {client_id}` makes a new one"
    say(sentence, {"client_id": client_id, "ended": shown, "leaked": True, "access_ended": not goes_on}, as_json=as_json)


def _make(terminal: Terminal, client_id: str, tenant: str | None, options: dict[str, Any], *, as_json: bool) -> None:
    from gatewright.base import ids

    file: Path | None = options["file"]
    if file is not None and file.exists():
        raise FileExistsError(errno.EEXIST, "is there already, and no secret is written over another", str(file))
    made, readable = run(_made(terminal, client_id, tenant, options))
    document: dict[str, object] = {
        "client_id": client_id,
        "client_secret_id": ids.show(ids.SECRET, made.id),
        "client_secret_expires_at": made.expires_at or 0,
    }
    if file is not None:
        _write(file, client_id, made)
        say(f"The new secret of {client_id} is in {file}, which only you can read.", {**document, "file": str(file)}, as_json=as_json)
        return
    text = made.secret.reveal()
    sentence = f"The new secret of {client_id}:\n  {text}\n{_READABLE if readable else _WARNING}"
    say(sentence, {**document, "client_secret": text}, as_json=as_json)


def _write(file: Path, client_id: str, made: Made) -> None:
    # O_EXCL: whatever stands there may be the secret that is still in use.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(f"client_id={client_id}\nclient_secret={made.secret.reveal()}\n")


async def the_client(desk: Desk, client_id: str) -> ClientRow:
    """Return a client of the tenant.

    Raises:
        Refused: there is none of this id.
    """
    from gatewright.audit.deed import Refused
    from gatewright.clients.book import client_named

    row = await client_named(desk.store, desk.tenant.id, client_id)
    if row is None:
        raise Refused(f"there is no client {client_id} in the tenant {desk.tenant.slug}")
    return row


async def _listed(terminal: Terminal, client_id: str, tenant: str | None) -> list[dict[str, Any]]:
    from gatewright.base import ids
    from gatewright.base.calendar import stamp
    from gatewright.clients.renewal import live

    async with terminal.desk(tenant) as desk:
        row = await the_client(desk, client_id)
        return [
            {
                "id": ids.show(ids.SECRET, kept.id),
                "method": kept.method,
                "label": kept.label,
                "made_by": kept.made_by,
                "created_at": stamp(kept.created_at),
                "expires_at": None if kept.expires_at is None else stamp(kept.expires_at),
                "last_used_at": None if kept.used_at is None else stamp(kept.used_at),
                "last_used_from": kept.used_from,
            }
            for kept in await live(desk.store, row, desk.clock.moment().now)
        ]


async def _ended(
    terminal: Terminal, client_id: str, tenant: str | None, shown: str, *, leaked: bool = False, access_goes_on: bool = False
) -> None:
    from gatewright.audit.deed import Refused
    from gatewright.base import ids
    from gatewright.clients import renewal

    number = ids.read(ids.SECRET, shown)
    if number is None:
        raise Refused(f'"{shown}" is no secret\'s id, which looks like cs_… ; --list shows them')
    async with terminal.desk(tenant) as desk:
        row = await the_client(desk, client_id)

        async def act(deed: Deed) -> bool:
            if leaked:
                return await renewal.report_leaked(deed, row, number, access_goes_on=access_goes_on)
            return await renewal.end(deed, row, number)

        if not await desk.act(act):
            raise Refused(f"{client_id} has no {'' if leaked else 'live '}secret {shown}; --list shows the live ones")


async def _made(terminal: Terminal, client_id: str, tenant: str | None, options: dict[str, Any]) -> tuple[Made, bool]:
    from gatewright.clients import renewal

    label = options["label"]
    async with terminal.desk(tenant) as desk:
        row = await the_client(desk, client_id)
        wrapper = terminal.wrapper() if row.terms.secret_readable else None
        now = desk.clock.moment().now
        expires_at = None if options["expires"] is None else now + options["expires"]

        def unit() -> Callable[[Deed], Awaitable[Made]]:
            if not options["overlap"] and not options["end_others"]:
                return lambda deed: renewal.make(deed, row, wrapper, label=label, expires_at=expires_at)
            until = now + options["overlap"] if options["overlap"] else None
            return lambda deed: renewal.regenerate(deed, row, wrapper, label=label, expires_at=expires_at, until=until)

        return await desk.act(unit()), row.terms.secret_readable
