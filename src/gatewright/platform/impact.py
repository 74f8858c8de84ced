"""Whom a change would hit, said before it is saved: clients, live grants, users who would be asked again, and the last real use.

`gatewright plan` asks it, and so does whatever else saves a change. What is counted is the decision itself, before and after, over live
grants; each statement walks an index, and behind a bound is said "at least".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from gatewright.audit.usage import last_use
from gatewright.clients.book import BY_ID, LIST, ClientRow
from gatewright.clients.registry import to_client
from gatewright.ledger.standing import WEIGHED, Weighed
from gatewright.ledger.target import Target
from gatewright.oauth.catalogue import BUILT_IN_IDS, Catalogue
from gatewright.oauth.client import Client, ClientSettings
from gatewright.oauth.impact import NOTHING, Effect, Scene, effect, touched

if TYPE_CHECKING:
    from gatewright.store import Store, Tx

MOST: Final = 10_000  # grants that are looked at
PAGE: Final = 1000
MOST_CLIENTS: Final = 5000  # clients of a tenant that are looked at
NAMED: Final = 20  # clients that are named, those with the most to lose first
FEW: Final = 5  # below it, an app's developer learns no number (`security-rules` 50)


class Reader(Struct, frozen=True, kw_only=True):
    """Who asks. Without `accounts` they may read the whole tenant; a developer learns no number that would name people."""

    accounts: frozenset[int] | None = None
    developer: bool = False


OPERATOR: Final = Reader()


class Count(Struct, frozen=True):
    """How many: at least so many where `more`; fewer than five where `few`, and then no number."""

    number: int = 0
    more: bool = False
    few: bool = False

    def __bool__(self) -> bool:
        return self.number > 0 or self.few

    def __str__(self) -> str:
        if self.few:
            return f"fewer than {FEW}"
        return f"at least {self.number}" if self.more else str(self.number)


class Reached(Struct, frozen=True, kw_only=True):
    """A client that may ask for what changes: how many of its live grants lose something, and when it was last used."""

    client_id: str
    grants: Count
    last_used: int | None = None


class Impact(Struct, frozen=True, kw_only=True):
    """Whom a change would hit. `lost` tells for each scope how many live grants lose it; `asked` counts users. `elsewhere` tells that
    accounts are hit which the reader may not look into.
    """

    clients: tuple[Reached, ...] = ()
    client_count: Count = Count()
    grants: Count = Count()
    lost: tuple[tuple[str, Count], ...] = ()
    gaining: Count = Count()
    asked: Count = Count()
    last_used: int | None = None
    elsewhere: bool = False


class Proposal(Struct, frozen=True, kw_only=True):
    """What is to change: what a tenant defines, one client (`settings` None: it is refused), the roles of one member (None: they leave),
    or that whatever `target` means ends.
    """

    tenant: int
    before: Catalogue
    after: Catalogue
    client: ClientRow | None = None
    settings: ClientSettings | None = None
    target: Target | None = None
    roles: str | None = None
    member: bool = False
    ends: bool = False


class _Tally:
    """What was found so far."""

    def __init__(self, proposal: Proposal, reader: Reader) -> None:
        self.proposal = proposal
        self.reader = reader
        self.looked = 0
        self.more = False
        self.elsewhere = False
        self.losing = self.gaining = 0
        self.lost: dict[int, int] = {}
        self.asked: set[int] = set()
        self.by_client: dict[int, int] = {}
        self.used: dict[int, int] = {}
        self._known: dict[tuple[object, ...], Effect] = {}

    def add(self, row: Weighed, before: Scene, after: Scene) -> None:
        """Count one grant."""
        self.looked += 1
        found = self._effect(row, before, after)
        if not found.lost and not found.gained and not found.asked:
            return
        if self.reader.accounts is not None and row.account not in self.reader.accounts:
            self.elsewhere = True
            return
        if found.lost:
            self.losing += 1
            self.by_client[row.client] = self.by_client.get(row.client, 0) + 1
            self.used[row.client] = max(self.used.get(row.client, 0), row.used_at or 0)
        self.gaining += bool(found.gained)
        for scope in found.lost:
            self.lost[scope] = self.lost.get(scope, 0) + 1
        if found.asked:
            self.asked.add(row.person)

    def _effect(self, row: Weighed, before: Scene, after: Scene) -> Effect:
        # Of many grants few differ in what decides, so each kind is decided once.
        key = (row.client, row.person != 0, row.roles, row.granted, row.declined)
        known = self._known.get(key)
        if known is None:
            basis = (row.person != 0, row.roles, row.granted, row.granted, row.declined)
            roles_after = self.proposal.roles if self.proposal.member else row.roles
            known = self._known[key] = effect(basis, before, after, roles_after=roles_after)
        return known

    def count(self, number: int) -> Count:
        """Return a number as this reader may have it."""
        if self.reader.developer and 0 < number < FEW:
            return Count(few=True)
        return Count(number, more=self.more and number > 0)


async def impact(store: Store | Tx, proposal: Proposal, *, reader: Reader = OPERATOR, most: int = MOST) -> Impact:
    """Return whom a change would hit, as far as the reader may know. That they may make the change is for the caller to see to."""
    tally = _Tally(proposal, reader)
    rows: dict[int, ClientRow] = {}
    async for target in _targets(store, proposal, rows, tally):
        await _walk(store, target, rows, tally, most)
        if tally.looked >= most:
            break
    return await _told(store, proposal, rows, tally)


async def _targets(store: Store | Tx, proposal: Proposal, rows: dict[int, ClientRow], tally: _Tally) -> AsyncIterator[Target]:
    """Yield what is to be walked, and learn which clients may ask for what changes."""
    if proposal.client is not None:
        rows[proposal.client.id] = proposal.client
        yield Target(tenant=proposal.tenant, client=proposal.client.id)
        return
    if proposal.target is not None:
        yield proposal.target
        return
    scopes = touched(proposal.before, proposal.after)
    roles = {number for number in proposal.before.roles if proposal.before.roles[number] != proposal.after.roles.get(number)}
    after, looked = "", 0
    while looked < MOST_CLIENTS:
        page = await store.all(LIST, tenant=proposal.tenant, after=after, count=PAGE)
        for row in page:
            terms = row.terms
            if row.disabled_at is None and not (scopes.isdisjoint(terms.scopes) and roles.isdisjoint(terms.roles)):
                rows[row.id] = row
        looked += len(page)
        if len(page) < PAGE:
            break
        after = page[-1].client_id
    else:
        tally.more = True
    for number in list(rows):
        yield Target(tenant=proposal.tenant, client=number)


async def _walk(store: Store | Tx, target: Target, rows: dict[int, ClientRow], tally: _Tally, most: int) -> None:
    proposal, after = tally.proposal, 0
    scenes: dict[int, tuple[Scene, Scene]] = {}
    while True:
        wanted = min(PAGE, most - tally.looked) + 1
        page = await store.all(WEIGHED[target.way], **target.args, after=after, count=wanted)
        for row in page[: wanted - 1]:
            if row.client not in scenes:
                scenes[row.client] = await _scenes(store, proposal, row.client, rows)
            tally.add(row, *scenes[row.client])
        if len(page) < wanted:
            return
        if tally.looked >= most:
            tally.more = True
            return
        after = page[wanted - 2].id


async def _scenes(store: Store | Tx, proposal: Proposal, number: int, rows: dict[int, ClientRow]) -> tuple[Scene, Scene]:
    row = rows.get(number) or await store.one(BY_ID, id=number, tenant=proposal.tenant)
    if row is None:
        return Scene(proposal.before, None), Scene(proposal.after, None)
    rows[number] = row
    today = to_client(row, [])
    if proposal.ends:
        return Scene(proposal.before, today), Scene(proposal.after, None)
    later = _changed(today, proposal.settings) if proposal.client is not None else today
    return Scene(proposal.before, today), Scene(proposal.after, later)


def _changed(client: Client, settings: ClientSettings | None) -> Client | None:
    if settings is None:
        return None
    return replace(client, settings=settings, scopes=frozenset(settings.scopes), grant_types=frozenset(settings.grant_types))


async def _told(store: Store | Tx, proposal: Proposal, rows: dict[int, ClientRow], tally: _Tally) -> Impact:
    numbers = sorted(rows, key=lambda number: (-tally.by_client.get(number, 0), rows[number].client_id))
    # Of those that lose something is told when they were last used themselves, where that is known.
    used = {number: tally.used.get(number) or await last_use(store, proposal.tenant, number) for number in numbers[:NAMED]}
    known = {**proposal.after.scopes, **proposal.before.scopes}
    return Impact(
        clients=tuple(
            [
                Reached(client_id=rows[number].client_id, grants=tally.count(tally.by_client.get(number, 0)), last_used=used[number])
                for number in numbers[:NAMED]
            ]
        ),
        client_count=Count(len(rows), more=tally.more and proposal.client is None and proposal.target is None and len(rows) > 0),
        grants=tally.count(tally.losing),
        lost=tuple([(known[number].name, tally.count(tally.lost[number])) for number in sorted(tally.lost) if number in known]),
        gaining=tally.count(tally.gaining),
        asked=tally.count(len(tally.asked)),
        last_used=max([at for at in used.values() if at is not None], default=None),
        elsewhere=tally.elsewhere,
    )


def without_apis(catalogue: Catalogue, gone: Iterable[int]) -> Catalogue:
    """Return what a tenant would define with some of its APIs disabled."""
    out = frozenset(gone)
    apis = [replace(api, disabled=True) if api.id in out else api for api in catalogue.apis.values()]
    scopes = [scope for scope in catalogue.scopes.values() if scope.id not in BUILT_IN_IDS]
    return Catalogue(apis, scopes, list(catalogue.roles.values()), retired=catalogue.retired)


def without_scopes(catalogue: Catalogue, gone: Iterable[int]) -> Catalogue:
    """Return what a tenant would define without some of its scopes."""
    out = frozenset(gone) | NOTHING
    scopes = [scope for scope in catalogue.scopes.values() if scope.id not in out | BUILT_IN_IDS]
    return Catalogue(list(catalogue.apis.values()), scopes, list(catalogue.roles.values()), retired=catalogue.retired)


def without_roles(catalogue: Catalogue, gone: Iterable[int]) -> Catalogue:
    """Return what a tenant would define without some of its roles."""
    out = frozenset(gone)
    roles = [role for role in catalogue.roles.values() if role.id not in out]
    scopes = [scope for scope in catalogue.scopes.values() if scope.id not in BUILT_IN_IDS]
    return Catalogue(list(catalogue.apis.values()), scopes, roles, retired=catalogue.retired)
