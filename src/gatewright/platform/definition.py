"""Steps for what a tenant defines: itself, its domains, its APIs with their scopes, and its roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from gatewright.apis import book as apis
from gatewright.apis.book import ApiRow, ApiTerms, RoleRow, ScopeRow, ScopeTerms, kept_terms
from gatewright.audit.deed import Refused
from gatewright.base import duration
from gatewright.base.calendar import day
from gatewright.base.digest import Kind, digest, same
from gatewright.base.secret import Secret
from gatewright.base.toml import Path as Keys
from gatewright.oauth.catalogue import UNTIL_REVOKED, ids_of
from gatewright.oauth.issuer import PathPreset, Policy
from gatewright.platform.current import Current
from gatewright.platform.document import UNTIL_REVOKED_WORD, ApiPart, DomainPart, TenantPart, origin_of
from gatewright.platform.naming import alias_names, understood_names
from gatewright.platform.reading import Part, Reading
from gatewright.platform.routes import route_steps
from gatewright.platform.steps import Change, Detail, Step, Work, details, id_in, ids_in, told
from gatewright.platform.steps import Kind as ChangeKind
from gatewright.platform.terms import api_terms, implied_names, presets_of, scope_terms, tenant_policy
from gatewright.tenants import book as tenants
from gatewright.tenants import credentials
from gatewright.tenants.credentials import NewCredential
from gatewright.tenants.records import DomainKind, DomainRow, Look, TenantRow
from gatewright.tenants.rules import Origin, parse_origin

SECRET_LABEL = "platform file"


def tenant_steps(part: Part[TenantPart], current: Current) -> Iterator[Step]:
    """Yield the steps for the tenant and its domains."""
    row, wanted = current.tenant, part.value
    look = _look(part, row)
    paths = wanted.paths if row is None or "paths" in part.given else row.presets
    rules = tenant_policy(part, row)
    after = {"name": wanted.name, "paths": list(paths), **msgspec.to_builtins(look), "scopes_policy": rules.scopes_policy}
    if row is None:
        change = Change("+", "tenant", wanted.slug, told(after, {"scopes_policy": "required"}))
        yield Step(change, partial(_make_tenant, wanted.slug, wanted.name, paths, look, rules))
    else:
        before = {"name": row.name, "paths": row.paths.split(), **msgspec.to_builtins(row.look), "scopes_policy": row.rules.scopes_policy}
        found = details(before, after)
        if found:
            yield Step(Change("~", "tenant", wanted.slug, found), partial(_change_tenant, wanted.name, paths, look, rules))
    given = part.given.get("domains", ())
    for position, domain in enumerate(wanted.domains):
        named = given[position] if position < len(given) and isinstance(given[position], Mapping) else {}
        yield from _domain_steps(domain, named, position, current)
    for position, text in enumerate(wanted.api_hosts):
        yield from _domain_steps(text, {}, position, current, "api")


def _look(part: Part[TenantPart], row: TenantRow | None) -> Look:
    if row is None or "brand" not in part.given:
        return part.value.brand if row is None else row.look
    named = {name: getattr(part.value.brand, name) for name in part.given["brand"]}
    return msgspec.convert({**msgspec.to_builtins(row.look), **named}, Look)


def _domain_steps(
    domain: str | DomainPart, given: Mapping[str, Any], position: int, current: Current, kind: DomainKind = "issuer"
) -> Iterator[Step]:
    origin = parse_origin(origin_of(domain))
    row = current.domains.get(origin.url)
    name, look = _own(domain, given, row)
    shown: ChangeKind = "domain" if kind == "issuer" else "api host"
    after = {"name": name, **msgspec.to_builtins(look)}
    if row is None:
        change = Change("+", shown, origin.url, told(after, {"name": ""}))
        yield Step(change, partial(_add_domain, origin, position, kind, name, look), remember=("domain", origin.url))
        return
    found = details({"name": row.name, **msgspec.to_builtins(row.own_look)}, after)
    if row.position != position:
        change = Change("~", shown, origin.url, (Detail("position", row.position, position),))
        yield Step(change, partial(_place_domain, row, position))
    if found:
        yield Step(Change("~", shown, origin.url, found), partial(_change_domain, row, name, look))


def _own(domain: str | DomainPart, given: Mapping[str, Any], row: DomainRow | None) -> tuple[str, Look]:
    """Return what of a domain is to differ from its tenant; keys that the file does not name stay."""
    name, look = ("", Look()) if row is None else (row.name, row.own_look)
    if isinstance(domain, str):
        return name, look
    named = {key: getattr(domain.brand, key) for key in given.get("brand", {})}
    return domain.name or "" if "name" in given else name, msgspec.convert({**msgspec.to_builtins(look), **named}, Look)


async def _make_tenant(slug: str, name: str, paths: tuple[Any, ...], look: Look, rules: Policy, work: Work) -> None:
    await tenants.make_tenant(work.deed, slug, name, paths, look, rules)


async def _change_tenant(name: str, paths: tuple[Any, ...], look: Look, rules: Policy, work: Work) -> None:
    await tenants.change_tenant(work.deed, name, paths, look, rules)


async def _add_domain(origin: Origin, position: int, kind: DomainKind, name: str, look: Look, work: Work) -> None:
    number = await tenants.add_domain(work.deed, origin, position, kind=kind)
    if name or look != Look():
        await tenants.change_domain(work.deed, number, origin.url, name, look)


async def _change_domain(row: DomainRow, name: str, look: Look, work: Work) -> None:
    await tenants.change_domain(work.deed, row.id, row.origin, name, look)


async def _place_domain(row: DomainRow, position: int, work: Work) -> None:
    await tenants.place_domain(work.deed, row, position)


def api_steps(reading: Reading, current: Current, secrets: dict[Keys, Secret]) -> Iterator[Step]:
    """Yield the steps for APIs, then those for scopes (new ones first, since others may imply them), then those for routes."""
    presets = presets_of(reading.tenant, current.tenant)
    for part in reading.apis:
        yield from _api_steps(part, current, secrets.get((*part.keys, "secret")), presets)
    later: list[Step] = []
    for part in reading.apis:
        for name in part.value.scopes:
            for step in _scope_steps(part, name, current):
                if step.change.sign == "+" and step.shown:
                    yield step
                else:
                    later.append(step)
    yield from later
    for part in reading.apis:
        yield from route_steps(part, current)


def _api_steps(part: Part[ApiPart], current: Current, secret: Secret | None, presets: tuple[PathPreset, ...]) -> Iterator[Step]:
    audience = part.value.audience
    row = current.apis.get(audience)
    terms = api_terms(part, row, presets)
    if row is None:
        change = Change("+", "api", audience, told(_shown(terms)))
        yield Step(change, partial(_make_api, audience, terms), remember=("api", audience))
    else:
        if row.disabled_at is not None and ("pruned api", audience) in current.applied:
            enabled = Change("~", "api", audience, (Detail("disabled", True, False),))
            yield Step(enabled, partial(_enable_api, row), remember=("api", audience), forget=("pruned api", audience))
        found = details(_shown(apis.terms_of(row)), _shown(terms))
        if found:
            yield Step(Change("~", "api", audience, found), partial(_change_api, row, terms))
    if secret is not None and not _knows(secret, row, current):
        yield Step(Change("+", "api secret", audience), partial(_add_api_secret, audience, secret))


def _knows(secret: Secret, row: ApiRow | None, current: Current) -> bool:
    if row is None or current.tenant is None:
        return False
    wanted = digest(Kind.API_SECRET, current.tenant.id, secret.reveal())
    return any(same(kept.digest, wanted) for kept in current.secrets.get(row.id, []))


def _shown(terms: ApiTerms) -> dict[str, Any]:
    lifetime = UNTIL_REVOKED_WORD if terms.token_lifetime == UNTIL_REVOKED else duration.show(terms.token_lifetime)
    token = {"token.format": terms.token_format, "token.lifetime": lifetime, "token.alg": terms.token_alg}
    kept = {"verify_max_age": duration.show(terms.verify_max_age)} if terms.verify_max_age else {}
    return {"name": terms.name, "roles": terms.roles, **token, **kept, "usage": terms.usage}


async def _make_api(audience: str, terms: ApiTerms, work: Work) -> None:
    work.names.apis[audience] = await apis.make_api(work.deed, audience, terms)


async def _change_api(row: ApiRow, terms: ApiTerms, work: Work) -> None:
    await apis.change_api(work.deed, row, terms)


async def _enable_api(row: ApiRow, work: Work) -> None:
    await apis.enable_api(work.deed, row)


async def _add_api_secret(audience: str, secret: Secret, work: Work) -> None:
    kept = digest(Kind.API_SECRET, work.deed.tenant, secret.reveal())
    number = id_in(work.names.apis, audience)
    await credentials.add(work.deed, "api", number, audience, NewCredential(method="sha256", digest=kept, label=SECRET_LABEL))


def _scope_steps(part: Part[ApiPart], name: str, current: Current) -> Iterator[Step]:
    value, given = part.value.scopes[name], part.given["scopes"][name]
    row = current.scopes.get(name)
    terms = scope_terms(value, given, row)
    implies = implied_names(value, given, row, current.live_scope_names)
    aliases = alias_names(value, given, name, current)
    after = _of_scope(terms, implies, aliases)
    if row is None:
        change = Change(
            "+",
            "scope",
            name,
            told(after, {"risk": "normal", "reach": "account", "demo": False, "cleanup": False, "implies": [], "texts": {}, "aliases": []}),
        )
        yield Step(change, partial(_make_scope, part.value.audience, name, terms), remember=("scope", name))
        if implies:
            yield Step(change, partial(_change_scope, name, terms, implies), shown=False)
        if aliases:
            yield Step(change, partial(_set_aliases, name, aliases), shown=False)
        return
    old = current.renamed.get(name)
    if old is not None:
        change = Change("~", "scope", name, (Detail("name", old, name),))
        yield Step(change, partial(_rename_scope, row, old, name), remember=("scope", name), forget=("scope", old))
    live = current.live_scope_names
    present = tuple(sorted(live[number] for number in ids_of(row.implies) if number in live))
    understood = understood_names(name, current)
    found = details(_of_scope(kept_terms(row), present, understood), after)
    if found:
        yield Step(Change("~", "scope", name, found), partial(_change_scope, name, terms, implies))
    if aliases != understood:
        yield Step(Change("~", "scope", name), partial(_set_aliases, name, aliases), shown=False)


def _of_scope(terms: ScopeTerms, implies: tuple[str, ...], aliases: tuple[str, ...]) -> dict[str, Any]:
    retires = None if terms.retires_at is None else day(terms.retires_at)
    plain = {"text": terms.text, "risk": terms.risk, "reach": terms.reach, "demo": bool(terms.demo), "cleanup": terms.cleanup}
    return {**plain, "implies": list(implies), "texts": terms.texts, "aliases": list(aliases), "retires": retires}


async def _rename_scope(row: ScopeRow, old: str, name: str, work: Work) -> None:
    if not await apis.rename_scope(work.deed, row.id, old, name):
        raise Refused(f'"{old}" was renamed by somebody else in this moment; apply again')
    work.names.scopes[name] = row.id


async def _set_aliases(name: str, aliases: tuple[str, ...], work: Work) -> None:
    await apis.set_aliases(work.deed, id_in(work.names.scopes, name), name, frozenset(aliases))


async def _make_scope(audience: str, name: str, terms: ScopeTerms, work: Work) -> None:
    work.names.scopes[name] = await apis.make_scope(work.deed, id_in(work.names.apis, audience), name, terms)


async def _change_scope(name: str, terms: ScopeTerms, implies: tuple[str, ...], work: Work) -> None:
    await apis.change_scope(work.deed, id_in(work.names.scopes, name), name, terms, ids_in(work.names.scopes, implies))


def role_steps(reading: Reading, current: Current) -> Iterator[Step]:
    """Yield the steps for roles."""
    live = current.live_scope_names
    for part in reading.roles:
        name, row = part.value.name, current.roles.get(part.value.name)
        scopes = sorted(set(part.value.scopes))
        run = partial(_set_role, name, tuple(scopes), row)
        if row is None or row.retired_at is not None:
            yield Step(Change("+", "role", name, told({"scopes": scopes})), run, remember=("role", name))
            continue
        present = sorted(live[number] for number in ids_of(row.scopes) if number in live)
        found = details({"scopes": present}, {"scopes": scopes})
        if found:
            yield Step(Change("~", "role", name, found), run)


async def _set_role(name: str, scopes: tuple[str, ...], row: RoleRow | None, work: Work) -> None:
    wanted = ids_in(work.names.scopes, scopes)
    if row is None:
        work.names.roles[name] = await apis.make_role(work.deed, name, wanted)
    else:
        await apis.change_role(work.deed, row, wanted)
        work.names.roles[name] = row.id


async def retire_scope(row: ScopeRow, work: Work) -> None:
    """Take a scope away."""
    await apis.retire_scope(work.deed, row)


async def retire_role(row: RoleRow, work: Work) -> None:
    """Take a role away."""
    await apis.retire_role(work.deed, row)


async def disable_api(row: ApiRow, work: Work) -> None:
    """Take an API away, its row and its scopes kept."""
    await apis.disable_api(work.deed, row)


async def remove_domain(row: DomainRow, work: Work) -> None:
    """Take a domain away."""
    await tenants.remove_domain(work.deed, row)
