"""`gatewright events`: what a client is told, what became of it, and telling it again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told
from gatewright.webhooks.records import EventType

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.clients.book import ClientRow
    from gatewright.webhooks.ports import Wraps
    from gatewright.webhooks.records import EventRow

client_option = click.option("--client", "client_id", required=True, help="The client whose events are meant.")
_LABELS = [type.label for type in EventType]


@click.group(cls=DerivedGroup)
def events() -> None:
    """What clients are told (event_url): what became of it, telling it again, and what signs it."""


@events.command("list")
@client_option
@tenant_option
@json_option
@click.option("--state", type=click.Choice(["waiting", "delivered", "given_up"]), help="Only events in this state.")
@click.option("--type", "label", type=click.Choice(_LABELS), help="Only events of this type.")
@click.option("--before", help="Go on behind this event (its id).")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def list_events(
    terminal: Terminal,
    client_id: str,
    tenant: str | None,
    state: str | None,
    label: str | None,
    before: str | None,
    count: int,
    *,
    as_json: bool,
) -> None:
    """List events, the latest first: when, in which state, how often it was tried, and when it is tried next."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.webhooks.book import NEWEST, events_of

        async with terminal.desk(tenant) as desk:
            client = await _client(desk, client_id)
            last = NEWEST if before is None else _number(before)
            kind = next((type for type in EventType if type.label == label), None)
            found = await events_of(desk.store, desk.tenant.id, client.id, state=state or "", type=kind, before=last, count=count)
            return [_shown(event) for event in found]

    heads = ["id", "type", "at", "state", "tries", "next_at", "last_at", "outcome", "status"]
    show_rows(heads, run(listed()), as_json=as_json, nothing="there are no such events")


@events.command()
@click.argument("event_id")
@client_option
@tenant_option
@json_option
@click.pass_obj
@looked
def show(terminal: Terminal, event_id: str, client_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Show one event with its data and each attempt at its delivery. What the address answered beside its status is not kept."""

    async def shown() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        import msgspec

        from gatewright.base.calendar import stamp
        from gatewright.webhooks.book import ATTEMPTS

        async with terminal.desk(tenant) as desk:
            client = await _client(desk, client_id)
            event = await _event(desk, client, event_id)
            attempts = [
                {"at": stamp(one.at), "outcome": one.outcome, "status": one.status, "milliseconds": one.milliseconds}
                for one in await desk.store.all(ATTEMPTS, event=event.id, tenant=desk.tenant.id)
            ]
            return {**_shown(event), "data": {"client_id": client_id, **msgspec.json.decode(event.data)}}, attempts

    document, attempts = run(shown())
    if as_json:
        say("", {**document, "attempts": attempts}, as_json=True)
        return
    for name, value in document.items():
        if value is not None:
            click.echo(f"{name:<9} {value}")
    show_rows(["at", "outcome", "status", "milliseconds"], attempts, as_json=False, nothing="it was not tried yet")


@events.command()
@click.argument("event_ids", nargs=-1)
@click.option("--given-up", is_flag=True, help="Every event that was given up, instead of those named.")
@client_option
@tenant_option
@json_option
@click.pass_obj
@told
def replay(terminal: Terminal, event_ids: tuple[str, ...], client_id: str, tenant: str | None, *, given_up: bool, as_json: bool) -> None:
    """Deliver events again, each under the id that it had: a receiver that has it already can tell."""
    if given_up == bool(event_ids):
        raise click.UsageError("name events by their ids, or say --given-up")

    async def done() -> int:
        from gatewright.webhooks import book

        async with terminal.desk(tenant) as desk:
            client = await _client(desk, client_id)
            if given_up:
                return await desk.act(lambda deed: book.replay_given_up(deed, client.id, client_id))
            found = [await _event(desk, client, event_id) for event_id in event_ids]

            async def again(deed: Deed) -> int:
                return sum([await book.replay(deed, client.id, client_id, event.id) for event in found])

            return await desk.act(again)

    count = run(done())
    say(f"{count} event{'' if count == 1 else 's'} will be delivered again", {"replayed": count}, as_json=as_json)


@events.command()
@client_option
@tenant_option
@json_option
@click.pass_obj
@told
def test(terminal: Terminal, client_id: str, tenant: str | None, *, as_json: bool) -> None:
    """Send an event of the type "test", to see it arrive."""

    async def done() -> bool:
        from gatewright.webhooks import book

        async with terminal.desk(tenant) as desk:
            client = await _client(desk, client_id)
            return await desk.act(lambda deed: book.test(deed, client.id, client_id))

    from gatewright.audit.deed import Refused

    if not run(done()):
        raise Refused(f"nothing is sent to {client_id}: `gatewright events endpoint --client {client_id}` says why")
    say(f"a test event for {client_id} is on its way; `gatewright events list` shows it", {"recorded": True}, as_json=as_json)


@events.command()
@click.option("--enable", is_flag=True, help="Send again to an address that answered 410.")
@client_option
@tenant_option
@json_option
@click.pass_obj
@told
def endpoint(terminal: Terminal, client_id: str, tenant: str | None, *, enable: bool, as_json: bool) -> None:
    """Show where a client's events go and whether anything is sent there now."""

    async def shown() -> dict[str, Any]:
        from gatewright.base.calendar import stamp
        from gatewright.webhooks import book

        async with terminal.desk(tenant) as desk:
            client = await _client(desk, client_id)
            if enable:
                await desk.act(lambda deed: book.enable(deed, client.id, client_id))
            row, now = await book.endpoint_of(desk.store, desk.tenant.id, client.id, client_id), desk.clock.moment().now
            state = "client disabled" if row.blocked_at is not None else row.disabled_because or "open"
            quiet = stamp(row.quiet_until) if row.open and row.failures and row.quiet_until > now else None
            return {"event_url": row.url, "state": state, "failures": row.failures, "quiet_until": quiet}

    show_rows(["event_url", "state", "failures", "quiet_until"], [run(shown())], as_json=as_json)


@events.command()
@click.option("--rotate", is_flag=True, help="Make a new secret; the old one signs along for a day.")
@click.option("--now", "at_once", is_flag=True, help="With --rotate: the old one signs no more from this moment.")
@client_option
@tenant_option
@json_option
@click.pass_obj
@told
def secret(terminal: Terminal, client_id: str, tenant: str | None, *, rotate: bool, at_once: bool, as_json: bool) -> None:
    """Print what signs a client's events, the newest first; the first one is made when it is asked for."""
    if at_once and not rotate:
        raise click.UsageError("--now belongs to --rotate")

    async def shown() -> list[dict[str, Any]]:
        from gatewright.webhooks import book

        async with terminal.desk(tenant) as desk:
            client, wraps = await _client(desk, client_id), _wraps(terminal)
            found = await book.endpoint_of(desk.store, desk.tenant.id, client.id, client_id)
            at = desk.clock.moment()
            if rotate:
                overlap = 0 if at_once else book.ROTATION
                await desk.store.run(book.rotate_secret, at, wraps, found, actor=desk.actor, overlap=overlap)
            else:
                await desk.store.run(book.first_secret, at, wraps, found, actor=desk.actor)
            return await _secrets(desk, client, wraps)

    show_rows(["id", "secret", "created_at", "expires_at"], run(shown()), as_json=as_json)


async def _secrets(desk: Desk, client: ClientRow, wraps: Wraps) -> list[dict[str, Any]]:
    from gatewright.base import ids
    from gatewright.base.calendar import stamp
    from gatewright.webhooks.book import read_secrets

    return [
        {
            "id": ids.show(ids.WEBHOOK_SECRET, row.id),
            "secret": text.reveal(),
            "created_at": stamp(row.created_at),
            "expires_at": None if row.expires_at is None else stamp(row.expires_at),
        }
        for row, text in await desk.act(lambda deed: read_secrets(deed, wraps, client.id, client.client_id))
    ]


def _wraps(terminal: Terminal) -> Wraps:
    from gatewright.app import root_key
    from gatewright.keys.sealer import Wrapper

    return Wrapper(root_key(terminal.load(), os.environ))


async def _client(desk: Desk, client_id: str) -> ClientRow:
    from gatewright.audit.deed import Refused
    from gatewright.clients.book import client_named

    row = await client_named(desk.store, desk.tenant.id, client_id)
    if row is None:
        raise Refused(f"there is no client {client_id} in the tenant {desk.tenant.slug}")
    return row


def _number(shown: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.base import ids

    number = ids.read(ids.EVENT, shown)
    if number is None:
        raise Refused(f'"{shown}" is no event\'s id, which looks like ev_… ; `gatewright events list` shows them')
    return number


async def _event(desk: Desk, client: ClientRow, shown: str) -> EventRow:
    from gatewright.audit.deed import Refused
    from gatewright.webhooks.book import EVENT

    found = await desk.store.one(EVENT, id=_number(shown), client=client.id, tenant=desk.tenant.id)
    if found is None:
        raise Refused(f"{client.client_id} has no event {shown}")
    return found


def _shown(event: EventRow) -> dict[str, Any]:
    from gatewright.base import ids
    from gatewright.base.calendar import stamp

    return {
        "id": ids.show(ids.EVENT, event.id),
        "type": event.type,
        "at": stamp(event.at),
        "state": event.state,
        "tries": event.tries,
        "next_at": None if event.next_at is None else stamp(event.next_at),
        "last_at": None if event.last_at is None else stamp(event.last_at),
        "outcome": event.last_outcome,
        "status": event.last_status,
    }
