"""What is known of the use of each scope of a grant, and taking from grants what nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from gatewright.audit.book import Act
from gatewright.base import ids
from gatewright.base.calendar import day
from gatewright.base.change import Hit
from gatewright.base.check import Fault, Faults
from gatewright.base.duration import Duration, seconds
from gatewright.base.operation import Nowhere, Operation
from gatewright.ledger import shrinking
from gatewright.ledger.scope_use import reporting, uses_of
from gatewright.ledger.target import Target
from gatewright.management.accounts import AccountName, UserName
from gatewright.management.errand import Errand
from gatewright.management.names import Known, account_at, client_at, known, number_of, user_at
from gatewright.oauth.catalogue import ids_of
from gatewright.oauth.scope_use import DAY, Held, ScopeUse, uses

if TYPE_CHECKING:
    from gatewright.ledger.standing import Given

WRITE: Final = "gw:grants:write"
LEAST_DAYS, MOST_DAYS = 7, 400


class ScopeUseRecord(Struct, frozen=True, kw_only=True):
    """What is known of the use of one scope of a grant, as its API reports it."""

    scope: str
    use: Annotated[
        str,
        Meta(
            description="`used` in the last 90 days; `unused` for 90 days or more; `never`, as long as the API reports; `unknown` where it"
            " does not report, or it or the grant is as it is for less than 90 days."
        ),
    ]
    last_used: Annotated[str | None, Meta(description="The day of the last use that was reported.")]
    since: Annotated[str | None, Meta(description="From which day on every use is known; null where the API does not report.")]


class Idle(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From which grants what is taken: those of all that are named together, every one where nobody is named."""

    unused: Annotated[Duration, Meta(description="How long a scope was not used: 7 to 400 days, such as `90d`.")]
    client: Annotated[str, Meta(description="A client's id.", min_length=1, max_length=200)] | None = None
    user: UserName | None = None
    account: AccountName | None = None
    after: Annotated[str, Meta(description="Go on behind this grant: the `next` of the answer before.", max_length=100)] = ""


class ShrunkRecord(Struct, frozen=True, kw_only=True):
    """What was taken from grants, and what was left."""

    grants: Annotated[int, Meta(description="How many lost scopes.")]
    scopes: Annotated[int, Meta(description="How many scopes they lost in all.")]
    whole: Annotated[int, Meta(description="How many stay because nothing of them was used: those are for ending.")]
    kept: Annotated[int, Meta(description="How many stay because nobody is asked before they are given again.")]
    next: Annotated[str | None, Meta(description="The grant behind which to go on, where there were too many for once.")]


async def told_uses(errand: Errand, rows: list[Given], names: Known) -> dict[int, tuple[ScopeUseRecord, ...]]:
    """Return what is known of the use of each scope, by grant; two statements for a page of them."""
    catalogue = names.catalogue
    reports = await reporting(errand.source, errand.tenant, catalogue)
    days = await uses_of(errand.source, errand.tenant, [row.id for row in rows])
    found: dict[int, tuple[ScopeUseRecord, ...]] = {}
    for row in rows:
        held = Held(scopes=ids_of(row.granted), changed_at=row.changed_at, days=days.get(row.id, {}))
        told = uses(held, catalogue, reports, errand.at.now)
        found[row.id] = tuple(sorted([told_use(one, catalogue.scopes[one.scope].name) for one in told], key=lambda use: use.scope))
    return found


def told_use(use: ScopeUse, name: str) -> ScopeUseRecord:
    """Return what is known of a scope's use with its name and days."""
    return ScopeUseRecord(
        scope=name,
        use=use.use.value,
        last_used=None if use.last_day is None else day(use.last_day * DAY),
        since=None if use.since is None else day(use.since),
    )


async def shrink_grants(errand: Errand, where: Nowhere, body: Idle) -> ShrunkRecord:
    """Take from grants the scopes that were not used for so long; a preview says how many that are.

    Only where that is known: the scope's API reports, and has for that long. A user may give them again when asked.
    """
    span, target = _span(body), await _target(errand, body)
    after = number_of(ids.GRANT, body.after, "grant") if body.after else 0
    catalogue = (await known(errand)).catalogue
    done = await shrinking.shrink(
        errand.deed.tx, errand.at, target, catalogue, actor=errand.caller.by, span=span, after=after, most=shrinking.MOST
    )
    following = ids.show(ids.GRANT, done.after) if done.after else None
    return ShrunkRecord(grants=done.grants, scopes=done.scopes, whole=done.whole, kept=done.kept, next=following)


async def count_idle(errand: Errand, where: Struct, body: Idle, before: object) -> tuple[Hit, ...]:
    """Return how many live grants would lose something."""
    found = await shrinking.survey(
        errand.source, await _target(errand, body), (await known(errand)).catalogue, now=errand.at.now, span=_span(body)
    )
    more = found.after > 0
    counts = (
        (found.grants, "live grants"),
        (found.scopes, "scopes of them"),
        (found.whole, "live grants of which nothing was used stay"),
        (found.kept, "live grants that would be given again unasked stay"),
    )
    return tuple([Hit(count, what, more=more) for count, what in counts if count])


def _span(body: Idle) -> int:
    days = seconds(body.unused) // DAY
    if not LEAST_DAYS <= days <= MOST_DAYS:
        cure = f"name {LEAST_DAYS} to {MOST_DAYS} days, such as 90d"
        raise Faults((Fault("unused", "whether a scope is used cannot be told in so short or so long a time", cure, None, ("unused",)),))
    return days


async def _target(errand: Errand, body: Idle) -> Target:
    return Target(
        tenant=errand.tenant,
        client=0 if body.client is None else (await client_at(errand, body.client)).id,
        person=0 if body.user is None else (await user_at(errand, body.user)).id,
        account=0 if body.account is None else (await account_at(errand, body.account)).id,
    )


OPERATIONS: Final = (
    Operation(
        name="grants.shrink",
        method="POST",
        path="/grants/shrink",
        scope=WRITE,
        run=shrink_grants,
        body=Idle,
        gives=ShrunkRecord,
        acts=(Act.GRANT_CHANGED,),
        impact=count_idle,
        warns="Every token under these grants loses what was not used from its next check on.",
    ),
)
