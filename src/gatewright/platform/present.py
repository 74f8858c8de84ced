"""What is stored, with the names that a file would use for it."""

from __future__ import annotations

import msgspec

from gatewright.clients.book import ClientRow
from gatewright.oauth.client import ClientSettings
from gatewright.platform.current import Current
from gatewright.platform.terms import NamedSettings


def named_settings(row: ClientRow, current: Current) -> NamedSettings:
    """Return a client's settings with the names of its scopes, roles, account and service user."""
    terms = row.terms
    scopes, roles = current.live_scope_names, current.role_names
    account = _slug(terms.account, current)
    user = _email(terms.service_user, current)
    return NamedSettings(
        settings=without_references(terms),
        scopes=tuple(sorted(scopes[number] for number in terms.scopes if number in scopes)),
        roles=tuple(sorted(roles[number] for number in terms.roles if number in roles)),
        account=account if not terms.service_user else None,
        service_user=user,
        owner_user=_email(row.owner_person, current),
        owner_account=_slug(row.owner_account, current),
    )


def _email(number: int, current: Current) -> str | None:
    return next((one.email for one in current.users.values() if one.id == number), None)


def _slug(number: int, current: Current) -> str | None:
    return next((slug for slug, account in current.accounts.items() if account.id == number), None)


def without_references(settings: ClientSettings) -> ClientSettings:
    """Return settings without the ids of other records."""
    return msgspec.structs.replace(settings, scopes=(), roles=(), account=0, service_user=0)
