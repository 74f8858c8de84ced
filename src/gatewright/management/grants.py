"""What was given to clients: list it, narrow it, end it; for the tenant, and for an account by its own admin."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from gatewright.audit.book import Act
from gatewright.base import ids
from gatewright.base.calendar import stamp
from gatewright.base.change import Hit
from gatewright.base.check import Fault, Faults, choice
from gatewright.base.operation import Nowhere, Operation, Paged
from gatewright.ledger import grants as ledger
from gatewright.ledger import managing
from gatewright.ledger.standing import GIVEN, Given
from gatewright.ledger.target import Target
from gatewright.management.accounts import AccountName, UserName
from gatewright.management.errand import Errand, NotThere
from gatewright.management.names import Known, account_at, client_at, known, number_of, place, user_at
from gatewright.management.scope_use import ScopeUseRecord, told_uses
from gatewright.market.installs import BY_ID, take_back
from gatewright.market.settling import settle
from gatewright.oauth.catalogue import ids_of
from gatewright.platform.document import Name
from gatewright.store import Query

if TYPE_CHECKING:
    from gatewright.clients.book import ClientRow
    from gatewright.users.records import UserRow

READ: Final = "gw:grants:read"
WRITE: Final = "gw:grants:write"
OWN_READ: Final = "gw:access:read"
OWN_WRITE: Final = "gw:access:write"

NOBODY: Final = -1
_NEWEST: Final = (1 << 63) - 1
_GrantId = Annotated[str, Meta(description="The grant's id, `gr_…`, or the id of the installation that it is of, `in_…`.", max_length=100)]
_COUNT: Final = Query(
    int,
    """SELECT count(*) FROM consent_grant
        WHERE tenant = :tenant AND ended_at IS NULL
          AND (CAST(:client AS BIGINT) = 0 OR client = :client) AND (CAST(:person AS BIGINT) = 0 OR person = :person)
          AND (CAST(:account AS BIGINT) = 0 OR account = :account)""",
)


class GrantAt(Struct, frozen=True, forbid_unknown_fields=True):
    """Which grant."""

    grant: _GrantId


class GrantOfAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """Which grant for which account."""

    account: AccountName
    grant: _GrantId


class GrantsWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which grants: those of all that are named together."""

    client: Annotated[str, Meta(description="What this client was given.", max_length=200)] = ""
    user: Annotated[str, Meta(description="What this user gave: id or e-mail address.", max_length=300)] = ""
    account: Annotated[str, Meta(description="What was given for this account: slug or id.", max_length=100)] = ""


class AccessWhere(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which grants for an account."""

    account: AccountName
    client: Annotated[str, Meta(description="What this client was given.", max_length=200)] = ""
    user: Annotated[str, Meta(description="What this user gave: id or e-mail address.", max_length=300)] = ""


class AccountOf(Struct, frozen=True, forbid_unknown_fields=True):
    """Which account."""

    account: AccountName


class Kept(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client is to keep."""

    scopes: Annotated[tuple[Name, ...], Meta(description="The scopes that stay, all of which it has.", min_length=1)]


class Targets(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose grants are to end: those of all that are named together."""

    client: Annotated[str, Meta(description="A client's id.", min_length=1, max_length=200)] | None = None
    user: UserName | None = None
    account: AccountName | None = None

    def __post_init__(self) -> None:
        if self.client is None and self.user is None and self.account is None:
            raise ValueError("name at least one of client, user and account: everything is never ended by leaving something out")


class AccessTargets(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose grants for the account are to end; every one where nobody is named."""

    client: Annotated[str, Meta(description="A client's id.", min_length=1, max_length=200)] | None = None
    user: UserName | None = None


class GrantRecord(Struct, frozen=True, kw_only=True):
    """What a client was given for an account by a user, live."""

    id: str
    client: str
    user: str | None
    user_id: str | None
    account: str | None
    account_id: str | None
    scopes: tuple[str, ...]
    declined: tuple[str, ...]
    source: Annotated[str, Meta(description="`user`, `account_admin`, `first_party`, `operator`; `cleanup` after an uninstallation.")]
    made_at: str
    changed_at: str
    expires_at: str | None
    use: Annotated[tuple[ScopeUseRecord, ...], Meta(description="What is known of the use of each scope.")]


class Narrowing(Targets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose grants are to lose something, and what: those of all that are named together."""

    scopes: Annotated[tuple[Name, ...], Meta(description="The scopes that are taken from them.", min_length=1)]


class NarrowedRecord(Struct, frozen=True):
    """How many grants lost something, and how many of them ended because nothing was left."""

    narrowed: int
    ended: int


class Ended(Struct, frozen=True):
    """How many were live until now."""

    ended: int


async def list_grants(errand: Errand, where: GrantsWhere) -> list[GrantRecord]:
    """List live grants, the latest first."""
    parties = await _parties(errand, where.client or None, where.user or None, where.account or None)
    return await _listed(errand, parties, where.after, where.count)


async def show_grant(errand: Errand, where: GrantAt) -> GrantRecord:
    """Show a live grant."""
    return await _shown(errand, await _one(errand, where.grant, 0))


async def narrow_grant(errand: Errand, where: GrantAt, body: Kept) -> GrantRecord:
    """Take scopes from a grant; its tokens have them no more from the next check on. The user may give them again when asked."""
    row, names = await _one(errand, where.grant, 0), await known(errand)
    catalogue, held = names.catalogue, ids_of(row.granted)
    has = catalogue.names(held)
    wrong = [
        Fault(f"scopes[{index}]", f'the grant does not hold "{name}"', choice(name, has), None, ("scopes", index))
        for index, name in enumerate(body.scopes)
        if name not in has
    ]
    if wrong:
        raise Faults(tuple(wrong))
    grant = await errand.source.one(ledger.OF_ID, id=row.id, tenant=errand.tenant)
    assert grant is not None  # noqa: S101 - it was just read
    kept = frozenset([catalogue.scopes_by_name[name].id for name in body.scopes])
    if kept != held:
        await ledger.narrow(errand.deed.tx, errand.at, grant, kept, errand.caller.by)
    return await show_grant(errand, where)


async def end_grant(errand: Errand, where: GrantAt) -> None:
    """End a grant: every code and token under it is refused from now on."""
    await _end(errand, await _one(errand, where.grant, 0))


async def end_grants(errand: Errand, where: Nowhere, body: Targets) -> Ended:
    """End every grant of a client, a user or an account, or of several of them together; a preview says how many that are."""
    return await _end_all(errand, await _parties(errand, body.client, body.user, body.account))


async def narrow_grants(errand: Errand, where: Nowhere, body: Narrowing) -> NarrowedRecord:
    """Take scopes from every grant of a client, a user or an account, which keep the rest; a preview says how many that are.

    Those of back-end services stay: they have what their client is allowed.
    """
    target, scopes = await _target(errand, body), (await known(errand)).catalogue.ids_named(body.scopes)
    done = await managing.narrow_at_once(errand.deed.tx, errand.at, target, scopes, actor=errand.caller.by)
    if done.ended:
        await _settled(errand, target)
    return NarrowedRecord(done.grants, done.ended)


async def count_narrowed(errand: Errand, where: Struct, body: Narrowing, before: object) -> tuple[Hit, ...]:
    """Return how many live grants would lose something, and of how many users."""
    scopes = (await known(errand)).catalogue.ids_named(body.scopes)
    found = await managing.survey(errand.source, await _target(errand, body), losing=scopes)
    kept = (Hit(found.kept, "live grants of back-end services stay as they are"),) if found.kept else ()
    return (Hit(found.grants, "live grants", more=found.more), Hit(found.users, "users", more=found.more), *kept)


async def _target(errand: Errand, body: Narrowing) -> Target:
    names = await known(errand)
    wrong = [
        Fault(
            f"scopes[{index}]", f'there is no scope "{name}"', choice(name, sorted(names.catalogue.scopes_by_name)), None, ("scopes", index)
        )
        for index, name in enumerate(body.scopes)
        if name not in names.catalogue.scopes_by_name
    ]
    if wrong:
        raise Faults(tuple(wrong))
    parties = await _parties(errand, body.client, body.user, body.account)
    return Target(tenant=errand.tenant, client=parties["client"], person=parties["person"], account=parties["account"])


async def list_access(errand: Errand, where: AccessWhere) -> list[GrantRecord]:
    """List what clients were given for an account, the latest first."""
    parties = await _parties(errand, where.client or None, where.user or None, where.account)
    return await _listed(errand, parties, where.after, where.count)


async def show_access(errand: Errand, where: GrantOfAccount) -> GrantRecord:
    """Show a live grant for an account."""
    account = await account_at(errand, where.account)
    return await _shown(errand, await _one(errand, where.grant, account.id))


async def end_access(errand: Errand, where: GrantOfAccount) -> None:
    """End a grant for an account: every code and token under it is refused from now on."""
    account = await account_at(errand, where.account)
    await _end(errand, await _one(errand, where.grant, account.id))


async def end_all_access(errand: Errand, where: AccountOf, body: AccessTargets) -> Ended:
    """End what was given for an account, of one client or one user or altogether; a preview says how many that are."""
    return await _end_all(errand, await _parties(errand, body.client, body.user, where.account))


async def count_grants(errand: Errand, where: Struct, body: Struct, before: object) -> tuple[Hit, ...]:
    """Return how many live grants would end."""
    account = getattr(where, "account", None) or getattr(body, "account", None)
    parties = await _parties(errand, getattr(body, "client", None), getattr(body, "user", None), account)
    return (Hit(await errand.source.one(_COUNT, tenant=errand.tenant, **parties) or 0, "live grants"),)


async def _parties(errand: Errand, client: str | None, user: str | None, account: str | None) -> dict[str, int]:
    return {
        "client": 0 if client is None else await _known(errand, client_at(errand, client)),
        "person": 0 if user is None else await _known(errand, user_at(errand, user)),
        "account": 0 if account is None else (await account_at(errand, account)).id,
    }


async def _known(errand: Errand, finding: Awaitable[ClientRow | UserRow]) -> int:
    """Return a party's number; at an account's door one that does not exist is like one that gave nothing here."""
    try:
        return (await finding).id
    except NotThere:
        if errand.caller.account:
            return NOBODY
        raise


async def _listed(errand: Errand, parties: dict[str, int], after: str, count: int) -> list[GrantRecord]:
    before, names = place(ids.GRANT, after, _NEWEST), await known(errand)
    rows = await errand.source.all(GIVEN, tenant=errand.tenant, number=0, before=before, now=errand.at.now, count=count, **parties)
    used = await told_uses(errand, rows, names)
    return [_told(row, names, used[row.id]) for row in rows]


async def _shown(errand: Errand, row: Given) -> GrantRecord:
    names = await known(errand)
    return _told(row, names, (await told_uses(errand, [row], names))[row.id])


async def _one(errand: Errand, shown: str, account: int) -> Given:
    install = ids.read(ids.INSTALL, shown)
    of = None if install is None else await errand.source.one(BY_ID, id=install, tenant=errand.tenant)
    number = number_of(ids.GRANT, shown, "grant") if of is None else of.consent_grant
    if not number:
        raise NotThere(f"{shown} is of an app that was given nothing")
    row = await errand.source.one(
        GIVEN, tenant=errand.tenant, number=number, client=0, person=0, account=account, before=_NEWEST, now=errand.at.now, count=1
    )
    if row is None:
        raise NotThere(f"there is no live grant {shown}")
    return row


async def _end(errand: Errand, row: Given) -> None:
    # What an app was given is its installation, which ends with it.
    await take_back(errand.deed.tx, errand.at, tenant=errand.tenant, grant=row.id, because="by_admin", actor=errand.caller.by)


async def _end_all(errand: Errand, parties: dict[str, int]) -> Ended:
    client, person, account = parties["client"], parties["person"], parties["account"]
    count = await ledger.end_matching(
        errand.deed.tx,
        errand.at,
        tenant=errand.tenant,
        client=client,
        person=person,
        account=account,
        because="by_admin",
        actor=errand.caller.by,
    )
    await _settled(errand, Target(tenant=errand.tenant, client=client, person=person, account=account))
    return Ended(count)


async def _settled(errand: Errand, ended: Target) -> None:
    """End the installations whose grants have ended, as far as they are few; a job ends the others."""
    parties = {"app": ended.client, "account": ended.account, "acting": ended.person}
    await settle(errand.deed.tx, errand.at, tenant=errand.tenant, actor=errand.caller.by, **parties)


def _told(row: Given, names: Known, used: tuple[ScopeUseRecord, ...]) -> GrantRecord:
    return GrantRecord(
        id=ids.show(ids.GRANT, row.id),
        client=row.client_id,
        user=row.person_email,
        user_id=ids.show(ids.USER, row.person) if row.person else None,
        account=row.account_slug,
        account_id=ids.show(ids.ACCOUNT, row.account) if row.account else None,
        scopes=tuple(names.scope_names(ids_of(row.granted))),
        declined=tuple(names.scope_names(ids_of(row.declined))),
        source=row.source,
        made_at=stamp(row.made_at),
        changed_at=stamp(row.changed_at),
        expires_at=None if row.expires_at is None else stamp(row.expires_at),
        use=used,
    )


_ACCESS: Final = "/accounts/{account}/grants"
OPERATIONS: Final = (
    Operation(
        name="grants.list", method="GET", path="/grants", scope=READ, run=list_grants, where=GrantsWhere, gives=GrantRecord, many=True
    ),
    Operation(
        name="grants.end_all",
        method="POST",
        path="/grants/end",
        scope=WRITE,
        run=end_grants,
        body=Targets,
        gives=Ended,
        acts=(Act.GRANT_ENDED,),
        impact=count_grants,
        warns="Every code and token under these grants is refused from then on.",
    ),
    Operation(
        name="grants.narrow_all",
        method="POST",
        path="/grants/narrow",
        scope=WRITE,
        run=narrow_grants,
        body=Narrowing,
        gives=NarrowedRecord,
        acts=(Act.GRANT_NARROWED,),
        impact=count_narrowed,
        warns="Every token under these grants loses these scopes from its next check on.",
    ),
    Operation(name="grants.show", method="GET", path="/grants/{grant}", scope=READ, run=show_grant, where=GrantAt, gives=GrantRecord),
    Operation(
        name="grants.narrow",
        method="PATCH",
        path="/grants/{grant}",
        scope=WRITE,
        run=narrow_grant,
        where=GrantAt,
        body=Kept,
        gives=GrantRecord,
        acts=(Act.GRANT_CHANGED,),
        find=show_grant,
        careful=True,
    ),
    Operation(
        name="grants.end",
        method="DELETE",
        path="/grants/{grant}",
        scope=WRITE,
        run=end_grant,
        where=GrantAt,
        acts=(Act.GRANT_ENDED,),
        find=show_grant,
    ),
    Operation(
        name="access.list",
        method="GET",
        path=_ACCESS,
        scope=READ,
        delegated=OWN_READ,
        run=list_access,
        where=AccessWhere,
        gives=GrantRecord,
        many=True,
    ),
    Operation(
        name="access.end_all",
        method="POST",
        path=_ACCESS + "/end",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=end_all_access,
        where=AccountOf,
        body=AccessTargets,
        gives=Ended,
        acts=(Act.GRANT_ENDED,),
        impact=count_grants,
        warns="Every code and token under these grants is refused from then on.",
    ),
    Operation(
        name="access.show",
        method="GET",
        path=_ACCESS + "/{grant}",
        scope=READ,
        delegated=OWN_READ,
        run=show_access,
        where=GrantOfAccount,
        gives=GrantRecord,
    ),
    Operation(
        name="access.end",
        method="DELETE",
        path=_ACCESS + "/{grant}",
        scope=WRITE,
        delegated=OWN_WRITE,
        run=end_access,
        where=GrantOfAccount,
        acts=(Act.GRANT_ENDED,),
        find=show_access,
    ),
)
