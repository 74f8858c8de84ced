"""Whom each change of a plan hits: the change is put as a proposal, and what `impact` says of it into the words of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gatewright.apis.catalogues import catalogue_of
from gatewright.base.calendar import day
from gatewright.base.change import HitClient
from gatewright.base.duration import seconds
from gatewright.ledger.managing import survey
from gatewright.ledger.target import Target
from gatewright.oauth.catalogue import BUILT_IN_IDS, Api, Catalogue, Role, Scope, text_of
from gatewright.oauth.client import AskedScope
from gatewright.platform.current import Current
from gatewright.platform.impact import Count, Impact, Proposal, impact, without_roles, without_scopes
from gatewright.platform.steps import ASKED_AGAIN, OPTIONAL, Change, Hit, user_key
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.clients.book import ClientRow
    from gatewright.store import Store, Tx

MOST_MEMBERS: Final = 100_000  # memberships that are looked at

_MEMBERS_OF_ACCOUNT: Final = Query(
    int, "SELECT count(*) FROM membership WHERE account = :account AND tenant = :tenant AND ended_at IS NULL"
)
_MEMBERS_WITH_ROLE: Final = Query(
    int,
    f"""SELECT count(*) FROM (SELECT roles FROM membership
                               WHERE tenant = :tenant AND ended_at IS NULL ORDER BY id LIMIT {MOST_MEMBERS}) AS m
        WHERE ' ' || roles || ' ' LIKE :pattern""",  # noqa: S608 - our own number
)
_OPEN: Final = Api(id=-1, audience="", name="", roles="off")  # of scopes that are not made yet: whoever may have them
_NAMED: Final = 5  # clients that a plan names beside a change
MOST_GRANTS: Final = 10_000
_LIMITS: Final = frozenset({"roles", "allowed_ips"})
_LISTS: Final = _LIMITS | {"grant_types", "redirect_uris"}
_LASTING: Final = frozenset({"refresh.idle", "refresh.absolute"})
_STRICTER: Final = {
    "pkce": "required", "redirect_match": "exact", "scopes_policy": "required", "unknown_scopes": "refuse", "denied": "refuse",
    "refresh.when": "offline",
}  # fmt: skip


async def counted(store: Store | Tx, tenant: int, change: Change, current: Current, now: int) -> Change:
    """Return a change with whom it hits; those that hit nobody are as they were."""
    proposal = proposal_of(tenant, change, current, now) if change.sign != "+" and tenant else None
    if proposal is None:
        return change
    found = await impact(store, proposal)
    hits = tuple([hit for hit in await _hits(store, tenant, change, current, found) if hit.count])
    clients = named(found) if hits and change.kind in ("client", "app", "role", "scope", "api") else ()
    return msgspec.structs.replace(change, hits=hits, clients=clients)


def named(found: Impact) -> tuple[HitClient, ...]:
    """Return the clients that are worth naming beside a change, those with the most to lose first."""
    return tuple([HitClient(client_id=one.client_id, grants=one.grants.number, last_used=one.last_used) for one in found.clients[:_NAMED]])


async def _hits(store: Store | Tx, tenant: int, change: Change, current: Current, found: Impact) -> list[Hit]:
    grants, asked = _hit(found.grants, "live grants"), _hit(found.asked, ASKED_AGAIN)
    match change.kind:
        case "client" if change.sign == "-":
            return [grants]
        case "client":
            lost = [_hit(count, f"live grants with {name}") for name, count in found.lost]
            return [*lost, *await _of_narrowed(store, tenant, change, current), asked]
        case "role":
            return [*await _of_members(store, tenant, change, current), grants, asked]
        case "account":
            members = await store.one(_MEMBERS_OF_ACCOUNT, tenant=tenant, account=current.accounts[change.name].id) or 0
            return [Hit(members, "members"), grants]
        case "scope" | "api":
            return [_hit(found.client_count, "clients"), grants, asked]
    return [grants, asked]


def _hit(count: Count, what: str) -> Hit:
    return Hit(count.number, what, more=count.more)


async def _of_members(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    lost = _lost(change, "scopes")
    if change.sign != "-" and not lost:
        return []
    what = "members who hold it" if change.sign == "-" else f"members who lose {', '.join(lost)}"
    return [Hit(await holders_of(store, tenant, current.roles[change.name].id), what)]


async def holders_of(store: Store | Tx, tenant: int, role: int) -> int:
    """Return how many members hold a role."""
    return await store.one(_MEMBERS_WITH_ROLE, tenant=tenant, pattern=f"% {role} %") or 0


async def _of_narrowed(store: Store | Tx, tenant: int, change: Change, current: Current) -> list[Hit]:
    """Return what the decision does not see: a client is to be held to more than until now. Who would break is what trying it out says."""
    if not _narrowed(change):
        return []
    looked = await survey(store, Target(tenant=tenant, client=current.clients[change.name].id), most=MOST_GRANTS)
    return [Hit(looked.grants, "live grants", more=looked.more)]


def _narrowed(change: Change) -> bool:
    tried = next((detail.after or [] for detail in change.details if detail.key == "report_only"), [])
    return any(detail.key not in tried and _stricter(detail.key, detail.before, detail.after) for detail in change.details)


def _stricter(key: str, before: Any, after: Any) -> bool:  # noqa: ANN401 - as a file would write it
    if key in _LISTS:
        lost = set(before or []) - set(after or [])
        # An empty list of these lets everything in.
        return bool(after) and (not before or bool(lost)) if key in _LIMITS else bool(lost)
    if key in _LASTING:
        return after is not None and (before is None or seconds(after) < seconds(before))
    return key == "token_endpoint_auth_method" or _STRICTER.get(key) == after


def _lost(change: Change, key: str) -> list[str]:
    detail = next((detail for detail in change.details if detail.key == key), None)
    return [] if detail is None else [name for name in detail.before or [] if name not in (detail.after or [])]


async def retiring(store: Store | Tx, tenant: int, current: Current, now: int) -> list[str]:
    """Return a sentence for each scope that has its last day still to come, with whom that will hit."""
    found = []
    before = catalogue(current, now)
    for scope in before.scopes.values():
        if scope.retires_at is None:
            continue
        hit = await impact(store, Proposal(tenant=tenant, before=before, after=without_scopes(before, [scope.id])))
        found.append(
            f"scope {scope.name} retires on {day(scope.retires_at)}: {hit.client_count} clients may ask for it, {hit.grants} live grants"
        )
    return found


# ---------------------------------------------------------------- from a change to a proposal


def proposal_of(tenant: int, change: Change, current: Current, now: int) -> Proposal | None:
    """Return what a change of a plan proposes; None where nothing that was given depends on it."""
    before = catalogue(current, now)
    nothing = Proposal(tenant=tenant, before=before, after=before)
    match change.kind:
        case "client":
            return _of_settings(nothing, change, current)
        case "app" if change.sign != "-":  # what is installed of an app that is withdrawn goes on
            return _of_version(nothing, change, current)
        case "api" | "scope" | "role":
            after = _defined(before, change, current)
            return None if after is None else msgspec.structs.replace(nothing, after=after)
        case "user" if change.sign == "-":
            return msgspec.structs.replace(nothing, target=Target(tenant=tenant, person=current.users[user_key(change.name)].id), ends=True)
        case "account" if change.sign == "-":
            return msgspec.structs.replace(nothing, target=Target(tenant=tenant, account=current.accounts[change.name].id), ends=True)
        case "membership":
            return _of_membership(nothing, change, current)
    return None


def catalogue(current: Current, now: int) -> Catalogue:
    """Return what the tenant defines today."""
    rows = (list(current.apis.values()), list(current.scopes.values()), list(current.roles.values()))
    return catalogue_of(*rows, list(current.namings.values()), now)


def _of_settings(nothing: Proposal, change: Change, current: Current) -> Proposal:
    row = current.clients[change.name]
    if change.sign == "-":
        return msgspec.structs.replace(nothing, client=row, ends=True)
    named: list[str] = next((detail.after or [] for detail in change.details if detail.key == "scopes"), [])
    after, settings = _with_new_scopes(nothing.after, named), row.terms
    for detail in change.details:
        if detail.key == "scopes":
            settings = msgspec.structs.replace(settings, scopes=tuple(sorted(after.ids_named(detail.after or []))))
        elif detail.key == "roles":
            numbers = [current.roles[name].id for name in detail.after or [] if name in current.roles]
            settings = msgspec.structs.replace(settings, roles=tuple(sorted(numbers)))
        elif detail.key in ("party", "consent"):
            settings = msgspec.structs.replace(settings, **{detail.key: detail.after})
    return msgspec.structs.replace(nothing, after=after, client=_enabled(row, change), settings=settings)


def _enabled(row: ClientRow, change: Change) -> ClientRow:
    return msgspec.structs.replace(row, disabled_at=None) if any(detail.key == "disabled" for detail in change.details) else row


def _of_version(nothing: Proposal, change: Change, current: Current) -> Proposal | None:
    """Return what the next version of an app proposes: installs keep what they have, and are offered what they were not asked for."""
    shown = next((detail.after or [] for detail in change.details if detail.key == "auth.scopes"), None)
    if shown is None:
        return None
    required = {name.removesuffix(OPTIONAL): not name.endswith(OPTIONAL) for name in shown}
    after, row = _with_new_scopes(nothing.after, list(required)), current.clients[change.name]
    numbers = {name: after.scopes_by_name[name].id for name in required}
    asks = tuple([AskedScope(scope=numbers[name], required=needed, reason="") for name, needed in required.items()])
    settings = msgspec.structs.replace(row.terms, asks=asks, scopes=tuple(sorted({*row.terms.scopes, *numbers.values()})))
    return msgspec.structs.replace(nothing, after=after, client=row, settings=settings)


def _with_new_scopes(before: Catalogue, named: list[str]) -> Catalogue:
    """Return a catalogue in which the scopes are known that the same plan is about to make; whoever may have them will be asked."""
    new = [Scope(-1 - place, name, _OPEN.id, name) for place, name in enumerate(named) if name not in before.scopes_by_name]
    return _put(before, apis=[_OPEN], scopes=new) if new else before


def _of_membership(nothing: Proposal, change: Change, current: Current) -> Proposal:
    email, _, slug = change.name.rpartition(" in ")
    target = Target(tenant=nothing.tenant, person=current.users[user_key(email)].id, account=current.accounts[slug].id)
    if change.sign == "-":
        return msgspec.structs.replace(nothing, target=target, ends=True)
    after: list[str] = next((detail.after or [] for detail in change.details if detail.key == "roles"), [])
    roles = text_of(tuple(current.roles[name].id for name in after if name in current.roles))
    return msgspec.structs.replace(nothing, target=target, member=True, roles=roles)


def _defined(before: Catalogue, change: Change, current: Current) -> Catalogue | None:
    details = {detail.key: detail.after for detail in change.details}
    if change.kind == "role":
        return _of_role(before, change, current, details)
    if change.kind == "scope":
        return _of_scope(before, change, details)
    row = current.apis[change.name]
    api = before.apis[row.id]
    if change.sign == "-":
        return _put(before, apis=[msgspec.structs.replace(api, disabled=True)])
    return _put(before, apis=[msgspec.structs.replace(api, roles=details["roles"])]) if "roles" in details else None


def _of_role(before: Catalogue, change: Change, current: Current, details: dict[str, Any]) -> Catalogue | None:
    row = current.roles[change.name]
    if change.sign == "-":
        return without_roles(before, [row.id])
    return _put(before, roles=[Role(row.id, row.name, before.ids_named(details["scopes"] or []))]) if "scopes" in details else None


def _of_scope(before: Catalogue, change: Change, details: dict[str, Any]) -> Catalogue | None:
    scope = before.scopes_by_name.get(change.name)
    if scope is None:
        return None
    if change.sign == "-" or details.get("retires") is not None:
        # What a day will take is told on every day before it.
        return without_scopes(before, [scope.id])
    if "implies" not in details:
        return None
    edges = tuple(sorted(before.ids_named(details["implies"] or [])))
    return _put(before, scopes=[msgspec.structs.replace(scope, implies=edges)])


def _put(
    before: Catalogue, *, apis: list[Api] | None = None, scopes: list[Scope] | None = None, roles: list[Role] | None = None
) -> Catalogue:
    """Return a catalogue with other records in the place of those with the same ids."""
    return Catalogue(
        list({**before.apis, **{one.id: one for one in apis or []}}.values()),
        [one for one in {**before.scopes, **{one.id: one for one in scopes or []}}.values() if one.id not in BUILT_IN_IDS],
        list({**before.roles, **{one.id: one for one in roles or []}}.values()),
        retired=before.retired,
    )
