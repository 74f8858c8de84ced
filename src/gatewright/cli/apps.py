"""`gatewright apps`: the marketplace from the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatewright.cli.derived import DerivedGroup
from gatewright.cli.terminal import Desk, Terminal, json_option, looked, run, say, show_rows, tenant_option, told

if TYPE_CHECKING:
    from gatewright.audit.deed import Deed
    from gatewright.clients.book import ClientRow
    from gatewright.market.listing import App
    from gatewright.market.manifest import Manifest
    from gatewright.market.records import AppRow
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.platform.impact import Count

_file = click.argument("file", type=click.Path(path_type=Path))
_app = click.argument("app")


@click.group(cls=DerivedGroup)
def apps() -> None:
    """Check, publish, change, withdraw and keep out apps."""


@apps.command("list")
@tenant_option
@json_option
@click.option("--after", default="", help="Go on behind this app.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.pass_obj
@looked
def list_apps(terminal: Terminal, tenant: str | None, after: str, count: int, *, as_json: bool) -> None:
    """List apps by id."""

    async def listed() -> list[dict[str, Any]]:
        from gatewright.apis.catalogues import Catalogues
        from gatewright.market import listing

        async with terminal.desk(tenant) as desk:
            catalogue = await Catalogues(desk.store, desk.clock, lambda: True).get(desk.tenant.id)
            return [_shown(one, catalogue) for one in await listing.apps(desk.store, desk.tenant.id, after=after, count=count)]

    show_rows(["app", "name", "version", "status", "scopes", "weaknesses"], run(listed()), as_json=as_json, nothing="there are no apps")


@apps.command()
@click.option("--for", "slug", metavar="APP", help="As the next version of this app: its name must be a new one.")
@_file
@tenant_option
@json_option
@click.pass_obj
@looked
def validate(terminal: Terminal, file: Path, slug: str | None, tenant: str | None, *, as_json: bool) -> None:
    """Check the manifest in FILE against the platform; every fault is told at once, and nothing is changed.

    With --for it also says how many users will be offered what the new version asks for.
    """

    async def checked() -> tuple[Manifest, Count | None]:
        async with terminal.desk(tenant) as desk:
            manifest, scopes = await _manifest(desk, file)
            return manifest, None if slug is None else await _offered(desk, slug, manifest, scopes)

    manifest, offered = run(checked())
    sentence = f"{file} is good: {manifest.name} {manifest.version}"
    facts: dict[str, Any] = {"name": manifest.name, "version": manifest.version}
    if offered is not None:
        from gatewright.platform.steps import ASKED_AGAIN

        facts["asked_again"], facts["more"] = offered.number, offered.more
        sentence += f"\nhits {offered} {ASKED_AGAIN}" if offered else "\nhits nobody: installs keep what they have"
    say(sentence, facts, as_json=as_json)


@apps.command()
@_app
@_file
@click.option("--developer", help="Who made the app (an e-mail address); only for a new one.")
@tenant_option
@json_option
@click.pass_obj
@told
def publish(terminal: Terminal, app: str, file: Path, developer: str | None, tenant: str | None, *, as_json: bool) -> None:
    """Publish the manifest in FILE as the next version of APP. A new APP is made, and its secret printed, this once.

    Installs keep what they have; where the version asks for more, their users are told.
    """
    version, secret = run(_publish(terminal, app, file, developer, tenant))
    sentence = f"{app} {version} is published"
    if secret is not None:
        sentence += f"\nThe secret of {app}; it is shown this once and kept as a digest:\n  {secret}"
    document = {"app": app, "version": version, **({} if secret is None else {"client_secret": secret})}
    say(sentence, document, as_json=as_json)


@apps.command()
@_app
@tenant_option
@json_option
@click.pass_obj
@told
def withdraw(terminal: Terminal, app: str, tenant: str | None, *, as_json: bool) -> None:
    """Offer APP to nobody any more. What is installed goes on."""
    changed = run(_change(terminal, app, tenant, "withdraw"))
    sentence = f"{app} is withdrawn; what is installed goes on" if changed else f"{app} was withdrawn already"
    say(sentence, {"app": app, "status": "withdrawn", "changed": changed}, as_json=as_json)


@apps.command()
@_app
@tenant_option
@json_option
@click.pass_obj
@told
def offer(terminal: Terminal, app: str, tenant: str | None, *, as_json: bool) -> None:
    """Offer a withdrawn APP again."""
    changed = run(_change(terminal, app, tenant, "offer"))
    sentence = f"{app} is offered again" if changed else f"{app} was offered already"
    say(sentence, {"app": app, "status": "offered", "changed": changed}, as_json=as_json)


@apps.command()
@_app
@tenant_option
@json_option
@click.pass_obj
@told
def block(terminal: Terminal, app: str, tenant: str | None, *, as_json: bool) -> None:
    """Keep APP out: every token that it has is dead now, and it is installed nowhere any more."""
    changed = run(_change(terminal, app, tenant, "block"))
    sentence = f"{app} is blocked; all that it was given has ended" if changed else f"{app} was blocked already"
    say(sentence, {"app": app, "status": "blocked", "changed": changed}, as_json=as_json)


@apps.command()
@_app
@tenant_option
@json_option
@click.pass_obj
@told
def unblock(terminal: Terminal, app: str, tenant: str | None, *, as_json: bool) -> None:
    """Let APP in again; nothing that was ended comes back, so it is installed anew."""
    changed = run(_change(terminal, app, tenant, "unblock"))
    sentence = f"{app} may be installed again" if changed else f"{app} was not blocked"
    say(sentence, {"app": app, "changed": changed}, as_json=as_json)


@apps.command()
def schema() -> None:
    """Print the JSON Schema of a manifest."""
    from gatewright.market.manifest import json_schema

    click.echo(json_schema().decode(), nl=False)


async def _find(desk: Desk, slug: str) -> tuple[AppRow, ClientRow]:
    from gatewright.audit.deed import Refused
    from gatewright.market.apps import app_named

    found = await app_named(desk.store, desk.tenant.id, slug)
    if found is None:
        raise Refused(f"there is no app {slug} in the tenant {desk.tenant.slug}")
    return found


async def _manifest(desk: Desk, file: Path) -> tuple[Manifest, dict[str, int]]:
    """Return the manifest of a file, and the ids of the scopes that it names."""
    import msgspec

    from gatewright.apis.catalogues import Catalogues
    from gatewright.base.check import Faults
    from gatewright.market.files import read_document
    from gatewright.market.manifest import Manifest, shape_faults
    from gatewright.market.rules import known_scopes, manifest_faults

    document = read_document(file)
    faults = shape_faults(document)
    if faults:
        raise Faults(faults)
    manifest = msgspec.convert(document, Manifest)
    catalogue = await Catalogues(desk.store, desk.clock, lambda: True).get(desk.tenant.id)
    faults = manifest_faults(manifest, known_scopes(catalogue))
    if faults:
        raise Faults(faults)
    return manifest, {one.scope: catalogue.scopes_by_name[one.scope].id for one in manifest.asked}


async def _offered(desk: Desk, slug: str, manifest: Manifest, scopes: dict[str, int]) -> Count:
    """Return how many users would be asked about what a version asks for; that version may not be there yet."""
    from gatewright.apis.catalogues import Catalogues
    from gatewright.market.rules import client_settings
    from gatewright.platform.impact import Proposal, impact

    app, client = await _find(desk, slug)
    await _refuse_twice(desk, app, manifest)
    today = await Catalogues(desk.store, desk.clock, lambda: True).get(desk.tenant.id)
    settings = client_settings(manifest, app.version + 1, scopes, client.terms, client.terms.redirect_match)
    change = Proposal(tenant=desk.tenant.id, before=today, after=today, client=client, settings=settings)
    return (await impact(desk.store, change)).asked


async def _refuse_twice(desk: Desk, app: AppRow, manifest: Manifest) -> None:
    from gatewright.audit.deed import Refused
    from gatewright.market.apps import LABELLED

    if await desk.store.one(LABELLED, app=app.id, tenant=desk.tenant.id, label=manifest.version) is not None:
        raise Refused(f"version {manifest.version} was published already: give this one another version")


async def _publish(terminal: Terminal, slug: str, file: Path, developer: str | None, tenant: str | None) -> tuple[str, str | None]:
    from gatewright.audit.deed import Refused
    from gatewright.clients.secrets import make_secret, to_keep
    from gatewright.market import apps as market
    from gatewright.market.rules import app_id_fault
    from gatewright.tenants import credentials
    from gatewright.tenants.credentials import NewCredential

    async with terminal.desk(tenant) as desk:
        manifest, scopes = await _manifest(desk, file)
        found = await market.app_named(desk.store, desk.tenant.id, slug)
        if found is not None:
            await desk.act(lambda deed: market.publish(deed, *found, manifest, scopes))
            return manifest.version, None
        fault = app_id_fault(slug)
        if fault is not None:
            raise Refused(fault)
        owner = 0 if developer is None else await _user(desk, developer)
        secret = make_secret(desk.clock.moment())
        kept = to_keep(secret, desk.tenant.id, str)  # a secret of ours is never short, so nothing slow is asked for

        async def made(deed: Deed) -> None:
            number = await market.make_app(deed, slug, manifest, scopes, owner=owner)
            await credentials.add(deed, "client", number, slug, NewCredential(method=kept.method, digest=kept.digest, label="terminal"))

        await desk.act(made)
        return manifest.version, secret.reveal()


async def _change(terminal: Terminal, slug: str, tenant: str | None, act: str) -> bool:
    from gatewright.market import apps as market

    acts = {"withdraw": market.withdraw, "offer": market.offer, "block": market.block, "unblock": market.unblock}
    async with terminal.desk(tenant) as desk:
        _, client = await _find(desk, slug)
        return await desk.act(lambda deed: acts[act](deed, client))


async def _user(desk: Desk, email: str) -> int:
    from gatewright.audit.deed import Refused
    from gatewright.users.book import user_by_email

    row = await user_by_email(desk.store, desk.tenant.id, email)
    if row is None:
        raise Refused(f"there is no user {email} in the tenant {desk.tenant.slug}")
    return row.id


def _shown(found: App, catalogue: Catalogue) -> dict[str, Any]:
    from gatewright.clients.rules import weaknesses

    terms, known = found.settings, catalogue.scopes
    return {
        "app": found.slug,
        "name": terms.client_name,
        "version": found.label,
        "status": found.status,
        "developer": found.owner,
        "redirect_uris": list(terms.redirect_uris),
        "scopes": [f"{known[one.scope].name}{'' if one.required else ' (optional)'}" for one in terms.asks if one.scope in known],
        "weaknesses": list(weaknesses(terms)),
    }
