"""What must fit together in a platform file, beyond the shape of its keys. Everything that does not is told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gatewright.apis.book import ScopeRow
from gatewright.apis.rules import LONGEST_JWT, LONGEST_OPAQUE, SHORTEST_API_SECRET, audience_fault, cycle, scope_fault
from gatewright.base.calendar import day, day_begins
from gatewright.base.check import Fault, Findings, choice
from gatewright.base.secret import Secret
from gatewright.base.source import SecretSource, SourceFault, reveal
from gatewright.base.toml import Path as Keys
from gatewright.clients.rules import client_id_fault, secret_fault, settings_faults
from gatewright.market.manifest import Manifest
from gatewright.oauth.catalogue import BUILT_IN, MANAGEMENT_PREFIX, MANAGEMENT_SCOPES, OPENID_SCOPES, UNTIL_REVOKED
from gatewright.oauth.client import SECRET_METHODS, ClientSettings
from gatewright.oauth.language import tag_fault
from gatewright.platform.apps import examine_apps
from gatewright.platform.current import Current, names_known
from gatewright.platform.document import NEVER, ApiPart, ClientPart, ScopePart, TenantPart, UserPart, origin_of
from gatewright.platform.naming import alias_faults
from gatewright.platform.present import named_settings
from gatewright.platform.reading import Part, Reading
from gatewright.platform.routes import LONGEST_KEPT, route_faults
from gatewright.platform.terms import NamedSettings, api_terms, client_terms, implied_names, presets_of, retires_at, tenant_policy
from gatewright.tenants.records import DomainKind
from gatewright.tenants.rules import BadOrigin, parse_origin
from gatewright.users.passwords import new_password_fault
from gatewright.users.rules import email_fault, email_key, profile_faults

LONGEST_EXCEPTION = 2 * 366 * 86_400  # seconds
_OPENID = {scope.name: scope.id for scope in OPENID_SCOPES}
_BUILT_IN = {scope.name: scope.id for scope in BUILT_IN}
_MANAGEMENT = sorted(scope.name for scope in MANAGEMENT_SCOPES)


@dataclass(slots=True)
class Examined:
    """The faults of a file against what is there, and the secrets that it names, by the keys of their places."""

    faults: tuple[Fault, ...] = ()
    secrets: dict[Keys, Secret] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)


class Examiner:
    """What the rules share: the file, what there is, and what they found."""

    def __init__(self, reading: Reading, current: Current, environ: Mapping[str, str], now: int) -> None:
        self.now = now
        self.reading = reading
        self.now = now
        self.current = current
        self.known = names_known(reading, current)
        self.found = Findings(reading.lines)
        self.secrets: dict[Keys, Secret] = {}
        self._environ = environ
        self._folder: Path = reading.file.parent

    def reveal(self, keys: Keys, source: SecretSource | None) -> Secret | None:
        """Return a secret that the file names, and tell when it is not there."""
        if source is None:
            return None
        try:
            secret = self.secrets[keys] = reveal(source, self._environ, self._folder)
        except SourceFault as fault:
            self.found.add(keys, str(fault))
            return None
        return secret

    def refers(self, keys: Keys, name: str, what: str, section: str, *, openid: bool = False) -> None:
        """Tell when a name refers to nothing."""
        known = self.known[section]
        looked = email_key(name) if section == "users" else name
        if section == "scopes" and name.startswith(MANAGEMENT_PREFIX):
            if name not in _BUILT_IN:
                self.found.add(keys, f'there is no {what} "{name}"', choice(name, _MANAGEMENT))
            return
        if looked not in known and not (openid and name in _OPENID):
            self.found.add(keys, f'there is no {what} "{name}"', choice(name, sorted(known)))

    def twice(self, what: str, names: Iterable[tuple[Keys, str]]) -> None:
        """Tell of names that stand in the file twice."""
        seen: set[str] = set()
        for keys, name in names:
            if name in seen:
                self.found.add(keys, f'the {what} "{name}" stands here twice')
            seen.add(name)


def examine(reading: Reading, current: Current, environ: Mapping[str, str], now: int) -> Examined:
    """Return everything that is wrong with a file, its shape included, and the secrets that it names."""
    examiner = Examiner(reading, current, environ, now)
    if reading.tenant is not None:
        _tenant(examiner, reading.tenant)
    _apis(examiner)
    _roles(examiner)
    examiner.twice("account", [((*part.keys, "slug"), part.value.slug) for part in reading.accounts])
    examiner.twice("user", [((*part.keys, "email"), email_key(part.value.email)) for part in reading.users])
    for user in reading.users:
        _user(examiner, user)
    examiner.twice("client", [((*part.keys, "client_id"), part.value.client_id) for part in reading.clients])
    for client in reading.clients:
        _client(examiner, client)
    manifests = examine_apps(examiner)
    faults = sorted((*reading.faults, *examiner.found.all()), key=lambda fault: fault.line or 0)
    return Examined(tuple(faults), examiner.secrets, manifests)


def _tenant(examiner: Examiner, part: Part[TenantPart]) -> None:
    hosts: list[tuple[Keys, str]] = []
    tenant = part.value
    for index, domain in enumerate(tenant.domains):
        keys: Keys = ("tenant", "domains", index)
        hosts += _host(examiner, keys if isinstance(domain, str) else (*keys, "origin"), origin_of(domain), "issuer")
    for index, text in enumerate(tenant.api_hosts):
        hosts += _host(examiner, ("tenant", "api_hosts", index), text, "api")
    examiner.twice("host", hosts)


def _host(examiner: Examiner, keys: Keys, text: str, kind: DomainKind) -> list[tuple[Keys, str]]:
    """Return a host with its place; none where it is told why it cannot be one."""
    try:
        origin = parse_origin(text)
    except BadOrigin as fault:
        examiner.found.add(keys, str(fault))
        return []
    other, row = examiner.current.taken.get(origin.url), examiner.current.domains.get(origin.url)
    released = examiner.current.held.get(origin.url)
    if released is not None:
        examiner.found.add(
            keys,
            f"this domain was another tenant's until {day(released.released_at)}, and people and apps may still take it for that one",
            f"take another host, or wait until {day(released.held_until)}; its former tenant may have it back at once",
        )
    if other is not None:
        examiner.found.add(
            keys,
            f"its host is taken already by {other}",
            "one file describes one tenant: name that tenant's slug, or take another host",
        )
    elif row is not None and row.kind != kind:
        is_now = "an issuer" if row.kind == "issuer" else "a host of the API"
        examiner.found.add(keys, f"this is {is_now} today, and a host is one of the two", "take another host, or remove it first")
    return [(keys, origin.host)]


def _apis(examiner: Examiner) -> None:
    reading = examiner.reading
    examiner.twice("audience", [((*part.keys, "audience"), part.value.audience) for part in reading.apis])
    examiner.twice("scope", [((*part.keys, "scopes", name), name) for part in reading.apis for name in part.value.scopes])
    for part in reading.apis:
        _api(examiner, part)
    edges = {
        name: implied_names(
            value, part.given.get("scopes", {}).get(name), examiner.current.scopes.get(name), examiner.current.live_scope_names
        )
        for part in reading.apis
        for name, value in part.value.scopes.items()
    }
    circle = cycle(edges)
    if circle:
        place = next(part.keys for part in reading.apis if circle[0] in part.value.scopes)
        examiner.found.add((*place, "scopes", circle[0]), f"scopes imply each other in a circle: {' → '.join(circle)}")


def _api(examiner: Examiner, part: Part[ApiPart]) -> None:
    api, found = part.value, examiner.found
    sentence = audience_fault(api.audience)
    if sentence is not None:
        found.add((*part.keys, "audience"), sentence)
    presets = presets_of(examiner.reading.tenant, examiner.current.tenant)
    terms = api_terms(part, examiner.current.apis.get(api.audience), presets)
    place = (*part.keys, "token", "lifetime")
    if terms.token_lifetime == UNTIL_REVOKED and api.token.lifetime is not None and api.token.lifetime != "until_revoked":
        found.add(place, "a lifetime of nothing", "at least 1s is expected")
    elif terms.token_lifetime == UNTIL_REVOKED and terms.token_format == "jwt":
        found.add(place, "a JWT cannot be valid until it is revoked: it is believed unasked", 'write format = "opaque"')
    elif terms.token_lifetime > (LONGEST_OPAQUE if terms.token_format == "opaque" else LONGEST_JWT):
        found.add(place, "an access token lives at most 24h", 'a refresh token renews it, or an opaque token is valid "until_revoked"')
    secret = examiner.reveal((*part.keys, "secret"), api.secret)
    if secret is not None and len(secret.reveal()) < SHORTEST_API_SECRET:
        found.add((*part.keys, "secret"), f"an API's secret has at least {SHORTEST_API_SECRET} characters")
    if terms.verify_max_age > LONGEST_KEPT:
        found.add((*part.keys, "verify_max_age"), f"an answer is kept for at most {LONGEST_KEPT}s", "whoever lost access has it that long")
    for name, value in api.scopes.items():
        _scope(examiner, (*part.keys, "scopes", name), name, value, api.audience)
    _routes(examiner, part)


def _routes(examiner: Examiner, part: Part[ApiPart]) -> None:
    row = examiner.current.apis.get(part.value.audience)
    own = {name for name, scope in examiner.current.scopes.items() if row is not None and scope.api == row.id}
    own |= {other for other in part.value.scopes if other not in examiner.current.scopes}
    for index, route in enumerate(part.value.routes):
        keys: Keys = (*part.keys, "routes", index)
        for key, sentence in route_faults(route):
            examiner.found.add((*keys, key), sentence)
        for key, names in (("scopes", route.scopes), ("any_of", route.any_of)):
            for place, name in enumerate(names):
                if name in own:
                    continue
                examiner.refers((*keys, key, place), name, "scope", "scopes")
                if name in examiner.known["scopes"] or name.startswith(MANAGEMENT_PREFIX):
                    examiner.found.add((*keys, key, place), "this scope is another API's, and no token for this one has it")


def _scope(examiner: Examiner, keys: Keys, name: str, value: str | ScopePart, audience: str) -> None:
    sentence = scope_fault(name)
    if sentence is not None:
        examiner.found.add(keys, sentence)
    row = examiner.current.scopes.get(name)
    if row is not None:
        owner = next((api.audience for api in examiner.current.apis.values() if api.id == row.api), "")
        if row.retired_at is not None or (row.over(examiner.now) and _comes_back(value, row)):
            examiner.found.add(keys, "this name was retired and is never used again: consents given to it would come back", "take another")
        elif owner != audience:
            examiner.found.add(keys, f"this scope belongs to {owner}", "a scope's name is one in the whole tenant")
    elif name in examiner.current.aliases:
        present = examiner.current.aliases[name]
        examiner.found.add(keys, f'this scope is called "{present}" now', f'write that name; "{name}" belongs into its aliases')
    elif name in examiner.current.namings:
        examiner.found.add(keys, "this was the name of another scope and is never used again", "take another")
    if isinstance(value, ScopePart):
        _more_of_scope(examiner, keys, name, value)


def _comes_back(value: str | ScopePart, row: ScopeRow) -> bool:
    """Tell whether a file would put off the day of a scope that is past it."""
    return isinstance(value, ScopePart) and value.retires is not None and retires_at(value.retires) != row.retires_at


def _more_of_scope(examiner: Examiner, keys: Keys, name: str, value: ScopePart) -> None:
    for index, implied in enumerate(value.implies):
        if implied.startswith(MANAGEMENT_PREFIX):
            examiner.found.add(
                (*keys, "implies", index), "no scope brings one of the management API with it", "give it to a role by its name"
            )
        else:
            examiner.refers((*keys, "implies", index), implied, "scope", "scopes")
    for tag in value.texts:
        sentence = tag_fault(tag)
        if sentence is not None:
            examiner.found.add((*keys, "texts", tag), sentence)
    _names_of_scope(examiner, keys, name, value)
    if value.retires is not None and value.retires != NEVER:
        retires = retires_at(value.retires)
        if retires is None:
            examiner.found.add((*keys, "retires"), "there is no such day")
        elif name not in examiner.current.scopes and retires <= examiner.now:
            examiner.found.add((*keys, "retires"), "this day is past, and the scope is not made yet")


def _names_of_scope(examiner: Examiner, keys: Keys, name: str, value: ScopePart) -> None:
    for index, alias in enumerate(value.aliases):
        sentence = scope_fault(alias)
        if sentence is not None:
            examiner.found.add((*keys, "aliases", index), sentence)
    for index, sentence in alias_faults(name, value, examiner.reading, examiner.current):
        examiner.found.add((*keys, "aliases", index), sentence)


def _roles(examiner: Examiner) -> None:
    parts = examiner.reading.roles
    examiner.twice("role", [((*part.keys, "name"), part.value.name) for part in parts])
    for part in parts:
        for index, name in enumerate(part.value.scopes):
            keys = (*part.keys, "scopes", index)
            if name in _OPENID:
                examiner.found.add(keys, "scopes of OpenID Connect need no role: every user has them")
            else:
                examiner.refers(keys, name, "scope", "scopes")


def _user(examiner: Examiner, part: Part[UserPart]) -> None:
    user, found = part.value, examiner.found
    sentence = email_fault(user.email)
    if sentence is not None:
        found.add((*part.keys, "email"), sentence)
    for name, why in profile_faults(user.profile):
        found.add((*part.keys, "profile", name), why)
    row = examiner.current.users.get(email_key(user.email))
    if row is not None and "kind" in part.given and row.kind != user.kind:
        found.add(
            (*part.keys, "kind"), f"this user is a {row.kind} user, which cannot change", "delete the user first, or take another address"
        )
    if row is None:
        password = examiner.reveal((*part.keys, "password"), user.password)
        sentence = new_password_fault(password.reveal(), user.email) if password is not None else None
        if sentence is not None:
            found.add((*part.keys, "password"), sentence)
    kind = user.kind if row is None else row.kind
    others = _other_accounts(examiner, part)
    if kind == "service" and len(user.memberships) + others != 1:
        found.add((*part.keys, "memberships"), "a service user belongs to exactly one account")
    examiner.twice("account", [((*part.keys, "memberships", index), one.account) for index, one in enumerate(user.memberships)])
    for index, membership in enumerate(user.memberships):
        keys = (*part.keys, "memberships", index)
        examiner.refers((*keys, "account"), membership.account, "account", "accounts")
        for place, role in enumerate(membership.roles):
            examiner.refers((*keys, "roles", place), role, "role", "roles")


def _other_accounts(examiner: Examiner, part: Part[UserPart]) -> int:
    """Return in how many accounts a user is beside those that the file names."""
    row = examiner.current.users.get(email_key(part.value.email))
    named = {examiner.current.accounts[one.account].id for one in part.value.memberships if one.account in examiner.current.accounts}
    return len(set(examiner.current.memberships.get(row.id, {})) - named) if row is not None else 0


def _client(examiner: Examiner, part: Part[ClientPart]) -> None:
    client, found, current = part.value, examiner.found, examiner.current
    of_app = "this is the client of an app, which is made from its manifest: name it under [[apps]]"
    sentence = of_app if client.client_id in current.apps else client_id_fault(client.client_id)
    if sentence is not None:
        found.add((*part.keys, "client_id"), sentence)
    row = current.clients.get(client.client_id)
    rules = tenant_policy(examiner.reading.tenant, current.tenant)
    terms = client_terms(part, None if row is None else named_settings(row, current), rules)
    for index, name in enumerate(client.scopes):
        examiner.refers((*part.keys, "scopes", index), name, "scope", "scopes", openid=True)
    for index, name in enumerate(client.roles):
        examiner.refers((*part.keys, "roles", index), name, "role", "roles")
    _tied(examiner, part)
    if client.password_grant is not None:
        _exception_end(examiner, (*part.keys, "password_grant", "until"), client.password_grant.until)
    for key, sentence in settings_faults(_with_stand_ins(terms)):
        name, _, place = key.partition(".")
        found.add((*part.keys, name, *([int(place)] if place else ())), sentence)
    secret = examiner.reveal((*part.keys, "secret"), client.secret)
    sentence = secret_fault(secret.reveal()) if secret is not None else None
    if client.secret is not None and terms.settings.token_endpoint_auth_method not in SECRET_METHODS:
        sentence = "this client proves itself without a secret"
    if sentence is not None:
        found.add((*part.keys, "secret"), sentence)


def _tied(examiner: Examiner, part: Part[ClientPart]) -> None:
    client = part.value
    if client.account is not None:
        examiner.refers((*part.keys, "account"), client.account, "account", "accounts")
    if client.service_user is not None:
        examiner.refers((*part.keys, "service_user"), client.service_user, "user", "users")
        _service_user(examiner, part)
    if client.owner.account is not None:
        examiner.refers((*part.keys, "owner", "account"), client.owner.account, "account", "accounts")
    if client.owner.user is not None:
        examiner.refers((*part.keys, "owner", "user"), client.owner.user, "user", "users")
        _person(examiner, (*part.keys, "owner", "user"), client.owner.user, "a service user signs in nowhere: a client belongs to a person")


def _exception_end(examiner: Examiner, keys: Keys, until: str) -> None:
    begins = day_begins(until)
    if begins is None:
        examiner.found.add(keys, f"there is no day {until}")
    elif begins - examiner.now > LONGEST_EXCEPTION:
        examiner.found.add(keys, "an exception ends within two years", "it may be prolonged when that day comes near")


def _with_stand_ins(terms: NamedSettings) -> ClientSettings:
    """Return settings that refer to as much as the names do, for rules that ask whether and not whom."""
    built_in = tuple(_BUILT_IN[name] for name in terms.scopes if name in _BUILT_IN)
    account, service_user = int(terms.account is not None), int(terms.service_user is not None)
    return msgspec.structs.replace(terms.settings, scopes=built_in, account=account, service_user=service_user)


def _person(examiner: Examiner, keys: Keys, email: str, sentence: str) -> None:
    if _kind_of(examiner, email) == "service":
        examiner.found.add(keys, sentence)


def _kind_of(examiner: Examiner, email: str) -> str | None:
    """Return what kind of user somebody is, or will be."""
    key = email_key(email)
    row = examiner.current.users.get(key)
    in_file = next((user.value.kind for user in examiner.reading.users if email_key(user.value.email) == key), None)
    return row.kind if row is not None else in_file


def _service_user(examiner: Examiner, part: Part[ClientPart]) -> None:
    if _kind_of(examiner, part.value.service_user or "") == "person":
        examiner.found.add((*part.keys, "service_user"), "this is a person: a client acts for service users alone")
    if part.value.account is not None:
        examiner.found.add((*part.keys, "account"), "a service user brings its own account", "leave it out")
