"""Steps for clients and their secrets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from gatewright.accounts.book import MEMBERSHIPS_OF
from gatewright.audit.deed import Refused
from gatewright.base import duration
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.clients import book as clients
from gatewright.clients.book import ClientRow
from gatewright.clients.renewal import wrap
from gatewright.clients.secrets import is_one, make_secret, to_keep
from gatewright.oauth.client import SECRET_METHODS, ClientSettings
from gatewright.platform.current import Current
from gatewright.platform.present import named_settings
from gatewright.platform.reading import Reading
from gatewright.platform.steps import Change, Detail, MadeSecret, SlowWork, Step, Work, details, id_in, ids_in, told, user_key
from gatewright.platform.terms import NamedSettings, client_terms, shown_exception, tenant_policy
from gatewright.tenants import credentials
from gatewright.tenants.credentials import MOST_LIVE, NewCredential, crowded

_OF_APPS = ("exchange", "popup_origin", "manifest", "asks", "withdrawn")


def client_steps(reading: Reading, current: Current, secrets: dict[Keys, Secret], slow: SlowWork) -> Iterator[Step]:
    """Yield the steps for clients; a secret that is not live yet is added beside those that are."""
    rules = tenant_policy(reading.tenant, current.tenant)
    for part in reading.clients:
        client_id = part.value.client_id
        row = current.clients.get(client_id)
        present = None if row is None else named_settings(row, current)
        terms = client_terms(part, present, rules)
        if row is None or present is None:
            change = Change("+", "client", client_id, told(_shown(terms), _shown(_USUAL)))
            yield Step(change, partial(_make_client, client_id, terms), remember=("client", client_id))
        else:
            yield from _changed(row, present, terms, current)
        secret = secrets.get((*part.keys, "secret"))
        if terms.settings.token_endpoint_auth_method in SECRET_METHODS:
            yield from secret_steps(client_id, row, secret, current, slow)


_USUAL = NamedSettings(ClientSettings(client_name="", grant_types=()), (), (), None, None)


def _changed(row: ClientRow, present: NamedSettings, terms: NamedSettings, current: Current) -> Iterator[Step]:
    if row.disabled_at is not None and ("pruned client", row.client_id) in current.applied:
        enabled = Change("~", "client", row.client_id, (Detail("disabled", True, False),))
        forget = ("pruned client", row.client_id)
        yield Step(enabled, partial(_enable_client, row), remember=("client", row.client_id), forget=forget)
    found = details(_shown(present), _shown(terms))
    if found:
        yield Step(Change("~", "client", row.client_id, found), partial(_change_client, row, present, terms))


def secret_steps(client_id: str, row: ClientRow | None, secret: Secret | None, current: Current, slow: SlowWork) -> Iterator[Step]:
    """Yield the step for a client's or app's secret: the one that the file names, or one that is made where there is none."""
    kept = current.secrets.get(row.id, []) if row is not None else []
    if secret is None:
        if not kept:
            yield Step(Change("+", "client secret", client_id, (Detail("made", None, "printed once"),)), partial(_make_secret, client_id))
        return
    number = current.tenant.id if current.tenant is not None else 0
    if row is not None and is_one(secret, number, kept, slow.fits):
        return
    if len(kept) >= MOST_LIVE:
        raise Refused(crowded(client_id, kept))
    to_keep(secret, number, partial(slow.digest, client_id))  # a slow digest is made here, before the transaction
    yield Step(Change("+", "client secret", client_id), partial(_add_secret, client_id, secret))


def _shown(terms: NamedSettings) -> dict[str, Any]:
    """Return settings as the file would write them."""
    plain: dict[str, Any] = {name: getattr(terms.settings, name) for name in ClientSettings.__struct_fields__}
    for name in ("scopes", "roles", "account", "service_user", "jwks", "password_grant", "scopes_policy_at", *_OF_APPS):
        del plain[name]
    for name in ("refresh_idle", "refresh_absolute"):
        value = plain.pop(name)
        plain[name.replace("_", ".")] = None if value is None else duration.show(value)
    plain["refresh.when"] = plain.pop("refresh")
    exception = terms.settings.password_grant
    plain["password_grant"] = None if exception is None else shown_exception(exception)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
    plain["jwks"] = None if terms.settings.jwks is None else msgspec.json.decode(terms.settings.jwks)
    return {
        **plain,
        "scopes": list(terms.scopes),
        "roles": list(terms.roles),
        "account": terms.account,
        "service_user": None if terms.service_user is None else user_key(terms.service_user),
        "owner.user": None if terms.owner_user is None else user_key(terms.owner_user),
        "owner.account": terms.owner_account,
    }


def _resolved(terms: NamedSettings, work: Work, account: int, service_user: int) -> ClientSettings:
    names = work.names
    return msgspec.structs.replace(
        terms.settings,
        scopes=tuple(sorted(ids_in(names.scopes, terms.scopes))),
        roles=tuple(sorted(ids_in(names.roles, terms.roles))),
        account=account,
        service_user=service_user,
    )


async def _tie(terms: NamedSettings, work: Work) -> tuple[int, int]:
    """Return the account and the service user that a client acts for; the user's one account is the client's."""
    if terms.service_user is not None:
        person = id_in(work.names.users, user_key(terms.service_user))
        held = await work.deed.tx.all(MEMBERSHIPS_OF, person=person, tenant=work.deed.tenant)
        if len(held) != 1:
            raise Refused(f"the service user {terms.service_user} is not in exactly one account")
        return held[0].account, person
    return (0 if terms.account is None else id_in(work.names.accounts, terms.account)), 0


async def _make_client(client_id: str, terms: NamedSettings, work: Work) -> None:
    settings = _resolved(terms, work, *await _tie(terms, work))
    number = work.names.clients[client_id] = await clients.make_client(work.deed, client_id, settings)
    if terms.owner_user is not None or terms.owner_account is not None:
        await clients.set_owner(work.deed, number, client_id, **_owner(terms, work))


def _owner(terms: NamedSettings, work: Work) -> dict[str, int]:
    names = work.names
    return {
        "person": 0 if terms.owner_user is None else id_in(names.users, user_key(terms.owner_user)),
        "account": 0 if terms.owner_account is None else id_in(names.accounts, terms.owner_account),
    }


async def _change_client(row: ClientRow, present: NamedSettings, terms: NamedSettings, work: Work) -> None:
    unmoved = (terms.account, terms.service_user) == (present.account, present.service_user)
    tied = (row.terms.account, row.terms.service_user) if unmoved else await _tie(terms, work)
    settings = _resolved(terms, work, *tied)
    # What the file leaves alone stays by its id, a retired role too: without it, the client would be open to everybody.
    if terms.roles == present.roles:
        settings = msgspec.structs.replace(settings, roles=row.terms.roles)
    if terms.scopes == present.scopes:
        settings = msgspec.structs.replace(settings, scopes=row.terms.scopes)
    if settings != row.terms:
        await clients.change_client(work.deed, row, settings)
    if (terms.owner_user, terms.owner_account) != (present.owner_user, present.owner_account):
        owner = _owner(terms, work)
        # Whoever the file does not know and does not name stays.
        person = row.owner_person if terms.owner_user == present.owner_user else owner["person"]
        account = row.owner_account if terms.owner_account == present.owner_account else owner["account"]
        await clients.set_owner(work.deed, row.id, row.client_id, person=person, account=account)


async def _enable_client(row: ClientRow, work: Work) -> None:
    await clients.enable_client(work.deed, row)


async def _add_secret(client_id: str, secret: Secret, work: Work) -> None:
    kept = to_keep(secret, work.deed.tenant, partial(work.slow.digest, client_id))
    number = id_in(work.names.clients, client_id)
    readable = (await clients.settings_of(work.deed, number)).secret_readable
    place = work.deed.at.id()
    new = NewCredential(
        method=kept.method,
        digest=kept.digest,
        label=work.label,
        number=place,
        wrapped=wrap(work.wrapper, work.deed, number, place, secret) if readable and work.wrapper is not None else None,
    )
    await credentials.add(work.deed, "client", number, client_id, new)


async def _make_secret(client_id: str, work: Work) -> None:
    secret = make_secret(work.deed.at)
    await _add_secret(client_id, secret, work)
    work.made.append(MadeSecret(client_id, secret))


async def disable_client(row: ClientRow, work: Work) -> None:
    """Take a client away, its row kept."""
    await clients.disable_client(work.deed, row)
