"""What a manifest may say beyond its shape, which client it makes, and what an install lacks of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gatewright.base.check import Fault, Findings, choice
from gatewright.base.toml import Path
from gatewright.clients.rules import client_id_fault
from gatewright.market.manifest import Manifest
from gatewright.oauth.catalogue import MANAGEMENT_API, MANAGEMENT_SCOPES, OPENID_SCOPES, Catalogue
from gatewright.oauth.client import AskedScope, Client, ClientSettings, RedirectMatch
from gatewright.oauth.decision import Party, decide
from gatewright.oauth.redirect_uri import fault as redirect_fault
from gatewright.oauth.redirect_uri import origin_of
from gatewright.oauth.visit import Seat
from gatewright.webhooks.rules import url_fault

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Addresses of the server itself begin so, and an app's begin with its id.
TAKEN: Final = frozenset({"o", "oauth", "static", "well-known"})
_WEB: Final = re.compile(r"https://[^/?#@\s]+(?:[/?#]\S*)?|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?(?:[/?#]\S*)?")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ACCESS_WRITE: Final = next(scope.id for scope in MANAGEMENT_SCOPES if scope.name == "gw:access:write")
_OFFLINE: Final = "offline_access"
_LOCAL: Final = "plain http is for this device alone (127.0.0.1, [::1], localhost)"

Known = Mapping[str, str]
"""The names of the scopes that there are, each with the audience of its API ("" for those of OpenID Connect)."""


class Asked(Struct, frozen=True):
    """A scope that an app asks for and an install has not decided on, with the developer's reason."""

    scope: int
    required: bool
    reason: str


def known_scopes(catalogue: Catalogue) -> Known:
    """Return the scopes of a tenant."""
    apis = {number: api for number, api in catalogue.apis.items() if number != MANAGEMENT_API}
    named = {scope.name: apis[scope.api].audience for scope in catalogue.scopes.values() if scope.api in apis}
    return {**{scope.name: "" for scope in OPENID_SCOPES}, **named}


def app_id_fault(slug: str) -> str | None:
    """Return why an app cannot have this id, or None. It is a client id, and the first part of the app's addresses."""
    if _SLUG.fullmatch(slug) is None:
        return "an app's id has at most 63 small letters, digits and hyphens, and begins with a letter or digit"
    if slug in TAKEN:
        return f'addresses that begin with "/{slug}/" are the server\'s own: take another id'
    return client_id_fault(slug)


def manifest_faults(manifest: Manifest, known: Known, prefix: Path = ()) -> tuple[Fault, ...]:
    """Return everything that does not fit together in a manifest, or with the platform."""
    found = Findings()
    for key, text in (("name", manifest.name), ("description", manifest.description)):
        if _CONTROL.search(text):
            found.add((*prefix, key), "this holds a control character", "write plain text in one line")
    launch, events = manifest.launch_uri, manifest.event_url
    if launch is not None and (_WEB.fullmatch(launch) is None or _CONTROL.search(launch)):
        found.add((*prefix, "launch_uri"), "an https address is expected", _LOCAL)
    sentence = None if events is None else url_fault(events)
    if sentence is not None:
        found.add((*prefix, "event_url"), sentence, _LOCAL)
    if manifest.auth is not None:
        _address_faults(manifest, (*prefix, "auth"), found)
        _scope_faults(manifest, known, (*prefix, "auth", "scopes"), found)
    return found.all()


def _address_faults(manifest: Manifest, place: Path, found: Findings) -> None:
    auth = manifest.auth
    assert auth is not None  # noqa: S101 - the caller looked
    sentence = redirect_fault(auth.redirect_uri, "web")
    if sentence is not None:
        found.add((*place, "redirect_uri"), sentence)
    origin = origin_of(auth.redirect_uri)
    if auth.popup_origin is not None and (auth.popup_origin != origin or sentence is not None):
        found.add((*place, "popup_origin"), "this is not the origin of redirect_uri", f'write "{origin}"' if origin else "")


def _scope_faults(manifest: Manifest, known: Known, place: Path, found: Findings) -> None:
    seen: set[str] = set()
    audience = ""
    auth = manifest.auth
    for index, (written, asked) in enumerate(zip(auth.scopes if auth is not None else (), manifest.asked, strict=True)):
        here = (*place, index) if isinstance(written, str) else (*place, index, "scope")
        name = asked.scope
        if name in seen:
            found.add(here, f'the scope "{name}" stands here twice')
        elif name not in known:
            found.add(here, f'there is no scope "{name}"', choice(name, sorted(known)))
        elif name == _OFFLINE:
            found.add(here, "an app's access lasts until it is taken back", f'leave "{_OFFLINE}" out')
        elif known[name] and audience and known[name] != audience:
            found.add(here, f"this scope belongs to {known[name]}, others to {audience}", "an app's token is for one API")
        if _CONTROL.search(asked.reason):
            found.add((*place, index, "reason"), "this holds a control character", "write plain text in one line")
        audience = audience or known.get(name, "")
        seen.add(name)


def client_settings(
    manifest: Manifest, number: int, scopes: Mapping[str, int], old: ClientSettings | None, redirect_match: RedirectMatch
) -> ClientSettings:
    """Return the settings of an app's client (`docs/decisions/0015`).

    What an earlier version asked for stays allowed, since installs keep what they have; asked for is what this version names.
    """
    auth = manifest.auth
    asks = tuple([AskedScope(scope=scopes[one.scope], required=one.required, reason=one.reason) for one in manifest.asked])
    kept = frozenset(old.scopes) if old is not None else frozenset[int]()
    base = old if old is not None else ClientSettings(client_name=manifest.name, party="third", exchange="app", pkce="optional")
    return replace(
        base,
        client_name=manifest.name,
        grant_types=() if auth is None else ("authorization_code", "refresh_token"),
        redirect_uris=() if auth is None else (auth.redirect_uri,),
        redirect_match=redirect_match,
        scopes=tuple(sorted(kept | {one.scope for one in asks})),
        scopes_policy="manifest",
        popup_origin=None if auth is None else auth.popup_origin,
        event_url=manifest.event_url,
        manifest=number,
        asks=asks,
    )


def undecided(client: Client, granted: frozenset[int], declined: frozenset[int]) -> tuple[Asked, ...]:
    """Return what the published version asks for beyond what an install was ever asked: an update is available where there is any."""
    decided = granted | declined
    return tuple([Asked(one.scope, one.required, one.reason) for one in client.settings.asks if one.scope not in decided])


def reasons(client: Client) -> Mapping[int, str]:
    """Return the developer's words by scope."""
    return {one.scope: one.reason for one in client.settings.asks if one.reason}


def added_and_left(old: ClientSettings, new: ClientSettings) -> tuple[list[int], list[int]]:
    """Return the scopes that a version asks for and the one before did not, and the other way round."""
    before, after = {one.scope for one in old.asks}, {one.scope for one in new.asks}
    return sorted(after - before), sorted(before - after)


def administers(seat: Seat, catalogue: Catalogue) -> bool:
    """Tell whether a member looks after an account's apps: by the scope with which the management API lets an admin do it."""
    held = frozenset[int]().union(*[catalogue.roles[role].scopes for role in seat.roles if role in catalogue.roles])
    return _ACCESS_WRITE in catalogue.implied(held)


def beyond(scopes: frozenset[int], catalogue: Catalogue, client: Client, giver: Party, taker: Party) -> list[str]:
    """Return the names of the scopes that somebody would give to an app through a user's roles and does not hold (`security-rules` 36)."""
    names = catalogue.names(scopes)
    given, held = decide(names, catalogue, client, taker).ids, decide(names, catalogue, client, giver).ids
    return catalogue.names(given - held)


def each_fault(faults: tuple[Fault, ...]) -> Iterator[dict[str, str]]:
    """Yield faults as machines read them."""
    for fault in faults:
        yield {"path": fault.path, "rule": fault.rule, "cure": fault.cure}
