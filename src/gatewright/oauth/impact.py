"""What a change would do to what was given: the one decision asked twice, of what decides today and of what is to. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gatewright.oauth.authorization import Basis, decided, party_of
from gatewright.oauth.catalogue import Catalogue, ids_of
from gatewright.oauth.client import Client
from gatewright.oauth.decision import decide

NOTHING: Final[frozenset[int]] = frozenset()


class Scene(Struct, frozen=True):
    """What decides beside the grant itself. Without a client nothing is given."""

    catalogue: Catalogue
    client: Client | None


class Effect(Struct, frozen=True):
    """What one grant gives less and more, and whether its user would be asked about something the next time."""

    lost: frozenset[int] = NOTHING
    gained: frozenset[int] = NOTHING
    asked: bool = False


NO_EFFECT: Final = Effect()


def effect(basis: Basis, before: Scene, after: Scene, *, roles_after: str | None) -> Effect:
    """Return what becomes of a grant. `roles_after` are those that its user is to hold."""
    user, _, ceiling, granted, declined = basis
    later: Basis = (user, roles_after, ceiling, granted, declined)
    had, has = given(basis, before), given(later, after)
    asked = asks(later, after) and not asks(basis, before)
    return Effect(had - has, has - had, asked) if had != has or asked else NO_EFFECT


def given(basis: Basis, scene: Scene) -> frozenset[int]:
    """Return the scopes that a grant yields."""
    if scene.client is None or scene.client.disabled:
        return NOTHING
    return decided(None, scene.catalogue, scene.client, basis).ids


def asks(basis: Basis, scene: Scene) -> bool:
    """Tell whether a user who gave something would be asked again, if the client asks for all that it may."""
    user, roles, _, granted, declined = basis
    client = scene.client
    if client is None or client.disabled or not user or not client.asks_user:
        return False
    # Of an app, what its published version asks for; that earlier ones asked for more asks nobody.
    wanted = frozenset([asked.scope for asked in client.settings.asks]) if client.is_app else client.scopes
    possible = decide(scene.catalogue.names(wanted), scene.catalogue, client, party_of(user=user, roles=roles)).ids
    return bool(possible - ids_of(granted or "") - ids_of(declined or ""))


def touched(before: Catalogue, after: Catalogue) -> frozenset[int]:
    """Return the scopes whose being given may change with what a tenant defines."""
    found = {number for number in before.scopes.keys() | after.scopes.keys() if _weight(before, number) != _weight(after, number)}
    for number in before.roles.keys() | after.roles.keys():
        found |= _held(before, number) ^ _held(after, number)
    return frozenset(found) | before.implied(frozenset(found)) | after.implied(frozenset(found))


def _weight(catalogue: Catalogue, number: int) -> tuple[object, ...]:
    scope = catalogue.scopes.get(number)
    if scope is None:
        return ()
    api = catalogue.apis.get(scope.api)
    return (scope.api, scope.implies, api and (api.roles, api.disabled))


def _held(catalogue: Catalogue, number: int) -> frozenset[int]:
    role = catalogue.roles.get(number)
    return NOTHING if role is None else catalogue.implied(role.scopes)
