"""The domains that tenants claim by themselves: the SQL of their claims, and what is done when one is proved or lost.

A claim takes nothing from anybody: only when it is proved does the domain become the tenant's, and whoever proves first has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.audit.book import Act
from gatewright.audit.deed import Deed, Refused
from gatewright.store import NotUnique, Query
from gatewright.tenants import book
from gatewright.tenants.ownership import Seen, Standing, State, above, after, claim_fault, proof, record_name, seen_in
from gatewright.tenants.rules import parse_origin
from gatewright.tenants.txt import NoAnswer

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.ports import Sealer
    from gatewright.store import Store, Tx
    from gatewright.tenants.rules import Origin
    from gatewright.tenants.txt import Txt

MOST: Final = 100  # claims of one tenant
LONGEST_TOLD: Final = 300
ACTOR: Final = "gatewright"  # what runs by the clock


class ClaimRow(Struct, frozen=True):
    """A claim as stored; `told` is what the last look found, in a sentence."""

    id: int
    tenant: int
    origin: str
    host: str
    state: State
    made_by: str
    made_at: int
    seen_at: int
    failing_since: int
    checked_at: int
    check_at: int
    told: str

    @property
    def standing(self) -> Standing:
        """Where it stands."""
        return Standing(self.state, self.made_at, self.seen_at, self.failing_since, self.checked_at)


OF_TENANT: Final = Query(
    ClaimRow,
    """SELECT id, tenant, origin, host, state, made_by, made_at, seen_at, failing_since, checked_at, check_at, told FROM domain_claim
        WHERE tenant = :tenant ORDER BY id""",
)
OF_HOST: Final = Query(
    ClaimRow,
    """SELECT id, tenant, origin, host, state, made_by, made_at, seen_at, failing_since, checked_at, check_at, told FROM domain_claim
        WHERE tenant = :tenant AND host = :host""",
)
DUE: Final = Query(
    ClaimRow,
    """SELECT id, tenant, origin, host, state, made_by, made_at, seen_at, failing_since, checked_at, check_at, told FROM domain_claim
        WHERE check_at <= :now ORDER BY check_at, id LIMIT :count""",
)
_MAKE: Final = Query(
    None,
    """INSERT INTO domain_claim (id, tenant, origin, host, state, made_by, made_at, seen_at, failing_since, checked_at, check_at, told)
       VALUES (:id, :tenant, :origin, :host, 'pending', :made_by, :now, 0, 0, 0, :now, '')""",
)
# Only the first of two looks at the same time is believed.
_SETTLE: Final = Query(
    None,
    """UPDATE domain_claim SET state = :state, seen_at = :seen_at, failing_since = :failing_since, checked_at = :now, check_at = :check_at,
                               told = :told
        WHERE id = :id AND tenant = :tenant AND state = :before AND checked_at = :checked_at""",
)
_DROP: Final = Query(None, "DELETE FROM domain_claim WHERE id = :id AND tenant = :tenant")
_FOREIGN_BELOW: Final = Query(
    str,
    """SELECT host FROM domain WHERE tenant <> :tenant AND substr(host, length(host) - length(:under) + 1) = :under
     ORDER BY host LIMIT 1""",
)


async def claim(deed: Deed, origin: Origin, own: tuple[str, ...]) -> int:
    """Say that a domain is the tenant's, which it becomes once that is proved; return the claim's id.

    Raises:
        Refused: it cannot be claimed.
    """
    sentence = claim_fault(origin, own) or await _refusal(deed, origin.host)
    if sentence is not None:
        raise Refused(f"{origin.url} cannot be claimed: {sentence}")
    if await deed.tx.one(OF_HOST, tenant=deed.tenant, host=origin.host) is not None:
        raise Refused(f"{origin.url} is claimed already")
    if len(await deed.tx.all(OF_TENANT, tenant=deed.tenant)) >= MOST:
        raise Refused(f"a tenant claims at most {MOST} domains: drop those that are not needed")
    number = deed.at.id()
    await deed.tx.do(_MAKE, id=number, tenant=deed.tenant, origin=origin.url, host=origin.host, made_by=deed.who, now=deed.at.now)
    await deed.note(Act.DOMAIN_CLAIMED, origin.url)
    return number


async def _refusal(deed: Deed, host: str) -> str | None:
    """Return what stands in the way of a host: somebody has it, or has what lies above or below it (`security-rules` 39)."""
    taken = await deed.tx.one(book.DOMAIN_OF_HOST, host=host)
    if taken is not None:
        return f"it belongs to {'this tenant' if taken.tenant == deed.tenant else 'another tenant'} already"
    for parent in above(host):
        found = await deed.tx.one(book.DOMAIN_OF_HOST, host=parent)
        if found is not None and found.tenant != deed.tenant:
            return f"{parent}, which lies above it, belongs to another tenant"
    below = await deed.tx.one(_FOREIGN_BELOW, tenant=deed.tenant, under=f".{host}")
    if below is not None:
        return "a domain below it belongs to another tenant"
    released = await book.release_fault(deed, host)
    return None if released is None else f"it {released}"


async def drop(deed: Deed, row: ClaimRow) -> None:
    """Take a claim back; a domain that was proved by it is given up."""
    await deed.tx.do(_DROP, id=row.id, tenant=deed.tenant)
    await deed.note(Act.DOMAIN_CLAIM_DROPPED, row.origin, was=row.state)
    await _give_up(deed, row)


async def look(txt: Txt, sealer: Sealer, row: ClaimRow) -> tuple[Seen, str]:
    """Ask for a claim's record; return what that says, and a sentence about it."""
    name = record_name(row.host)
    try:
        found = await txt.texts(name)
    except NoAnswer as fault:
        return Seen.UNKNOWN, f"no name server could tell of {name}: {fault}"[:LONGEST_TOLD]
    seen = seen_in(found, proof(sealer, row.tenant, row.host))
    if seen is Seen.PRESENT:
        return seen, f"{name} holds the proof"
    if not found:
        return seen, f"{name} has no TXT record"
    return seen, f"{name} has {len(found)} other TXT record{'s' if len(found) > 1 else ''}, and not the proof"


async def settle(deed: Deed, row: ClaimRow, seen: Seen, told: str) -> State | None:
    """Write down a look and do what follows; return the state, or None where somebody else looked meanwhile. A unit of work."""
    following = after(row.standing, seen, deed.at.now)
    if following.over:
        await drop(deed, row)
        return following.state
    state: State = following.state
    if state == "verified" and row.state in ("pending", "lost"):
        sentence = await _refusal(deed, row.host)
        if sentence is not None:
            # Somebody else proved it first, or may still be about to: the claim waits.
            state, told = row.state, f"the proof is there, but {sentence}"
    settled = await deed.tx.do(
        _SETTLE,
        id=row.id,
        tenant=row.tenant,
        state=state,
        seen_at=following.seen_at,
        failing_since=following.failing_since,
        now=deed.at.now,
        check_at=following.check_at,
        told=told[:LONGEST_TOLD],
        before=row.state,
        checked_at=row.checked_at,
    )
    if not settled:
        return None
    if state != row.state:
        await _follow(deed, row, state, told)
    return state


_ACTS: Final = {"verified": Act.DOMAIN_VERIFIED, "failing": Act.DOMAIN_FAILING, "lost": Act.DOMAIN_LOST}


async def _follow(deed: Deed, row: ClaimRow, state: State, told: str) -> None:
    await deed.note(_ACTS[state], row.origin, because=told)
    if state == "verified" and row.state in ("pending", "lost"):
        present = await deed.tx.all(book.DOMAINS, tenant=deed.tenant)
        await book.add_domain(deed, parse_origin(row.origin), max([one.position for one in present], default=-1) + 1, proved=True)
    elif state == "lost":
        await _give_up(deed, row)


async def _give_up(deed: Deed, row: ClaimRow) -> None:
    domain = await deed.tx.one(book.DOMAIN_OF_HOST, host=row.host)
    if domain is not None and domain.tenant == deed.tenant and row.state in ("verified", "failing"):
        await book.remove_domain(deed, domain)


async def check(store: Store, at: Moment, txt: Txt, sealer: Sealer, row: ClaimRow, actor: str = ACTOR) -> tuple[State | None, str]:
    """Look at a claim now and do what follows; return the state and what was found."""
    seen, told = await look(txt, sealer, row)

    async def unit(tx: Tx) -> State | None:
        return await settle(Deed(tx, at, row.tenant, actor), row, seen, told)

    try:
        return await store.run(unit), told
    except NotUnique:
        # Another tenant proved the same name in the same moment, and was first: the claim waits, which the same rule finds now.
        return await store.run(unit), told


def shown(row: ClaimRow, sealer: Sealer) -> dict[str, object]:
    """Return a claim as people and programs see it."""
    return {
        "origin": row.origin,
        "state": row.state,
        "record_name": record_name(row.host),
        "record_type": "TXT",
        "record_value": proof(sealer, row.tenant, row.host),
        "found": row.told,
    }
