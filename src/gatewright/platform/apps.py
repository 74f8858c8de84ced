"""Apps of the marketplace in a platform file: their manifests are read and checked with all else, and made, published and withdrawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from gatewright.base.check import Faults
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.clients.book import ClientRow
from gatewright.clients.rules import secret_fault
from gatewright.market import apps
from gatewright.market.files import read_document
from gatewright.market.manifest import Manifest, read, shape_faults
from gatewright.market.records import AppRow
from gatewright.market.rules import app_id_fault, manifest_faults
from gatewright.oauth.catalogue import OPENID_SCOPES
from gatewright.platform.client_steps import secret_steps
from gatewright.platform.current import Current
from gatewright.platform.document import AppPart
from gatewright.platform.reading import Part, Reading
from gatewright.platform.steps import OPTIONAL, Change, Detail, SlowWork, Step, Work, details, id_in, told, user_key
from gatewright.users.rules import email_key

if TYPE_CHECKING:
    from gatewright.platform.rules import Examiner


def examine_apps(examiner: Examiner) -> dict[str, Manifest]:
    """Tell everything that is wrong with apps and their manifests; return those that are right, by app."""
    parts = examiner.reading.apps
    examiner.twice("app", [((*part.keys, "slug"), part.value.slug) for part in parts])
    clients = {part.value.client_id for part in examiner.reading.clients}
    found: dict[str, Manifest] = {}
    for part in parts:
        app, current = part.value, examiner.current
        sentence = app_id_fault(app.slug)
        if app.slug in clients or (app.slug in current.clients and app.slug not in current.apps):
            sentence = "there is a client of this id, which is no app"
        if sentence is not None and "slug" in part.given:
            examiner.found.add((*part.keys, "slug"), sentence)
        if app.developer is not None:
            examiner.refers((*part.keys, "developer"), app.developer, "user", "users")
        secret = examiner.reveal((*part.keys, "secret"), app.secret)
        sentence = secret_fault(secret.reveal()) if secret is not None else None
        if sentence is not None:
            examiner.found.add((*part.keys, "secret"), sentence)
        if "manifest" in part.given:
            manifest = _manifest(examiner, part)
            if manifest is not None:
                found[app.slug] = manifest
    return found


def _manifest(examiner: Examiner, part: Part[AppPart]) -> Manifest | None:
    place = (*part.keys, "manifest")
    before = len(examiner.found)
    manifest = None
    try:
        document = read_document(examiner.reading.file.parent / part.value.manifest)
        faults = shape_faults(document)
        if not faults:
            manifest = msgspec.convert(document, Manifest)
            faults = manifest_faults(manifest, _known(examiner.reading, examiner.current))
    except Faults as refused:
        faults = refused.faults
    for fault in faults:
        examiner.found.add((*place, *fault.keys), fault.rule, fault.cure)
    if manifest is not None and len(examiner.found) == before and _published_otherwise(manifest, part.value.slug, examiner.current):
        rule = f'version "{manifest.version}" was published already, and says something else'
        examiner.found.add((*place, "version"), rule, "give this one another version")
    return manifest if len(examiner.found) == before else None


def _known(reading: Reading, current: Current) -> Mapping[str, str]:
    audiences = {row.id: row.audience for row in current.apis.values()}
    kept = {name: audiences.get(row.api, "") for name, row in current.scopes.items() if row.retired_at is None}
    named = {name: part.value.audience for part in reading.apis for name in part.value.scopes}
    return {**{scope.name: "" for scope in OPENID_SCOPES}, **kept, **named}


def _published_otherwise(manifest: Manifest, slug: str, current: Current) -> bool:
    kept = current.versions.get(slug, {}).get(manifest.version)
    return kept is not None and (kept.manifest != manifest.text or kept.number != current.apps[slug].version)


def app_steps(
    reading: Reading, current: Current, manifests: Mapping[str, Manifest], secrets: dict[Keys, Secret], slow: SlowWork
) -> Iterator[Step]:
    """Yield the steps for apps; a manifest that differs from the one that is published is published as the next version."""
    for part in reading.apps:
        slug, manifest = part.value.slug, manifests[part.value.slug]
        app, row = current.apps.get(slug), current.clients.get(slug)
        if app is None or row is None:
            change = Change(
                "+", "app", slug, told({**_shown(manifest), **_terms(part.value)}, {"redirect_match": "exact", "developer": None})
            )
            yield Step(change, partial(_make, part.value, manifest), remember=("app", slug))
        else:
            yield from _changed(part, manifest, app, row, current)
        yield from secret_steps(slug, row, secrets.get((*part.keys, "secret")), current, slow)


def _changed(part: Part[AppPart], manifest: Manifest, app: AppRow, row: ClientRow, current: Current) -> Iterator[Step]:
    slug = part.value.slug
    if row.terms.withdrawn and ("pruned app", slug) in current.applied:
        offered = Change("~", "app", slug, (Detail("withdrawn", True, False),))
        yield Step(offered, partial(_offer, slug), remember=("app", slug), forget=("pruned app", slug))
    published = next(version for version in current.versions[slug].values() if version.number == app.version)
    if published.manifest != manifest.text:
        change = Change("~", "app", slug, details(_shown(read(published.manifest)), _shown(manifest)))
        yield Step(change, partial(_publish, slug, manifest))
    wanted = _terms(part.value)
    developer = next((user.email for user in current.users.values() if user.id == row.owner_person), None)
    present = {"redirect_match": row.terms.redirect_match, "developer": developer}
    after = {**present, **{name: value for name, value in wanted.items() if name in part.given}}
    if user_key(after["developer"] or "") == user_key(present["developer"] or ""):
        after["developer"] = present["developer"]
    found = details(present, after)
    if found:
        yield Step(Change("~", "app", slug, found), partial(_set_terms, part, slug))


def _terms(app: AppPart) -> dict[str, Any]:
    return {"redirect_match": app.redirect_match, "developer": app.developer}


def _shown(manifest: Manifest) -> dict[str, Any]:
    auth = manifest.auth
    return {
        "version": manifest.version,
        "name": manifest.name,
        "description": manifest.description,
        "icon": None if manifest.icon is None else f"{len(manifest.icon) * 3 // 4 // 1024 + 1} KB",
        "launch_uri": manifest.launch_uri,
        "event_url": manifest.event_url,
        "auth.redirect_uri": None if auth is None else auth.redirect_uri,
        "auth.popup_origin": None if auth is None else auth.popup_origin,
        "auth.scopes": [one.scope if one.required else f"{one.scope}{OPTIONAL}" for one in manifest.asked],
    }


async def _make(app: AppPart, manifest: Manifest, work: Work) -> None:
    owner = id_in(work.names.users, email_key(app.developer)) if app.developer is not None else 0
    scopes = {one.scope: id_in(work.names.scopes, one.scope) for one in manifest.asked}
    number = await apps.make_app(work.deed, app.slug, manifest, scopes, owner=owner, redirect_match=app.redirect_match)
    work.names.clients[app.slug] = number


async def _app(slug: str, work: Work) -> tuple[AppRow, ClientRow]:
    # Read again at each step, since an earlier one may have changed it.
    found = await apps.app_named(work.deed.tx, work.deed.tenant, slug)
    assert found is not None  # noqa: S101 - the differences were found in this transaction
    return found


async def _publish(slug: str, manifest: Manifest, work: Work) -> None:
    scopes = {one.scope: id_in(work.names.scopes, one.scope) for one in manifest.asked}
    await apps.publish(work.deed, *await _app(slug, work), manifest, scopes)


async def _set_terms(part: Part[AppPart], slug: str, work: Work) -> None:
    _, row = await _app(slug, work)
    owner, match = row.owner_person, row.terms.redirect_match
    if "developer" in part.given and part.value.developer is not None:
        owner = id_in(work.names.users, email_key(part.value.developer))
    if "redirect_match" in part.given:
        match = part.value.redirect_match
    await apps.set_terms(work.deed, row, owner=owner, redirect_match=match)


async def _offer(slug: str, work: Work) -> None:
    await apps.offer(work.deed, (await _app(slug, work))[1])


async def withdraw(slug: str, work: Work) -> None:
    """Take an app away: it is offered to nobody any more, and what is installed goes on."""
    await apps.withdraw(work.deed, (await _app(slug, work))[1])
