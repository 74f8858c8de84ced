"""Steps that take away what an earlier apply of the file made and it names no longer. Nothing is erased that a token may name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gatewright.platform.apps import withdraw
from gatewright.platform.client_steps import disable_client
from gatewright.platform.current import Current, earlier
from gatewright.platform.definition import disable_api, remove_domain, retire_role, retire_scope
from gatewright.platform.document import origins_in
from gatewright.platform.people import delete_account, delete_user, end_membership
from gatewright.platform.reading import Reading
from gatewright.platform.steps import Change, Step, user_key
from gatewright.tenants.rules import BadOrigin, parse_origin

# What hangs on something else goes before it.
ORDER = ("app", "client", "membership", "user", "account", "role", "scope", "api", "domain")


def left_over(reading: Reading, current: Current) -> dict[str, list[str]]:
    """Return what an earlier apply made and the file names no longer, by kind."""
    named = _named(reading)
    found = {kind: [name for name in earlier(current, kind) if name not in named[kind]] for kind in ORDER}
    # A scope that was renamed is still the one that an earlier apply made.
    found["scope"] = [name for name in found["scope"] if current.aliases.get(name, name) not in named["scope"]]
    return {kind: names for kind, names in found.items() if names}


def prune_steps(reading: Reading, current: Current) -> Iterator[Step]:
    """Yield the steps that take it away; what is gone already is only forgotten."""
    for kind, names in left_over(reading, current).items():
        for name in names:
            yield _STEPS[kind](name, current) or Step(Change("-", "tenant", name), _nothing, forget=(kind, name), shown=False)


async def _nothing(_: object) -> None:
    """Do nothing: somebody else took it away."""


def _named(reading: Reading) -> dict[str, set[str]]:
    users = {user_key(part.value.email): part.value for part in reading.users}
    return {
        "app": {part.value.slug for part in reading.apps},
        "client": {part.value.client_id for part in reading.clients},
        "membership": {f"{key} {held.account}" for key, user in users.items() for held in user.memberships},
        "user": set(users),
        "account": {part.value.slug for part in reading.accounts},
        "role": {part.value.name for part in reading.roles},
        "scope": {name for part in reading.apis for name in part.value.scopes},
        "api": {part.value.audience for part in reading.apis},
        "domain": set() if reading.tenant is None else {_origin(text) for text in origins_in(reading.tenant.value)},
    }


def _origin(text: str) -> str:
    try:
        return parse_origin(text).url
    except BadOrigin:
        return text


def _app(name: str, current: Current) -> Step | None:
    row = current.clients.get(name)
    if row is None or row.terms.withdrawn:
        return None
    return Step(Change("-", "app", name), partial(withdraw, name), ("pruned app", name), ("app", name))


def _client(name: str, current: Current) -> Step | None:
    row = current.clients.get(name)
    if row is None or row.disabled_at is not None:
        return None
    return Step(Change("-", "client", name), partial(disable_client, row), ("pruned client", name), ("client", name))


def _membership(name: str, current: Current) -> Step | None:
    key, _, slug = name.partition(" ")
    user, account = current.users.get(key), current.accounts.get(slug)
    held = current.memberships.get(user.id, {}).get(account.id) if user is not None and account is not None else None
    if held is None:
        return None
    return Step(Change("-", "membership", f"{key} in {slug}"), partial(end_membership, held), forget=("membership", name))


def _user(name: str, current: Current) -> Step | None:
    row = current.users.get(name)
    return None if row is None else Step(Change("-", "user", row.email), partial(delete_user, row), forget=("user", name))


def _account(name: str, current: Current) -> Step | None:
    row = current.accounts.get(name)
    return None if row is None else Step(Change("-", "account", name), partial(delete_account, row), forget=("account", name))


def _role(name: str, current: Current) -> Step | None:
    row = current.roles.get(name)
    if row is None or row.retired_at is not None:
        return None
    return Step(Change("-", "role", name), partial(retire_role, row), forget=("role", name))


def _scope(name: str, current: Current) -> Step | None:
    row = current.scopes.get(name)
    if row is None or row.retired_at is not None:
        return None
    return Step(Change("-", "scope", name), partial(retire_scope, row), forget=("scope", name))


def _api(name: str, current: Current) -> Step | None:
    row = current.apis.get(name)
    if row is None or row.disabled_at is not None:
        return None
    return Step(Change("-", "api", name), partial(disable_api, row), ("pruned api", name), ("api", name))


def _domain(name: str, current: Current) -> Step | None:
    row = current.domains.get(name)
    return None if row is None else Step(Change("-", "domain", name), partial(remove_domain, row), forget=("domain", name))


_STEPS = {
    "app": _app,
    "client": _client,
    "membership": _membership,
    "user": _user,
    "account": _account,
    "role": _role,
    "scope": _scope,
    "api": _api,
    "domain": _domain,
}
