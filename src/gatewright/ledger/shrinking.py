"""Taking from grants what nobody uses: each grant by itself, told to its client and written into the audit log like any narrowing.

What somebody would give again without being asked stays (first-party clients, back-end services, what an admin hands out), and so
does a grant of which nothing at all was used: that is one to be ended, which is for somebody to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gatewright.ledger import grants
from gatewright.ledger.listing import WALK
from gatewright.ledger.scope_use import reporting, uses_of
from gatewright.oauth.scope_use import SPAN, Held, idle

if TYPE_CHECKING:
    from gatewright.audit.book import Actor
    from gatewright.base.moment import Moment
    from gatewright.ledger.grants import Grant
    from gatewright.ledger.target import Target
    from gatewright.oauth.catalogue import Catalogue
    from gatewright.store import Store, Tx

PAGE: Final = 500  # grants that are looked at in one transaction of the terminal: some milliseconds of the writer's time
MOST: Final = 20_000  # grants that are looked at where one transaction does it all
ASKED: Final = "user"


class Shrunk(Struct, frozen=True):
    """What a shrinking does: how many grants lose something, and how many scopes that is in all.

    `whole` are grants of which nothing was used, `kept` those that would be given again unasked: both stay. `after` is the grant behind
    which it goes on, 0 where it is done.
    """

    grants: int = 0
    scopes: int = 0
    whole: int = 0
    kept: int = 0
    after: int = 0

    def and_(self, more: Shrunk) -> Shrunk:
        """Return both together; it goes on where the later one ended."""
        return Shrunk(self.grants + more.grants, self.scopes + more.scopes, self.whole + more.whole, self.kept + more.kept, more.after)


async def survey(source: Store | Tx, target: Target, catalogue: Catalogue, *, now: int, span: int = SPAN, most: int = MOST) -> Shrunk:
    """Return what a shrinking would do to the first `most` grants that are meant. Nothing is changed."""
    found, looked = Shrunk(), 0
    while looked < most and (found.after or not looked):
        _, part = await _looked(source, target, catalogue, now, span, found.after)
        found, looked = found.and_(part), looked + PAGE
    return found


async def shrink(
    tx: Tx, at: Moment, target: Target, catalogue: Catalogue, *, actor: Actor, span: int = SPAN, after: int = 0, most: int = PAGE
) -> Shrunk:
    """Take from the first `most` grants behind `after` what was not used for `span` days. A unit of work.

    Done again, it takes nothing: what is left was used, or is not known to be unused.
    """
    done, looked = Shrunk(after=after), 0
    while looked < most and (done.after or not looked):
        losing, part = await _looked(tx, target, catalogue, at.now, span, done.after)
        for grant, unused in losing:
            await grants.narrow(tx, at, grant, grant.scopes - unused, actor)
        done, looked = done.and_(part), looked + PAGE
    return done


async def shrink_one(tx: Tx, at: Moment, target: Target, catalogue: Catalogue, scopes: frozenset[int], *, actor: Actor) -> bool:
    """Take of these scopes those that are still unused from one grant; tell whether there were any. A unit of work."""
    losing, _ = await _looked(tx, target, catalogue, at.now, SPAN, 0)
    for grant, unused in losing:
        if unused & scopes:
            await grants.narrow(tx, at, grant, grant.scopes - (unused & scopes), actor)
            return True
    return False


async def _looked(
    source: Store | Tx, target: Target, catalogue: Catalogue, now: int, span: int, after: int
) -> tuple[list[tuple[Grant, frozenset[int]]], Shrunk]:
    """Return which of the next grants would lose what."""
    page = await source.all(WALK[target.way], **target.args, after=after, count=PAGE)
    last = page[-1].id if len(page) == PAGE else 0
    reports = await reporting(source, target.tenant, catalogue)
    if not reports:
        return [], Shrunk()  # nothing is known of any
    days = await uses_of(source, target.tenant, [grant.id for grant in page])
    losing: list[tuple[Grant, frozenset[int]]] = []
    whole = kept = 0
    for grant in page:
        unused = idle(Held(scopes=grant.scopes, changed_at=grant.changed_at, days=days.get(grant.id, {})), catalogue, reports, now, span)
        if not unused or grant.over(now):
            continue
        if grant.source != ASKED:
            kept += 1
        elif unused == grant.scopes:
            whole += 1
        else:
            losing.append((grant, unused))
    return losing, Shrunk(len(losing), sum([len(unused) for _, unused in losing]), whole, kept, last)
